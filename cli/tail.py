"""`signals tail`."""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from cli.render import STATUS_MARKS, outcome_line, record_line
from processors.catalogue import SIGNALS
from schemas.records import Outcome, OutcomeRecord, Status, Vector, VectorDtype
from streams.following import Followed, Follower
from streams.settings import Settings

__all__ = ["plain", "tail_command"]


def plain(value: Any) -> Any:
    """A record as JSON-ready values; a vector's bytes become numbers."""
    if isinstance(value, Vector):
        dtype = "<f2" if value.dtype is VectorDtype.FLOAT16_LE else "<f4"
        return np.frombuffer(value.data, dtype).astype(float).round(6).tolist()
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if hasattr(value, "items") else value


@click.command("tail")
@click.option("--signal", "names", multiple=True, help="Only this signal; may be repeated.")
@click.option("--content", help="Only this content id.")
@click.option("--from-beginning", is_flag=True, help="Also what is on the topics already.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many signals.")
@click.option("--idle", "idle_seconds", type=click.FloatRange(min=0), help="Stop after so many seconds without a signal.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, whole records.")
def tail_command(
    names: tuple[str, ...],
    content: str | None,
    from_beginning: bool,
    count: int | None,
    idle_seconds: float | None,
    as_json: bool,
) -> None:
    """Follow signals as they come, one line each, and what failed or was skipped with the reason; committed records only.

    \b
    Example:
      signals tail --signal audio.speech --from-beginning --idle 5
    """
    known = {signal.name: signal for signal in SIGNALS}
    if unknown := [name for name in names if name not in known]:
        raise click.ClickException(f"There is no signal {unknown[0]!r}. Known are: {', '.join(known)}.")
    console = Console(highlight=False)
    follower = Follower(Settings(), [known[name] for name in names or known], ledger=True, from_beginning=from_beginning)
    seen = 0
    try:
        for followed in follower.records(idle_seconds):
            if followed is None or (content and followed.key != content):
                continue
            seen += show(console, followed, names, as_json)
            if count and seen >= count:
                break
    finally:
        follower.close()


def show(console: Console, followed: Followed, names: Sequence[str], as_json: bool) -> int:
    """Prints what came; how many signals that were. Of the ledger only what has no record of its own and says something."""
    record = followed.value
    if isinstance(record, OutcomeRecord):
        return sum(
            show_outcome(console, record, outcome, as_json) for outcome in record.outcomes if not names or outcome.signal in names
        )
    if as_json:
        tombstone = {"content_id": followed.key, "topic": followed.topic, "retracted": True}
        click.echo(json.dumps(plain(record) if record else tombstone))
    elif record is None:
        console.print(Text(f"         ∅ {followed.topic} {followed.key}  retracted"))
    else:
        line(console, record.produced_at, record.status, record.signal, followed.key, record_line(record))
    return 1


def show_outcome(console: Console, record: OutcomeRecord, outcome: Outcome, as_json: bool) -> int:
    untold = outcome.status in (Status.FAILED, Status.SKIPPED) and outcome.reason != "no_applicable_asset"
    if untold and as_json:
        click.echo(json.dumps({"content_id": record.content_id} | plain(outcome)))
    elif untold:
        line(console, record.recorded_at, outcome.status, outcome.signal, record.content_id, outcome_line(outcome))
    return int(untold)


def line(console: Console, at: datetime, status: Status, signal: str, content_id: str, told: str) -> None:
    head = f"{at:%H:%M:%S} {STATUS_MARKS.get(status, '?')} {signal:<15} {content_id}  "
    console.print(Text(head, style="bold") + Text(told, style="not bold"), soft_wrap=not console.is_terminal)
