"""From what was found in each material to what became of the signal: a terminal status, its entries, what is missing and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.errors import PermanentError, Reason, SignalsError
from processors.signal import Signal
from schemas.records import Entry, Findings, MissingAsset, Status

__all__ = ["Conclusion", "conclude"]

SKIPPING = frozenset({Reason.NO_SUCH_STREAM, Reason.EMPTY_CONTENT, Reason.NO_APPLICABLE_ASSET})
"""Reasons that say there was nothing to understand, which is no failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What became of one signal of one event. status is OK, DEGRADED (some materials failed), SKIPPED or FAILED."""

    signal: Signal
    status: Status
    entries: tuple[Entry, ...] = ()
    missing: tuple[MissingAsset, ...] = ()
    reason: Reason | None = None
    detail: str | None = None
    attempts: int = 1
    timings_ms: Mapping[str, int] = field(default_factory=dict)


def conclude(
    signal: Signal, found: Mapping[str, Findings | SignalsError], attempts: int = 1, timings_ms: Mapping[str, int] | None = None
) -> Conclusion:
    """found: by asset id or text name, in the event's order; empty if the signal applies to none of them."""
    entries = tuple(Entry(asset_id=id, findings=what) for id, what in found.items() if isinstance(what, Findings))
    errors = {id: what for id, what in found.items() if isinstance(what, SignalsError)}
    failures = {id: error for id, error in errors.items() if error.reason not in SKIPPING}
    missing = tuple(MissingAsset(asset_id=id, reason=error.reason, detail=error.detail) for id, error in failures.items())
    if entries:
        status = Status.DEGRADED if failures else Status.OK
        first = next(iter(failures.values()), None)
    elif failures:
        status, first = Status.FAILED, next(iter(failures.values()))
    else:
        status, first = Status.SKIPPED, next(iter(errors.values()), nothing_applies(signal))
    return Conclusion(
        signal=signal,
        status=status,
        entries=entries,
        missing=missing,
        reason=first.reason if first else None,
        detail=first.detail if first else None,
        attempts=attempts,
        timings_ms=timings_ms or {},
    )


def nothing_applies(signal: Signal) -> SignalsError:
    kinds = " or ".join(sorted(kind.lower() for kind in signal.applies_to))
    return PermanentError(Reason.NO_APPLICABLE_ASSET, f"{signal.name} needs {kinds}, and this content has none")
