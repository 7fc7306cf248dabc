"""What a process makes of its core, looked at twice a second: a rate alone cannot tell waiting from a core that others use."""

import threading
import time
from collections.abc import Sequence
from typing import Self

import numpy as np
import psutil

from bench.machine import cpu_seconds

__all__ = ["CoreWatch"]

LOOK_SECONDS = 0.5


class CoreWatch:
    """Watches a process with its descendants, and the core they are on, while the context lasts."""

    def __init__(self, pid: int, core: int) -> None:
        self._pid, self._core = pid, core
        self._looks: list[tuple[float, float, float]] = []  # monotonic time, CPU seconds used, seconds that the core was idle
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="core watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def cpu_ms_each(self, times: Sequence[float]) -> float:
        """CPU milliseconds that the process used for each of these, which came at these monotonic seconds."""
        return 1000 * self._between(times, 1) / (len(times) - 1)

    def idle_percent(self, times: Sequence[float]) -> float:
        """Share of the time from the first to the last in which the core had nothing to do for anybody."""
        return 100 * self._between(times, 2) / (times[-1] - times[0])

    def _between(self, times: Sequence[float], column: int) -> float:
        looks = np.array(self._looks)
        first, last = np.interp([times[0], times[-1]], looks[:, 0], looks[:, column])
        return float(last - first)

    def _watch(self) -> None:
        while True:
            over = self._over.wait(LOOK_SECONDS) if self._looks else False
            try:
                self._looks.append((time.monotonic(), cpu_seconds(self._pid), psutil.cpu_times(percpu=True)[self._core].idle))
            except psutil.NoSuchProcess:
                return
            if over:
                return
