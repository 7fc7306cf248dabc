"""Kafka ↔ Faust: feeds a channel with records, and publishes what became of them, exactly once, in whatever order they finish.

One thread owns consumer, producer, books, buffers and lanes. It polls at any load (so that rebalances are served), hands records
of one key out one at a time, and every `transaction_seconds` publishes the outputs of all records finished since, together with
their offsets and the list of holes (`offset_book`).
"""

import asyncio
import logging
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from faust.types import ChannelT
from mode import Service

from streams.offset_book import OffsetBook
from streams.record import Record
from streams.transactions import CALL_SECONDS, Output, Published, Publisher, no_fail_point, until_answered

__all__ = ["KafkaSource", "SourceConfig", "leave"]

log = logging.getLogger(__name__)

EXIT_KAFKA_THREAD_DIED = 70
EXIT_KAFKA_AWAY_AT_STOP = 75
STOP_SECONDS = 3 * CALL_SECONDS
MOST_RECORDS = 1_000
REFUSALS_BEFORE_ONE_BY_ONE = 3
PAUSE_AFTER_SECONDS = 2.0
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """consumer, producer: librdkafka's own configuration. limit: records handed out at once.

    instead: what to publish for a record whose outputs the brokers refuse.
    """

    topics: Sequence[str]
    consumer: Mapping[str, object]
    producer: Mapping[str, object]
    limit: int
    transaction_seconds: float
    drain_seconds: float
    instead: Callable[[Record], list[Output]] = lambda record: []
    fail_point: Callable[[str], None] = no_fail_point


def leave(code: int) -> NoReturn:
    """Ends the process at once, with its logs written: it must not look alive, and what it has not committed is not lost."""
    logging.shutdown()
    os._exit(code)


