"""image.tags: what a picture shows, as ImageNet classes, and its embedding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.features.image import TagsPixels
from processors.signal import Shape, Signal, Tensors, Window
from processors.signals.checks import one_row, require_between, require_unit_length
from processors.signals.imagenet import top_labels
from processors.signals.models import IMAGE_TAGS
from processors.vectors import pack
from schemas.records import Findings, Label, MediaKind

__all__ = ["SIGNAL"]

MOST_LABELS = 5
LEAST_SCORE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Tagged:
    """labels, best first; embedding: float32 (1280,), of length 1."""

    labels: tuple[Label, ...]
    embedding: NDArray[np.float32]


def _interpret(answer: Tensors, window: Window) -> _Tagged:
    probabilities = one_row(answer, "probabilities", (1000,))
    embedding = one_row(answer, "embedding", (1280,))
    require_between("probabilities", probabilities, 0.0, 1.0)
    require_unit_length("embedding", embedding)
    return _Tagged(top_labels(probabilities, MOST_LABELS, LEAST_SCORE), embedding)


def _reduce(partials: Sequence[_Tagged], upstream: Mapping[str, Findings]) -> Findings:
    (tagged,) = partials
    return Findings(labels=tagged.labels, vector=pack(tagged.embedding))


SIGNAL = Signal(
    name="image.tags",
    owner="media-understanding",
    meaning="What a picture shows, as up to five ImageNet classes, with the embedding that the classes are read from.",
    applies_to=frozenset({MediaKind.IMAGE}),
    shapes=(Shape.LABELS, Shape.VECTOR),
    feature=TagsPixels(),
    model=IMAGE_TAGS,
    interpret=_interpret,
    reduce=_reduce,
    parameters={"most_labels": MOST_LABELS, "least_score": LEAST_SCORE},
)
