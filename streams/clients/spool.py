"""Where fetched media lie while they are in work: private files under names of ours, gone at the end even after a kill.

Each process has a folder of its own inside the spool folder and holds a lock on it for as long as it lives. Whoever starts
removes the folders whose owners are dead.
"""

import asyncio
import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final, TypeVar

from processors.errors import InfrastructureError, Reason

__all__ = ["PART_BYTES", "Spool", "SpoolFile"]

log = logging.getLogger(__name__)

PART_BYTES: Final = 4 * 1024**2
_FLUSH_BYTES: Final = 1024**2
_THREADS: Final = 4
_PREFIX: Final = "content-signals-"

Result = TypeVar("Result")


class SpoolFile:
    """A file that grows. Takes its bytes on the loop; writes and hashes them in a thread, a MiB or more at a time."""

    def __init__(self, path: Path, spool: "Spool") -> None:
        self.path = path
        self.size_bytes = 0
        self._spool = spool
        self._sha256 = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    async def write(self, part: bytes) -> None:
        self.size_bytes += len(part)
        self._waiting.append(part)
        self._waiting_bytes += len(part)
        if self._waiting_bytes >= _FLUSH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """All bytes are in the file after it."""
        parts, self._waiting, self._waiting_bytes = self._waiting, [], 0
        await self._spool.in_thread(lambda: self._append(parts))

    @property
    def sha256(self) -> str:
        """Of what is flushed; lower-case hexadecimal."""
        return self._sha256.hexdigest()

    def _append(self, parts: list[bytes]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with FileIO(descriptor, "w") as file:
            for part in parts:
                self._sha256.update(part)
                _write_all(file, part)


class Spool:
    """The folder of this process under `parent`, made at the first file."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._folder: tuple[Path, int] | None = None
        self._making = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")

    @asynccontextmanager
    async def file(self) -> AsyncIterator[SpoolFile]:
        """A new, empty file; removed at the end. Raises InfrastructureError where it cannot be written.

        One that cannot be removed is left to the end of the process: what was done with it counts.
        """
        path = await self.in_thread(self._own_folder) / secrets.token_hex(16)
        try:
            yield SpoolFile(path, self)
        finally:
            try:
                await self.in_thread(lambda: path.unlink(missing_ok=True))
            except InfrastructureError as error:
                log.warning("%s stays until this worker ends, because it cannot be removed: %s", path, error.__cause__)

    async def in_thread(self, call: Callable[[], Result]) -> Result:
        """Disk work off the loop. When cancelled it waits for the thread: nothing touches a file that its owner has let go.

        Raises InfrastructureError (STORE_UNAVAILABLE) for an OSError.
        """
        work = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.gather(work, return_exceptions=True)
            raise
        except OSError as error:
            raise self._error(error) from error

    async def close(self) -> None:
        """Removes the folder of this process."""
        if self._folder is not None:
            (path, lock), self._folder = self._folder, None
            await self.in_thread(lambda: shutil.rmtree(path, ignore_errors=True))
            os.close(lock)
        self._threads.shutdown(wait=False)

    def _error(self, error: OSError) -> InfrastructureError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            detail = f"The spool folder {self._parent} is full. Free space, or set SIGNALS_SPOOL_DIR to a larger one."
        else:
            detail = f"The spool folder {self._parent} cannot be used ({error.strerror}). Set SIGNALS_SPOOL_DIR to one that can."
        return InfrastructureError(Reason.STORE_UNAVAILABLE, detail)

    def _own_folder(self) -> Path:
        with self._making:
            while self._folder is None:
                _sweep(self._parent)
                path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
                if (lock := _lock(path)) is not None:  # None: swept by another that starts now, before it was locked
                    self._folder = (path, lock)
            return self._folder[0]


def _sweep(parent: Path) -> None:
    """Removes the folders of dead processes."""
    for path in parent.glob(f"{_PREFIX}*"):
        if (lock := _lock(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None if another has it, or if the folder is gone or not ours."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), folder.stat()) and os.fstat(descriptor).st_uid == os.getuid():
            return descriptor
    os.close(descriptor)
    return None


def _write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
