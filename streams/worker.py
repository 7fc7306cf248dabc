"""One member of the consumer group: checks what it needs, puts the parts together, runs until it is told to stop."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version

import faust
import uvloop
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processors.decode.limits import Limits
from processors.errors import SignalsError
from processors.plan import in_order
from processors.signal import Signal
from streams import kafka_config
from streams.agents import build_app
from streams.clients.content_store import ContentStore
from streams.clients.schema_registry import SchemaRegistry
from streams.clients.triton import Triton
from streams.decoding import DecodePool
from streams.events import EventReader
from streams.kafka_source import SourceConfig
from streams.pipeline import Pipeline
from streams.ports import Infer
from streams.publication import Publication, WireSchema
from streams.settings import Settings
from streams.topics import existing, topics_of
from streams.transactions import no_fail_point

__all__ = ["CannotStart", "check_triton", "chosen", "registered_schemas", "run"]


log = logging.getLogger(__name__)


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


def run(
    settings: Settings,
    catalogue: Sequence[Signal],
    wrap_infer: Callable[[Infer], Infer] = lambda infer: infer,
    fail_point: Callable[[str], None] = no_fail_point,
    loglevel: str = "warning",
) -> None:
    """Runs until SIGTERM or SIGINT, then leaves the process. Raises CannotStart before anything was read.

    wrap_infer and fail_point are for delivery tests: models that only wait, kills at a named point of a transaction.
    """
    signals = chosen(settings, catalogue)
    wired = check(settings, signals)
    triton = Triton(settings.triton_urls.split(","), settings.requests_per_model, settings.infer_timeout_seconds)
    store = ContentStore(settings)
    pool = DecodePool(settings.decoders, settings.decode_timeout_seconds, settings.decode_memory_bytes, Limits())
    app = build_app(
        settings.group,
        settings.concurrency,
        SourceConfig(
            topics=[settings.input_topic],
            consumer=kafka_config.consumer(settings),
            producer=kafka_config.transactional_producer(settings),
            limit=settings.concurrency,
            transaction_seconds=settings.transaction_ms / 1000,
            drain_seconds=settings.drain_ms / 1000,
            fail_point=fail_point,
        ),
        Pipeline(signals, store, pool, wrap_infer(triton), settings.windows_in_flight),
        Publication(
            group=settings.group,
            worker=settings.worker_name or f"{os.uname().nodename}-{os.getpid()}",
            version=version("content-signals"),
            ledger_topic=settings.ledger_topic,
            schemas=wired,
            most_bytes=settings.max_record_bytes,
        ),
        EventReader(SchemaRegistry(settings.registry_url)),
        before=[pool.start],
        after=[pool.close, store.close, triton.close],
    )
    logging.basicConfig(level=loglevel.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2", "faust", "mode"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    log.info("computing %s", ", ".join(signal.name for signal in signals))
    uvloop.install()
    worker = faust.Worker(app, loop=asyncio.new_event_loop(), redirect_stdouts=False, override_logging=False, quiet=True)
    worker.spinner = None  # it would draw on a terminal that is ours
    worker.execute_from_commandline()


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
