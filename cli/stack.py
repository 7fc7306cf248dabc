"""`signals up`, `down` and `status`: the embedded servers, kept running."""

import json
import shlex
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from cli.preparation import models_needed, prepare, provision, spinner
from embedded import daemon
from streams.settings import Settings

__all__ = ["down_command", "status_command", "up_command"]


@click.command("up")
@click.option("--json", "as_json", is_flag=True, help="The addresses as one JSON object.")
def up_command(as_json: bool) -> None:
    """Start Kafka, schema registry and Triton on this machine, with all topics and schemas, and keep them running.

    Prints the settings to use them as environment lines. Repeating it starts nothing twice.

    \b
    Example:
      eval "$(signals up)"
    """
    console = Console(stderr=True, highlight=False)
    repository = prepare(console)
    with spinner(console, "starting Kafka, schema registry and Triton"):
        state = daemon.up(repository, models_needed())
        addresses = dict(state.environment)
        provision(
            Settings(
                kafka_brokers=addresses["SIGNALS_KAFKA_BROKERS"],
                registry_url=addresses["SIGNALS_REGISTRY_URL"],
                triton_urls=addresses["SIGNALS_TRITON_URLS"],
            )
        )
    roots = [str(Path.home()), str(Path.cwd()), tempfile.gettempdir()]  # a person's own files
    addresses |= {"SIGNALS_GROUP": "signals", "SIGNALS_FILE_ROOTS": ":".join(dict.fromkeys(roots))}
    if as_json:
        click.echo(json.dumps(addresses))
        return
    for name, value in addresses.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command("down")
def down_command() -> None:
    """Stop what `signals up` started.

    \b
    Example:
      signals down
    """
    click.echo("stopped" if daemon.down() else "nothing was running")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status_command(as_json: bool) -> None:
    """Say what of the embedded servers is running, and where; exit code 1 unless all are.

    \b
    Example:
      signals status --json
    """
    status = daemon.status()
    if as_json:
        click.echo(json.dumps(status.as_json()))
    elif not status.servers:
        click.echo("nothing is running; start it with `signals up`")
    else:
        for server in status.servers:
            click.echo(f"{server.name:<10} {'running' if server.alive else 'not running'}  {server.address}")
    if not status.servers or not all(server.alive for server in status.servers):
        sys.exit(1)
