"""Kafka, the schema registry and Triton together."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from embedded.downloads import APICURIO, KAFKA, Progress, fetch
from embedded.errors import EmbeddedError
from embedded.kafka import Kafka
from embedded.platform_check import unsupported_reason
from embedded.registry import Registry
from embedded.triton import Triton

__all__ = ["Report", "Stack", "State"]


class State(StrEnum):
    """Where a server is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"


Report = Callable[[str, State], None]
"""Called with a server's name (kafka, registry, triton) and its new state; from several threads, one at a time."""


class Server(Protocol):
    """What the three have in common. stop() may be called at any time, from any thread, more than once."""

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class Stack:
    """The three servers, started and stopped side by side; a context manager.

    directory: data and logs, a folder for each server. repository: a Triton model repository. models: those to load, None for
    all. report, download_progress: told what happens meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        repository: Path,
        models: Sequence[str] | None = None,
        report: Report = lambda name, state: None,
        download_progress: Progress = lambda done, total, name: None,
    ) -> None:
        self.kafka = Kafka(directory / "kafka")
        self.registry = Registry(directory / "registry")
        self.triton = Triton(repository, directory / "triton", models=models)
        self._report = report
        self._reporting = threading.Lock()
        self._download_progress = download_progress

    @property
    def servers(self) -> dict[str, Server]:
        return {"kafka": self.kafka, "registry": self.registry, "triton": self.triton}

    def environment(self) -> dict[str, str]:
        """The variables by which `signals` finds these servers."""
        return {
            "SIGNALS_KAFKA_BROKERS": self.kafka.brokers,
            "SIGNALS_REGISTRY_URL": self.registry.url,
            "SIGNALS_TRITON_URLS": self.triton.grpc_url,
        }

    def start(self) -> None:
        """Fetches what is missing and returns when all three are ready.

        Raises EmbeddedError of the first that fails, after the others were stopped.
        """
        reason = unsupported_reason()
        if reason:
            raise EmbeddedError(reason)
        for lock in (KAFKA, APICURIO):
            fetch(lock, self._download_progress)
        with ThreadPoolExecutor(len(self.servers), "start") as pool:
            tasks = [pool.submit(self._start_one, name, server) for name, server in self.servers.items()]
            try:
                for task in as_completed(tasks):
                    task.result()
                return
            except BaseException:
                self.stop()  # those that wait to be ready then give up
                pool.shutdown()
                self.stop()  # one may have been about to start
                raise

    def stop(self) -> None:
        """Ends all three; nothing happens if they do not run."""
        with ThreadPoolExecutor(len(self.servers), "stop") as pool:
            for task in [pool.submit(self._stop_one, name, server) for name, server in self.servers.items()]:
                task.result()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _start_one(self, name: str, server: Server) -> None:
        self._tell(name, State.STARTING)
        server.start()
        self._tell(name, State.READY)

    def _stop_one(self, name: str, server: Server) -> None:
        if server.pid is not None:
            self._tell(name, State.STOPPING)
            server.stop()
            self._tell(name, State.STOPPED)
        else:
            server.stop()

    def _tell(self, name: str, state: State) -> None:
        with self._reporting:
            self._report(name, state)
