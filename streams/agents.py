"""The Faust app and its agents: a record in, outputs out; and the one place where an unexpected error ends.

Faust gives app, services, agents and channels. Its own Kafka transport is off (`enable_kafka`, which its source documents for
subclasses): it loses in-flight events under out-of-order work. A KafkaSource feeds the channel instead.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import faust
from faust.app.base import BootStrategy
from faust.types import StreamT
from mode import Service

from processors.errors import ContractError, PermanentError, Reason
from schemas.records import Status
from streams.events import EventReader
from streams.kafka_source import KafkaSource, SourceConfig, leave
from streams.pipeline import Pipeline
from streams.publication import Publication
from streams.record import Record
from streams.transactions import Output

__all__ = ["build_app"]

log = logging.getLogger(__name__)

EXIT_AGENT_DIED = 72

Hook = Callable[[], Awaitable[None]]


class WithoutKafkaTransport(BootStrategy):
    enable_kafka = False


class App(faust.App):
    BootStrategy = WithoutKafkaTransport


def build_app(
    name: str,
    concurrency: int,
    config: SourceConfig,
    pipeline: Pipeline,
    publication: Publication,
    reader: EventReader,
    folder: Path,
    before: Sequence[Hook] = (),
    after: Sequence[Hook] = (),
) -> App:
    """The worker's app. folder: Faust's own, for tables that we do not have.

    before, after: what starts before the first record is read, and closes when the last is published.
    """
    app = App(name, broker="kafka://unused", store="memory://", web_enabled=False, reply_create_topic=False, datadir=folder)
    channel = app.channel(maxsize=config.limit)

    def refused(record: Record) -> list[Output]:
        error = PermanentError(Reason.RECORD_REFUSED, "the brokers refuse what this event publishes; see the worker's log")
        return publication.unreadable(record, source.cluster, pipeline.signals, error, with_value=False)

    source = KafkaSource(replace(config, instead=refused), channel)

    async def outputs_of(record: Record) -> list[Output]:
        if record.value is None and record.key is None:
            error = ContractError(Reason.UNREADABLE_EVENT, "the record has neither key nor value")
            return publication.unreadable(record, source.cluster, pipeline.signals, error)
        if record.value is None:
            return publication.retraction(record, source.cluster, pipeline.signals)
        try:
            event = await reader.read(record)
        except ContractError as error:
            return publication.unreadable(record, source.cluster, pipeline.signals, error)
        conclusions = await pipeline.understand(event)
        for failed in (c for c in conclusions if c.status is Status.FAILED):
            log.warning("%s %s failed: %s (%s)", event.content_id, failed.signal.name, failed.detail, failed.reason)
        return publication.of(record, source.cluster, event, conclusions)

    async def outputs_in_any_case(record: Record) -> list[Output]:
        """A bug of ours must neither stop the stream nor lose the event."""
        try:
            return await outputs_of(record)
        except Exception as bug:
            log.exception("%s[%d]@%d failed in our own code", record.topic, record.partition, record.offset)
            detail = f"the worker's own code failed: {type(bug).__name__}: {bug}"[:500]
            error = PermanentError(Reason.WORKER_CODE_FAILED, detail)
            return publication.unreadable(record, source.cluster, pipeline.signals, error)

    async def understand(records: StreamT[Record]) -> None:
        async for record in records:
            try:
                outputs = await source.unless_lost(record, partial(outputs_in_any_case, record))
            except Exception:  # an actor that crashes would drop its event; the next owner of the partition does it instead
                log.critical("the agent failed beyond repair; leaving", exc_info=True)
                leave(EXIT_AGENT_DIED)
            if outputs is not None:
                source.finished(record, outputs)

    app.agent(channel, concurrency=concurrency, name="understand")(understand)

    class Inside(Service):
        async def on_start(self) -> None:
            app.flow_control.resume()  # channels wait for it; Faust's own consumer would have done it
            for hook in before:
                await hook()
            await self.add_runtime_dependency(source)

        async def on_shutdown(self) -> None:
            for hook in after:
                await hook()

    app.service(Inside)
    return app
