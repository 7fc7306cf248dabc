"""One member of the consumer group: checks what it needs, puts the parts together, runs until it is told to stop."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version

import faust
import uvloop

from processors.decode.limits import Limits
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
from streams.publication import Publication
from streams.settings import Settings
from streams.startup import CannotStart, check, chosen, unknown_settings
from streams.transactions import no_fail_point

__all__ = ["run"]


log = logging.getLogger(__name__)


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
    store = content_store(settings)
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
        Pipeline(signals, store, pool, wrap_infer(triton), settings.windows_in_flight, 2 * settings.concurrency),
        Publication(
            group=settings.group,
            worker=settings.worker_name or f"{os.uname().nodename}-{os.getpid()}",
            version=version("content-signals"),
            ledger_topic=settings.ledger_topic,
            schemas=wired,
            most_bytes=settings.max_record_bytes,
        ),
        EventReader(SchemaRegistry(settings.registry_url)),
        settings.spool_dir / "content-signals-faust",
        before=[pool.start],
        after=[pool.close, store.close, triton.close],
    )
    logging.basicConfig(level=loglevel.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2", "faust", "mode"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for sentence in unknown_settings(os.environ):
        log.warning(sentence)
    log.info("computing %s", ", ".join(signal.name for signal in signals))
    uvloop.install()
    worker = faust.Worker(app, loop=asyncio.new_event_loop(), redirect_stdouts=False, override_logging=False, quiet=True)
    worker.spinner = None  # it would draw on a terminal that is ours
    worker.execute_from_commandline()


def content_store(settings: Settings) -> ContentStore:
    try:
        return ContentStore(settings)
    except ValueError as error:
        raise CannotStart(f"SIGNALS_ALLOWED_HOSTS is {settings.allowed_hosts!r}: {error}. Write host or host:port.") from None
