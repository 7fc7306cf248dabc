import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest
from confluent_kafka.schema_registry import SchemaRegistryError
from confluent_kafka.schema_registry.common._httpx_compat import httpx

from processors.errors import ContractError, InfrastructureError, Reason, SignalsError
from streams.clients.schema_registry import SchemaRegistry, SubjectState, map_error

TOPIC = "signal.audio.loudness.v1"
SCHEMA: dict[str, Any] = {"type": "record", "name": "Loudness", "fields": [{"name": "a", "type": "int"}]}
WIDER: dict[str, Any] = SCHEMA | {"fields": [*SCHEMA["fields"], {"name": "b", "type": "int", "default": 0}]}


class Registry(BaseHTTPRequestHandler):
    """The part of Confluent's API that the client uses, with Apicurio's two traits as switches."""

    subjects: ClassVar[dict[str, list[int]]]
    schemas: ClassVar[list[str]]
    levels: ClassVar[dict[str, str]]
    level_needs_a_version: ClassVar[bool]
    keeps_levels: ClassVar[bool]
    answer_with: ClassVar[int | None]
    requests: ClassVar[list[str]]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _absent(self, code: int) -> None:
        self._reply(404, {"error_code": code, "message": "not there"})

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        self.requests.append(f"{self.command} {path[0]}")
        if self.answer_with:
            return self._reply(self.answer_with, {"error_code": self.answer_with * 100 + 1, "message": "as told"})
        match (self.command, path):
            case ("PUT", ["config", subject]):
                if self.level_needs_a_version and subject not in self.subjects:
                    return self._absent(40401)
                if self.keeps_levels:
                    self.levels[subject] = body["compatibility"]
                return self._reply(200, body)
            case ("GET", ["config", subject]):
                if subject not in self.levels:
                    return self._absent(40408)
                return self._reply(200, {"compatibilityLevel": self.levels[subject]})
            case ("POST", ["subjects", subject, "versions"]):
                return self._register(subject, body["schema"])
            case ("POST", ["subjects", subject]):
                ids = [i for i in self.subjects.get(subject, []) if self.schemas[i - 1] == body["schema"]]
                if not ids:
                    return self._absent(40403 if subject in self.subjects else 40401)
                return self._reply(200, {"id": ids[0], "subject": subject, "version": 1, "schema": body["schema"]})
            case ("GET", ["subjects", subject, "versions"]):
                if subject not in self.subjects:
                    return self._absent(40401)
                return self._reply(200, list(range(1, len(self.subjects[subject]) + 1)))
            case ("GET", ["schemas", "ids", id]):
                if not 0 < int(id) <= len(self.schemas):
                    return self._absent(40403)
                return self._reply(200, {"schema": self.schemas[int(id) - 1]})
        return self._reply(404, {"message": "no such path"})

    def _register(self, subject: str, schema: str) -> None:
        if "incompatible" in schema and subject in self.subjects:
            return self._reply(409, {"error_code": 409, "message": "reader lacks a default for field c"})
        if schema not in self.schemas:
            self.schemas.append(schema)
        id = self.schemas.index(schema) + 1
        if id not in self.subjects.setdefault(subject, []):
            self.subjects[subject].append(id)
        return self._reply(200, {"id": id})

    do_GET = do_PUT = do_POST = _serve


@pytest.fixture
def served() -> Iterator[tuple[type[Registry], str]]:
    class Fresh(Registry):
        subjects: ClassVar[dict[str, list[int]]] = {}
        schemas: ClassVar[list[str]] = []
        levels: ClassVar[dict[str, str]] = {}
        requests: ClassVar[list[str]] = []
        level_needs_a_version = False
        keeps_levels = True
        answer_with = None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Fresh, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


Served = tuple[type[Registry], str]


