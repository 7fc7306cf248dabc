"""`signals demo`: the whole path on one machine, with sample content whose right answers are known."""

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.text import Text

from cli.preparation import embedded_stack, spinner, wait_for_interrupt
from cli.publish import event_of_line
from cli.render import STATUS_MARKS, findings_line, outcome_line
from cli.tail import plain
from embedded import agreement, sample_media
from embedded.process import ServerProcess, log_tail
from processors.catalogue import SIGNALS
from schemas.records import ContentPublished, Outcome, OutcomeRecord, SignalRecord, Status
from streams.settings import Settings

__all__ = ["demo_command"]

WIDTH = 100
STATUS_STYLES = {Status.OK: "green", Status.DEGRADED: "yellow", Status.SKIPPED: "dim", Status.FAILED: "bold red"}
LONGEST_SECONDS = 600


@dataclass
class Progress:
    """What has come of each published content."""

    events: dict[str, ContentPublished]
    signals: dict[tuple[str, str], SignalRecord] = field(default_factory=dict)
    ledger: dict[str, OutcomeRecord] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return all(map(self.shown, self.events))

    def shown(self, content_id: str) -> bool:
        """Whether its ledger record and all records that it speaks of are here; they come from different partitions."""
        ledger = self.ledger.get(content_id)
        return ledger is not None and all(
            (content_id, outcome.signal) in self.signals for outcome in ledger.outcomes if outcome.signal_id is not None
        )

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        for content_id, record in self.ledger.items():
            for outcome in record.outcomes:
                yield content_id, outcome

    def findings(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """By (content, asset, signal), as plain values: what the expected answers are compared with."""
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        for content_id, outcome in self.outcomes():
            event = self.events[content_id]
            for asset_id in [asset.asset_id for asset in event.assets] + [text.name for text in event.texts]:
                found[content_id, asset_id, outcome.signal] = {"status": outcome.status.value, "reason": outcome.reason}
        for (content_id, name), record in self.signals.items():
            for entry in record.entries:
                found[content_id, entry.asset_id, name] |= plain(entry.findings)
        return found


@click.command("demo")
@click.option("--once", is_flag=True, help="End when every outcome is in: 0 if all are as expected, else 1.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines: each signal, each outcome, a summary.")
@click.option("--export-svg", type=click.Path(dir_okay=False, path_type=Path), help="Save what was shown as a picture.")
def demo_command(once: bool, as_json: bool, export_svg: Path | None) -> None:
    """Start Kafka, registry, Triton and a worker here, publish sample content of all four kinds, show the signals as they come.

    \b
    Example:
      signals demo --once
    """
    console = Console(width=WIDTH, record=export_svg is not None, highlight=False, stderr=as_json)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="signals-demo-") as folder, embedded_stack(Path(folder), console) as settings:
        samples = sample_media.load()
        events = {event.content_id: event for event in map(event_of_sample, samples)}
        progress = Progress(events)
        log = Path(folder) / "worker.log"
        with worker_process(settings, log) as worker:
            started = time.monotonic()
            publish_and_follow(settings, progress, worker, log, console, as_json)
            took = time.monotonic() - started
        disagreements = agreement.disagreements(sample_media.expectations(), progress.findings())
        summarise(progress, disagreements, took, time.monotonic() - began, console, as_json)
        if export_svg:
            export_svg.write_text(picture_of(console), encoding="utf-8")
        if not once and not as_json:
            console.print("The servers stay up until you press Ctrl-C.")
            wait_for_interrupt()
    if disagreements or not progress.complete or any(outcome.status is Status.FAILED for _, outcome in progress.outcomes()):
        sys.exit(1)


def picture_of(console: Console) -> str:
    """What the console showed, as SVG with the reader's own fonts: none are fetched from elsewhere."""
    return re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="make demo"), flags=re.DOTALL)


def event_of_sample(sample: sample_media.SampleContent) -> ContentPublished:
    assets = [
        {
            "asset_id": asset.asset_id,
            "kind": asset.kind,
            "uri": asset.path.as_uri(),
            "media_type": asset.media_type,
            "sha256": asset.sha256,
            "size_bytes": asset.size_bytes,
            "duration_ms": asset.duration_ms,
        }
        for asset in sample.assets
    ]
    texts = [{"name": text.name, "value": text.value, "language": text.language} for text in sample.texts]
    fields = {
        "content_id": sample.content_id,
        "tenant": sample.tenant,
        "assets": assets,
        "texts": texts,
        "metadata": {"title": sample.title},
    }
    return event_of_line(json.dumps(fields), sample.content_id)


