"""What a worker needs before it reads anything, and the sentence for each thing that is missing."""

import asyncio
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processors.errors import SignalsError
from processors.plan import in_order
from processors.signal import Signal
from streams import kafka_config
from streams.clients.schema_registry import SchemaRegistry
from streams.clients.triton import Triton
from streams.publication import WireSchema
from streams.settings import Settings
from streams.topics import existing, topics_of

__all__ = ["CannotStart", "check", "check_triton", "chosen", "registered_schemas"]


class CannotStart(Exception):
    """Something outside is missing; the text says what, with which value, and what to do."""


def chosen(settings: Settings, signals: Sequence[Signal]) -> tuple[Signal, ...]:
    """The signals that SIGNALS_SIGNALS names, or all; each after those it needs. Raises CannotStart for unknown names."""
    names = [name.strip() for name in settings.signals.split(",") if name.strip()]
    known = {signal.name: signal for signal in signals}
    if unknown := [name for name in names if name not in known]:
        raise CannotStart(f"There is no signal {unknown[0]!r}. Known are: {', '.join(sorted(known))}. See `signals list`.")
    try:
        return in_order([known[name] for name in names] if names else signals)
    except ValueError as error:
        raise CannotStart(f"{error}.") from None


def check(settings: Settings, signals: Sequence[Signal]) -> dict[str, WireSchema]:
    """The schemas under their registered ids. Raises CannotStart if brokers, topics, registry or Triton are not as needed."""
    check_topics(settings, signals)
    wired = registered_schemas(settings, signals)
    if any(signal.model for signal in signals):
        asyncio.run(check_triton(settings))
    return wired


def check_topics(settings: Settings, signals: Sequence[Signal]) -> None:
    try:
        there = existing(AdminClient(kafka_config.client(settings) | {"log_level": 0}))
    except KafkaException as failure:
        raise CannotStart(
            f"No Kafka broker answers at {settings.kafka_brokers} ({failure.args[0].str()}). "
            "Start one (`signals up`) or set SIGNALS_KAFKA_BROKERS."
        ) from None
    if missing := [topic.name for topic in topics_of(settings, signals) if topic.name not in there]:
        raise CannotStart(f"Kafka at {settings.kafka_brokers} lacks {', '.join(missing)}. Run `signals topics apply`.")


def registered_schemas(settings: Settings, signals: Sequence[Signal]) -> dict[str, WireSchema]:
    """Looks the committed schemas up; a worker registers nothing."""
    registry = SchemaRegistry(settings.registry_url)
    wired = {}
    try:
        for topic in topics_of(settings, signals):
            if topic.schema:
                wired[topic.name] = WireSchema(topic.schema, registry.schema_id(topic.name, topic.schema))
    except SignalsError as error:
        raise CannotStart(error.detail) from None
    return wired


async def check_triton(settings: Settings) -> None:
    """Raises CannotStart, with what each says, if none of the Triton servers is ready."""
    triton = Triton(settings.triton_urls.split(","), 1, settings.infer_timeout_seconds)
    try:
        await triton.ready()
    except SignalsError as error:
        raise CannotStart(error.detail) from None
    finally:
        await triton.close()
