"""Fakes behind the pipeline's ports, and signals that are easy to reason about."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from processors.errors import PermanentError, Reason
from processors.media import Characters, Text
from processors.signal import Feature, ModelRef, Shape, Signal, Tensors, TensorSpec, Window
from schemas.records import Asset, ContentPublished, Findings, Measure, MediaKind, TextField
from streams.ports import LocalMedia


@dataclass(frozen=True)
class Letters:
    """Each text's length, as one row of one number."""

    tag: str = ""

    @property
    def view(self) -> Characters:
        return Characters()

    def start(self) -> "LettersStream":
        return LettersStream()


class LettersStream:
    def push(self, piece: Any) -> list[Window]:
        assert isinstance(piece, Text)
        return [Window({"letters": np.array([[len(piece.value)]], np.float32)})]

    def finish(self) -> list[Window]:
        return []


ECHO = ModelRef(
    name="echo",
    version="1",
    inputs=(TensorSpec("letters", "float32", (1,)),),
    outputs=(TensorSpec("letters", "float32", (1,)),),
    max_batch_rows=8,
)


def counted(partials: Sequence[float], upstream: Any) -> Findings:
    return Findings(measures=(Measure(name="letters", value=float(sum(partials)), unit="1"),))


def text_signal(name: str = "text.letters", model: ModelRef | None = ECHO, **changes: Any) -> Signal:
    """A signal over texts that counts letters."""
    fields: dict[str, Any] = {
        "name": name,
        "owner": "tests",
        "meaning": "How many letters a text has.",
        "applies_to": frozenset({MediaKind.TEXT}),
        "shapes": (Shape.MEASURES,),
        "feature": Letters(),
        "model": model,
        "interpret": lambda answer, window: float(answer["letters"].sum()),
        "reduce": counted,
    }
    return Signal(**fields | changes)


def text_event(*values: str, assets: tuple[Asset, ...] = ()) -> ContentPublished:
    texts = tuple(TextField(name=f"text{number}", value=value) for number, value in enumerate(values))
    return ContentPublished(
        event_id="e1",
        content_id="c1",
        content_version=1,
        tenant="t",
        published_at=datetime(2026, 1, 2, tzinfo=UTC),
        assets=assets,
        texts=texts,
    )


class InProcessDecode:
    """Runs the real pass over inline texts in this process: what DecodePool does, without the isolation."""

    async def __call__(
        self, media: LocalMedia | TextField, kind: MediaKind, features: frozenset[Feature]
    ) -> AsyncIterator[tuple[Feature, Window | PermanentError]]:
        from processors.decode.limits import Limits
        from processors.decode.windows import windows

        assert isinstance(media, TextField)
        for feature, window in windows(media, kind, features, Limits()):
            yield feature, window
            await asyncio.sleep(0)


class FolderFetch:
    """Assets from memory: uri → bytes, or an error to raise."""

    def __init__(self, folder: Path, files: dict[str, bytes | Exception]) -> None:
        self.folder, self.files, self.open = folder, files, 0

    @asynccontextmanager
    async def __call__(self, asset: Asset) -> AsyncIterator[LocalMedia]:
        content = self.files[asset.uri]
        if isinstance(content, Exception):
            raise content
        path = self.folder / hashlib.sha256(asset.uri.encode()).hexdigest()
        path.write_bytes(content)
        self.open += 1
        try:
            yield LocalMedia(path, len(content), hashlib.sha256(content).hexdigest())
        finally:
            self.open -= 1
            path.unlink()


class EchoInfer:
    """Answers with its input, after `before` was called; counts what is in flight."""

    def __init__(self, before: Callable[[Tensors], Any] | None = None) -> None:
        self.before, self.calls, self.in_flight, self.most_in_flight = before, 0, 0, 0

    async def __call__(self, model: ModelRef, tensors: Tensors) -> Tensors:
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if self.before:
                self.before(tensors)
            return tensors
        finally:
            self.in_flight -= 1


def permanent(detail: str = "no", reason: Reason = Reason.UNDECODABLE) -> PermanentError:
    return PermanentError(reason, detail)
