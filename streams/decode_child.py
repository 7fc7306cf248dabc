"""The other side of the pool: a server that forks decode processes, and what a decode process does.

The server is one fresh interpreter that has imported the decoders and nothing of the worker: no socket, no credential, no thread
of it gets here. A fork of it is ready in milliseconds and shares its memory. If the worker dies, however it dies, the sockets
end: the server leaves, and each decode process with it, even in the middle of a decode (a thread reads its socket; the kernel
kills it with its server).
"""

import ctypes
import gc
import importlib
import os
import pickle
import queue
import resource
import select
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from processors.decode.limits import Limits
from processors.decode.windows import windows
from processors.errors import ContentError, PermanentError, Reason, SignalsError
from processors.signal import Feature
from schemas.records import MediaKind, TextField
from streams.decode_wire import PREFIX_BYTES, Bytes, Kind, error_frame, frame, parse_prefix, send, window_frame

__all__ = ["Job", "ProcessSettings", "serve"]

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_MOST_OPEN_FILES = 64
_OOM_SCORE = "800"  # of -1000 … 1000: under memory pressure the kernel takes a decode process, not the worker
_THREAD_STACK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What holds for a decode process as long as it lives.

    memory_bytes: address space; windows_ahead: windows that are made and not yet taken, at most.
    """

    memory_bytes: int
    windows_ahead: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Job:
    """One asset. Features are numbered by their place; what comes back names them by number."""

    media: Path | TextField
    kind: MediaKind
    features: Sequence[Feature]


# ---- the server ----


def serve(control_fd: int, preload: Sequence[str]) -> NoReturn:
    """Forks a decode process for each request, and writes its exit code to the request's second descriptor when it has died.

    A request: pickled ProcessSettings, with two descriptors, the process's socket and a pipe. Exit codes are
    those of `subprocess`: a signal's number is negative. Leaves when control_fd ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _settle_in_nowhere()
    for module in preload:
        importlib.import_module(module)
    gc.freeze()
    control = socket.socket(fileno=control_fd)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, where: None)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control_fd, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_deaths(statuses)
        if control_fd in ready:
            request, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
            if not request:
                os._exit(0)
            connection_fd, status_fd = descriptors
            _fork(pickle.loads(request), connection_fd, status_fd, statuses)  # noqa: S301  from the worker


def _settle_in_nowhere() -> None:
    """The working folder of a decode process is empty, and stays so: it is deleted already."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()


def _report_deaths(statuses: dict[int, int]) -> None:
    """A process is reported before it is reaped: as long as the worker has read nothing, its process id is its own."""
    while statuses:
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if dead is None:
            return
        descriptor = statuses.pop(dead.si_pid)
        code = dead.si_status if dead.si_code == os.CLD_EXITED else -dead.si_status
        with suppress(BrokenPipeError):  # the worker has forgotten this one
            os.write(descriptor, str(code).encode())
        os.close(descriptor)
        os.waitpid(dead.si_pid, 0)


def _fork(settings: ProcessSettings, connection_fd: int, status_fd: int, statuses: dict[int, int]) -> None:
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(status_fd)
        os.close(connection_fd)  # the worker sees the end of it, and asks again
        return
    if pid == 0:
        try:
            _Process(connection_fd, settings, server).run()
        finally:
            os._exit(1)
    os.close(connection_fd)
    statuses[pid] = status_fd


# ---- a decode process ----


@dataclass(slots=True)
class _Assignment:
    pickled: bytes
    credit: threading.Semaphore
    stopped: bool = False


@dataclass(slots=True)
class _Inbox:
    """Reads the socket in a thread of its own, so that a process notices the worker's end and orders while it decodes."""

    connection: socket.socket
    windows_ahead: int
    assignments: queue.SimpleQueue[_Assignment] = field(default_factory=queue.SimpleQueue)

    def listen(self) -> None:
        current: _Assignment | None = None
        try:
            while True:
                kind, header_bytes, body_bytes = parse_prefix(self._exactly(PREFIX_BYTES))
                content = self._exactly(header_bytes + body_bytes)
                if kind is Kind.JOB:
                    current = _Assignment(content, threading.Semaphore(self.windows_ahead))
                    self.assignments.put(current)
                elif current:
                    current.stopped = current.stopped or kind is Kind.STOP
                    current.credit.release()
        finally:
            os._exit(0)

    def _exactly(self, size_bytes: int) -> bytes:
        received = self.connection.recv(size_bytes, socket.MSG_WAITALL) if size_bytes else b""
        if len(received) < size_bytes:
            raise ConnectionResetError("the worker has gone")
        return received