@pytest.mark.parametrize("level_needs_a_version", [False, True])
def test_apply_sets_the_level_and_registers(served: Served, level_needs_a_version: bool) -> None:
    """After apply the subject is FULL_TRANSITIVE and the schema has its id, also where a level needs a version first."""
    server, url = served
    server.level_needs_a_version = level_needs_a_version
    registry = SchemaRegistry(url)
    first = registry.apply(TOPIC, SCHEMA)
    assert server.levels == {f"{TOPIC}-value": "FULL_TRANSITIVE"}
    assert registry.apply(TOPIC, SCHEMA) == first
    assert registry.apply(TOPIC, WIDER) != first
    assert server.subjects == {f"{TOPIC}-value": [1, 2]}


def test_apply_insists_on_the_level(served: Served) -> None:
    """A registry that takes the level and does not keep it is found out before anything is registered."""
    server, url = served
    server.keeps_levels = False
    with pytest.raises(InfrastructureError, match="after FULL_TRANSITIVE was set"):
        SchemaRegistry(url).apply(TOPIC, SCHEMA)
    assert server.subjects == {}


def test_apply_tells_why_a_schema_is_refused(served: Served) -> None:
    """An incompatible schema is a broken contract, told in the registry's own words."""
    _, url = served
    registry = SchemaRegistry(url)
    registry.apply(TOPIC, SCHEMA)
    with pytest.raises(ContractError, match="reader lacks a default for field c") as raised:
        registry.apply(TOPIC, SCHEMA | {"doc": "incompatible"})
    assert raised.value.reason is Reason.CONTRACT_BROKEN
    assert TOPIC in raised.value.detail


def test_schema_id_only_looks_up(served: Served) -> None:
    """A worker gets the id of the committed schema, and for a missing one the sentence that says what to run."""
    server, url = served
    with pytest.raises(InfrastructureError, match="Run `signals topics apply`") as raised:
        SchemaRegistry(url).schema_id(TOPIC, SCHEMA)
    assert raised.value.reason is Reason.REGISTRY_UNAVAILABLE
    assert server.subjects == {}
    id = SchemaRegistry(url).apply(TOPIC, SCHEMA)
    assert SchemaRegistry(url).schema_id(TOPIC, SCHEMA) == id


def test_a_schema_that_fastavro_has_parsed_is_the_same_schema(served: Served) -> None:
    """The marks of a parsed schema are not part of it."""
    _, url = served
    id = SchemaRegistry(url).apply(TOPIC, SCHEMA)
    assert SchemaRegistry(url).schema_id(TOPIC, SCHEMA | {"__fastavro_parsed__": True, "__named_schemas__": {}}) == id


def test_check_tells_the_state(served: Served) -> None:
    """Missing, other versions only, wrong level and registered are told apart, and checking changes nothing."""
    server, url = served
    assert SchemaRegistry(url).check(TOPIC, SCHEMA) == "missing"
    assert server.subjects == {}
    SchemaRegistry(url).apply(TOPIC, SCHEMA)
    assert SchemaRegistry(url).check(TOPIC, SCHEMA) is SubjectState.REGISTERED
    assert SchemaRegistry(url).check(TOPIC, WIDER) is SubjectState.OTHER_VERSIONS_ONLY
    server.levels[f"{TOPIC}-value"] = "NONE"
    assert SchemaRegistry(url).check(TOPIC, SCHEMA) is SubjectState.WRONG_COMPATIBILITY
    del server.levels[f"{TOPIC}-value"]
    assert SchemaRegistry(url).check(TOPIC, SCHEMA) is SubjectState.WRONG_COMPATIBILITY


async def test_writer_schema_is_asked_for_once(served: Served) -> None:
    """A writer's schema comes back parsed, the second time without a request."""
    server, url = served
    registry = SchemaRegistry(url)
    id = registry.apply(TOPIC, SCHEMA)
    server.requests.clear()
    fresh = SchemaRegistry(url)
    assert await fresh.writer_schema_async(id) == SCHEMA
    assert fresh.writer_schema(id) == SCHEMA
    assert await fresh.writer_schema_async(id) == SCHEMA
    assert server.requests == ["GET schemas"]


