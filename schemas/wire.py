"""Confluent's wire format around Avro: magic byte 0, schema id (4 bytes, big-endian), body.

What comes in may be hostile: whatever the bytes, `split`, `decode` and the typed readers give a value or raise WireError, and
need time and memory in proportion to the bytes that are there, not to the lengths and counts that they claim. Writers' schemas
that could break that promise, recursive ones and those with types that take no bytes, are refused.

fastavro's leniency stays: an enum index or union branch of -1 counts from the end, as Python does.
"""

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final, TypeVar, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException

from schemas import rows
from schemas.records import ContentPublished, OutcomeRecord, SignalRecord
from schemas.rows import Row

__all__ = ["Row", "WireError", "content_published", "decode", "encode", "outcome_record", "signal_record", "split"]

T = TypeVar("T")
AvroSchema = Mapping[str, Any]
"""A schema, parsed by fastavro or as JSON has it (then parsed once, as long as the object is the same). Never change one."""

_PREFIX: Final = struct.Struct(">bI")
_MAGIC: Final = 0
_UNFIT: Final = (
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    struct.error,
    SchemaResolutionError,
)
"""All that fastavro and the record classes raise for values and bytes that do not fit a schema."""


class WireError(ValueError):
    """Bytes that are no record of ours, or a record that does not fit its schema. The message says what is wrong."""


def encode(record: ContentPublished | SignalRecord | OutcomeRecord, schema: AvroSchema, schema_id: int) -> bytes:
    """The record as bytes of `schema`. schema_id: under which the registry knows it, 0 to 2**32 - 1.

    Raises WireError where the record does not fit: a value of another type, a time without timezone, an id that is no UUID, a
    body shape that is filled although the schema lacks it.
    """
    prepared = _prepare(schema)
    out = BytesIO()
    try:
        out.write(_PREFIX.pack(_MAGIC, schema_id))
        schemaless_writer(out, prepared.parsed, prepared.row(record), strict=True)
    except _UNFIT as error:
        message = f"This {type(record).__name__} does not fit the schema {prepared.name} (id {schema_id}): {_said(error)}"
        raise WireError(message) from error
    return out.getvalue()


def split(payload: bytes) -> tuple[int, bytes]:
    """The schema id and the body. Raises WireError unless the payload starts as Confluent's format does."""
    return _schema_id(payload), payload[_PREFIX.size :]


def decode(payload: bytes, writer_schema_of: Callable[[int], AvroSchema], reader_schema: AvroSchema) -> dict[str, Any]:
    """The record in the payload, read with its writer's schema and resolved to reader_schema.

    writer_schema_of: from schema id to schema; may raise LookupError, and what else it raises comes through.
    Raises WireError for anything but exactly one record that resolves.
    """
    schema_id = _schema_id(payload)
    try:
        writer_schema = writer_schema_of(schema_id)
    except LookupError as error:
        raise WireError(f"No schema is known for id {schema_id}") from error
    writer, reader = _prepare(writer_schema), _prepare(reader_schema)
    row = _whole(payload, writer, schema_id)
    return row if writer.parsed is reader.parsed else _resolved(payload, writer, reader, schema_id)


def _whole(payload: bytes, writer: "_Prepared", schema_id: int) -> dict[str, Any]:
    """All of the body, by its writer's schema. Raises WireError unless it is one record and nothing else."""
    stream = BytesIO(payload)
    stream.seek(_PREFIX.size)
    try:
        row = cast(dict[str, Any], schemaless_reader(stream, writer.parsed, None))
    except EOFError as error:
        raise WireError(f"The body ends before the record {writer.name} (schema id {schema_id}) does: {_said(error)}") from error
    except _UNFIT as error:
        raise WireError(f"The body is no record {writer.name} (schema id {schema_id}): {_said(error)}") from error
    if rest := len(payload) - stream.tell():
        raise WireError(f"{rest} bytes follow the record {writer.name} (schema id {schema_id})")
    return row


def _resolved(payload: bytes, writer: "_Prepared", reader: "_Prepared", schema_id: int) -> dict[str, Any]:
    """The record as the reader's schema wants it, from a payload that `_whole` has read to its end before.

    Never without that: fastavro passes over floats, booleans and fixed of fields that the reader lacks without looking for the
    end, so that ten bytes which claim 2**62 of them would keep it busy for years.
    """
    stream = BytesIO(payload)
    stream.seek(_PREFIX.size)
    try:
        row = cast(dict[str, Any], schemaless_reader(stream, writer.parsed, reader.parsed))
    except _UNFIT as error:
        message = f"The record {writer.name} (schema id {schema_id}) does not resolve to {reader.name}: {_said(error)}"
        raise WireError(message) from error
    return row


