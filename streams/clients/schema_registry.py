"""The schema registry, through confluent-kafka's client; Confluent's API, so Apicurio's `/apis/ccompat/v7` as well.

Subjects are named by topic (`<topic>-value`), said here and not left to the client's default. Only `apply` writes.
"""

import asyncio
import json
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.common._httpx_compat import httpx

from processors.errors import ContractError, InfrastructureError, Reason, SignalsError

__all__ = ["COMPATIBILITY", "SchemaRegistry", "SubjectState", "map_error"]

COMPATIBILITY: Final = "FULL_TRANSITIVE"

_TIMEOUT_SECONDS: Final = 10
_RETRIES: Final = 1
_RETRY_AFTER_MS: Final = 200

AvroSchema = Mapping[str, Any]


class SubjectState(StrEnum):
    """How a topic's subject stands against the committed schema."""

    REGISTERED = "registered"
    MISSING = "missing"
    OTHER_VERSIONS_ONLY = "other versions only"
    WRONG_COMPATIBILITY = "wrong compatibility level"


# Status → what kind of failure, which reason, what to do. Statuses that are not here: the registry is away (5xx and the like).
_BY_STATUS: Final[Mapping[int, tuple[type[SignalsError], Reason, str]]] = {
    HTTPStatus.BAD_REQUEST: (ContractError, Reason.CONTRACT_BROKEN, "Correct the schema."),
    HTTPStatus.UNAUTHORIZED: (InfrastructureError, Reason.REGISTRY_UNAVAILABLE, "Check the credentials in SIGNALS_REGISTRY_URL."),
    HTTPStatus.FORBIDDEN: (InfrastructureError, Reason.REGISTRY_UNAVAILABLE, "Check the credentials in SIGNALS_REGISTRY_URL."),
    HTTPStatus.NOT_FOUND: (InfrastructureError, Reason.REGISTRY_UNAVAILABLE, "Check SIGNALS_REGISTRY_URL and its path."),
    HTTPStatus.METHOD_NOT_ALLOWED: (InfrastructureError, Reason.REGISTRY_UNAVAILABLE, "Check SIGNALS_REGISTRY_URL and its path."),
    HTTPStatus.CONFLICT: (ContractError, Reason.CONTRACT_BROKEN, "Change the schema by the rules, or start a new major version."),
    HTTPStatus.UNPROCESSABLE_ENTITY: (ContractError, Reason.CONTRACT_BROKEN, "Correct the schema."),
}
_AWAY: Final = (InfrastructureError, Reason.REGISTRY_UNAVAILABLE, "Start one (`signals up`) or set SIGNALS_REGISTRY_URL.")


def map_error(error: SchemaRegistryError | httpx.HTTPError | httpx.InvalidURL, url: str, doing: str) -> SignalsError:
    """The client's error as ours. doing: what was tried, as in "register the schema of signal.audio.loudness.v1"."""
    if isinstance(error, SchemaRegistryError):
        kind, reason, advice = _BY_STATUS.get(error.http_status_code, _AWAY)
        said = f"answered {error.http_status_code}: {error.error_message}"
    else:
        kind, reason, advice = _AWAY
        said = f"does not answer ({type(error).__name__}: {error})"
    return kind(reason, f"Cannot {doing}: the registry at {url} {said.rstrip('.')}. {advice}")


