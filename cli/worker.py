"""`signals worker`."""

import click

from processors.catalogue import SIGNALS
from streams.settings import Settings

__all__ = ["worker_command"]


@click.command("worker")
@click.option("--signals", default="", help="Compute only these, comma-separated; default: all, or SIGNALS_SIGNALS.")
@click.option("--loglevel", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True)
def worker_command(signals: str, loglevel: str) -> None:
    """Run one member of the consumer group until it is stopped (SIGTERM or Ctrl-C).

    Start as many as you like, on as many machines: they share the partitions. Settings come from the environment
    (docs/settings.md).

    \b
    Example:
      signals worker --signals audio.speech,audio.loudness
    """
    from streams.worker import run

    settings = Settings(signals=signals) if signals else Settings()
    run(settings, SIGNALS, loglevel=loglevel)
