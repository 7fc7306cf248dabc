import asyncio
from collections.abc import Sequence

import pytest

from processors.errors import (
    ContentError,
    HealableError,
    InfrastructureError,
    Overloaded,
    PermanentError,
    Reason,
    SignalsError,
)
from streams.backoff import persist, wait_seconds

AWAY = InfrastructureError(Reason.MODEL_UNAVAILABLE, "Triton is away.")
FULL = Overloaded(Reason.MODEL_OVERLOADED, "Triton is full.")
NOT_YET = HealableError(Reason.NOT_FOUND, "Not there yet.")
BROKEN = ContentError(Reason.UNDECODABLE, "Damaged.")


class FakeClock:
    """Sleeps in no time and remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Script:
    """Raises what it is given, one at each call, then answers."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.failures = list(failures)

    async def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def test_wait_doubles_up_to_ten_seconds() -> None:
    """The bound of the wait doubles from 0.1 s and stops at 10 s, after any number of failures."""
    assert [wait_seconds(n, 1.0) for n in (1, 2, 3, 4)] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert wait_seconds(8, 1.0) == 10.0
    assert wait_seconds(100_000, 1.0) == 10.0


def test_wait_is_spread_over_the_whole_interval() -> None:
    """Full jitter: anything from no wait to the bound."""
    assert wait_seconds(3, 0.0) == 0.0
    assert wait_seconds(3, 0.5) == pytest.approx(0.2)


async def test_an_answer_at_once_is_one_attempt() -> None:
    """Without a failure nothing waits."""
    clock = FakeClock()
    assert await persist(Script([]), sleep=clock.sleep) == ("answer", 1)
    assert clock.slept == []


async def test_an_outage_waits_however_long_it_takes() -> None:
    """Infrastructure failures are tried again for ever, the waits capped."""
    clock = FakeClock()
    result = await persist(Script([AWAY, FULL] * 500), sleep=clock.sleep, fraction=lambda: 1.0)
    assert result == ("answer", 1001)
    assert clock.slept[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert max(clock.slept) == 10.0


async def test_what_may_heal_is_tried_a_few_times() -> None:
    """A healable failure is tried again after the given delays and then raised as it was."""
    clock = FakeClock()
    with pytest.raises(HealableError) as raised:
        await persist(Script([NOT_YET] * 9), sleep=clock.sleep)
    assert raised.value is NOT_YET
    assert clock.slept == [1.0, 5.0]


async def test_what_heals_in_time_answers() -> None:
    """An object that comes on the last try is fetched."""
    clock = FakeClock()
    assert await persist(Script([NOT_YET, NOT_YET]), sleep=clock.sleep, heal_after_seconds=(2, 3)) == ("answer", 3)
    assert clock.slept == [2, 3]


async def test_an_outage_does_not_use_up_the_chances_to_heal() -> None:
    """Infrastructure and healable failures are counted apart, and the outage's waits start small again."""
    clock = FakeClock()
    script = Script([AWAY, AWAY, NOT_YET, AWAY, NOT_YET])
    assert await persist(script, sleep=clock.sleep, fraction=lambda: 1.0) == ("answer", 6)
    assert clock.slept == pytest.approx([0.1, 0.2, 1.0, 0.1, 5.0])


@pytest.mark.parametrize("failure", [BROKEN, PermanentError(Reason.MODEL_FAILED, "No."), ZeroDivisionError("a bug")])
async def test_what_cannot_help_is_not_tried_again(failure: Exception) -> None:
    """Permanent failures, and bugs, are raised at once."""
    clock = FakeClock()
    with pytest.raises(type(failure)):
        await persist(Script([failure]), sleep=clock.sleep)
    assert clock.slept == []


async def test_each_wait_is_told() -> None:
    """on_wait hears error, attempts so far and seconds, before the wait."""
    told: list[tuple[SignalsError, int, float]] = []
    await persist(
        Script([AWAY, NOT_YET]),
        on_wait=lambda error, attempts, seconds: told.append((error, attempts, seconds)),
        sleep=FakeClock().sleep,
        fraction=lambda: 0.5,
    )
    assert told == [(AWAY, 1, 0.05), (NOT_YET, 2, 1.0)]


async def test_cancelling_ends_the_waiting() -> None:
    """A task that waits for an outage to end can be cancelled."""
    task = asyncio.create_task(persist(Script([AWAY] * 1_000_000)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
