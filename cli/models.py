"""`signals models build|check|serve`."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from embedded.cache import cache_folder

__all__ = ["models_command"]

REPOSITORY = click.option(
    "--repository", type=click.Path(file_okay=False, path_type=Path), help="The model repository; default: the one in the cache."
)
PROFILE = click.option("--profile", type=click.Choice(["embedded", "gpu"]), default="embedded", show_default=True)


@click.group("models")
def models_command() -> None:
    """Build, check or serve the Triton model repository.

    \b
    Example:
      signals models build --profile gpu --output ./models
    """


def repository_of(repository: Path | None, profile: str) -> Path:
    return repository or cache_folder() / "models" / profile


@models_command.command("build")
@PROFILE
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Where to; default: the cache.")
@click.option("--model", "models", multiple=True, help="Only this model; may be repeated.")
def build_command(profile: str, output: Path | None, models: tuple[str, ...]) -> None:
    """Make the repository from installed packages (extra `models`); nothing is done if it is current.

    embedded: Triton's Python backend with ONNX Runtime on CPU. gpu: NVIDIA's image, onnxruntime backend.

    \b
    Example:
      signals models build
    """
    from cli.preparation import step_bar
    from embedded.model_repository import build

    with step_bar(Console(stderr=True), "building models") as progress:
        built = build(repository_of(output, profile), profile, list(models) or None, progress)  # type: ignore[arg-type]
    click.echo(built)


@models_command.command("check")
@PROFILE
@REPOSITORY
@click.option("--live", is_flag=True, help="Also ask the Triton server of SIGNALS_TRITON_URLS.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of problems.")
def check_command(profile: str, repository: Path | None, live: bool, as_json: bool) -> None:
    """Compare every signal's tensors with the repository, and with the live server; exit code 1 on any difference.

    \b
    Example:
      signals models check --live
    """
    from cli.model_check import problems_of_repository, problems_of_server
    from streams.settings import Settings

    problems = problems_of_repository(repository_of(repository, profile))
    if live:
        problems += problems_of_server(Settings())
    if as_json:
        click.echo(json.dumps(problems, indent=2))
    else:
        click.echo("\n".join(problems) or "every signal's tensors agree with the models")
    sys.exit(1 if problems else 0)


@models_command.command("serve")
@REPOSITORY
def serve_command(repository: Path | None) -> None:
    """Serve the embedded repository with Triton alone, until Ctrl-C; prints its address as an environment line.

    \b
    Example:
      signals models serve
    """
    import tempfile

    from cli.preparation import model_repository, models_needed, wait_for_interrupt
    from embedded.triton import Triton

    repository = repository or model_repository(Console(stderr=True))
    with tempfile.TemporaryDirectory(prefix="signals-triton-") as folder:
        server = Triton(repository, Path(folder), models=models_needed())
        server.start()
        try:
            click.echo(f"export SIGNALS_TRITON_URLS={server.grpc_url}")
            wait_for_interrupt()
        finally:
            server.stop()
