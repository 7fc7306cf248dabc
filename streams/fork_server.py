"""The worker's hold on its decode processes: start, talk, kill. Nothing here blocks the event loop."""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streams.decode_child import ProcessSettings
from streams.decode_wire import PREFIX_BYTES, Kind, frame, parse_prefix

__all__ = ["DecodeProcess", "ForkServer", "LaunchError", "ProcessLostError"]

_START_SECONDS = 60.0
_STATUS_SECONDS = 1.0
_BUFFER_BYTES = 16 * 1024
_STATUS_POLL_SECONDS = 0.005
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "HOME")
_SET_VARIABLES = {  # one asset, one thread: the pool is what uses the cores; and threads reserve address space
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_ARENA_MAX": "1",
}


class LaunchError(Exception):
    """No decode process could be started; the text says what was seen."""


class ProcessLostError(Exception):
    """A decode process is gone, or talks nonsense; the text says how it ended."""


class DecodeProcess:
    """One decode process, seen from the worker. Frames are read by one reader at a time."""

    def __init__(self, connection: socket.socket, status_fd: int) -> None:
        self.pid = 0
        self.assets = 0
        self._connection = connection
        self._status_fd = status_fd
        self._status: str | None = None
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._ahead = self._buffer[:0]
        self._loop = asyncio.get_running_loop()

    async def ready(self) -> None:
        """Waits for its first word. Raises ProcessLostError."""
        _, header, _ = await self.receive()
        self.pid = int(header)

    async def receive(self) -> tuple[Kind, bytes, NDArray[np.uint8]]:
        """The next frame: kind, header, body. Raises ProcessLostError."""
        try:
            kind, header_bytes, body_bytes = parse_prefix((await self._exactly(PREFIX_BYTES)).data)
            header = (await self._exactly(header_bytes)).tobytes()
            return kind, header, await self._exactly(body_bytes)
        except (OSError, EOFError):
            raise ProcessLostError(await self._how_it_ended()) from None
        except ValueError as nonsense:
            self.kill()
            raise ProcessLostError(f"it wrote what is no frame: {nonsense}") from None

    async def _exactly(self, size_bytes: int) -> NDArray[np.uint8]:
        """Small frames come out of a buffer, several by one read; of large ones most is read to where it stays."""
        received = np.empty(size_bytes, np.uint8)
        missing = memoryview(received.data)
        while missing:
            if not self._ahead:
                target = missing if len(missing) >= len(self._buffer) else self._buffer
                count = await self._loop.sock_recv_into(self._connection, target)
                if not count:
                    raise EOFError
                if target is missing:
                    missing = missing[count:]
                    continue
                self._ahead = self._buffer[:count]
            count = min(len(missing), len(self._ahead))
            missing[:count] = self._ahead[:count]
            missing, self._ahead = missing[count:], self._ahead[count:]
        return received

    async def submit(self, job: bytes) -> None:
        """job: a pickled Job. Raises ProcessLostError."""
        self.assets += 1
        try:
            await self._loop.sock_sendall(self._connection, b"".join(frame(Kind.JOB, body=[job])))
        except OSError:
            raise ProcessLostError(await self._how_it_ended()) from None

    def tell(self, kind: Kind, times: int = 1) -> None:
        """A word without content. A process that does not listen is killed: its reader will see that."""
        try:
            self._connection.send(b"".join(frame(kind) * times))
        except OSError:
            self.kill()

    def kill(self) -> None:
        """Ends it now, whatever it does; the socket stays open for its reader."""
        if self.pid and not self._has_ended():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends it and forgets it."""
        self.kill()
        self._connection.close()
        if self._status is None:
            self._status = ""
        if self._status_fd >= 0:
            os.close(self._status_fd)
            self._status_fd = -1

    def _has_ended(self) -> bool:
        """Whether its server has seen it die; from then on its process id may belong to another."""
        if self._status is None:
            try:
                self._status = os.read(self._status_fd, 32).decode()
            except BlockingIOError:
                return False
        return True

    async def _how_it_ended(self) -> str:
        self.kill()
        for _ in range(round(_STATUS_SECONDS / _STATUS_POLL_SECONDS)):
            if self._has_ended():
                break
            await asyncio.sleep(_STATUS_POLL_SECONDS)
        if not self._status:
            return "it is gone"
        code = int(self._status)
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it left with exit code {code}"


class ForkServer:
    """Starts decode processes in milliseconds, from an interpreter that has imported what they need. Started again if it dies."""

    def __init__(self, settings: ProcessSettings, preload: Sequence[str]) -> None:
        self._settings = pickle.dumps(settings)
        self._preload = tuple(preload)
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def launch(self) -> DecodeProcess:
        """A process that is ready for a job. Raises LaunchError, also where the system has no descriptor or process left."""
        try:
            return await self._launched(self._living_server())
        except TimeoutError:
            seen = f"it was not ready within {_START_SECONDS:.0f} s"
        except (OSError, ProcessLostError) as failure:
            seen = str(failure)
        raise LaunchError(
            f"No decode process has come up ({seen}). Are there memory, processes and file descriptors left, "
            f"and can {', '.join(self._preload)} be imported?"
        )

    async def _launched(self, control: socket.socket) -> DecodeProcess:
        with ExitStack() as after_all, ExitStack() as after_failure:
            ours, theirs = socket.socketpair()
            after_failure.callback(ours.close)
            after_all.callback(theirs.close)
            ours.setblocking(False)
            status_fd, status_write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            after_all.callback(os.close, status_write_fd)
            process = DecodeProcess(ours, status_fd)
            after_failure.callback(process.close)
            socket.send_fds(control, [self._settings], [theirs.fileno(), status_write_fd])
            theirs.close()
            async with asyncio.timeout(_START_SECONDS):
                await process.ready()
            after_failure.pop_all()
        return process

    def _living_server(self) -> socket.socket:
        if self._control and self._server and self._server.poll() is None:
            return self._control
        if self._control:
            self._control.close()
            self._control = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = [str(Path(entry).absolute()) for entry in sys.path]
        program = f"import sys; sys.path[:] = {path!r}; from streams.decode_child import serve"
        program += f"; serve({theirs.fileno()}, {self._preload!r})"
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-c", program],
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _SET_VARIABLES,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is for the worker, which then ends its decodes in its own order
            )
        return self._control

    async def close(self) -> None:
        """Ends the server, and with it all its processes."""
        if self._control:
            self._control.close()
        if self._server:
            self._server.kill()
            await asyncio.to_thread(self._server.wait)
        self._control = self._server = None
