"""The pool of isolated decode processes: fulfils `streams.ports.Decode`.

    job → queue (first come, first served) → slot: a task that holds one process → windows, as they are made → reader

A process makes at most `windows_ahead` windows that its reader has not taken; then it waits, and its clock stands still: an
outage downstream is no fault of the media. If a process dies or hangs, its asset alone is concerned; the slot has a new process
in milliseconds.
"""

import asyncio
import logging
import os
import pickle
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

from processors.decode.limits import Limits
from processors.errors import ContentError, PermanentError, Reason
from processors.signal import Feature, Window
from schemas.records import MediaKind, TextField
from streams.decode_child import Job, ProcessSettings
from streams.decode_wire import NONSENSE, Kind, parse_error, parse_window
from streams.fork_server import DecodeProcess, ForkServer, LaunchError, ProcessLostError
from streams.ports import LocalMedia

__all__ = ["EXIT_DECODE_SLOT_DIED", "PRELOADED", "DecodePool", "PoolClosed"]

log = logging.getLogger(__name__)

PRELOADED = (
    "processors.catalogue",
    "processors.decode.av_container",
    "processors.decode.image",
    "processors.decode.text",
)
"""What each decode process has imported when it starts: the decoders, and the features of all signals."""

EXIT_DECODE_SLOT_DIED = 71

_STOP_SECONDS = 0.2
_ASSETS_PER_PROCESS = 1000
_LAUNCH_AGAIN_SECONDS = 1.0
_ATTEMPTS = 2  # a crash may be a neighbour's doing: the kernel's choice of a victim when memory runs out


class PoolClosed(RuntimeError):
    """The pool is not running; the asset is someone else's now. Readers meet it while the worker leaves, and at no other time."""


def leave(code: int) -> None:
    """Ends the process at once, after its last log lines."""
    logging.shutdown()
    os._exit(code)


class DecodePool:
    """At most `processes` assets are decoded at once; the others wait in order, and cost nothing.

    timeout_seconds: wall time of one asset, without the time its reader lets it wait; memory_bytes: address space of one process;
    windows_ahead: windows of one asset that are made and not yet taken, at most; preload: modules that each process starts with;
    leave: what ends the worker, with an exit code, if a slot dies: with one slot after the other gone every event would hang.
    """

    def __init__(
        self,
        processes: int,
        timeout_seconds: float,
        memory_bytes: int,
        limits: Limits,
        windows_ahead: int = 4,
        preload: Sequence[str] = PRELOADED,
        leave: Callable[[int], None] = leave,
    ) -> None:
        self._processes, self._timeout_seconds, self._windows_ahead = processes, timeout_seconds, windows_ahead
        self._server = ForkServer(ProcessSettings(memory_bytes, windows_ahead, limits), preload)
        self._requests: asyncio.Queue[_Request] = asyncio.Queue()
        self._slots: list[asyncio.Task[None]] = []
        self._leave = leave

    async def start(self) -> None:
        """Returns when every process is ready. Raises LaunchError."""
        try:
            processes = [await self._server.launch() for _ in range(self._processes)]
        except BaseException:
            await self._server.close()
            raise
        slots = [_Slot(process, self._server, self._requests, self._timeout_seconds) for process in processes]
        self._slots = [asyncio.create_task(slot.serve(), name="decode slot") for slot in slots]
        for task in self._slots:
            task.add_done_callback(self._slot_ended)

    def _slot_ended(self, slot: asyncio.Task[None]) -> None:
        if slot.cancelling():  # by close(), or by the end of the event loop
            return
        death = None if slot.cancelled() else slot.exception()
        log.critical("a decode slot died, and a worker without it must not look alive", exc_info=death)
        self._leave(EXIT_DECODE_SLOT_DIED)

    async def close(self) -> None:
        """Ends all processes. Readers that still wait get PoolClosed."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        self._slots = []
        while not self._requests.empty():
            self._requests.get_nowait().end(PoolClosed("The decode pool was closed before this asset's turn"))
        await self._server.close()

    async def __call__(
        self, media: LocalMedia | TextField, kind: MediaKind, features: frozenset[Feature]
    ) -> AsyncIterator[tuple[Feature, Window | PermanentError]]:
        if not self._slots:
            raise PoolClosed("The decode pool is not running; await its start() first")
        order = tuple(features)
        where = media if isinstance(media, TextField) else media.path.absolute()
        request = _Request(pickle.dumps(Job(where, kind, order)), len(order), self._windows_ahead)
        self._requests.put_nowait(request)
        try:
            while (item := await request.take()) is not None:
                number, window = item
                yield order[number], window
        finally:
            request.abandon()


class _Slot:
    """Holds one process, and gives it one request after the other."""

    def __init__(
        self, process: DecodeProcess, server: ForkServer, requests: "asyncio.Queue[_Request]", timeout_seconds: float
    ) -> None:
        self._process, self._server, self._requests, self._timeout_seconds = process, server, requests, timeout_seconds

    async def serve(self) -> None:
        try:
            while True:
                request = await self._requests.get()
                try:
                    await self._fulfil(request)
                except Exception as bug:  # of this module: the slot must live on
                    log.exception("a decode slot failed")
                    request.end(bug)
                    await self._renew()
                finally:
                    request.end(PoolClosed("The decode pool was closed during this asset"))  # without effect once it has ended
        finally:
            self._process.close()

    async def _fulfil(self, request: "_Request") -> None:
        last_words = ""
        for _ in range(_ATTEMPTS):
            if request.abandoned:
                return
            try:
                request.end(await self._decode(request))
            except ProcessLostError as death:
                log.warning("a decode process died: %s", death)
                last_words = str(death)
                await self._renew()
                continue
            except TimeoutError:
                await self._renew()
                request.end(self._too_slow())
            if self._process.assets >= _ASSETS_PER_PROCESS:
                await self._renew()
            return
        request.end(ContentError(Reason.DECODER_CRASHED, f"{_ATTEMPTS} decode processes died of it; the last one: {last_words}"))

    def _too_slow(self) -> ContentError:
        seconds = f"{self._timeout_seconds:g} s (SIGNALS_DECODE_TIMEOUT_SECONDS)"
        return ContentError(Reason.DECODE_TIMEOUT, f"Decoding took longer than {seconds}; publish it shorter, or allow more")

    async def _renew(self) -> None:
        self._process.close()
        while True:
            try:
                self._process = await self._server.launch()
                return
            except LaunchError as failure:
                log.error("%s Trying again in %g s.", failure, _LAUNCH_AGAIN_SECONDS)
                await asyncio.sleep(_LAUNCH_AGAIN_SECONDS)

    async def _decode(self, request: "_Request") -> PermanentError | None:
        """One attempt; returns the error in which it ended. After ProcessLostError or TimeoutError the process is of no use."""
        async with asyncio.timeout(self._timeout_seconds) as clock:
            await self._process.submit(request.job)
            with _Attempt(request, self._process, clock) as attempt:
                while True:
                    kind, header, body = await self._process.receive()
                    try:
                        match kind:
                            case Kind.WINDOW:
                                attempt.deliver(*parse_window(header, body))
                            case Kind.FEATURE_ENDED:
                                attempt.deliver(*parse_error(header))
                            case Kind.FAILED:
                                return parse_error(header)[1]
                            case Kind.END:
                                return None
                            case _:
                                raise ValueError(f"no place for a frame of kind {kind.name}")
                    except NONSENSE as nonsense:
                        raise ProcessLostError(f"it wrote what makes no sense: {nonsense}") from None


class _Request:
    """One asset, from the moment its reader asks for it until reader and slot are done with it."""

    def __init__(self, job: bytes, features: int, windows_ahead: int) -> None:
        self.job, self.features, self.windows_ahead = job, features, windows_ahead
        self.abandoned = False
        self.attempt: _Attempt | None = None
        self.delivered: Counter[int] = Counter()  # by feature number
        self._items: asyncio.Queue[tuple[_Attempt, int, Window | PermanentError] | BaseException | None] = asyncio.Queue()
        self._ended = False

    async def take(self) -> tuple[int, Window | PermanentError] | None:
        """The next window with its feature's number; None at the end. Raises what ended it."""
        item = await self._items.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            return None
        attempt, number, window = item
        attempt.taken()
        return number, window

    def put(self, attempt: "_Attempt", number: int, window: Window | PermanentError) -> None:
        self._items.put_nowait((attempt, number, window))

    def end(self, error: BaseException | None) -> None:
        """The first call counts."""
        if not self._ended:
            self._ended = True
            self._items.put_nowait(error)

    def abandon(self) -> None:
        """The reader wants no more."""
        self.abandoned = True
        if self.attempt:
            self.attempt.stop()


