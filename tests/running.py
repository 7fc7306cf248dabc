"""Workers and commands as child processes, and what comes on the topics."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from processors.catalogue import SIGNALS
from processors.signal import Signal
from schemas.records import OutcomeRecord, SignalRecord
from streams.following import Followed, Follower
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The settings as a child process's environment; `tests` is importable there."""
    ours = {
        "SIGNALS_KAFKA_BROKERS": settings.kafka_brokers,
        "SIGNALS_REGISTRY_URL": settings.registry_url,
        "SIGNALS_TRITON_URLS": settings.triton_urls,
        "SIGNALS_GROUP": settings.group,
        "SIGNALS_INPUT_TOPIC": settings.input_topic,
        "SIGNALS_FILE_ROOTS": settings.file_roots,
        "SIGNALS_CONCURRENCY": str(settings.concurrency),
        "PYTHONPATH": str(ROOT / "tests"),
        "COLUMNS": "200",
    }
    return os.environ | ours | more


class Worker:
    """A worker process and its log."""

    def __init__(self, command: Sequence[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, env=env, stdout=file, stderr=file, cwd=ROOT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=30)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def running_worker(settings: Settings, folder: Path, **more: str) -> Iterator[Worker]:
    """`signals worker` as a child; ended by SIGTERM afterwards, if it has not been before."""
    worker = Worker([sys.executable, "-m", "cli.main", "worker"], environment(settings, **more), folder / "worker.log")
    try:
        yield worker
    finally:
        try:
            worker.stop()
        except subprocess.TimeoutExpired:
            worker.kill()
            raise


def signals_command(settings: Settings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `signals …` to its end."""
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(
        command, env=environment(settings, **more), cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


class Gathered:
    """What came on signal topics and ledger for some contents."""

    def __init__(self) -> None:
        self.signals: list[SignalRecord] = []
        self.ledger: list[OutcomeRecord] = []

    def take(self, followed: Followed | None) -> None:
        if followed is None:
            return
        if isinstance(followed.value, SignalRecord):
            self.signals.append(followed.value)
        elif isinstance(followed.value, OutcomeRecord):
            self.ledger.append(followed.value)

    def done(self) -> set[str]:
        """Contents whose ledger record is here with all signal records that it speaks of; they come from different partitions."""
        signals = {record.signal_id for record in self.signals}
        return {
            record.content_id
            for record in self.ledger
            if all(outcome.signal_id in signals for outcome in record.outcomes if outcome.signal_id)
        }


def gather(
    settings: Settings,
    content_ids: set[str],
    seconds: float,
    signals: Sequence[Signal] = SIGNALS,
    worker: Worker | None = None,
    settle_seconds: float = 1.0,
) -> Gathered:
    """Everything on the topics until each content is done, and for settle_seconds more (copies would come then)."""
    follower, gathered = Follower(settings, signals, ledger=True, from_beginning=True), Gathered()
    deadline = time.monotonic() + seconds
    try:
        for followed in follower.records():
            gathered.take(followed)
            if followed is None and content_ids <= gathered.done():
                break
            assert worker is None or worker.process.poll() is None, (
                f"the worker ended:\n{worker.text()[-3000:] if worker else ''}"
            )
            assert time.monotonic() < deadline, (
                f"no outcome within {seconds} s for {sorted(content_ids - gathered.done())[:10]}"
                f"\n{worker.text()[-3000:] if worker else ''}"
            )
        for followed in follower.records(idle_seconds=settle_seconds):
            gathered.take(followed)
    finally:
        follower.close()
    return gathered
