"""The data path of one event: plan, fetch, decode and features, infer, reduce. The only place where it is written.

    event → plan → for each asset or text, at once:
                     fetch → decode + features (isolated process) → windows → infer (Triton batches them) → partial results
          → for each signal, after those it needs: reduce → conclusion

A failing signal leaves its neighbours alone; a failure is a value with an address (signal, material).
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any

from processors.conclusion import Conclusion, conclude
from processors.errors import ContentError, HealableError, PermanentError, Reason, SignalsError
from processors.plan import Material, Plan, in_order, make_plan
from processors.signal import Signal, Window
from schemas.records import Asset, ContentPublished, Findings, TextField
from streams.backoff import persist
from streams.ports import Decode, Fetch, Infer, LocalMedia

__all__ = ["Pipeline"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Answers:
    """One signal's partial results over one material, in the order of its windows, or the error that ended it."""

    signal: Signal
    partials: list[asyncio.Task[Any]] = field(default_factory=list)
    error: SignalsError | None = None
    attempts: int = 1
    seconds: Mapping[str, float] = field(default_factory=dict)

    def fail(self, error: SignalsError) -> None:
        self.error = self.error or error


InFlight = Mapping[str, asyncio.Semaphore]
"""Signal name → how many more windows of it may be in flight."""

Understood = dict[tuple[str, str], Answers]
"""(material id, signal name) → its answers."""


class Pipeline:
    """Understands events. signals: all that this worker computes.

    windows_in_flight: per event and signal, so that one that waits leaves the others alone. assets_in_work: fetched files, of all
    events together. Both bound memory and disk.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        fetch: Fetch,
        decode: Decode,
        infer: Infer,
        windows_in_flight: int,
        assets_in_work: int = 64,
    ) -> None:
        self.signals = in_order(signals)
        self._assets = asyncio.Semaphore(assets_in_work)
        self._fetch, self._decode, self._infer = fetch, decode, infer
        self._windows_in_flight = windows_in_flight

    async def understand(self, event: ContentPublished) -> list[Conclusion]:
        """One conclusion for each signal. Waits for as long as infrastructure is away; raises nothing but cancellation."""
        plan = make_plan(event, self.signals)
        in_flight = {signal.name: asyncio.Semaphore(self._windows_in_flight) for signal in self.signals}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._understand(material, signals, in_flight)) for material, signals in plan.work]
        understood: Understood = {}
        for task in tasks:
            understood |= task.result()
        return self._conclusions(plan, understood)

    async def _understand(self, material: Material, signals: Sequence[Signal], in_flight: InFlight) -> Understood:
        answers = [Answers(signal) for signal in signals]
        started = time.monotonic()
        try:
            async with AsyncExitStack() as stack:
                media, attempts = await self._brought_here(material, stack)
                fetched = time.monotonic()
                async with asyncio.TaskGroup() as group:
                    try:
                        await self._map_windows(media, material, answers, group, in_flight)
                    except PermanentError as error:  # inside the group, which would wrap it
                        for answer in answers:
                            answer.fail(error)
            seconds = {"fetch": fetched - started, "understand": time.monotonic() - fetched}
            for answer in answers:
                answer.attempts, answer.seconds = max(answer.attempts, attempts), seconds
        except (PermanentError, HealableError) as error:
            for answer in answers:
                answer.fail(error)
                answer.attempts, answer.seconds = error.attempts, {"fetch": time.monotonic() - started}
        return {(material.id, answer.signal.name): answer for answer in answers}

    async def _brought_here(self, material: Material, stack: AsyncExitStack) -> tuple[LocalMedia | TextField, int]:
        if isinstance(material.media, TextField):
            return material.media, 1
        asset: Asset = material.media
        await stack.enter_async_context(self._assets)
        return await persist(lambda: stack.enter_async_context(self._fetch(asset)))

    async def _map_windows(
        self,
        media: LocalMedia | TextField,
        material: Material,
        answers: Sequence[Answers],
        group: asyncio.TaskGroup,
        in_flight: InFlight,
    ) -> None:
        features = frozenset(answer.signal.feature for answer in answers)
        async with aclosing(self._decode(media, material.kind, features)) as windows:  # type: ignore[type-var]
            async for feature, window in windows:
                if all(answer.error for answer in answers):
                    return
                for answer in answers:
                    if answer.signal.feature != feature or answer.error:
                        continue
                    if isinstance(window, SignalsError):
                        answer.fail(window)
                        continue
                    await in_flight[answer.signal.name].acquire()
                    answer.partials.append(group.create_task(self._map(answer, window, in_flight[answer.signal.name])))

    async def _map(self, answer: Answers, window: Window, in_flight: asyncio.Semaphore) -> Any:
        """The partial result of one window; None after it has failed its signal."""
        signal = answer.signal
        try:
            outputs = window.tensors
            if (model := signal.model) is not None:
                tensors = {spec.name: window.tensors[spec.name] for spec in model.inputs}
                outputs, attempts = await persist(lambda: self._infer(model, tensors))
                answer.attempts = max(answer.attempts, attempts)
            return signal.interpret(outputs, window)
        except SignalsError as error:
            answer.attempts = max(answer.attempts, error.attempts)
            answer.fail(error)
        except Exception as bug:  # a signal's own code must not take its neighbours along
            answer.fail(broken(signal, bug))
        finally:
            in_flight.release()

    def _conclusions(self, plan: Plan, understood: Understood) -> list[Conclusion]:
        found: dict[str, dict[str, Findings | SignalsError]] = {}
        conclusions = []
        for signal in plan.signals:
            answers = {material.id: understood[material.id, signal.name] for material, signals in plan.work if signal in signals}
            found[signal.name] = {id: reduced(answer, id, found) for id, answer in answers.items()}
            attempts = max((answer.attempts for answer in answers.values()), default=1)
            conclusions.append(conclude(signal, found[signal.name], attempts, slowest_ms(list(answers.values()))))
        return conclusions


def reduced(
    answer: Answers, material_id: str, found: Mapping[str, Mapping[str, Findings | SignalsError]]
) -> Findings | SignalsError:
    """The findings of one signal in one material, given those of the signals it needs."""
    if answer.error:
        return answer.error
    if not answer.partials:
        return ContentError(Reason.EMPTY_CONTENT, f"There is nothing in it that {answer.signal.name} could look at")
    upstream: dict[str, Findings] = {}
    for name in answer.signal.needs:
        needed = found[name].get(material_id)
        if not isinstance(needed, Findings):
            because = f": {needed}" if needed else ""
            return PermanentError(
                Reason.UPSTREAM_SIGNAL_FAILED, f"{answer.signal.name} needs {name}, which has no result{because}"
            )
        upstream[name] = needed
    try:
        return answer.signal.reduce([task.result() for task in answer.partials], upstream)
    except SignalsError as error:
        return error
    except Exception as bug:  # as above
        return broken(answer.signal, bug)


def broken(signal: Signal, bug: Exception) -> SignalsError:
    log.error("the code of %s failed", signal.name, exc_info=bug)
    return PermanentError(Reason.SIGNAL_CODE_FAILED, f"the code of {signal.name} failed: {type(bug).__name__}: {bug}"[:500])


def slowest_ms(answers: Sequence[Answers]) -> dict[str, int]:
    """Milliseconds by stage; of several materials, which run side by side, the longest."""
    stages = {stage for answer in answers for stage in answer.seconds}
    return {stage: round(1000 * max(answer.seconds.get(stage, 0.0) for answer in answers)) for stage in sorted(stages)}
