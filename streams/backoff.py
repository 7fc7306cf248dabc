"""Trying again: for ever while a server is away, a few times while one object may heal, not at all where it cannot help."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from processors.errors import HealableError, InfrastructureError, PermanentError, Reason, SignalsError

__all__ = ["FIRST_WAIT_SECONDS", "LONGEST_WAIT_SECONDS", "persist", "wait_seconds"]

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 10.0
_HEAL_AFTER_SECONDS: Final = (1.0, 5.0)
_MOST_DOUBLINGS: Final = 32

log = logging.getLogger(__name__)
_SAY_AGAIN_SECONDS: Final = 10.0
_said_at: dict[Reason, float] = {}

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
    on_wait: OnWait = lambda error, attempts, seconds: say_waiting(error, attempts, seconds),
    heal_after_seconds: Sequence[float] = _HEAL_AFTER_SECONDS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    fraction: Callable[[], float] = random.random,
) -> tuple[Result, int]:
    """What `call` gives, and how many attempts that took (1 or more).

    InfrastructureError, and so Overloaded: again for ever, after `wait_seconds`. HealableError: again after each of
    heal_after_seconds, then raised. PermanentError and all else: raised at once. on_wait(error, attempts so far, seconds) is
    called before each wait; by default it logs. What is raised knows its attempts. Cancelling ends it at any point.
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
                error.attempts = attempts
                raise
            seconds = delay
        except PermanentError as error:
            error.attempts = attempts
            raise
        on_wait(failure, attempts, seconds)
        await sleep(seconds)


def say_waiting(error: SignalsError, attempts: int, seconds: float) -> None:
    """A line in the log for what is waited for; of each reason no more than one in ten seconds."""
    now = time.monotonic()
    if now - _said_at.get(error.reason, -_SAY_AGAIN_SECONDS) >= _SAY_AGAIN_SECONDS:
        _said_at[error.reason] = now
        log.warning("attempt %d failed, again in %.1f s: %s", attempts, seconds, error)
