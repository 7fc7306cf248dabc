"""The real servers. Triton is one for the whole run; Kafka and the registry are new for each test file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded.cache import cache_folder
from embedded.kafka import Kafka
from embedded.model_repository import build
from embedded.registry import Registry
from embedded.triton import Triton
from processors.catalogue import SIGNALS
from processors.signal import Signal
from schemas.records import OutcomeRecord, SignalRecord
from streams.following import Followed, Follower
from streams.provisioning import apply
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def models() -> Path:
    """The embedded profile's model repository, built once into the cache."""
    return build(cache_folder() / "models" / "embedded", "embedded", None, lambda name, done, total: None)


@pytest.fixture(scope="session")
def triton(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    server = Triton(models, tmp_path_factory.mktemp("triton"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    server = Kafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    server = Registry(tmp_path_factory.mktemp("registry"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def settings(kafka: Kafka, registry: Registry, triton: Triton, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A group with all topics and schemas; files may be read from the repository and from pytest's folders."""
    settings = Settings(
        kafka_brokers=kafka.brokers,
        registry_url=registry.url,
        triton_urls=triton.grpc_url,
        file_roots=f"{ROOT}:{tmp_path_factory.getbasetemp()}",
    )
    apply(settings, SIGNALS, partitions=8, replication=1)
    return settings


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
        return {record.content_id for record in self.ledger}


def gather(
    settings: Settings,
    content_ids: set[str],
    seconds: float,
    signals: Sequence[Signal] = SIGNALS,
    worker: Worker | None = None,
    settle_seconds: float = 1.0,
) -> Gathered:
    """Everything on the topics until each content has a ledger record, and for settle_seconds more (copies would come then)."""
    follower, gathered = Follower(settings, signals, ledger=True, from_beginning=True), Gathered()
    deadline = time.monotonic() + seconds
    try:
        for followed in follower.records():
            gathered.take(followed)
            if content_ids <= gathered.done():
                break
            assert worker is None or worker.process.poll() is None, f"the worker ended:\n{worker.text()[-3000:] if worker else ''}"
            assert time.monotonic() < deadline, (
                f"no outcome within {seconds} s for {sorted(content_ids - gathered.done())[:10]}"
                f"\n{worker.text()[-3000:] if worker else ''}"
            )
        for followed in follower.records(idle_seconds=settle_seconds):
            gathered.take(followed)
    finally:
        follower.close()
    return gathered
