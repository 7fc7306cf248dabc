"""How many rounds there is time for."""

import time
from collections.abc import Iterator

__all__ = ["rounds"]

FEWEST = 2
LAST_START_SECONDS = 75.0


def rounds(most: int) -> Iterator[int]:
    """1, 2, … most; from the third on only while 75 s have not passed, so that a run ends within minutes on a busy machine."""
    began = time.monotonic()
    for number in range(1, most + 1):
        if number > FEWEST and time.monotonic() - began > LAST_START_SECONDS:
            return
        yield number
