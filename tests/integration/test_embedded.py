"""The embedded servers themselves, with a tiny model of our own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from embedded import daemon
from embedded.cache import cache_folder
from embedded.downloads import APICURIO, KAFKA, fetch
from embedded.errors import EmbeddedError
from embedded.kafka import Kafka
from embedded.registry import Registry, unpacked
from embedded.stack import Stack, State
from embedded.triton import Triton
from embedded.triton_leftovers import SHM_FOLDER

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK_ADDRESSES = {"127.0.0.1", "::ffff:127.0.0.1"}
ADDER = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse([pb.Tensor("sum", self.add(request))]) for request in requests]

    def add(self, request):
        return sum(pb.get_input_tensor_by_name(request, name).as_numpy() for name in "ab")
"""
ADDER_CONFIG = """
backend: "python"
max_batch_size: 8
input [{ name: "a" data_type: TYPE_FP32 dims: [2] }, { name: "b" data_type: TYPE_FP32 dims: [2] }]
output [{ name: "sum" data_type: TYPE_FP32 dims: [2] }]
instance_group [{ kind: KIND_CPU }]
"""
RECORD = '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}'
RECORD_WITH_REQUIRED_FIELD = (
    '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": "int"}]}'
)


@pytest.fixture(scope="module")
def adders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with `adder`, which works, and `broken`, which cannot be loaded."""
    folder = tmp_path_factory.mktemp("models")
    for name, code in (("adder", ADDER), ("broken", 'raise ValueError("no weights at hand")')):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(ADDER_CONFIG)
        (folder / name / "1" / "model.py").write_text(code)
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache folder with a stack of its own, but with what this machine has fetched already."""
    fetch(KAFKA)
    fetch(APICURIO)
    unpacked()
    for folder in list(cache_folder().iterdir()):
        if folder.name != "up":
            (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.setenv("SIGNALS_CACHE_DIR", str(tmp_path))
    yield
    daemon.down()


def wait_for_end(pids: list[int], within_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + within_seconds
    while any(map(psutil.pid_exists, pids)):
        assert time.monotonic() < deadline, f"still alive: {[pid for pid in pids if psutil.pid_exists(pid)]}"
        time.sleep(0.05)


def create_topic(brokers: str, name: str) -> None:
    client = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    client.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def listening_addresses(pid: int) -> set[str]:
    listening = [c for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    return {connection.laddr.ip for connection in listening}


def add(server: Triton) -> list[list[float]]:
    inputs = []
    for name, values in (("a", [1.0, 2.0]), ("b", [10.0, 20.0])):
        tensor = triton_grpc.InferInput(name, [1, 2], "FP32")
        tensor.set_data_from_numpy(np.array([values], dtype=np.float32))
        inputs.append(tensor)
    with triton_grpc.InferenceServerClient(server.grpc_url) as client:
        return client.infer("adder", inputs).as_numpy("sum").tolist()


def test_kafka_comes_back_with_its_data(tmp_path: Path) -> None:
    """After kill() and start() the broker has the same address and what a committed transaction wrote."""
    kafka = Kafka(tmp_path)
    kafka.start()
    try:
        brokers, pid = kafka.brokers, kafka.pid
        client = {"bootstrap.servers": brokers, "log_level": 0}
        create_topic(brokers, "t")
        producer = Producer(client | {"transactional.id": "one"})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce("t", b"kept")
        producer.commit_transaction(30)
        kafka.kill()
        assert kafka.pid is None
        kafka.start()
        assert kafka.brokers == brokers
        assert kafka.pid not in (None, pid)
        consumer = Consumer(client | {"group.id": "g", "enable.auto.commit": False})
        consumer.assign([TopicPartition("t", 0, 0)])
        message = consumer.poll(30)
        assert message is not None
        assert message.value() == b"kept"
        consumer.close()
    finally:
        kafka.stop()
    kafka.stop()


def test_kafka_notices_dead_members_soon(kafka: Kafka) -> None:
    """The new group protocol works, and a member that falls silent loses its partitions to another after about six seconds."""
    assert kafka.pid is not None
    assert listening_addresses(kafka.pid) <= LOOPBACK_ADDRESSES
    client = {"bootstrap.servers": kafka.brokers, "group.id": "soon", "group.protocol": "consumer", "log_level": 0}
    create_topic(kafka.brokers, "soon")
    code = f"""
from confluent_kafka import Consumer
consumer = Consumer({client!r})
consumer.subscribe(["soon"])
while not consumer.assignment():
    consumer.poll(0.1)
print("assigned", flush=True)
while True:
    consumer.poll(1)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == b"assigned\n"
        member.kill()
    began = time.monotonic()
    consumer = Consumer(client)
    consumer.subscribe(["soon"])
    while not consumer.assignment():
        consumer.poll(0.1)
        assert time.monotonic() - began < 20
    consumer.close()


def test_registry_refuses_what_breaks_readers(registry: Registry) -> None:
    """The Confluent API with a compatibility level works; a schema that breaks readers is refused with 409."""
    with SchemaRegistryClient({"url": registry.url}) as client:
        client.set_compatibility(None, "FULL_TRANSITIVE")
        assert client.get_compatibility() == "FULL_TRANSITIVE"
        schema_id = client.register_schema("s-value", Schema(RECORD, "AVRO"))
        assert client.register_schema("s-value", Schema(RECORD, "AVRO")) == schema_id
        with pytest.raises(SchemaRegistryError) as refusal:
            client.register_schema("s-value", Schema(RECORD_WITH_REQUIRED_FIELD, "AVRO"))
    assert refusal.value.http_status_code == 409
    assert registry.pid is not None
    assert listening_addresses(registry.pid) <= LOOPBACK_ADDRESSES


def test_triton_serves(adders: Path, tmp_path: Path) -> None:
    """The chosen model answers, with metrics, on loopback only; stop() and kill() leave no process and no region behind."""
    server = Triton(adders, tmp_path, models=["adder"])
    others = set(regions())  # of the server that other tests share
    for end in (server.stop, server.kill):
        server.start()
        assert add(server) == [[11.0, 22.0]]
        assert 'nv_inference_request_success{model="adder",version="1"} 1' in httpx.get(server.metrics_url, trust_env=False).text
        assert server.pid is not None
        assert listening_addresses(server.pid) <= LOOPBACK_ADDRESSES
        processes = [server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True))]
        assert len(processes) >= 2
        end()
        wait_for_end(processes, 2)
        assert set(regions()) == others


def regions() -> Iterator[Path]:
    """Shared memory of Tritons that this process started."""
    return SHM_FOLDER.glob(f"content_signals_{os.getpid()}_*")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            ["adder", "broken"],
            r"Triton could not load broken: Internal: ValueError: no weights at hand; its log is .*triton\.log",
        ),
        (["nowhere"], r"Triton could not load nowhere: model not found in any model repository"),
    ],
)
def test_triton_names_the_model_that_fails(adders: Path, tmp_path: Path, models: list[str], message: str) -> None:
    """A model that cannot be loaded is named with the reason, and no server is left."""
    server = Triton(adders, tmp_path, models=models)
    with pytest.raises(EmbeddedError, match=message):
        server.start()
    assert server.pid is None


def test_triton_ends_with_its_owner(adders: Path, tmp_path: Path) -> None:
    """When the process that started Triton is killed with SIGKILL, its models' processes and regions go too."""
    code = f"""
import pathlib, time, psutil
from embedded.triton import Triton
server = Triton(pathlib.Path({str(adders)!r}), pathlib.Path({str(tmp_path)!r}), models=["adder"])
server.start()
print(server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True)), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        processes = [int(word) for word in owner.stdout.readline().split()]
        assert len(processes) >= 2
        assert list(SHM_FOLDER.glob(f"content_signals_{owner.pid}_*"))
        owner.kill()
    wait_for_end(processes)
    deadline = time.monotonic() + 5
    while list(SHM_FOLDER.glob(f"content_signals_{owner.pid}_*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stack(adders: Path, tmp_path: Path) -> None:
    """The three start together, tell their states, and are found through the environment."""
    told: list[tuple[str, State]] = []
    with Stack(tmp_path, adders, ["adder"], report=lambda name, state: told.append((name, state))) as stack:
        environment = stack.environment()
        assert environment == {
            "SIGNALS_KAFKA_BROKERS": stack.kafka.brokers,
            "SIGNALS_REGISTRY_URL": stack.registry.url,
            "SIGNALS_TRITON_URLS": stack.triton.grpc_url,
        }
        assert AdminClient({"bootstrap.servers": environment["SIGNALS_KAFKA_BROKERS"]}).list_topics(timeout=10).brokers
        assert httpx.get(f"{environment['SIGNALS_REGISTRY_URL']}/subjects", trust_env=False).json() == []
        assert add(stack.triton) == [[11.0, 22.0]]
        pids = [server.pid for server in stack.servers.values()]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    for name in ("kafka", "registry", "triton"):
        assert [state for told_name, state in told if told_name == name] == list(State)


def test_stack_that_fails_leaves_nothing(adders: Path, tmp_path: Path) -> None:
    """If one server fails its error is told, and the others are stopped."""
    before = {child.pid for child in psutil.Process().children()}
    stack = Stack(tmp_path, adders, ["broken"])
    with pytest.raises(EmbeddedError, match="could not load broken"):
        stack.start()
    assert [server.pid for server in stack.servers.values()] == [None, None, None]
    assert {child.pid for child in psutil.Process().children()} <= before


def test_up_status_down(adders: Path, own_cache: None) -> None:
    """up() starts a stack that outlives the process that asked for it and is found again by others; down() ends it.

    Its topics can be kept. One of which a server died is replaced, and if that fails the reason is told and nothing is left.
    """
    code = f"import pathlib; from embedded import daemon; daemon.up(pathlib.Path({str(adders)!r}), ['adder'])"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    status = daemon.status()
    assert [(server.name, server.alive) for server in status.servers] == [("kafka", True), ("registry", True), ("triton", True)]
    assert status.stack is not None
    assert daemon.up(adders, ["adder"]) == status.stack
    create_topic(status.stack.environment["SIGNALS_KAFKA_BROKERS"], "kept")
    assert daemon.down() is True
    wait_for_end([server.pid for server in status.servers if server.pid], 1)
    assert daemon.status().servers == []

    again = daemon.up(adders, ["adder"], keep_data=True)
    client = AdminClient({"bootstrap.servers": again.environment["SIGNALS_KAFKA_BROKERS"], "log_level": 0})
    assert "kept" in client.list_topics(timeout=10).topics
    registry_pid = again.servers[1].pid
    assert registry_pid is not None
    os.kill(registry_pid, signal.SIGKILL)
    wait_for_end([registry_pid])
    assert [server.alive for server in daemon.status().servers] == [True, False, True]
    with pytest.raises(EmbeddedError, match="could not load broken: Internal: ValueError: no weights at hand"):
        daemon.up(adders, ["broken"])
    assert daemon.status().servers == []
    assert not any(server.alive for server in again.servers)
