"""Which core does what, and how much of the machine others used meanwhile."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

__all__ = ["OthersUse", "TooFewCoresError", "cpu_seconds", "on_core", "require_on_core", "two_cores"]


class TooFewCoresError(Exception):
    """A benchmark that keeps server and worker apart needs two cores."""


def two_cores() -> tuple[int, int]:
    """Two cores that this process may use. Raises TooFewCoresError."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise TooFewCoresError(
            f"This process may use core {cores[0]} only, and two are needed. Widen its affinity, e.g. taskset."
        )
    return cores[0], cores[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Threads and processes that this thread starts meanwhile stay on that core, and so do those that they start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def require_on_core(pid: int, core: int) -> int:
    """How many threads a process and its descendants have. Raises RuntimeError if one of them may run elsewhere."""
    threads = 0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            for thread in process.threads():
                threads += 1
                if (cores := os.sched_getaffinity(thread.id)) != {core}:
                    raise RuntimeError(
                        f"{process.name()} (process {process.pid}) may run on the cores {sorted(cores)}, not {core} alone"
                    )
    return threads


class OthersUse:
    """CPU time that neither this process nor its descendants used since this was made, as a share of all cores."""

    def __init__(self) -> None:
        self._began, self._all, self._ours = time.monotonic(), busy_seconds(), cpu_seconds(os.getpid())

    def percent(self) -> float:
        """0 to 100; what a hypervisor gave to its other guests counts as well."""
        others = (busy_seconds() - self._all) - (cpu_seconds(os.getpid()) - self._ours)
        return round(max(0.0, 100 * others / (time.monotonic() - self._began) / (os.cpu_count() or 1)), 1)


def busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def cpu_seconds(pid: int) -> float:
    """What a process and its descendants have used; of the dead, those that somebody waited for."""
    total = 0.0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
