"""Embeddings between arrays and records."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.records import Vector, VectorDtype

__all__ = ["pack", "unpack"]

_UNIT_TOLERANCE = 1e-3
_NUMPY_DTYPES: dict[VectorDtype, np.dtype[Any]] = {
    VectorDtype.FLOAT32_LE: np.dtype("<f4"),
    VectorDtype.FLOAT16_LE: np.dtype("<f2"),
}


def pack(array: NDArray[np.float32]) -> Vector:
    """A float32 array (dim,) as FLOAT32_LE; normalized if its length is 1 within 0.001. Raises ValueError on another dtype."""
    if array.dtype != np.float32 or array.ndim != 1 or not array.size:
        raise ValueError(f"A vector must be float32 of shape (dim,), not {array.dtype} of shape {array.shape}")
    length = float(np.linalg.norm(array))
    return Vector(
        dtype=VectorDtype.FLOAT32_LE,
        dim=array.size,
        normalized=abs(length - 1.0) <= _UNIT_TOLERANCE,
        data=array.astype("<f4", copy=False).tobytes(),
    )


def unpack(vector: Vector) -> NDArray[np.float32]:
    """The numbers of a vector: float32 (dim,). Raises ValueError on an unknown dtype, or bytes that are not dim numbers."""
    if vector.dtype not in _NUMPY_DTYPES:
        raise ValueError(f"A vector of dtype {vector.dtype} cannot be read; known are {', '.join(_NUMPY_DTYPES)}")
    numbers: NDArray[Any] = np.frombuffer(vector.data, dtype=_NUMPY_DTYPES[vector.dtype])
    if numbers.size != vector.dim:
        raise ValueError(f"The vector says it has {vector.dim} numbers and has {numbers.size}")
    return numbers.astype(np.float32)