def content_published(row: Row) -> ContentPublished:
    """The event in a decoded row. Raises WireError if the row is not of content-published.v1."""
    return _typed(rows.content_published, row, "content-published event")


def signal_record(row: Row) -> SignalRecord:
    """The record in a decoded row of any signal topic. Raises WireError if the row is not of one."""
    return _typed(rows.signal_record, row, "signal record")


def outcome_record(row: Row) -> OutcomeRecord:
    """The ledger's record in a decoded row. Raises WireError if the row is not of signal-outcomes.v1."""
    return _typed(rows.outcome_record, row, "ledger record")


def _typed(read: Callable[[Row], T], row: Row, what: str) -> T:
    try:
        return read(row)
    except _UNFIT as error:
        raise WireError(f"The row is no {what}: {_said(error)}") from error


def _schema_id(payload: bytes) -> int:
    if len(payload) < _PREFIX.size:
        raise WireError(f"The payload has {len(payload)} bytes, but magic byte and schema id alone take {_PREFIX.size}")
    magic, schema_id = _PREFIX.unpack_from(payload)
    if magic != _MAGIC:
        raise WireError(
            f"The payload starts with byte {payload[0]}, but Avro with a schema id (Confluent's wire format) starts with 0"
        )
    return int(schema_id)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}".removesuffix(": ")


# ---- schemas, prepared once ----


class _Prepared:
    """A schema as fastavro wants it, with the way from our records to its rows, which is made when first asked for."""

    def __init__(self, schema: AvroSchema) -> None:
        try:
            self.parsed: Any = parse_schema(cast(dict[str, Any], schema))
            is_record = isinstance(self.parsed, dict) and self.parsed["type"] == "record"
            problem = _hazard(self.parsed, in_union=False, open_types=()) if is_record else "it is not that of a record"
        except (SchemaParseException, *_UNFIT) as error:
            problem = _said(error)
        if problem:
            raise WireError(f"A schema cannot be used: {problem}")
        self.given = schema  # held, so that its id() is not given to another object while the schema is remembered by it
        self.name: str = self.parsed["name"]
        self._convert: rows.Convert | None = None

    def row(self, record: object) -> Any:
        self._convert = self._convert or rows.converter(self.parsed)
        return self._convert(record) if self._convert else record


_MOST_REMEMBERED: Final = 256
_remembered: Final[dict[int, _Prepared]] = {}


def _prepare(schema: AvroSchema) -> _Prepared:
    """Equal schemas share one `parsed`, so that `decode` sees by identity where nothing needs resolving."""
    if (known := _remembered.get(id(schema))) is not None:
        return known
    prepared = _Prepared(schema)
    for other in list(_remembered.values()):
        if other.parsed == prepared.parsed:
            prepared.parsed = other.parsed
            break
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[id(schema)] = prepared
    return prepared


def _hazard(avro_type: Any, in_union: bool, open_types: tuple[str, ...]) -> str | None:
    """Why reading this type could cost more than its bytes, None if it cannot. open_types: the records that enclose it."""
    if isinstance(avro_type, list):
        return next(filter(None, (_hazard(branch, True, open_types) for branch in avro_type)), None)
    kind = avro_type["type"] if isinstance(avro_type, dict) else avro_type
    if kind == "null" and not in_union:
        return "it has null outside of a union, which takes no bytes and could come without end"
    if kind in open_types:
        return f"{kind} contains itself, and could nest without end"
    if kind == "fixed" and avro_type["size"] < 1:
        return f"{avro_type['name']} takes no bytes and could come without end"
    if kind in ("array", "map"):
        return _hazard(avro_type["items" if kind == "array" else "values"], False, open_types)
    if kind in ("record", "error"):
        if not avro_type["fields"]:
            return f"{avro_type['name']} has no fields, takes no bytes and could come without end"
        inner = (*open_types, avro_type["name"])
        return next(filter(None, (_hazard(field["type"], False, inner) for field in avro_type["fields"])), None)
    return None
