"""Frames between worker and decode process: what goes in comes out, and nonsense is told as such."""

import json
import socket
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from processors.errors import ContentError, ModelError, PermanentError, Reason
from processors.signal import Window
from streams.decode_wire import (
    NONSENSE,
    PREFIX_BYTES,
    Kind,
    error_frame,
    parse_error,
    parse_prefix,
    parse_window,
    send,
    window_frame,
)

DTYPES = st.sampled_from(["|b1", "|u1", "<i8", ">i4", "<f2", "<f4", "<c8", "|S3", "<U2"])
TENSORS = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))


def joined(buffers: list[Any]) -> tuple[Kind, bytes, np.ndarray[Any, np.dtype[np.uint8]]]:
    whole = b"".join(buffers)
    kind, header_bytes, body_bytes = parse_prefix(whole[:PREFIX_BYTES])
    body = np.frombuffer(whole[PREFIX_BYTES + header_bytes :], np.uint8)
    assert len(body) == body_bytes
    return kind, whole[PREFIX_BYTES:][:header_bytes], body


@given(st.dictionaries(st.text(max_size=5), TENSORS, max_size=4), st.integers(0, 99), st.integers(0, 10**12))
def test_windows_survive_the_way(tensors: dict[str, Any], number: int, start_ms: int) -> None:
    """Any tensors of numbers or strings, of any shape, also empty or without axes, arrive bit by bit."""
    kind, header, body = joined(window_frame(number, Window(tensors, start_ms, start_ms + 5)))
    back_number, back = parse_window(header, body)
    assert (kind, back_number, back.start_ms, back.end_ms) == (Kind.WINDOW, number, start_ms, start_ms + 5)
    assert list(back.tensors) == list(tensors)
    for name, tensor in tensors.items():
        assert (back.tensors[name].dtype, back.tensors[name].shape) == (tensor.dtype, tensor.shape)
        assert back.tensors[name].tobytes() == tensor.tobytes()


def test_tensors_that_are_views_survive() -> None:
    """A tensor with gaps or turned axes is sent as what it shows."""
    tensor = np.arange(60, dtype=np.float32).reshape(3, 4, 5)[:, ::2].T
    _, header, body = joined(window_frame(0, Window({"t": tensor})))
    assert np.array_equal(parse_window(header, body)[1].tensors["t"], tensor)


@pytest.mark.parametrize("kind", [PermanentError, ContentError, ModelError])
def test_errors_survive_the_way(kind: type[PermanentError]) -> None:
    """Class, reason and text of an error arrive."""
    _, header, _ = joined(error_frame(Kind.FEATURE_ENDED, kind(Reason.LIMIT_EXCEEDED, "zu groß"), 3))
    number, error = parse_error(header)
    assert (number, type(error), error.reason, error.detail) == (3, kind, Reason.LIMIT_EXCEEDED, "zu groß")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[" * 100_000,
        b"{}",
        b"[1]",
        json.dumps([0, 0, 0, [["t", "|O8", [1]]]]).encode(),
        json.dumps([0, 0, 0, [["t", "f4,O", [1]]]]).encode(),
        json.dumps([0, 0, 0, [["t", "<f4", [-1]]]]).encode(),
        json.dumps([0, 0, 0, [["t", "<f4", [10**30]]]]).encode(),
        json.dumps([0, 0, 0, [["t", "|S999999999", [9]]]]).encode(),
        json.dumps([0, 0, 0, [["t", "<f4", ["1"]]]]).encode(),
        json.dumps([0, "x", 0, []]).encode(),
    ],
)
def test_nonsense_is_told(header: bytes) -> None:
    """A process that was taken over can write anything: the worker sees an error that it expects, and makes no object of it."""
    with pytest.raises(NONSENSE):
        parse_window(header, np.zeros(64, np.uint8))
    with pytest.raises(NONSENSE):
        parse_error(header)


@pytest.mark.parametrize("prefix", [b"?" + bytes(15), b"w" + b"\xff" * 15, bytes(16)])
def test_sizes_are_bounded(prefix: bytes) -> None:
    """Unknown kinds and absurd sizes are refused before anything is set aside for them."""
    with pytest.raises(ValueError, match=r"too large|not a valid Kind"):
        parse_prefix(prefix)


def test_sending_in_parts() -> None:
    """A frame larger than the socket's buffer is sent whole, in order."""
    ours, theirs = socket.socketpair()
    parts = [bytes([value]) * size for value, size in enumerate((1, 0, 3_000_000, 7, 500_000))]
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, parts))
        sender.start()
        received = theirs.recv(3_500_008, socket.MSG_WAITALL)
        sender.join()
    assert received == b"".join(parts)