class SchemaRegistry:
    """Looks schemas up by topic or id, and registers them for operators. Blocking, but for `writer_schema_async`; thread-safe.

    Every verb raises InfrastructureError (REGISTRY_UNAVAILABLE) while the registry is away. `close()` ends its connections, as
    does letting go of the object.
    """

    def __init__(self, url: str) -> None:
        self._url = _without_credentials(url)
        self._writer_schemas: dict[int, dict[str, Any]] = {}
        try:
            self._client = SchemaRegistryClient(
                {"url": url, "timeout": _TIMEOUT_SECONDS, "max.retries": _RETRIES, "retries.wait.ms": _RETRY_AFTER_MS}
            )
        except ValueError:
            detail = f"{self._url!r} is no address of a schema registry. Set SIGNALS_REGISTRY_URL to http://host:port/path."
            raise InfrastructureError(Reason.REGISTRY_UNAVAILABLE, detail) from None
        self.close = weakref.finalize(self, self._client.close)

    def schema_id(self, topic: str, schema: AvroSchema) -> int:
        """The id under which this very schema is registered for the topic; registers nothing.

        Raises InfrastructureError, also where it is missing: somebody has still to apply it.
        """
        if (found := self._looked_up(topic, schema)) is not None:
            return found
        detail = f"The registry at {self._url} lacks the committed schema of {topic}. Run `signals topics apply`."
        raise InfrastructureError(Reason.REGISTRY_UNAVAILABLE, detail)

    def writer_schema(self, schema_id: int) -> dict[str, Any]:
        """The schema with this id, parsed from JSON; asked for once. Raises ContractError (UNREADABLE_EVENT) if unknown."""
        if schema_id in self._writer_schemas:
            return self._writer_schemas[schema_id]
        with self._errors(f"read the schema with id {schema_id}"):
            try:
                text = self._client.get_schema(schema_id).schema_str
            except SchemaRegistryError as error:
                if not _absent(error):
                    raise
                detail = f"The registry at {self._url} knows no schema with id {schema_id}. Register it before events are sent."
                raise ContractError(Reason.UNREADABLE_EVENT, detail) from None
        try:
            self._writer_schemas[schema_id] = _record_schema(text)
        except ValueError:
            detail = f"The schema with id {schema_id} in the registry at {self._url} is no Avro record."
            raise ContractError(Reason.UNREADABLE_EVENT, detail) from None
        return self._writer_schemas[schema_id]

    async def writer_schema_async(self, schema_id: int) -> dict[str, Any]:
        """As `writer_schema`, without blocking the event loop."""
        if schema_id in self._writer_schemas:
            return self._writer_schemas[schema_id]
        return await asyncio.to_thread(self.writer_schema, schema_id)

    def apply(self, topic: str, schema: AvroSchema) -> int:
        """Makes the topic's subject FULL_TRANSITIVE, registers the schema, gives its id; the same again changes nothing.

        The level is set first and read back: Apicurio checks nothing until it is set (its default is NONE), and takes none for a
        subject without a version. Raises ContractError if the registry refuses the schema, InfrastructureError.
        """
        if not self._level_set(topic):
            self._registered(topic, schema)
            self._level_set(topic)
        with self._errors(f"read the compatibility level of {topic}"):
            level = self._compatibility(topic)
        if level != COMPATIBILITY:
            detail = f"The registry at {self._url} keeps {topic} at {level} after {COMPATIBILITY} was set. Set it there."
            raise InfrastructureError(Reason.REGISTRY_UNAVAILABLE, detail)
        return self._registered(topic, schema)

    def check(self, topic: str, schema: AvroSchema) -> SubjectState:
        """How the topic's subject stands, changing nothing."""
        with self._errors(f"check the schema of {topic}"):
            if self._looked_up(topic, schema) is None:
                return SubjectState.OTHER_VERSIONS_ONLY if self._has_versions(topic) else SubjectState.MISSING
            right = self._compatibility(topic) == COMPATIBILITY
            return SubjectState.REGISTERED if right else SubjectState.WRONG_COMPATIBILITY

    def _registered(self, topic: str, schema: AvroSchema) -> int:
        with self._errors(f"register the schema of {topic}"):
            return int(self._client.register_schema(_subject(topic), _avro(schema)))

    def _level_set(self, topic: str) -> bool:
        """False where the subject must have a version first."""
        with self._errors(f"set the compatibility level of {topic}"):
            try:
                self._client.set_compatibility(_subject(topic), COMPATIBILITY)
            except SchemaRegistryError as error:
                if not _absent(error):
                    raise
                return False
        return True

    def _looked_up(self, topic: str, schema: AvroSchema) -> int | None:
        with self._errors(f"look up the schema of {topic}"):
            try:
                found = self._client.lookup_schema(_subject(topic), _avro(schema)).schema_id
            except SchemaRegistryError as error:
                if not _absent(error):
                    raise
                return None
        return None if found is None else int(found)

    def _has_versions(self, topic: str) -> bool:
        try:
            return bool(self._client.get_versions(_subject(topic)))
        except SchemaRegistryError as error:
            if not _absent(error):
                raise
            return False

    def _compatibility(self, topic: str) -> str | None:
        """None where the subject has no level of its own."""
        try:
            return str(self._client.get_compatibility(_subject(topic)))
        except SchemaRegistryError as error:
            if not _absent(error):
                raise
            return None

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (SchemaRegistryError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise map_error(error, self._url, doing) from error


def _subject(topic: str) -> str:
    return f"{topic}-value"


def _avro(schema: AvroSchema) -> Schema:
    """The schema as the client wants it, without the marks that fastavro leaves on one it has parsed."""
    plain = {name: value for name, value in schema.items() if not name.startswith("__")}
    return Schema(json.dumps(plain, separators=(",", ":"), ensure_ascii=False), "AVRO")


def _absent(error: SchemaRegistryError) -> bool:
    """Whether a 404 speaks of a subject, version, schema or level (404xx of Confluent's API), not of a wrong address."""
    return bool(error.http_status_code == HTTPStatus.NOT_FOUND and 40400 < (error.error_code or 0) < 40500)


def _record_schema(text: str | None) -> dict[str, Any]:
    schema = json.loads(text or "null")
    if not isinstance(schema, dict):
        raise ValueError(text)
    return schema


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