class _Attempt:
    """One process at work on one request. Its clock runs only while there is room for another window."""

    def __init__(self, request: _Request, process: DecodeProcess, clock: asyncio.Timeout) -> None:
        self._request, self._process, self._clock = request, process, clock
        self._loop = asyncio.get_running_loop()
        self._came: Counter[int] = Counter()  # by feature number
        self._unacknowledged = 0
        self._taken = 0
        self._seconds_left = 0.0
        self._over = False

    def __enter__(self) -> "_Attempt":
        self._request.attempt = self
        if self._request.abandoned:
            self.stop()
        return self

    def __exit__(self, *_: object) -> None:
        self._request.attempt = None
        self._over = True

    def deliver(self, number: int, window: Window | PermanentError) -> None:
        """Hands a window to the reader, unless a former attempt has done so: windows of one feature are the same each time.

        Raises ValueError if the process has no right to send it.
        """
        if not 0 <= number < self._request.features:
            raise ValueError(f"there is no feature {number}")
        self._came[number] += 1
        if self._came[number] <= self._request.delivered[number]:
            self._process.tell(Kind.TAKEN)
        elif not self._request.abandoned:
            if self._unacknowledged == self._request.windows_ahead:
                raise ValueError(f"more than {self._request.windows_ahead} windows ahead of its reader")
            self._request.delivered[number] += 1
            self._unacknowledged += 1
            if self._unacknowledged == self._request.windows_ahead:
                self._seconds_left = (self._clock.when() or 0.0) - self._loop.time()
                self._clock.reschedule(None)
            self._request.put(self, number, window)

    def taken(self) -> None:
        """The reader has taken a window. The process is told in halves of windows_ahead, which spares most assets this word."""
        self._taken += 1
        if (
            self._over
            or self._clock.expired()
            or self._request.abandoned
            or self._taken < max(self._request.windows_ahead // 2, 1)
        ):
            return
        self._process.tell(Kind.TAKEN, self._taken)
        if self._unacknowledged == self._request.windows_ahead:
            self._clock.reschedule(self._loop.time() + self._seconds_left)
        self._unacknowledged -= self._taken
        self._taken = 0

    def stop(self) -> None:
        """Asks the process to leave the asset; if it does not in time, the clock runs out."""
        if self._over or self._clock.expired():
            return
        self._process.tell(Kind.STOP)
        self._clock.reschedule(self._loop.time() + _STOP_SECONDS)
