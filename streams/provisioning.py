"""Brings topics and schemas to what the catalogue asks for. For operators and deployments; a worker only looks them up."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from processors.signal import Signal
from streams import kafka_config
from streams.clients.schema_registry import SchemaRegistry
from streams.settings import Settings
from streams.topics import create, existing, topics_of

__all__ = ["TopicState", "apply", "inspect"]


@dataclass(frozen=True, slots=True)
class TopicState:
    """How a topic stands. partitions: None if it is missing; schema: "registered", "missing", … or "raw bytes"."""

    topic: str
    partitions: int | None
    schema: str

    @property
    def ready(self) -> bool:
        return self.partitions is not None and self.schema in ("registered", "raw bytes")


def apply(settings: Settings, signals: Sequence[Signal], partitions: int, replication: int) -> tuple[list[str], dict[str, int]]:
    """Creates missing topics, registers schemas with FULL_TRANSITIVE. Gives the topics created, and each topic's schema id.

    Raises KafkaException, InfrastructureError (registry away), ContractError (the registry refuses a schema).
    """
    topics = topics_of(settings, signals, partitions)
    created = create(AdminClient(kafka_config.client(settings) | {"log_level": 0}), topics, replication)
    registry = SchemaRegistry(settings.registry_url)
    return created, {topic.name: registry.apply(topic.name, topic.schema) for topic in topics if topic.schema}


def inspect(settings: Settings, signals: Sequence[Signal]) -> list[TopicState]:
    """How each topic stands, changing nothing."""
    there = existing(AdminClient(kafka_config.client(settings) | {"log_level": 0}))
    registry = SchemaRegistry(settings.registry_url)
    return [
        TopicState(
            topic.name,
            there.get(topic.name),
            registry.check(topic.name, topic.schema) if topic.schema else "raw bytes",
        )
        for topic in topics_of(settings, signals)
    ]
