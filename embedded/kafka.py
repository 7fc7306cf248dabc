"""Apache Kafka on this machine: one node, KRaft, Java from a wheel."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from embedded.downloads import KAFKA, fetch
from embedded.errors import EmbeddedError
from embedded.java import QUICK_START, java_command
from embedded.ports import LOOPBACK, free_ports
from embedded.process import ServerProcess

__all__ = ["Kafka"]

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
READY_SECONDS = 60.0

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "message.max.bytes": "1048588",  # Kafka's default: what is too large for most clusters is too large here
    "log.cleaner.dedupe.buffer.size": "4194304",
    # one node holds every internal topic
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # groups notice a dead member soon (classic protocol; KIP-848, whose minima must be lowered too)
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    # a transaction left behind by a dead producer is ended a second after its time-out instead of ten
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # back in 5 s after a kill instead of 17
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}
LOGGING = """\
Configuration:
  Appenders: {Console: {name: E, target: SYSTEM_ERR, PatternLayout: {pattern: '%d %p %c{1}: %m%n'}}}
  Loggers: {Root: {level: WARN, AppenderRef: {ref: E}}}
"""


class Kafka:
    """A broker whose data, settings and log lie in `directory`; it can be killed and started again on its port and data.

    directory: its folder, kept after stop(). port: of clients; None for a free one. heap_mb: largest Java heap. settings: added
    to SETTINGS or instead of them. java_options: QUICK_START, which measurements of throughput should leave out.
    """

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        heap_mb: int = 256,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = QUICK_START,
    ) -> None:
        self.directory = directory
        free_port, self._controller_port = free_ports(2)
        self.port = port or free_port
        self.log = directory / "kafka.log"
        self._heap_mb = heap_mb
        self._java_options = java_options
        self._settings = SETTINGS | dict(settings or {})
        self._process: ServerProcess | None = None

    @property
    def brokers(self) -> str:
        """Bootstrap servers, for clients on this machine."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the broker while it runs."""
        return self._process.pid if self._process and self._process.running else None

    def start(self) -> None:
        """Fetches what is missing, starts the broker and returns when it answers clients; nothing happens if it runs.

        Raises EmbeddedError with the end of its log if it does not come up within a minute.
        """
        if self.pid is not None:
            return
        classpath = os.pathsep.join(map(str, fetch(KAFKA)))
        self._write_files()
        if not (self._data / "meta.properties").exists():
            self._format(classpath)
        self._process = ServerProcess("Kafka", self._java(classpath, "kafka.Kafka", str(self._properties)), os.environ, self.log)
        self._process.start()
        client = AdminClient({"bootstrap.servers": self.brokers, "reconnect.backoff.max.ms": 200, "log_level": 0})
        self._process.wait_until(lambda: self._answers(client), READY_SECONDS)

    def stop(self) -> None:
        """Ends it in good order; its data stay."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """Ends it as a crash would (SIGKILL); start() brings it back with its data."""
        if self._process:
            self._process.kill()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.directory / "log4j2.yaml"

    def _write_files(self) -> None:
        listeners = f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}"
        addresses = {
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{self._controller_port}",
            "log.dirs": str(self._data),
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        self._log4j.write_text(LOGGING)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in (self._settings | addresses).items()))

    def _format(self, classpath: str) -> None:
        arguments = ("kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c", str(self._properties))
        result = subprocess.run(self._java(classpath, *arguments), capture_output=True, text=True, check=False)
        if result.returncode:
            raise EmbeddedError(f"Kafka's data folder {self._data} could not be prepared:\n{result.stdout}{result.stderr}")

    def _java(self, classpath: str, *arguments: str) -> list[str]:
        return java_command(
            self._heap_mb, *self._java_options, f"-Dlog4j2.configurationFile={self._log4j}", "-cp", classpath, *arguments
        )

    def _answers(self, client: AdminClient) -> bool:
        try:
            return len(client.list_topics(timeout=1).brokers) == 1
        except KafkaException:
            return False
