"""`signals list` and `signals show`."""

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from processors.catalogue import SIGNALS
from processors.signal import Signal

__all__ = ["described", "list_command", "show_command"]


def described(signal: Signal) -> dict[str, Any]:
    """What a signal says of itself, as JSON-ready values."""
    model = signal.model
    return {
        "name": signal.name,
        "version": signal.version,
        "modality": signal.modality,
        "topic": signal.topic,
        "subject": f"{signal.topic}-value",
        "owner": signal.owner,
        "meaning": signal.meaning,
        "applies_to": sorted(kind.value for kind in signal.applies_to),
        "body": [shape.value for shape in signal.shapes],
        "needs": list(signal.needs),
        "model": model and f"{model.name}:{model.version}",
        "inputs": {spec.name: f"{spec.dtype}{list(spec.shape)}" for spec in model.inputs} if model else {},
        "outputs": {spec.name: f"{spec.dtype}{list(spec.shape)}" for spec in model.outputs} if model else {},
        "feature": repr(signal.feature),
        "parameters": dict(signal.parameters),
        "config_hash": signal.config_hash,
    }


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list, one object for each signal.")
def list_command(as_json: bool) -> None:
    """List the signals of the catalogue.

    \b
    Example:
      signals list --json | jq -r '.[].topic'
    """
    if as_json:
        click.echo(json.dumps([described(signal) for signal in SIGNALS], indent=2))
        return
    table = Table("signal", "applies to", "body", "model", "topic", box=None, header_style="bold", pad_edge=False)
    for signal in SIGNALS:
        d = described(signal)
        table.add_row(d["name"], " ".join(d["applies_to"]).lower(), " ".join(d["body"]), d["model"] or "–", d["topic"])
    Console(highlight=False).print(table)


@click.command("show")
@click.argument("name", metavar="SIGNAL")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_command(name: str, as_json: bool) -> None:
    """Show all that one signal says of itself: meaning, inputs, model, schema, owner, topic.

    \b
    Example:
      signals show audio.loudness
    """
    signal = next((signal for signal in SIGNALS if signal.name == name), None)
    if signal is None:
        raise click.ClickException(f"There is no signal {name!r}. Known are: {', '.join(s.name for s in SIGNALS)}.")
    fields = described(signal)
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for field, value in fields.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        shown = ", ".join(shown) if isinstance(shown, list) else shown
        table.add_row(field.replace("_", " "), escape(str(shown)) if shown not in (None, "") else "–")
    Console(highlight=False).print(table)
