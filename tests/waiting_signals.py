"""Signals whose model only waits: delivery tests and benchmarks use them in place of slow models.

A text says how long: "wait 100 …" waits 100 ms. The model is answered in the worker; all other parts are the real ones.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from processors.media import Characters, Piece, Text
from processors.signal import ModelRef, Shape, Signal, Tensors, TensorSpec, Window
from schemas.records import Findings, Measure, MediaKind
from streams.ports import Infer

WAIT = ModelRef(
    name="wait",
    version="1",
    inputs=(TensorSpec("wait_ms", "float32", (1,)),),
    outputs=(TensorSpec("wait_ms", "float32", (1,)),),
    max_batch_rows=1,
)


@dataclass(frozen=True)
class WaitTime:
    """The number in the text's second word, as one row."""

    @property
    def view(self) -> Characters:
        return Characters()

    def start(self) -> "WaitTimeStream":
        return WaitTimeStream()


class WaitTimeStream:
    def push(self, piece: Piece) -> Iterable[Window]:
        assert isinstance(piece, Text)
        yield Window({"wait_ms": np.array([[float(piece.value.split()[1])]], np.float32)})

    def finish(self) -> Iterable[Window]:
        return ()


def waited(partials: Sequence[float], upstream: Any) -> Findings:
    return Findings(measures=(Measure(name="waited", value=sum(partials), unit="ms"),))


SIGNAL = Signal(
    name="text.wait",
    owner="tests",
    meaning="How long its model waited.",
    applies_to=frozenset({MediaKind.TEXT}),
    shapes=(Shape.MEASURES,),
    feature=WaitTime(),
    model=WAIT,
    interpret=lambda answer, window: float(answer["wait_ms"][0, 0]),
    reduce=waited,
)


class WaitInWorker:
    """Answers the waiting model here; anything else goes to Triton."""

    def __init__(self, triton: Infer) -> None:
        self._triton = triton

    async def __call__(self, model: ModelRef, tensors: Tensors) -> Tensors:
        if model.name != WAIT.name:
            return await self._triton(model, tensors)
        if (seconds := float(tensors["wait_ms"][0, 0]) / 1000) > 0:
            await asyncio.sleep(seconds)
        return tensors
