"""`signals audit`."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.progress import Progress

from processors.catalogue import SIGNALS
from schemas.records import OutcomeRecord, SignalRecord
from streams import kafka_config
from streams.audit import Audit, Report
from streams.following import Followed, Follower
from streams.offset_book import OffsetBook
from streams.record import Record
from streams.settings import Settings

__all__ = ["audit", "audit_command"]

CALL_SECONDS = 10.0


@click.command("audit")
@click.option("--from", "first", type=click.IntRange(min=0), default=0, show_default=True, help="First input offset.")
@click.option("--to", "end", type=click.IntRange(min=0), help="Offset after the last; default: all that is there now.")
@click.option("--group", help="The consumer group; default: SIGNALS_GROUP.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def audit_command(first: int, end: int | None, group: str | None, as_json: bool) -> None:
    """Prove from topics alone that each (event, planned signal) has ended once; exit code 1 if one is missing or doubled.

    Events that the group's commits leave open are counted as unfinished, not as missing.

    \b
    Example:
      signals audit --from 1000 --to 2000
    """
    settings = Settings(group=group) if group else Settings()
    report = audit(settings, first, end, Console(stderr=True))
    if as_json:
        click.echo(json.dumps(asdict(report) | {"proven": report.proven}))
    else:
        statuses = ", ".join(f"{count} {status}" for status, count in report.outcomes.items()) or "none"
        click.echo(f"events {report.events}, of them unfinished {report.unfinished}")
        click.echo(f"outcomes {sum(report.outcomes.values())}: {statuses}")
        click.echo(f"missing {report.missing}, copies {report.copies}")
        for sentence in report.named:
            click.echo(f"  {sentence}")
    sys.exit(0 if report.proven else 1)


def audit(settings: Settings, first: int = 0, end: int | None = None, console: Console | None = None) -> Report:
    """Reads the input topic, the group's commits, the ledger and the signal topics, each once."""
    auditor = Audit(settings.group, settings.input_topic)
    with Progress(console=console or Console(quiet=True), transient=True) as bar:
        task = bar.add_task("reading events", total=None)
        for record, finished in events(settings, first, end):
            auditor.event(record.partition, record.offset, finished)
            bar.advance(task)
        bar.update(task, description="reading the ledger")
        for followed in whole(Follower(settings, [], ledger=True, from_beginning=True)):
            bar.advance(task)
            if isinstance(followed.value, OutcomeRecord):
                auditor.outcome(followed.value)
        bar.update(task, description="reading signals")
        for followed in whole(Follower(settings, SIGNALS, from_beginning=True)):
            bar.advance(task)
            if isinstance(followed.value, SignalRecord):
                auditor.signal(followed.value, followed.partition, followed.offset)
    return auditor.report()


def whole(follower: Follower) -> Iterator[Followed]:
    """All that is on the topics now."""
    try:
        yield from follower.to_end()
    finally:
        follower.close()


def events(settings: Settings, first: int, end: int | None) -> Iterator[tuple[Record, bool]]:
    """Every record that the input topic holds in the window, and whether the group has committed it as done."""
    consumer = Consumer(kafka_config.follower(settings, "signals-audit") | {"log_level": 0})
    try:
        metadata = consumer.list_topics(settings.input_topic, timeout=CALL_SECONDS)
        books = committed_books(settings, metadata.cluster_id or "", list(metadata.topics[settings.input_topic].partitions))
        for number, book in books.items():
            low, high = consumer.get_watermark_offsets(TopicPartition(settings.input_topic, number), timeout=CALL_SECONDS)
            last = min(high, end) if end is not None else high
            consumer.assign([TopicPartition(settings.input_topic, number, max(low, first))])
            yield from until(consumer, last, book)
    finally:
        consumer.close()


def until(consumer: Consumer, last: int, book: OffsetBook) -> Iterator[tuple[Record, bool]]:
    """Records of the assigned partition below `last`."""
    while True:
        for message in consumer.consume(500, 0.5):
            if message.error():  # the end of the partition
                return
            record = Record.of(message)
            if record.offset >= last:
                return
            yield record, record.offset < book.high and record.offset not in book.unfinished


def committed_books(settings: Settings, cluster: str, partitions: list[int]) -> dict[int, OffsetBook]:
    """What the group's commits say is done, by partition."""
    member = Consumer(kafka_config.client(settings) | {"group.id": settings.group, "enable.auto.commit": False, "log_level": 0})
    try:
        asked = member.committed([TopicPartition(settings.input_topic, number) for number in partitions], timeout=CALL_SECONDS)
        return {tp.partition: OffsetBook.opened(0, cluster, tp.offset, tp.metadata)[0] for tp in asked}
    finally:
        member.close()