async def test_asking_does_not_block_the_loop(served: Served) -> None:
    """While the registry is asked, the loop goes on."""
    _, url = served
    registry = SchemaRegistry(url)
    id = registry.apply(TOPIC, SCHEMA)
    asking = asyncio.create_task(SchemaRegistry(url).writer_schema_async(id))
    turns = 0
    while not asking.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1
    assert asking.result() == SCHEMA


def test_an_unknown_id_makes_the_event_unreadable(served: Served) -> None:
    """No schema under the id: the event cannot be read, now or later."""
    _, url = served
    with pytest.raises(ContractError, match="id 77") as raised:
        SchemaRegistry(url).writer_schema(77)
    assert raised.value.reason is Reason.UNREADABLE_EVENT


@pytest.mark.parametrize("text", ["[1]", "{", '"string"'])
def test_a_schema_that_is_no_record_makes_the_event_unreadable(served: Served, text: str) -> None:
    """What the registry holds under the id must be an Avro record."""
    server, url = served
    server.schemas.append(text)
    with pytest.raises(ContractError, match="no Avro record"):
        SchemaRegistry(url).writer_schema(1)


def test_a_registry_that_is_away_is_an_outage() -> None:
    """Nobody listens: an infrastructure error with the address and what to do."""
    with pytest.raises(InfrastructureError, match="SIGNALS_REGISTRY_URL") as raised:
        SchemaRegistry("http://127.0.0.1:9/apis/ccompat/v7").writer_schema(1)
    assert raised.value.reason is Reason.REGISTRY_UNAVAILABLE
    assert "http://127.0.0.1:9/apis/ccompat/v7" in raised.value.detail


def test_a_wrong_path_is_not_taken_for_a_missing_schema(served: Served) -> None:
    """A 404 that is not the registry's own is a matter of the address: no event is given up for it."""
    _, url = served
    with pytest.raises(InfrastructureError, match="and its path"):
        SchemaRegistry(f"{url}/elsewhere").writer_schema(1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ContractError),
        (401, InfrastructureError),
        (403, InfrastructureError),
        (405, InfrastructureError),
        (409, ContractError),
        (422, ContractError),
        (429, InfrastructureError),
        (500, InfrastructureError),
        (503, InfrastructureError),
    ],
)
def test_each_status_has_its_class(served: Served, status: int, kind: type[SignalsError]) -> None:
    """Refusals of the schema are permanent; all else is the registry being away or out of reach."""
    server, url = served
    server.answer_with = status
    with pytest.raises(kind, match=f"answered {status}: as told"):
        SchemaRegistry(url).schema_id(TOPIC, SCHEMA)


def errors_of_httpx() -> list[type[Exception]]:
    classes = {value for value in vars(httpx).values() if isinstance(value, type) and issubclass(value, Exception)}
    return sorted((c for c in classes if issubclass(c, (httpx.HTTPError, httpx.InvalidURL))), key=lambda c: c.__name__)


@pytest.mark.parametrize("kind", [*errors_of_httpx(), SchemaRegistryError])
def test_none_of_the_clients_errors_is_unmapped(kind: type[Exception]) -> None:
    """Each exception of the HTTP client and of the registry's client becomes one of ours."""
    error = kind.__new__(kind)
    error.args = ("text",)
    if isinstance(error, SchemaRegistryError):
        error.http_status_code, error.error_code, error.error_message = 500, 50001, "text"
    assert isinstance(map_error(error, "http://registry", "do it"), InfrastructureError)


def test_credentials_stay_out_of_messages() -> None:
    """A password in the address is not shown."""
    with pytest.raises(InfrastructureError) as raised:
        SchemaRegistry("http://user:secret@127.0.0.1:9").writer_schema(1)
    assert "secret" not in raised.value.detail
    assert "http://127.0.0.1:9" in raised.value.detail


def test_an_address_that_is_none_is_told() -> None:
    """A setting that cannot be an address is named, with the form it should have."""
    with pytest.raises(InfrastructureError, match="http://host:port/path"):
        SchemaRegistry("registry:8081")
