"""What the source does with batches that brokers refuse, and with work whose partition goes away; without brokers."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from streams.kafka_source import KafkaSource, SourceConfig
from streams.offset_book import OffsetBook
from streams.record import Record
from streams.transactions import Commits, Output, Published

TP = ("in", 0)
POISON = Output("out", b"k", b"poison")
STEAD = Output("dlq", b"k", b"in its stead")


class PickyPublisher:
    """Refuses every batch that holds the poison, as brokers would."""

    def __init__(self) -> None:
        self.committed: list[Output] = []
        self.commits: list[Commits] = []

    def publish(self, outputs: Iterable[Output], commits: Commits) -> Published:
        batch = list(outputs)
        if POISON in batch:
            return Published.REFUSED
        self.committed += batch
        self.commits.append(commits)
        return Published.COMMITTED


def source_with(*offsets: int) -> tuple[KafkaSource, PickyPublisher, list[Record]]:
    config = SourceConfig(
        topics=["in"],
        consumer={},
        producer={},
        limit=8,
        transaction_seconds=0.05,
        drain_seconds=0,
        instead=lambda record: [STEAD],
    )
    source, publisher = KafkaSource(config, channel=None), PickyPublisher()  # type: ignore[arg-type]  # nothing is handed out here
    source._publisher, source.cluster = publisher, "c"  # type: ignore[assignment]
    source._books[TP] = OffsetBook(epoch=1, high=0)
    records = [Record(b"k%d" % offset, b"v", [], *TP, offset, 1) for offset in offsets]
    for record in records:
        source._books[TP].hand_out(record.offset)
    return source, publisher, records


def test_one_refused_record_does_not_hold_the_others() -> None:
    """After some refusals the batch goes record by record; the culprit's outputs are replaced; all offsets are committed."""
    source, publisher, records = source_with(0, 1, 2)
    outputs = [Output("out", b"k", b"first"), POISON, Output("out", b"k", b"third")]
    source._outbox = [(record, [output]) for record, output in zip(records, outputs, strict=True)]
    for _ in range(4):
        source._transact()
    assert publisher.committed == [outputs[0], STEAD, outputs[2]]
    assert source._outbox == []
    assert source._books[TP].unfinished == set()
    assert publisher.commits[-1] == {TP: (3, "")}


def test_outputs_of_a_lost_partition_are_dropped() -> None:
    """What an earlier assignment finished late counts for nothing."""
    source, publisher, records = source_with(0)
    source._outbox = [(records[0], [Output("out", b"k", b"late")])]
    source._books[TP] = OffsetBook(epoch=2, high=0)
    source._transact()
    assert (publisher.committed, source._outbox) == ([], [])


async def test_work_of_a_lost_partition_is_cancelled_and_its_place_freed() -> None:
    """The work gets CancelledError, the caller None, and the record counts as out of work."""
    source, _, (record,) = source_with(0)
    cancelled = asyncio.Event()

    async def work() -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    waiting = asyncio.create_task(source.unless_lost(record, work))
    await asyncio.sleep(0.01)
    del source._books[TP]
    source._cancel_work([TP])
    assert await waiting is None
    assert cancelled.is_set()
    assert list(source._arrivals) == [(record, [])]


async def test_work_that_is_cancelled_by_none_of_us_is_no_outcome() -> None:
    """A stray CancelledError out of some library must not commit the event as done with nothing."""
    source, _, (record,) = source_with(0)

    async def work() -> Any:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match=r"in\[0\]@0 was cancelled"):
        await source.unless_lost(record, work)
    assert not source._arrivals


async def test_work_is_not_begun_for_a_partition_that_is_gone() -> None:
    """A record that waited for an actor while its partition went away is dropped unread."""
    source, _, (record,) = source_with(0)
    source._books.clear()

    async def work() -> Any:
        pytest.fail("begun")

    assert await source.unless_lost(record, work) is None