class _Process:
    """Decodes one assignment after the other."""

    def __init__(self, connection_fd: int, settings: ProcessSettings, server_pid: int) -> None:
        _close_all_but(connection_fd)
        _die_with(server_pid)
        self._connection = socket.socket(fileno=connection_fd)
        self._settings = settings
        self._inbox = _Inbox(self._connection, settings.windows_ahead)

    def run(self) -> NoReturn:
        _enclose(self._settings.memory_bytes)
        threading.stack_size(_THREAD_STACK_BYTES)
        threading.Thread(target=self._inbox.listen, daemon=True).start()
        self._send(frame(Kind.READY, str(os.getpid()).encode()))
        while True:
            self._send(self._last_word(self._inbox.assignments.get()))

    def _last_word(self, assignment: _Assignment) -> list[Bytes]:
        """Decodes and sends; returns the last frame. Whatever goes wrong is told, so that the next asset can come."""
        try:
            self._decode(assignment)
            return frame(Kind.END)
        except PermanentError as error:
            return error_frame(Kind.FAILED, error)
        except SignalsError as error:
            return error_frame(Kind.FAILED, PermanentError(error.reason, error.detail))
        except MemoryError:
            most = f"{self._settings.memory_bytes} bytes of address space, SIGNALS_DECODE_MEMORY_BYTES"
            detail = f"The asset needs more memory than a decode process has ({most})"
            return error_frame(Kind.FAILED, ContentError(Reason.LIMIT_EXCEEDED, detail))
        except Exception as bug:  # noqa: BLE001  of a decoder, or of a feature that cannot be unpickled here
            detail = f"The decode process failed: {type(bug).__name__}: {bug}"
            return error_frame(Kind.FAILED, PermanentError(Reason.WORKER_CODE_FAILED, detail))

    def _decode(self, assignment: _Assignment) -> None:
        job: Job = pickle.loads(assignment.pickled)  # noqa: S301  from the worker
        numbers = {feature: number for number, feature in enumerate(job.features)}
        with ExitStack() as stack:
            media = job.media if isinstance(job.media, TextField) else stack.enter_context(job.media.open("rb"))
            produced = cast("Any", windows(media, job.kind, frozenset(job.features), self._settings.limits))
            stack.enter_context(closing(produced))
            for feature, window in _as_asked(produced, assignment):
                number = numbers[feature]
                if isinstance(window, PermanentError):
                    self._send(error_frame(Kind.FEATURE_ENDED, window, number))
                else:
                    self._send(window_frame(number, window))

    def _send(self, buffers: list[Bytes]) -> None:
        send(self._connection, buffers)


def _as_asked(produced: Iterator[T], assignment: _Assignment) -> Iterator[T]:
    """No item is made before there is room for it, nor after the reader has lost interest."""
    while True:
        assignment.credit.acquire()
        if assignment.stopped:
            return
        try:
            yield next(produced)
        except StopIteration:
            return


def _close_all_but(kept_fd: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # codecs write what they find wrong with a file here
    for descriptor in {int(entry.name) for entry in Path("/proc/self/fd").iterdir()} - {0, 1, 2, kept_fd}:
        with suppress(OSError):  # the listing's own
            os.close(descriptor)


def _die_with(server_pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != server_pid:
        os._exit(0)


def _enclose(memory_bytes: int) -> None:
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (allowed, allowed))
    with suppress(OSError):  # some sandboxes have no such file
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
