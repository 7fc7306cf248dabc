"""A process under measurement."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.machine import on_core
from streams.settings import Settings

__all__ = ["ROOT", "child"]

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 30.0


@contextmanager
def child(arguments: Sequence[str], settings: Settings, log: Path, core: int) -> Iterator["subprocess.Popen[bytes]"]:
    """This Python with these arguments and settings, on that core; ended by SIGTERM. If it failed, its log says why."""
    given = {f"SIGNALS_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_unset=True).items()}
    with on_core(core), log.open("ab") as file:
        process = subprocess.Popen([sys.executable, *arguments], env=os.environ | given, stdout=file, stderr=file, cwd=ROOT)
    try:
        yield process
    except TimeoutError as late:
        raise TimeoutError(
            f"{late}; the log of {' '.join(arguments)} ends so:\n{log.read_text(errors='replace')[-3000:]}"
        ) from None
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
