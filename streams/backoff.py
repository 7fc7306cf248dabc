"""Trying again: for ever while a server is away, a few times while one object may heal, not at all where it cannot help."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from processors.errors import HealableError, InfrastructureError, SignalsError

__all__ = ["FIRST_WAIT_SECONDS", "LONGEST_WAIT_SECONDS", "persist", "wait_seconds"]

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 10.0
_HEAL_AFTER_SECONDS: Final = (1.0, 5.0)
_MOST_DOUBLINGS: Final = 32

Result = TypeVar("Result")
OnWait = Callable[[SignalsError, int, float], None]


def wait_seconds(failures: int, fraction: float) -> float:
    """Seconds to wait after so many failures in a row (1, 2, …): fraction, in [0, 1), of a bound that doubles from 0.1 s to 10 s.

    "Full jitter" of the AWS Architecture Blog, "Exponential Backoff and Jitter" (2015): waiters spread over the whole interval,
    so that a server that comes back is not met by all of them at once.
    """
    return fraction * min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


async def persist(
    call: Callable[[], Awaitable[Result]],
    *,
    on_wait: OnWait | None = None,
    heal_after_seconds: Sequence[float] = _HEAL_AFTER_SECONDS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    fraction: Callable[[], float] = random.random,
) -> tuple[Result, int]:
    """What `call` gives, and how many attempts that took (1 or more).

    InfrastructureError, and so Overloaded: again for ever, after `wait_seconds`. HealableError: again after each of
    heal_after_seconds, then raised. PermanentError and all else: raised at once. on_wait(error, attempts so far, seconds) is
    called before each wait. Cancelling ends it at any point.
    """
    attempts, failures_in_a_row, heals = 0, 0, iter(heal_after_seconds)
    while True:
        attempts += 1
        try:
            return await call(), attempts
        except InfrastructureError as error:
            failure: SignalsError = error
            failures_in_a_row += 1
            seconds = wait_seconds(failures_in_a_row, fraction())
        except HealableError as error:
            failure, failures_in_a_row = error, 0
            if (delay := next(heals, None)) is None:
                raise
            seconds = delay
        if on_wait:
            on_wait(failure, attempts, seconds)
        await sleep(seconds)
