"""The embedded servers of a benchmark, each on its core, in a folder that goes away."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.machine import on_core, require_on_core
from embedded.cache import cache_folder
from embedded.kafka import Kafka
from embedded.model_repository import build
from embedded.registry import Registry
from embedded.triton import Triton
from streams.settings import Settings

__all__ = ["Servers", "servers"]


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they are, a folder for logs, and Triton's process id."""

    settings: Settings
    folder: Path
    triton_pid: int


@contextmanager
def servers(kafka_core: int, triton_core: int, models: Sequence[str] = (), *, console: Console) -> Iterator["Servers"]:
    """Kafka with its registry on one core, Triton with these models, or none, on another; gone afterwards.

    Kafka runs with Java's full compiler: QUICK_START is for quick starts, not for throughput.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signals-bench-")))
        kafka, registry = Kafka(folder / "kafka", java_options=("-XX:+UseSerialGC",)), Registry(folder / "registry")
        stack.callback(console.print, "stopping the servers", style="dim")
        console.print("starting Kafka and the schema registry", style="dim")
        with on_core(kafka_core):
            stack.callback(kafka.stop)
            kafka.start()
            stack.callback(registry.stop)
            registry.start()
        for server in (kafka, registry):
            assert server.pid is not None
            require_on_core(server.pid, kafka_core)
        console.print("starting Triton", style="dim")
        triton = Triton(repository(models), folder / "triton", models=models)
        with on_core(triton_core):
            stack.callback(triton.stop)
            triton.start()
        assert triton.pid is not None
        require_on_core(triton.pid, triton_core)
        settings = Settings(kafka_brokers=kafka.brokers, registry_url=registry.url, triton_urls=triton.grpc_url)
        yield Servers(settings, folder, triton.pid)


def repository(models: Sequence[str]) -> Path:
    return build(cache_folder() / "models" / "embedded", "embedded", models or None)
