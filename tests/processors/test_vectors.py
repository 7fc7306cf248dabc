"""Embeddings survive the way into a record and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.vectors import pack, unpack
from schemas.records import Vector, VectorDtype


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50))
def test_numbers_come_back_bit_for_bit(numbers: list[float]) -> None:
    """Packing loses nothing and costs four bytes a number."""
    array = np.array(numbers, dtype=np.float32)
    vector = pack(array)
    assert (vector.dtype, vector.dim, len(vector.data)) == (VectorDtype.FLOAT32_LE, len(numbers), 4 * len(numbers))
    assert unpack(vector).tobytes() == array.tobytes()


def test_bytes_are_little_endian() -> None:
    """The byte order is the one the dtype's name says."""
    assert pack(np.array([1.0], dtype=np.float32)).data == b"\x00\x00\x80\x3f"


def test_normalized_says_whether_the_length_is_one() -> None:
    """Cosine may be had by a product alone only where that is true."""
    assert pack(np.array([0.6, 0.8], dtype=np.float32)).normalized
    assert not pack(np.array([1.0, 1.0], dtype=np.float32)).normalized
    assert not pack(np.zeros(3, dtype=np.float32)).normalized


def test_half_precision_is_read() -> None:
    """FLOAT16_LE, which others may write, is read as float32."""
    vector = Vector(dtype=VectorDtype.FLOAT16_LE, dim=2, normalized=False, data=np.array([1.5, -2.0], dtype="<f2").tobytes())
    assert unpack(vector).tolist() == [1.5, -2.0]
    assert unpack(vector).dtype == np.float32


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((1, 3), dtype=np.float32), np.zeros(0, dtype=np.float32)])
def test_only_float32_rows_are_packed(array: np.ndarray) -> None:  # type: ignore[type-arg]
    """Doubles, matrices and empty arrays are refused."""
    with pytest.raises(ValueError, match="must be float32"):
        pack(array)


@pytest.mark.parametrize(
    "vector",
    [
        Vector(dtype=VectorDtype.UNKNOWN, dim=1, normalized=False, data=bytes(4)),
        Vector(dtype=VectorDtype.FLOAT32_LE, dim=2, normalized=False, data=bytes(4)),
        Vector(dtype=VectorDtype.FLOAT32_LE, dim=1, normalized=False, data=bytes(5)),
    ],
)
def test_inconsistent_vectors_are_refused(vector: Vector) -> None:
    """An unknown dtype, or bytes that do not fit, are not guessed at."""
    with pytest.raises(ValueError):
        unpack(vector)
