"""Proves from topics alone that each (event, planned signal) has ended once: nothing missing, nothing doubled.

Columns instead of objects: an outcome costs about 30 bytes, so that a million of them stay in tens of megabytes.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from schemas.records import OutcomeRecord, SignalRecord

__all__ = ["Audit", "Report"]

MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """events: in the window; unfinished: of them, by the group's commits; missing, copies: how many; named: the first of each."""

    events: int
    unfinished: int
    outcomes: dict[str, int]
    missing: int
    copies: int
    named: list[str]

    @property
    def proven(self) -> bool:
        return self.missing == self.copies == 0


def digest(*parts: str) -> int:
    """Sixty-four bits that stand for these parts."""
    return int.from_bytes(blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "big", signed=True)


@dataclass(slots=True)
class Column:
    """What was seen once each: its digest, and where it can be named by."""

    digests: "array[int]" = field(default_factory=lambda: array("q"))
    partitions: "array[int]" = field(default_factory=lambda: array("i"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    signals: "array[int]" = field(default_factory=lambda: array("h"))

    def add(self, digested: int, partition: int, offset: int, signal: int) -> None:
        self.digests.append(digested)
        self.partitions.append(partition)
        self.offsets.append(offset)
        self.signals.append(signal)

    def doubled(self) -> NDArray[np.intp]:
        """Indices of what was seen again, after its first time."""
        digests = np.frombuffer(self.digests, np.int64) if self.digests else np.empty(0, np.int64)
        _, first = np.unique(digests, return_index=True)
        return np.setdiff1d(np.arange(len(digests)), first)


@dataclass(slots=True)
class OpenRun:
    """A run whose ledger records have not said that it is complete."""

    place: str
    planned: frozenset[str]
    seen: set[str] = field(default_factory=set)


class Audit:
    """Takes the events of a window, then the ledger, then the signal topics; passes over what is not of the window."""

    def __init__(self, group: str, topic: str) -> None:
        self._group, self._topic = group, topic
        self._events: dict[int, array[int]] = {}
        self._runs = array("q")
        self._sorted_runs: NDArray[np.int64] | None = None
        self._unfinished: set[tuple[int, int]] = set()
        self._ended: dict[int, array[int]] = {}
        self._outcomes, self._records = Column(), Column()
        self._names: dict[str, int] = {}
        self._open: dict[str, OpenRun] = {}
        self._by_status: Counter[str] = Counter()
        self._incomplete: list[str] = []

    def event(self, partition: int, offset: int, finished: bool) -> None:
        """An event of the window, ascending in each partition. finished: whether the group's commits say that it is done."""
        self._events.setdefault(partition, array("q")).append(offset)
        if not finished:
            self._unfinished.add((partition, offset))

    def outcome(self, record: OutcomeRecord) -> None:
        """A ledger record."""
        source = record.source
        if record.group != self._group or source.topic != self._topic or not self._covers(source.partition, source.offset):
            return
        self._runs.append(digest(record.run_id))
        for outcome in record.outcomes:
            self._by_status[outcome.status.value] += 1
            digested = digest(record.run_id, outcome.signal)
            self._outcomes.add(digested, source.partition, source.offset, self._index(outcome.signal))
        place = f"{source.topic}[{source.partition}]@{source.offset}"
        run = self._open.setdefault(record.run_id, OpenRun(place, frozenset(record.planned)))
        run.seen |= {outcome.signal for outcome in record.outcomes}
        if record.complete:
            self._ended.setdefault(source.partition, array("q")).append(source.offset)
            self._incomplete += [f"{place}: no outcome of {name}" for name in sorted(run.planned - run.seen)]
            del self._open[record.run_id]

    def signal(self, record: SignalRecord, partition: int, offset: int) -> None:
        """A record on a signal topic, and where it stands there; after all of the ledger."""
        if self._sorted_runs is None:
            self._sorted_runs = np.unique(np.asarray(self._runs, np.int64))
        run = digest(record.run_id)
        at = int(np.searchsorted(self._sorted_runs, run))
        if at == len(self._sorted_runs) or self._sorted_runs[at] != run:
            return
        self._records.add(digest(record.signal_id, record.run_id), partition, offset, self._index(record.signal))

    def report(self) -> Report:
        names = list(self._names)
        missing = [*self._incomplete, *self._without_end(), *self._never_complete()]
        copies = [
            f"{what} of {names[column.signals[i]]} at partition {column.partitions[i]}, offset {column.offsets[i]}: twice"
            for what, column in (("outcome", self._outcomes), ("record", self._records))
            for i in column.doubled()
        ]
        return Report(
            events=sum(map(len, self._events.values())),
            unfinished=len(self._unfinished),
            outcomes=dict(sorted(self._by_status.items())),
            missing=len(missing),
            copies=len(copies),
            named=missing[:MOST_NAMED] + copies[:MOST_NAMED],
        )

    def _covers(self, partition: int, offset: int) -> bool:
        offsets = self._events.get(partition, array("q"))
        at = bisect_left(offsets, offset)
        return at < len(offsets) and offsets[at] == offset

    def _index(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))

    def _without_end(self) -> Iterator[str]:
        for partition, offsets in sorted(self._events.items()):
            ended = self._ended.get(partition, array("q"))
            for offset in np.setdiff1d(np.asarray(offsets), np.asarray(ended)):
                if (partition, int(offset)) not in self._unfinished:
                    yield f"partition {partition}, offset {offset}: committed as done, and no outcome"

    def _never_complete(self) -> Iterator[str]:
        for run in self._open.values():
            for name in sorted(run.planned - run.seen):
                yield f"{run.place}: no outcome of {name} yet, and its run is not complete"
