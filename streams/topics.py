"""Every topic: what it is for, its partitions and its settings on the broker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from fastavro import parse_schema

from processors.signal import Signal
from schemas import compose, subjects
from streams.settings import Settings

__all__ = ["Topic", "create", "existing", "signal_schema", "topics_of"]

CALL_SECONDS = 10.0
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be. schema: of its values; None for raw bytes."""

    name: str
    partitions: int
    schema: Any = None
    config: dict[str, str] = field(default_factory=dict)


@cache
def signal_schema(signal: Signal) -> Any:
    """The parsed schema of a signal's records, composed from the shapes it fills."""
    return parse_schema(compose.signal_schema(signal.name, signal.version, signal.shapes))


def topics_of(settings: Settings, signals: Sequence[Signal], partitions: int = 8) -> list[Topic]:
    """The input, one topic for each signal, the ledger and the group's dead letters.

    The input and the signals are compacted: the newest event and the newest understanding of each content stay.
    """
    compacted = {"cleanup.policy": "compact", "compression.type": "producer"}
    dead_letters = {"retention.ms": str(30 * DAY_MS), "max.message.bytes": str(10 * 1024**2)}
    return [
        Topic(settings.input_topic, partitions, subjects.latest("content-published.v1"), {"cleanup.policy": "compact"}),
        Topic(settings.ledger_topic, partitions, subjects.latest("signal-outcomes.v1"), {"retention.ms": str(90 * DAY_MS)}),
        Topic(f"dlq.{settings.group}", partitions, None, dead_letters),
        *(Topic(signal.topic, partitions, signal_schema(signal), compacted) for signal in signals),
    ]


def existing(admin: AdminClient) -> dict[str, int]:
    """Names of the cluster's topics and their numbers of partitions. Raises KafkaException if no broker answers."""
    metadata = admin.list_topics(timeout=CALL_SECONDS)
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def create(admin: AdminClient, topics: Iterable[Topic], replication: int) -> list[str]:
    """Create those that are missing; their names. replication -1: the broker's default."""
    there = existing(admin)
    missing = [topic for topic in topics if topic.name not in there]
    if not missing:
        return []
    wanted = [NewTopic(t.name, t.partitions, replication, config=t.config) for t in missing]
    created = []
    for name, future in admin.create_topics(wanted, operation_timeout=CALL_SECONDS).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as failure:
            if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created
