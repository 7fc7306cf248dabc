"""Media from local folders that the operator has opened. What counts is where the file really is, not what its name says."""

import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from io import FileIO
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from processors.errors import ContentError, HealableError, InfrastructureError, Reason, SignalsError
from streams.clients.incoming import Incoming, refused, shown
from streams.clients.spool import PART_BYTES, Spool

__all__ = ["FileSource", "map_error"]

_NEVER: Final = tuple(map(Path, ("/proc", "/sys", "/dev")))
"""Files there are windows into the kernel and other processes, whatever a root allows."""

_AWAY: Final = (InfrastructureError, Reason.STORE_UNAVAILABLE)
_DENIED: Final = (ContentError, Reason.ACCESS_DENIED)
_REFUSED: Final = (ContentError, Reason.ADDRESS_REFUSED)
_MISSING: Final = (HealableError, Reason.NOT_FOUND)

# Numbers that are not here (EIO, EMFILE, ESTALE, …): the disk or the share is away.
_BY_ERRNO: Final[dict[int, tuple[type[SignalsError], Reason]]] = {
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _MISSING,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ELOOP: _REFUSED,
    errno.EISDIR: _REFUSED,
    errno.ENXIO: _REFUSED,
    errno.ENODEV: _REFUSED,
    errno.EINVAL: _REFUSED,
    errno.ENAMETOOLONG: _REFUSED,
}


def map_error(error: OSError, uri: str) -> SignalsError:
    """What an error of the file system means for an asset; what is not in the table is a store that is away."""
    kind, reason = _BY_ERRNO.get(error.errno or 0, _AWAY)
    return kind(reason, f"{shown(uri)} cannot be read ({error.strerror or type(error).__name__}).")


class FileSource:
    """Opens file:///path under one of `roots`. Reads in the spool's threads."""

    def __init__(self, roots: Sequence[Path], spool: Spool) -> None:
        self._roots = [Path(os.path.realpath(root)) for root in roots]
        self._spool = spool

    @asynccontextmanager
    async def open(self, uri: str) -> AsyncIterator[Incoming]:
        path = self._wanted(uri)
        with await self._spool.in_thread(lambda: self._opened(path, uri)) as file:
            yield Incoming(os.fstat(file.fileno()).st_size, self._parts(file, uri))

    def _wanted(self, uri: str) -> Path:
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise refused(uri, "write it file:///path, with %3F for '?' and %23 for '#'.")
        path = os.fsdecode(unquote_to_bytes(parts.path))
        if "\0" in path or ".." in path.split("/"):
            raise refused(uri, "it has '..' or a zero byte in its path.")
        return Path(path)

    def _opened(self, path: Path, uri: str) -> FileIO:
        """The path is checked before opening, so that nothing outside is touched, and the open file after."""
        with _errors(uri):
            self._check(Path(os.path.realpath(path)), uri)
            file = FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
            try:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise refused(uri, "it is no regular file.")
                self._check(Path(f"/proc/self/fd/{file.fileno()}").readlink(), uri)
            except BaseException:
                file.close()
                raise
        return file

    def _check(self, real_path: Path, uri: str) -> None:
        if not any(real_path.is_relative_to(root) for root in self._roots):
            where = ":".join(str(root) for root in self._roots) or "none is set"
            raise refused(uri, f"it lies in none of the folders of SIGNALS_FILE_ROOTS ({where}).")
        if any(real_path.is_relative_to(never) for never in _NEVER):
            raise refused(uri, "it is no file of anybody's, but a window into the system.")

    async def _parts(self, file: FileIO, uri: str) -> AsyncIterator[bytes]:
        def read() -> bytes:
            with _errors(uri):
                return file.read(PART_BYTES)

        while part := await self._spool.in_thread(read):
            yield part


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise map_error(error, uri) from error
