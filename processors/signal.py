"""What a signal must say of itself.

A signal is a windowed map and a reduce: its `feature` turns pieces of an asset into windows of tensors (in an isolated process),
its `model` answers for each window (in Triton; without a model the window is its own answer), `interpret` makes a small partial
result of each answer, and `reduce` joins the partial results of one asset into Findings.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from numpy.typing import NDArray

from processors.media import Piece, View
from schemas.records import Findings, MediaKind

__all__ = ["Feature", "FeatureStream", "ModelRef", "Shape", "Signal", "TensorSpec", "Tensors", "Window"]

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A bounded stretch of an asset as tensors.

    Axis 0 of each tensor that the model takes is the batch: one row, one inference. Further tensors (times, sizes) are not sent
    and come back to `interpret`. start_ms, end_ms: the stretch it speaks for, half-open; 0, 0 for media without time.
    """

    tensors: Tensors
    start_ms: int = 0
    end_ms: int = 0


class FeatureStream(Protocol):
    """One pass over one asset. Pieces go in, in order; windows come out when they are full, the last ones at the end."""

    def push(self, piece: Piece) -> Iterable[Window]: ...

    def finish(self) -> Iterable[Window]: ...


class Feature(Protocol):
    """How an asset becomes tensors. Frozen, hashable and picklable: equal features are computed once for all signals."""

    @property
    def view(self) -> View: ...

    def start(self) -> FeatureStream: ...


class Shape(StrEnum):
    """The body shapes of DESIGN's contract; each is a field of `Findings` and a part under `schemas/parts/`."""

    LABELS = "labels"
    VECTOR = "vector"
    SEGMENTS = "segments"
    REGIONS = "regions"
    MEASURES = "measures"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a model: numpy dtype name, shape without the batch axis, None where any length goes."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model that Triton serves. max_batch_rows: most rows in one request."""

    name: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch_rows: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Signal:
    """A named understanding of content. One file under `processors/signals/` makes one and calls it SIGNAL.

    interpret(answer, window) → a small partial result; answer: the model's outputs, or the window's own tensors without a model.
    reduce(partials, upstream) → Findings of one asset; partials: one or more, in the order of the windows; upstream: the Findings
    for the same asset of each signal in `needs`.
    parameters: thresholds and the like; part of the configuration hash.
    """

    name: str
    owner: str
    meaning: str
    applies_to: frozenset[MediaKind]
    shapes: tuple[Shape, ...]
    feature: Feature
    model: ModelRef | None = None
    interpret: Callable[[Tensors, Window], Any]
    reduce: Callable[[Sequence[Any], Mapping[str, Findings]], Findings]
    needs: tuple[str, ...] = ()
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    version: int = 1

    @property
    def modality(self) -> str:
        """The first word of the name: audio, image, video or text."""
        return self.name.partition(".")[0]

    @property
    def topic(self) -> str:
        """Where its records go, e.g. signal.audio.loudness.v1."""
        return f"signal.{self.name}.v{self.version}"

    @cached_property
    def config_hash(self) -> str:
        """Sixteen hexadecimal digits over all that shapes the result: feature, model and parameters."""
        parts = (self.name, self.version, repr(self.feature), repr(self.model), sorted(self.parameters.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