@contextmanager
def worker_process(settings: Settings, log: Path) -> Iterator[ServerProcess]:
    """A worker beside us, with the settings as its environment; it ends with this process, however that ends."""
    environment = os.environ | environment_of(settings)
    command = [sys.executable, "-m", "cli.main", "worker", "--loglevel", "warning"]
    worker = ServerProcess("the worker", command, environment, log, grace_seconds=20)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings that differ from their defaults, as environment variables."""
    changed = {name: value for name, value in settings if value != type(settings).model_fields[name].default}
    return {f"SIGNALS_{name.upper()}": str(value) for name, value in changed.items()}


def publish_and_follow(
    settings: Settings, progress: Progress, worker: ServerProcess, log: Path, console: Console, as_json: bool
) -> None:
    """Publishes the samples and shows each content when its last outcome is in."""
    from streams.following import Follower
    from streams.publishing import EventWriter

    follower = Follower(settings, SIGNALS, ledger=True, from_beginning=True)
    writer = EventWriter(settings)
    for event in progress.events.values():
        writer.write(event)
    writer.flush()
    deadline = time.monotonic() + LONGEST_SECONDS
    try:
        with spinner(console, "") as update:
            for followed in follower.records():
                update(waiting_line(progress))
                if followed is not None:
                    take(progress, followed.value, console, as_json)
                if progress.complete:
                    return
                if not worker.running or time.monotonic() > deadline:
                    raise click.ClickException(worker_trouble(worker, log, progress))
    finally:
        follower.close()


def worker_trouble(worker: ServerProcess, log: Path, progress: Progress) -> str:
    missing = ", ".join(sorted(id for id in progress.events if not progress.shown(id)))
    if worker.running:
        return f"No outcome came within {LONGEST_SECONDS} s for {missing}."
    return f"The worker ended before {missing} had an outcome; this is the end of its log:\n{log_tail(log)}"


def take(progress: Progress, record: SignalRecord | OutcomeRecord | None, console: Console, as_json: bool) -> None:
    if record is not None and as_json:
        click.echo(json.dumps({"type": "signal" if isinstance(record, SignalRecord) else "outcomes"} | plain(record)))
    if isinstance(record, SignalRecord):
        progress.signals[record.content_id, record.signal] = record
    elif isinstance(record, OutcomeRecord):
        progress.ledger[record.content_id] = record
    else:
        return
    if progress.shown(record.content_id):
        console.print(content_block(progress, record.content_id))


def content_block(progress: Progress, content_id: str) -> Group:
    """A content with its signals, a line for each of their entries; signals that do not apply to it are left out."""
    event = progress.events[content_id]
    kinds = [asset.kind.value.lower() for asset in event.assets] + ["text"] * bool(event.texts)
    lines = [Text(""), Text.assemble((event.metadata.title or content_id, "bold"), (f"  {' + '.join(kinds)}", "cyan"))]
    for outcome in progress.ledger[content_id].outcomes:
        if outcome.status is Status.SKIPPED and outcome.reason == "no_applicable_asset":
            continue
        record = progress.signals.get((content_id, outcome.signal))
        texts = entry_lines(record) if record else [outcome_line(outcome)]
        for text in texts:
            mark = f"  {STATUS_MARKS.get(outcome.status, '?')} ", STATUS_STYLES.get(outcome.status, "")
            line = Text.assemble(mark, (f"{outcome.signal:<16}", "bold"), (text, "dim" if record is None else ""))
            line.truncate(WIDTH, overflow="ellipsis")
            lines.append(line)
    return Group(*lines)


def entry_lines(record: SignalRecord) -> list[str]:
    """The findings of each asset; of several, with their names."""
    if len(record.entries) == 1:
        return [findings_line(record.entries[0].findings)]
    return [f"{entry.asset_id}: {findings_line(entry.findings)}" for entry in record.entries]


def waiting_line(progress: Progress) -> str:
    done = sum(map(progress.shown, progress.events))
    return f"{done} of {len(progress.events)} contents understood, {len(progress.signals)} signals"


def summarise(progress: Progress, disagreements: list[str], took: float, overall: float, console: Console, as_json: bool) -> None:
    """What came of it: contents, signals, outcomes by status, seconds; and each answer that is not as expected."""
    by_status = Counter(outcome.status.value for _, outcome in progress.outcomes())
    expected = len(sample_media.expectations())
    summary = {
        "contents": len(progress.events),
        "signals": len(progress.signals),
        "outcomes": dict(sorted(by_status.items())),
        "expected_answers": expected,
        "disagreements": disagreements,
        "seconds": round(took, 1),
        "seconds_with_start": round(overall, 1),
    }
    if as_json:
        click.echo(json.dumps({"type": "summary"} | summary))
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))
    console.print()
    console.print(f"[bold]{len(progress.events)} contents, {len(progress.signals)} signals[/], outcomes: {statuses}")
    console.print(f"{expected - len(disagreements)} of {expected} expected answers met")
    for sentence in disagreements:
        console.print(Text(f"  ✗ {sentence}", style="red"))
    console.print(f"{took:.1f} s from the first event to the last outcome, {overall:.1f} s with starting the servers")
