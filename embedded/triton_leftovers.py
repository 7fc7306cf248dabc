"""What a Triton that was killed can leave behind, found by name: processes of its models and shared memory regions.

The regions of a server begin with a prefix of ours that names the process that started it, and its start time, so that those of
others are never touched, and the next start can tell which belong to nobody any more.
"""

import contextlib
import itertools
import os
import re
from pathlib import Path

import psutil

__all__ = ["SHM_FOLDER", "region_prefix", "remove_abandoned", "remove_leftovers"]

SHM_FOLDER = Path("/dev/shm")  # noqa: S108 — Triton's choice
PREFIX = "content_signals_"
PATTERN = re.compile(rf"{PREFIX}(?P<pid>\d+)_(?P<centiseconds>\d+)_\d+_")
STUB = "triton_python_backend_stub"

_servers = itertools.count()


def region_prefix() -> str:
    """A new prefix for the shared memory regions of one server of this process."""
    return f"{PREFIX}{os.getpid()}_{centiseconds(psutil.Process())}_{next(_servers)}_"


def centiseconds(process: psutil.Process) -> int:
    """Start time of a process; with its id it names it for good."""
    return int(process.create_time() * 100)


def remove_leftovers(prefix: str) -> None:
    """Ends the processes of models that use regions of this prefix, and removes the regions."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if STUB in process.name() + " ".join(process.cmdline()[:1]) and any(prefix in word for word in process.cmdline()):
                process.kill()
    for region in SHM_FOLDER.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


def remove_abandoned() -> None:
    """Does that for every prefix whose process is gone."""
    names = {found[0]: found for region in SHM_FOLDER.glob(f"{PREFIX}*") if (found := PATTERN.match(region.name))}
    for prefix, found in names.items():
        if not lives(int(found["pid"]), int(found["centiseconds"])):
            remove_leftovers(prefix)


def lives(pid: int, started_centiseconds: int) -> bool:
    try:
        return abs(centiseconds(psutil.Process(pid)) - started_centiseconds) <= 1
    except psutil.NoSuchProcess:
        return False
