"""Reads content-published events: Avro with the Confluent prefix, by the writer's own schema, resolved to ours; checks them."""

from collections import Counter
from typing import Any

from processors.errors import ContractError, Reason
from schemas import subjects, wire
from schemas.records import ContentPublished, MediaKind
from streams.backoff import persist
from streams.clients.schema_registry import SchemaRegistry
from streams.record import Record

__all__ = ["EventReader", "check_contract"]


MOST_ID = 512
MOST_MATERIALS = 1_000


class EventReader:
    """Knows the writers' schemas it has met. A new id is asked of the registry once."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._reader_schema = subjects.latest("content-published.v1")
        self._writer_schemas: dict[int, Any] = {}

    async def read(self, record: Record) -> ContentPublished:
        """Raises ContractError for what nobody can read or what breaks the contract. record.value is not None."""
        try:
            schema_id, _ = wire.split(record.value or b"")
            if schema_id not in self._writer_schemas:
                schema, _ = await persist(lambda: self._registry.writer_schema_async(schema_id))
                self._writer_schemas[schema_id] = schema
            event = wire.content_published(
                wire.decode(record.value or b"", self._writer_schemas.__getitem__, self._reader_schema)
            )
        except wire.WireError as error:
            raise ContractError(Reason.UNREADABLE_EVENT, str(error)) from None
        check_contract(event, record.key)
        return event


def check_contract(event: ContentPublished, key: bytes | None) -> None:
    """What the schema cannot say. Raises ContractError with the first thing that is wrong."""
    problems = [
        f"{name} has {len(value)} characters, more than {MOST_ID}" for name, value in ids_of(event) if len(value) > MOST_ID
    ]
    if (materials := len(event.assets) + len(event.texts)) > MOST_MATERIALS:
        problems.append(
            f"the event has {materials} assets and texts, more than {MOST_MATERIALS}; publish them as several contents"
        )
    if key != event.content_id.encode():
        problems.append(f"the record's key is {key!r}, but must be the content id {event.content_id!r}")
    ids = Counter([asset.asset_id for asset in event.assets] + [text.name for text in event.texts])
    problems += [f"{id!r} names {count} assets or texts; each needs a name of its own" for id, count in ids.items() if count > 1]
    unknown = [asset.asset_id for asset in event.assets if asset.kind is MediaKind.UNKNOWN]
    problems += [f"asset {id!r} is of a kind that is not known here (AUDIO, IMAGE, VIDEO, TEXT are)" for id in unknown]
    if problems:
        raise ContractError(Reason.CONTRACT_BROKEN, problems[0])


def ids_of(event: ContentPublished) -> list[tuple[str, str]]:
    """What identifies the event and its parts, by what it is called."""
    ids = [("content_id", event.content_id), ("event_id", event.event_id), ("tenant", event.tenant)]
    ids += [("an asset_id", asset.asset_id) for asset in event.assets]
    return ids + [("a text's name", text.name) for text in event.texts]
