"""Reads topics as a subscriber does: committed records only, decoded by their writers' schemas."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.signal import Signal
from schemas import subjects, wire
from schemas.records import OutcomeRecord, SignalRecord
from streams import kafka_config
from streams.clients.schema_registry import SchemaRegistry
from streams.record import Record
from streams.settings import Settings
from streams.topics import signal_schema

__all__ = ["Followed", "Follower"]

CALL_SECONDS = 10.0
PASSING = (KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)


@dataclass(frozen=True, slots=True)
class Followed:
    """A record of a topic. value None: a tombstone."""

    topic: str
    partition: int
    offset: int
    key: str
    value: SignalRecord | OutcomeRecord | None


class Follower:
    """Follows signal topics and the ledger from where they end now, or from their beginning."""

    def __init__(
        self, settings: Settings, signals: Sequence[Signal], *, ledger: bool = False, from_beginning: bool = False
    ) -> None:
        self._ledger_topic = settings.ledger_topic
        self._registry = SchemaRegistry(settings.registry_url)
        self._consumer = Consumer(kafka_config.follower(settings, "signals-follower") | {"log_level": 0})
        self._schemas = {signal.topic: signal_schema(signal) for signal in signals}
        if ledger:
            self._schemas[settings.ledger_topic] = subjects.latest("signal-outcomes.v1")
        self._consumer.assign(self._starts(list(self._schemas), from_beginning))

    def _starts(self, topics: Sequence[str], from_beginning: bool) -> list[TopicPartition]:
        known = self._consumer.list_topics(timeout=CALL_SECONDS).topics
        partitions = [TopicPartition(topic, number) for topic in topics if topic in known for number in known[topic].partitions]
        for partition in partitions:
            low, high = self._consumer.get_watermark_offsets(partition, timeout=CALL_SECONDS)
            partition.offset = low if from_beginning else high
        return partitions

    def records(self, idle_seconds: float | None = None) -> Iterator[Followed | None]:
        """Records as they come; None about four times a second while none comes. Ends after idle_seconds without any."""
        last = time.monotonic()
        while idle_seconds is None or time.monotonic() - last < idle_seconds:
            came = [self._followed(message) for message in self._messages() if not message.error()]
            if came:
                last = time.monotonic()
                yield from came
            else:
                yield None

    def to_end(self) -> Iterator[Followed]:
        """All that is there now, then ends: each partition has been read to where its committed records end."""
        unread = {(tp.topic, tp.partition) for tp in self._consumer.assignment()}
        while unread:
            for message in self._messages():
                if message.error():
                    unread.discard((message.topic() or "", message.partition() or 0))
                else:
                    yield self._followed(message)

    def _messages(self) -> list[Message]:
        """What has come, ends of partitions among it; waits a quarter of a second for the first. Outages are sat out."""
        first = self._consumer.poll(0.25)  # consume() would wait for all of its time
        messages = [first, *self._consumer.consume(499, 0)] if first else []
        for message in messages:
            if (error := message.error()) and error.code() not in PASSING:
                raise KafkaException(error)
        return [m for m in messages if not (e := m.error()) or e.code() == KafkaError._PARTITION_EOF]

    def _followed(self, message: Message) -> Followed:
        record = Record.of(message)
        value: SignalRecord | OutcomeRecord | None = None
        if record.value is not None:
            fields = wire.decode(record.value, self._registry.writer_schema, self._schemas[record.topic])
            value = wire.outcome_record(fields) if record.topic == self._ledger_topic else wire.signal_record(fields)
        return Followed(record.topic, record.partition, record.offset, (record.key or b"").decode(errors="replace"), value)

    def close(self) -> None:
        self._consumer.close()
