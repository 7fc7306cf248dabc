"""What travels between the worker and its decode processes: frames over a socket.

A frame is a prefix (kind, bytes of the header, bytes of the body), a header and a body. From the worker, a job's body is a
pickle. From a decode process, the header is JSON and the body holds the tensors' bytes: a process that reads hostile media may be
taken over, so what it says is checked and never unpickled.
"""

import json
import math
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from processors.decode.windows import MAX_WINDOW_BYTES, TENSOR_KINDS
from processors.errors import ContentError, ContractError, ModelError, PermanentError, Reason
from processors.signal import Window

__all__ = [
    "NONSENSE",
    "PREFIX_BYTES",
    "Bytes",
    "Kind",
    "error_frame",
    "frame",
    "parse_error",
    "parse_prefix",
    "parse_window",
    "send",
    "window_frame",
]

Bytes = bytes | bytearray | memoryview

_PREFIX = struct.Struct("<cxxxIQ")
PREFIX_BYTES = _PREFIX.size
_ALIGNMENT_BYTES = 64
_DTYPE = re.compile(rf"[<>|][{TENSOR_KINDS}]\d{{1,9}}")
_MAX_HEADER_BYTES = 1024**2
_MAX_BODY_BYTES = MAX_WINDOW_BYTES + 1024**2
_MAX_DETAIL = 2000
_ERRORS: dict[str, type[PermanentError]] = {
    kind.__name__: kind for kind in (PermanentError, ContentError, ContractError, ModelError)
}


NONSENSE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What parsing raises when a decode process, taken over or mad, writes what this module never would."""


class Kind(Enum):
    """The first byte of a frame."""

    # worker → decode process
    JOB = b"j"
    TAKEN = b"t"
    STOP = b"s"
    # decode process → worker
    READY = b"r"
    WINDOW = b"w"
    FEATURE_ENDED = b"f"
    FAILED = b"x"
    END = b"e"


def frame(kind: Kind, header: bytes = b"", body: Sequence[Bytes] = ()) -> list[Bytes]:
    """The buffers of one frame, for `send`: prefix and header in one, then the body as it is."""
    return [_PREFIX.pack(kind.value, len(header), sum(len(part) for part in body)) + header, *body]


def send(connection: socket.socket, buffers: Iterable[Bytes]) -> None:
    """Writes all of it, without joining it first. connection: a blocking socket."""
    pending = [memoryview(buffer) for buffer in buffers]
    while pending:
        sent = connection.sendmsg(pending)
        while pending and sent >= len(pending[0]):
            sent -= len(pending.pop(0))
        if sent:
            pending[0] = pending[0][sent:]


def parse_prefix(prefix: Bytes) -> tuple[Kind, int, int]:
    """Kind, bytes of the header, bytes of the body. Raises ValueError for what no frame begins with, and for too large ones."""
    kind, header_bytes, body_bytes = _PREFIX.unpack(prefix)
    if header_bytes > _MAX_HEADER_BYTES or body_bytes > _MAX_BODY_BYTES:
        raise ValueError(f"a frame of {header_bytes} + {body_bytes} bytes is too large")
    return Kind(kind), header_bytes, body_bytes


def window_frame(index: int, window: Window) -> list[Bytes]:
    """A window of the feature number `index`. Its tensors follow each other, each at a multiple of 64 bytes."""
    described: list[tuple[str, str, tuple[int, ...]]] = []
    body: list[Bytes] = []
    for name, tensor in window.tensors.items():
        described.append((name, tensor.dtype.str, tensor.shape))
        body += [np.asarray(tensor, order="C").reshape(-1).view(np.uint8).data, bytes(_padding(tensor.nbytes))]
    header = json.dumps([index, window.start_ms, window.end_ms, described]).encode()
    return frame(Kind.WINDOW, header, body)


def parse_window(header: bytes, body: NDArray[np.uint8]) -> tuple[int, Window]:
    """Feature number and window; its tensors are views of body. Raises one of NONSENSE."""
    index, start_ms, end_ms, described = json.loads(header)
    tensors = {}
    start = 0
    for name, dtype_name, shape in described:
        if not _DTYPE.fullmatch(dtype_name) or min(shape, default=0) < 0:
            raise ValueError(f"no tensor has dtype {dtype_name} and shape {shape}")
        dtype = np.dtype(dtype_name)
        size_bytes = math.prod(shape) * dtype.itemsize
        tensors[str(name)] = body[start : start + size_bytes].view(dtype).reshape(shape)
        start += size_bytes + _padding(size_bytes)
    return int(index), Window(tensors, int(start_ms), int(end_ms))


def _padding(size_bytes: int) -> int:
    return -size_bytes % _ALIGNMENT_BYTES


def error_frame(kind: Kind, error: PermanentError, index: int = 0) -> list[Bytes]:
    """The buffers of an error. index: the feature's number, 0 if it concerns the whole asset; a long detail is cut."""
    name = next(name for name, known in reversed(_ERRORS.items()) if isinstance(error, known))
    return frame(kind, json.dumps([index, name, error.reason, error.detail[:_MAX_DETAIL]]).encode())


def parse_error(header: bytes) -> tuple[int, PermanentError]:
    """Feature number (0 if it concerns the whole asset) and error. Raises one of NONSENSE."""
    index, name, reason, detail = json.loads(header)
    return int(index), _ERRORS[name](Reason(reason), str(detail)[:_MAX_DETAIL])
