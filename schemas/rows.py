"""Records ↔ rows: between the classes of `records` and what fastavro reads and writes.

A row is a dict from field name to value; arrays are lists, a uuid is read as uuid.UUID. On the way out the schema leads: only its
fields are taken. An Entry's Findings lie flat in its row. Nothing here catches: values that do not fit raise ValueError,
LookupError, TypeError or AttributeError, which `wire` turns into WireError.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from schemas.compose import SHAPES
from schemas.records import (
    Asset,
    ContentPublished,
    Entry,
    Findings,
    Label,
    Measure,
    MediaKind,
    Metadata,
    MissingAsset,
    ModelVersion,
    Outcome,
    OutcomeRecord,
    PipelineVersion,
    Point,
    Region,
    Segment,
    SignalRecord,
    SourcePosition,
    Status,
    TextField,
    Vector,
    VectorDtype,
)

__all__ = ["Convert", "Row", "content_published", "converter", "outcome_record", "signal_record"]

Row = Mapping[str, Any]
Convert = Callable[[Any], Any]

_UUID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


# ---- record → row ----


def converter(avro_type: Any, known: dict[str, Convert | None] | None = None) -> Convert | None:
    """How a value of this type becomes what fastavro writes; None: it goes as it is.

    avro_type: parsed by fastavro, so that names are full. known: the converters of the named types so far; they grow.
    """
    known = {} if known is None else known
    if isinstance(avro_type, str):
        return known.get(avro_type)
    if isinstance(avro_type, list):
        return _optional(avro_type, known)
    kind = avro_type["type"]
    if kind == "record":
        known[avro_type["name"]] = _record(avro_type, known)
        return known[avro_type["name"]]
    if kind == "array":
        item = converter(avro_type["items"], known)
        return (lambda values: [item(value) for value in values]) if item else None
    return _LOGICAL.get(avro_type.get("logicalType"))


def _record(avro_type: Mapping[str, Any], known: dict[str, Convert | None]) -> Convert:
    names = tuple(field["name"] for field in avro_type["fields"])
    is_entry = avro_type["name"].endswith(".Entry")
    values_of = _getter([f"findings.{name}" if is_entry and name in SHAPES else name for name in names])
    converters = [(field["name"], converter(field["type"], known)) for field in avro_type["fields"]]
    nested = [(name, convert) for name, convert in converters if convert]

    def row(record: object) -> dict[str, Any]:
        converted = dict(zip(names, values_of(record), strict=True))
        for name, convert in nested:
            converted[name] = convert(converted[name])
        return converted

    return _without_loss(row, names) if is_entry and not set(SHAPES) <= set(names) else row


def _getter(paths: Sequence[str]) -> Callable[[object], tuple[Any, ...]]:
    """All these attributes of an object; attrgetter alone gives a single one bare."""
    if len(paths) > 1:
        return attrgetter(*paths)
    return lambda record: tuple(attrgetter(path)(record) for path in paths)


def _without_loss(row: Callable[[Entry], dict[str, Any]], names: Sequence[str]) -> Convert:
    """As `row`, for entries whose schema lacks some of the body shapes: raises ValueError if one of those is filled."""
    absent = [shape for shape in SHAPES if shape not in names]
    absent_of = _getter(absent)

    def checked(entry: Entry) -> dict[str, Any]:
        if any(absent_of(entry.findings)):
            filled = ", ".join(shape for shape in absent if getattr(entry.findings, shape))
            raise ValueError(f"the entry for {entry.asset_id!r} has {filled}, which the schema lacks")
        return row(entry)

    return checked


def _optional(branches: Sequence[Any], known: dict[str, Convert | None]) -> Convert | None:
    """For ["null", T]. The branch is named, which spares fastavro trying the value against each."""
    others = [branch for branch in branches if branch != "null"]
    converters = [converter(branch, known) for branch in others]
    if not any(converters):
        return None
    if len(others) > 1:
        raise ValueError(f"a union of {len(others)} types besides null, where this codec knows one only")
    branch, convert = others[0], converters[0]
    assert convert is not None
    name = branch if isinstance(branch, str) else branch.get("name", branch["type"])
    return lambda value: None if value is None else (name, convert(value))


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise ValueError(f"{value!r} is no UUID in its usual lower-case form")
    return value


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"the time {value.isoformat()} has no timezone")
    return value


_LOGICAL: Final[Mapping[str | None, Convert]] = {"uuid": _uuid, "timestamp-micros": _utc}


# ---- row → record ----


def content_published(row: Row) -> ContentPublished:
    """row: read with the schema of content-published.v1."""
    return ContentPublished(
        **{
            **row,
            "assets": tuple(Asset(**{**asset, "kind": MediaKind(asset["kind"])}) for asset in row["assets"]),
            "texts": tuple(TextField(**text) for text in row["texts"]),
            "metadata": Metadata(**{**row["metadata"], "tags": tuple(row["metadata"]["tags"])}),
            "attributes": dict(row["attributes"]),
        }
    )


def signal_record(row: Row) -> SignalRecord:
    """row: read with the schema of any signal topic. Body shapes that its entries lack are left at their defaults."""
    return SignalRecord(
        **{
            **row,
            "signal_id": str(row["signal_id"]),
            "run_id": str(row["run_id"]),
            "status": Status(row["status"]),
            "model": row["model"] and ModelVersion(**row["model"]),
            "pipeline": PipelineVersion(**row["pipeline"]),
            "timings_ms": dict(row["timings_ms"]),
            "missing": tuple(MissingAsset(**missing) for missing in row["missing"]),
            "entries": tuple(_entry(entry) for entry in row["entries"]),
        }
    )


def outcome_record(row: Row) -> OutcomeRecord:
    """row: read with the schema of signal-outcomes.v1."""
    return OutcomeRecord(
        **{
            **row,
            "run_id": str(row["run_id"]),
            "source": SourcePosition(**row["source"]),
            "planned": tuple(row["planned"]),
            "outcomes": tuple(_outcome(outcome) for outcome in row["outcomes"]),
        }
    )


def _outcome(row: Row) -> Outcome:
    signal_id = row["signal_id"]
    return Outcome(
        **{
            **row,
            "status": Status(row["status"]),
            "signal_id": None if signal_id is None else str(signal_id),
            "timings_ms": dict(row["timings_ms"]),
        }
    )


def _entry(row: Row) -> Entry:
    found = {shape: _FROM_ROW[shape](row[shape]) for shape in SHAPES if shape in row}
    return Entry(asset_id=row["asset_id"], findings=Findings(**found))


def _labels(rows: Sequence[Row]) -> tuple[Label, ...]:
    return tuple(Label(**row) for row in rows)


def _vector(row: Row | None) -> Vector | None:
    return None if row is None else Vector(**{**row, "dtype": VectorDtype(row["dtype"])})


def _segments(rows: Sequence[Row]) -> tuple[Segment, ...]:
    return tuple(Segment(**{**row, "labels": _labels(row["labels"])}) for row in rows)


def _regions(rows: Sequence[Row]) -> tuple[Region, ...]:
    return tuple(Region(**{**row, "landmarks": tuple(Point(**point) for point in row["landmarks"])}) for row in rows)


def _measures(rows: Sequence[Row]) -> tuple[Measure, ...]:
    return tuple(Measure(**row) for row in rows)


_FROM_ROW: Final[Mapping[str, Convert]] = {
    "labels": _labels,
    "vector": _vector,
    "segments": _segments,
    "regions": _regions,
    "measures": _measures,
}
