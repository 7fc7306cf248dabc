"""The `signals` command. Verbs are loaded when they are called, so that `signals list` does not wait for servers' clients."""

import importlib
import signal
import sys

import click

__all__ = ["main", "signals"]

VERBS = {
    "demo": ("cli.demo", "Start everything here, publish sample content, watch the signals come."),
    "up": ("cli.stack", "Start Kafka, schema registry and Triton on this machine, and keep them running."),
    "down": ("cli.stack", "Stop what `up` started."),
    "status": ("cli.stack", "Say what of it is running, and where."),
    "worker": ("cli.worker", "Run one member of the consumer group."),
    "publish": ("cli.publish", "Emit content-published events for files, folders, URLs or a list."),
    "tail": ("cli.tail", "Follow signals as they come."),
    "list": ("cli.catalogue", "List the signals of the catalogue."),
    "show": ("cli.catalogue", "Show all that one signal says of itself."),
    "topics": ("cli.topics", "Create topics and register schemas, or check them."),
    "models": ("cli.models", "Build, check or serve the Triton model repository."),
    "audit": ("cli.audit", "Prove from topics that each (event, signal) has ended once; count copies."),
    "doctor": ("cli.doctor", "Check brokers, registry, Triton, store and this machine; say what to do."),
}


class Verbs(click.Group):
    """Finds a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(importlib.import_module(VERBS[cmd_name][0]), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="content-signals", prog_name="signals")
def signals() -> None:
    """Content signals: published audio, images, video and text in, machine-readable signals out.

    \b
    On a fresh machine:
      signals demo --once
    With your own files:
      eval "$(signals up)"
      signals worker &
      signals publish holiday.mp4 podcast.mp3
      signals tail --from-beginning
    """


def main() -> None:
    """Entry point: every error that a person can mend is one sentence on stderr and exit code 1."""
    from cli.errors import sentence_of

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: in good order
    try:
        signals(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if (sentence := sentence_of(error)) is None:
            raise
        click.echo(f"signals: {sentence}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
