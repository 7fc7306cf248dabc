"""Apicurio Registry on this machine: the Confluent-compatible schema registry of the embedded profile, in memory."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from embedded.cache import cache_folder, exclusive
from embedded.downloads import APICURIO, fetch
from embedded.java import QUICK_START, java_command
from embedded.ports import LOOPBACK, answers, free_ports
from embedded.process import ServerProcess

__all__ = ["Registry"]

READY_SECONDS = 90.0
API_PATH = "/apis/ccompat/v7"
RUNNER = "quarkus-run.jar"


class Registry:
    """A registry whose log lies in `directory`; its schemas are gone when it stops.

    port: of clients; None for a free one. Its default compatibility level is NONE until a client sets another.
    """

    def __init__(self, directory: Path, port: int | None = None, heap_mb: int = 256) -> None:
        self.directory = directory
        free_port, self._management_port = free_ports(2)
        self.port = port or free_port
        self.log = directory / "registry.log"
        self._heap_mb = heap_mb
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Base URL for clients that speak the Confluent API."""
        return f"http://{LOOPBACK}:{self.port}{API_PATH}"

    @property
    def pid(self) -> int | None:
        """Process id of the registry while it runs."""
        return self._process.pid if self._process and self._process.running else None

    def start(self) -> None:
        """Fetches and unpacks what is missing, starts the registry and returns when it answers; nothing happens if it runs.

        Raises EmbeddedError with the end of its log if it does not come up.
        """
        if self.pid is not None:
            return
        command = java_command(self._heap_mb, *QUICK_START, "-jar", str(unpacked() / RUNNER))
        self._process = ServerProcess("The schema registry", command, self._environment(), self.log)
        self._process.start()
        self._process.wait_until(lambda: answers(self.port, f"{API_PATH}/subjects"), READY_SECONDS)

    def stop(self) -> None:
        """Ends it; its schemas are lost."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """Ends it as a crash would (SIGKILL)."""
        if self._process:
            self._process.kill()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "h2",
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(self.port),
            "QUARKUS_MANAGEMENT_HOST": LOOPBACK,
            "QUARKUS_MANAGEMENT_PORT": str(self._management_port),
            "QUARKUS_LOG_CONSOLE_JSON": "false",
            "QUARKUS_LOG_LEVEL": "WARN",
            "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
        }


def unpacked() -> Path:
    """The folder of the unpacked registry, made at the first call: whole or not at all."""
    folder = cache_folder() / "unpacked" / APICURIO
    if not folder.exists():
        (archive,) = fetch(APICURIO)
        with exclusive(folder.with_name(f"{APICURIO}.lock")):
            if not folder.exists():
                unpack(archive, folder)
    return folder


def unpack(archive: Path, folder: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(unfinished, filter="data")
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
