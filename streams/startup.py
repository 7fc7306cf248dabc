"""What a worker needs before it reads anything, and the sentence for each thing that is missing."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

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

__all__ = ["CannotStart", "check", "check_triton", "chosen", "registered_schemas", "unknown_settings"]


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
    check_folders(settings)
    check_topics(settings, signals)
    wired = registered_schemas(settings, signals)
    if any(signal.model for signal in signals):
        asyncio.run(check_triton(settings))
    return wired


def check_folders(settings: Settings) -> None:
    if not os.access(settings.spool_dir, os.W_OK):
        raise CannotStart(
            f"{settings.spool_dir} cannot be written; fetched media go there. Set SIGNALS_SPOOL_DIR to a folder that can."
        )
    for root in filter(None, settings.file_roots.split(":")):
        if not Path(root).is_dir():
            raise CannotStart(f"SIGNALS_FILE_ROOTS names {root}, which is no folder. Correct it.")


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each SIGNALS_… variable that nobody reads: a misspelt setting would be ignored without a word."""
    known = {f"SIGNALS_{name.upper()}" for name in Settings.model_fields} | {"SIGNALS_CACHE_DIR", "SIGNALS_MAVEN_URL"}
    sentences = []
    for name in sorted(name for name in environment if name.startswith("SIGNALS_") and name not in known):
        near = get_close_matches(name, known, 1)
        sentences.append(
            f"{name} is no setting and is ignored{f'; did you mean {near[0]}?' if near else '.'} See docs/settings.md."
        )
    return sentences


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
