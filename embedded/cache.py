"""Where downloads, unpacked servers and the state of a running stack lie on this machine."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from embedded.errors import EmbeddedError

__all__ = ["cache_folder", "exclusive"]


def cache_folder() -> Path:
    """The folder of everything that can be fetched or made again; SIGNALS_CACHE_DIR moves it.

    Without that variable it is the platform's own place, such as ~/.cache/content-signals on Linux.
    Raises EmbeddedError where it cannot be made or written to.
    """
    moved = os.environ.get("SIGNALS_CACHE_DIR")
    folder = Path(moved).expanduser().absolute() if moved else platformdirs.user_cache_path("content-signals")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"The cache folder {folder} cannot be made ({error.strerror}); set SIGNALS_CACHE_DIR to a folder you may write to."
        ) from error
    return folder


@contextmanager
def exclusive(lock_file: Path, while_waiting: Callable[[], None] = lambda: None, poll_seconds: float = 0.2) -> Iterator[None]:
    """Holds lock_file alone among all processes and threads; calls while_waiting at each try that finds it taken.

    The system gives the lock back when a process ends, however it ends.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                while_waiting()
                time.sleep(poll_seconds)
        yield
