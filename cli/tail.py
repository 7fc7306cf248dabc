"""`signals tail`."""

import json
from datetime import datetime
from enum import Enum
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from cli.render import STATUS_MARKS, record_line
from processors.catalogue import SIGNALS
from schemas.records import SignalRecord, Vector, VectorDtype
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
@click.option("--count", type=int, help="Stop after so many signals.")
@click.option("--idle", "idle_seconds", type=float, help="Stop after so many seconds without a signal.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, whole records.")
def tail_command(
    names: tuple[str, ...],
    content: str | None,
    from_beginning: bool,
    count: int | None,
    idle_seconds: float | None,
    as_json: bool,
) -> None:
    """Follow signals as they come, one line each; committed records only.

    \b
    Example:
      signals tail --signal audio.speech --from-beginning --idle 5
    """
    from streams.following import Follower

    known = {signal.name: signal for signal in SIGNALS}
    if unknown := [name for name in names if name not in known]:
        raise click.ClickException(f"There is no signal {unknown[0]!r}. Known are: {', '.join(known)}.")
    console = Console(highlight=False)
    follower = Follower(Settings(), [known[name] for name in names or known], from_beginning=from_beginning)
    seen = 0
    try:
        for followed in follower.records(idle_seconds):
            if followed is None or (content and followed.key != content):
                continue
            show(console, followed.key, followed.topic, followed.value, as_json)
            seen += 1
            if count and seen >= count:
                break
    finally:
        follower.close()


def show(console: Console, key: str, topic: str, record: Any, as_json: bool) -> None:
    if as_json:
        tombstone = {"content_id": key, "topic": topic, "retracted": True}
        click.echo(json.dumps(plain(record) if record else tombstone))
    elif isinstance(record, SignalRecord):
        head = f"{record.produced_at:%H:%M:%S} {STATUS_MARKS.get(record.status, '?')} {record.signal:<15} {key}  "
        console.print(Text(head, style="bold") + Text(record_line(record), style="not bold"), soft_wrap=not console.is_terminal)
    else:
        console.print(Text(f"         ∅ {topic} {key}  retracted"))
