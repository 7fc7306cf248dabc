"""Downloads, models and servers, with progress bars: what `demo`, `up` and `models` have in common."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from embedded.cache import cache_folder
from embedded.downloads import APICURIO, KAFKA, fetch
from embedded.errors import EmbeddedError
from embedded.model_repository import build
from embedded.platform_check import unsupported_reason
from processors.catalogue import SIGNALS
from streams.settings import Settings

__all__ = [
    "embedded_stack",
    "model_repository",
    "models_needed",
    "prepare",
    "provision",
    "spinner",
    "step_bar",
    "wait_for_interrupt",
]


def models_needed() -> list[str]:
    """Names of the models that the catalogue's signals ask, sorted."""
    return sorted({signal.model.name for signal in SIGNALS if signal.model})


def prepare(console: Console) -> Path:
    """Checks the machine, fetches the servers, builds the models; the model repository. Quick when all is there already.

    Raises EmbeddedError with a sentence if this machine cannot run the embedded Triton.
    """
    if (reason := unsupported_reason()) is not None:
        raise EmbeddedError(reason)
    for name, lock in (("Kafka", KAFKA), ("schema registry", APICURIO)):
        with download_bar(console, f"fetching {name}") as progress:
            fetch(lock, progress)
    return model_repository(console)


def model_repository(console: Console) -> Path:
    """The embedded profile's repository in the cache, built first if it is not current."""
    with step_bar(console, "building models") as progress:
        return build(cache_folder() / "models" / "embedded", "embedded", None, progress)


@contextmanager
def download_bar(console: Console, what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Shows bytes done and in all; takes the file's name as well, as `embedded.downloads.Progress` gives it."""
    with progress_bar(console, TextColumn("{task.description}"), BarColumn(), DownloadColumn()) as show:
        yield lambda done, total, name: show(what, f"{what}: {total / 1e6:.0f} MB", done, total)


@contextmanager
def step_bar(console: Console, what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Shows the name of the step, steps done and in all."""
    with progress_bar(console, SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as show:
        yield lambda name, done, total: show(f"{what}: {name}", f"{what}: {name}, {done} of {total} done", done, total)


@contextmanager
def progress_bar(console: Console, *columns: ProgressColumn) -> Iterator[Callable[[str, str, int, int], None]]:
    """A bar that appears while there is something to do; where the output is no terminal, a line for each that is new.

    Gives show(text beside the bar, line for a log, done, total).
    """
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    said: set[str] = set()
    with bar:
        task = bar.add_task("", total=None, visible=False)

        def show(text: str, line: str, done: int, total: int) -> None:
            bar.update(task, description=text, completed=done, total=total, visible=done < total)
            if done < total and not console.is_terminal and line not in said:
                said.add(line)
                console.print(line)

        yield show


@contextmanager
def spinner(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    """Something that turns beside the text, on a terminal; gives a way to change the text."""
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status(text) as status:
        yield status.update


@contextmanager
def embedded_stack(folder: Path, console: Console) -> Iterator[Settings]:
    """Kafka, registry and Triton in `folder`, with topics and schemas; the settings to use them; all gone afterwards."""
    from embedded.sample_media import SAMPLES_FOLDER
    from embedded.stack import Stack

    repository = prepare(console)
    with spinner(console, "starting Kafka, schema registry and Triton"), Stack(folder, repository, models_needed()) as stack:
        addresses = stack.environment()
        settings = Settings(
            kafka_brokers=addresses["SIGNALS_KAFKA_BROKERS"],
            registry_url=addresses["SIGNALS_REGISTRY_URL"],
            triton_urls=addresses["SIGNALS_TRITON_URLS"],
            group="signals",
            file_roots=str(SAMPLES_FOLDER),
        )
        provision(settings)
        console.print(
            f"Kafka {settings.kafka_brokers}   registry {settings.registry_url}   Triton {settings.triton_urls}", style="dim"
        )
        yield settings


def provision(settings: Settings) -> None:
    """All topics and schemas of the catalogue, on one node."""
    from streams.provisioning import apply

    apply(settings, SIGNALS, partitions=8, replication=1)


def wait_for_interrupt() -> None:
    """Returns at Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