class KafkaSource(Service):
    """`finished` takes the outputs of a record; `unless_lost` runs its work and drops it when its partition goes to another."""

    def __init__(self, config: SourceConfig, channel: ChannelT[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.channel = config, channel
        self.cluster = ""
        self._books: dict[tuple[str, int], OffsetBook] = {}
        self._buffers: dict[tuple[str, int], deque[Record]] = {}
        self._lanes: dict[object, deque[Record]] = {}  # a lane in work → the records that wait behind it
        self._arrivals: deque[tuple[Record, list[Output]]] = deque()  # from the event loop; appending to a deque is atomic
        self._outbox: list[tuple[Record, list[Output]]] = []
        self._working = self._epoch = self._refusals = 0
        self._paused: set[tuple[str, int]] = set()
        self._stopping = False
        self._full_since = self._next_poll = 0.0
        self._work: dict[tuple[str, int], set[asyncio.Task[Any]]] = defaultdict(set)  # event loop's own
        self._puts: set[asyncio.Task[None]] = set()

    # ---- the event loop's side ----

    async def on_start(self) -> None:
        self._event_loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="kafka-source", daemon=True)
        self._thread.start()

    async def on_stop(self) -> None:
        self._stopping = True
        await asyncio.to_thread(self._thread.join, self.config.drain_seconds + STOP_SECONDS)
        if self._thread.is_alive():  # the brokers are away; what is not committed is done by the next owner
            log.error("Kafka did not answer within %.0f s of the stop; leaving at once", STOP_SECONDS)
            leave(EXIT_KAFKA_AWAY_AT_STOP)

    def finished(self, record: Record, outputs: list[Output]) -> None:
        """The record is done; its outputs go out with the next transaction."""
        self._arrivals.append((record, outputs))

    async def unless_lost(self, record: Record, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result | None:
        """The work's result, or None if the partition went away meanwhile: then the work is cancelled, and its next owner's."""
        if not self._ours(record):  # lost while it waited for an actor
            self.finished(record, [])
            return None
        task = asyncio.create_task(work())
        self._work[record.tp].add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # this coroutine runs in a task
                task.cancel()
                raise
            if self._ours(record):
                raise RuntimeError(
                    f"the work on {record.topic}[{record.partition}]@{record.offset} was cancelled by none of us"
                ) from None
            self.finished(record, [])  # its epoch is over: this only frees its place
            return None
        finally:
            self._work[record.tp].discard(task)

    def _cancel_work(self, partitions: list[tuple[str, int]]) -> None:
        for tp in partitions:
            for task in self._work.pop(tp, ()):
                task.cancel()

    # ---- everything below runs in the Kafka thread ----

    def _run(self) -> None:
        try:
            self._open()
            self._consume_and_transact()
        except BaseException:
            log.critical("the Kafka thread died, and a worker without it must not look alive", exc_info=True)
            leave(EXIT_KAFKA_THREAD_DIED)

    def _open(self) -> None:
        self._consumer = Consumer(dict(self.config.consumer))
        self.cluster = until_answered(lambda: self._consumer.list_topics(timeout=CALL_SECONDS)).cluster_id
        self._publisher = Publisher(self.config.producer, self._consumer, self.config.fail_point)
        self._consumer.subscribe(list(self.config.topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def _consume_and_transact(self) -> None:
        due = time.monotonic() + self.config.transaction_seconds
        while not self._stopping:
            self._poll()
            self._collect()
            self._hand_out()
            if time.monotonic() >= due:
                self._transact()
                due = time.monotonic() + self.config.transaction_seconds
        self._consumer.close()  # revokes, and so drains and commits

    def _poll(self) -> None:
        """Serves rebalances at any load: with full buffers it still polls ten times a second, a record each time."""
        now = time.monotonic()
        buffered = sum(map(len, self._buffers.values())) + sum(map(len, self._lanes.values()))
        room = 8 * self.config.limit - buffered
        self._pause_or_resume(now, room)
        if room <= 0 and now < self._next_poll:
            time.sleep(0.002)
            return
        self._next_poll = now + 0.1
        idle = self._working < self.config.limit and not buffered
        for message in self._consumer.consume(max(1, min(room, 500)), 0.01 if idle else 0):
            self._take(message)
        if not idle:
            time.sleep(0.001)  # lets the event loop have the interpreter

    def _pause_or_resume(self, now: float, room: int) -> None:
        """Pausing is the last resort, after seconds: it drops what librdkafka prefetched, and resuming takes about a second."""
        if room > 0:
            self._full_since = now
        elif now - self._full_since > PAUSE_AFTER_SECONDS:
            share = 4 * self.config.limit // max(1, len(self._books))
            if fuller := {tp for tp, buffer in self._buffers.items() if len(buffer) > share} - self._paused:
                self._consumer.pause([TopicPartition(*tp) for tp in fuller])
                self._paused |= fuller
        if emptier := {tp for tp in self._paused if len(self._buffers.get(tp, ())) <= self.config.limit // 4}:
            self._resume(emptier)

    def _resume(self, partitions: set[tuple[str, int]]) -> None:
        self._consumer.resume([TopicPartition(*tp) for tp in partitions])
        self._paused -= partitions

    def _take(self, message: Message) -> None:
        if error := message.error():
            if error.fatal():
                raise KafkaException(error)  # this consumer is dead from now on, and will not say so again
            log.warning("consumer: %s", error.str())
            return
        topic, partition = message.topic(), message.partition()
        assert topic is not None and partition is not None
        if book := self._books.get((topic, partition)):
            self._buffers[topic, partition].append(Record.of(message, book.epoch))

    def _collect(self) -> None:
        while self._arrivals:
            record, outputs = self._arrivals.popleft()
            self._working -= 1
            self._outbox.append((record, outputs))
            waiting = self._lanes[record.lane]
            while waiting and not self._ours(waiting[0]):
                waiting.popleft()
            if waiting:
                self._start([waiting.popleft()])
            else:
                del self._lanes[record.lane]

    def _hand_out(self) -> None:
        """Round the partitions. Records of a key go one at a time, in order, and wait in their lane, not in an actor."""
        batch: list[Record] = []
        buffers = [(self._books[tp], buffer) for tp, buffer in self._buffers.items() if buffer]
        while buffers and self._working + len(batch) < self.config.limit:
            for book, buffer in buffers:
                if buffer and not book.full and (record := self._next_of(book, buffer)):
                    batch.append(record)
            buffers = [(book, buffer) for book, buffer in buffers if buffer and not book.full]
        if batch:
            self._start(batch)

    def _next_of(self, book: OffsetBook, buffer: deque[Record]) -> Record | None:
        record = buffer.popleft()
        if not book.hand_out(record.offset):
            return None
        if record.lane in self._lanes:
            self._lanes[record.lane].append(record)
            return None
        self._lanes[record.lane] = deque()
        return record

    def _start(self, records: list[Record]) -> None:
        self._working += len(records)

        async def put_all() -> None:
            for record in records:
                await self.channel.put(record)  # type: ignore[arg-type]  # a channel carries any value

        def put() -> None:
            self._puts.add(task := self._event_loop.create_task(put_all()))
            task.add_done_callback(self._puts.discard)

        self._event_loop.call_soon_threadsafe(put)

    def _ours(self, record: Record) -> OffsetBook | None:
        book = self._books.get(record.tp)
        return book if book and book.epoch == record.epoch else None

    def _transact(self) -> None:
        self._outbox = [(record, outputs) for record, outputs in self._outbox if self._ours(record)]
        if not self._outbox:
            return
        batch = self._outbox[:MOST_RECORDS]  # a transaction has to fit into its time-out
        if self._refusals >= REFUSALS_BEFORE_ONE_BY_ONE:
            self._transact_one_by_one(batch)
        elif self._published(batch) is Published.REFUSED:
            self._refusals += 1

    def _transact_one_by_one(self, batch: list[tuple[Record, list[Output]]]) -> None:
        """One of them makes the brokers refuse all: find it, and publish in its stead what `instead` says of it."""
        for record, outputs in batch:
            if self._ours(record) and self._published([(record, outputs)]) is Published.REFUSED:
                log.error("%s[%d]@%d: the brokers refuse its outputs", record.topic, record.partition, record.offset)
                index = next(index for index, (other, _) in enumerate(self._outbox) if other is record)
                self._outbox[index] = (record, self.config.instead(record))
                if self._published([self._outbox[index]]) is Published.REFUSED:
                    raise RuntimeError(
                        f"the brokers refuse even the dead letter of {record.topic}[{record.partition}]@{record.offset}"
                    )
        self._refusals = 0

    def _published(self, batch: list[tuple[Record, list[Output]]]) -> Published:
        """Publishes it; if that succeeds it leaves the outbox and is finished in its book. Else it stays for another time."""
        finished: dict[tuple[str, int], set[int]] = defaultdict(set)
        for record, _ in batch:
            finished[record.tp].add(record.offset)
        commits = {tp: self._books[tp].commit_without(done, self.cluster) for tp, done in finished.items()}
        published = self._publisher.publish((output for _, outputs in batch for output in outputs), commits)
        if published is Published.COMMITTED:
            for tp, done in finished.items():
                self._books[tp].finish(done)
            gone = {id(record) for record, _ in batch}
            self._outbox = [(record, outputs) for record, outputs in self._outbox if id(record) not in gone]
            self._refusals = 0
        return published

    # ---- rebalances: callbacks of consume() ----

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._epoch += 1
        start = self._committed(consumer, partitions) if partitions else []
        for tp in start:
            book, believed = OffsetBook.opened(self._epoch, self.cluster, tp.offset, tp.metadata)
            if not believed:
                log.warning(
                    "%s[%d]: the commit's metadata is not ours; all from %d on is done again", tp.topic, tp.partition, tp.offset
                )
            self._books[tp.topic, tp.partition] = book
            self._buffers[tp.topic, tp.partition] = deque()
        # Start where the book starts, not where a second look-up might; an unknown offset follows auto.offset.reset.
        consumer.incremental_assign([TopicPartition(tp.topic, tp.partition, tp.offset) for tp in start])
        log.info("assigned %s", ", ".join(f"{tp.topic}[{tp.partition}]@{tp.offset}" for tp in start) or "nothing")

    def _committed(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        while True:
            answer = until_answered(lambda: consumer.committed(partitions, timeout=CALL_SECONDS))
            if not any(tp.error for tp in answer):  # an error of one partition is not "nothing committed": ask again
                return answer
            time.sleep(0.1)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """A short drain: what is cut off is done by the next owner without copies, and a long one would hold up everyone."""
        going = {(tp.topic, tp.partition) for tp in partitions} & self._books.keys()
        for tp in going:
            self._buffers[tp].clear()
        deadline = time.monotonic() + self.config.drain_seconds
        while time.monotonic() < deadline and any(self._books[tp].in_work for tp in going):
            self._collect()
            self._transact()
            time.sleep(0.01)
        self._collect()
        self._transact()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        keys = [(tp.topic, tp.partition) for tp in partitions]
        if still_paused := self._paused & set(keys):  # it would still be paused when it comes back
            self._resume(still_paused)
        for tp in keys:
            self._books.pop(tp, None)
            self._buffers.pop(tp, None)
        consumer.incremental_unassign(partitions)
        self._event_loop.call_soon_threadsafe(self._cancel_work, keys)
        log.info("gave up %s", ", ".join(f"{topic}[{partition}]" for topic, partition in keys))
