"""Answers that a model could give, made up from what its ModelRef says, for tests that run no model."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from processors.signal import ModelRef, Tensors, TensorSpec

__all__ = ["answer_of"]

Draw = Callable[[tuple[int, ...], np.random.Generator], NDArray[np.float64]]


def answer_of(model: ModelRef, inputs: Tensors, seed: int) -> dict[str, NDArray[np.generic]]:
    """One row for each row of the inputs; the same seed gives the same answer again.

    Free axes are as long as the free axes of the first input, in order, divided by STRIDES. Numbers are as DRAWN says; in outputs
    that it does not list, each last axis is a direction: not negative, of length 1, with few large numbers.
    """
    rng = np.random.default_rng(seed)
    first = model.inputs[0]
    array = inputs[first.name]
    free = [length for length, wanted in zip(array.shape[1:], first.shape, strict=True) if wanted is None]
    free = [length // STRIDES.get(model.name, 1) for length in free]
    return {spec.name: _tensor(model, spec, len(array), list(free), rng) for spec in model.outputs}


def _tensor(model: ModelRef, spec: TensorSpec, rows: int, free: list[int], rng: np.random.Generator) -> NDArray[np.generic]:
    shape = tuple(free.pop(0) if length is None else length for length in spec.shape)
    draw = DRAWN.get((model.name, spec.name), _directions)
    return np.stack([draw(shape, rng) for _ in range(rows)]).astype(spec.dtype)


def _directions(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    numbers = rng.random(shape) ** 50
    lengths = np.linalg.norm(numbers, axis=-1, keepdims=True)
    return np.asarray(numbers / np.maximum(lengths, 1e-30))


def _stretches(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Probabilities along time that stay high or low for twenty steps or so."""
    steps = np.repeat(rng.random(shape[0] // 20 + 1), 20)[: shape[0]]
    return np.asarray(steps)


def _one_peak(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Nothing but one high cell in the middle."""
    numbers = np.zeros(shape)
    numbers[..., shape[-2] // 2, shape[-1] // 2] = rng.uniform(0.6, 1.0)
    return numbers


STRIDES = {"faces": 4}
"""How many cells of the input, along each free axis, make one of the output."""

DRAWN: dict[tuple[str, str], Draw] = {
    ("faces", "heatmap"): _one_peak,
    ("speech_segments", "speech"): _stretches,
    ("video_shots", "cut"): _stretches,
    ("video_shots", "transition"): _stretches,
}
