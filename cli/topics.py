"""`signals topics apply|check|schemas`."""

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from processors.catalogue import SIGNALS
from streams.settings import Settings

__all__ = ["topics_command"]


@click.group("topics")
def topics_command() -> None:
    """Create topics and register schemas, or check them.

    \b
    Example:
      signals topics apply --partitions 32 --replication 3
    """


@topics_command.command("apply")
@click.option("--partitions", default=8, show_default=True, help="Partitions of topics that do not exist yet.")
@click.option("--replication", default=-1, show_default=True, help="Replication factor; -1 for the broker's default.")
def apply_command(partitions: int, replication: int) -> None:
    """Create missing topics and register their schemas with compatibility FULL_TRANSITIVE. Safe to repeat.

    \b
    Example:
      signals topics apply
    """
    from streams.provisioning import apply

    created, ids = apply(Settings(), SIGNALS, partitions, replication)
    for topic, id in ids.items():
        click.echo(f"{topic}: schema {id}{', topic created' if topic in created else ''}")
    for topic in sorted(set(created) - ids.keys()):
        click.echo(f"{topic}: raw bytes, topic created")


@topics_command.command("check")
@click.option("--json", "as_json", is_flag=True, help="A JSON list, one object for each topic.")
def check_command(as_json: bool) -> None:
    """Check that topics exist and schemas are registered; exit code 1 if not. Changes nothing.

    \b
    Example:
      signals topics check --json
    """
    from streams.provisioning import inspect

    states = inspect(Settings(), SIGNALS)
    if as_json:
        click.echo(json.dumps([asdict(state) | {"ready": state.ready} for state in states], indent=2))
    else:
        table = Table("topic", "partitions", "schema", box=None, header_style="bold", pad_edge=False)
        for state in states:
            table.add_row(state.topic, str(state.partitions or "missing"), state.schema)
        Console(highlight=False).print(table)
    if not all(state.ready for state in states):
        click.echo("Something is missing: run `signals topics apply`.", err=True)
        sys.exit(1)


@topics_command.command("schemas")
def schemas_command() -> None:
    """Write the Avro schema of each topic from the catalogue into schemas/subjects/, a new version where it changed.

    \b
    Example:
      signals topics schemas && git diff --stat schemas/subjects
    """
    from schemas import compose, subjects

    composed = {signal.topic: compose.signal_schema(signal.name, signal.version, signal.shapes) for signal in SIGNALS}
    composed |= {
        "content-published.v1": compose.content_published_schema(),
        "signal-outcomes.v1": compose.signal_outcomes_schema(),
    }
    for topic, schema in composed.items():
        written = subjects.save(topic, schema)
        click.echo(f"{topic}: {written.name if written else 'unchanged'}")
