"""What a signal demands of a model's answer before it believes it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.errors import ModelError, Reason
from processors.signal import Tensors

__all__ = ["one_row", "require_between", "require_unit_length"]

_TOLERANCE = 1e-2


def one_row(answer: Tensors, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """The only row of the tensor `name`, of this shape (None: any length) and finite. Raises ModelError(BAD_OUTPUT) otherwise."""
    if name not in answer:
        raise ModelError(Reason.BAD_OUTPUT, f"The answer has no {name}, only {', '.join(answer) or 'nothing'}")
    batch = answer[name]
    fits = batch.ndim == len(shape) + 1 and all(want in (None, have) for want, have in zip(shape, batch.shape[1:], strict=True))
    if not fits or len(batch) != 1:
        raise ModelError(Reason.BAD_OUTPUT, f"{name} must have the shape (1, *{shape}), not {batch.shape}")
    row: NDArray[Any] = batch[0]
    if not np.isfinite(row).all():
        raise ModelError(Reason.BAD_OUTPUT, f"{name} has {np.count_nonzero(~np.isfinite(row))} numbers that are infinite or none")
    return row


def require_between(name: str, numbers: NDArray[Any], low: float, high: float) -> None:
    """Raises ModelError(BAD_OUTPUT) unless all numbers are in [low, high], give or take 0.01."""
    if numbers.size and (numbers.min() < low - _TOLERANCE or numbers.max() > high + _TOLERANCE):
        raise ModelError(Reason.BAD_OUTPUT, f"{name} must be in [{low}, {high}], and is in [{numbers.min()}, {numbers.max()}]")


def require_unit_length(name: str, vector: NDArray[Any]) -> None:
    """Raises ModelError(BAD_OUTPUT) unless the vector's length is 1, give or take 0.01."""
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > _TOLERANCE:
        raise ModelError(Reason.BAD_OUTPUT, f"{name} must have the length 1, and has {length:.4g}")
