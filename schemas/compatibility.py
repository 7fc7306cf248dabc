"""The rules that every change of a topic's schema must pass.

Two kinds. **Resolution** (Avro 1.12, Schema Resolution): each version can be read by the schema of each other version, older and
newer, which registries call FULL_TRANSITIVE. **Rules of the house**, for what resolution lets pass although it breaks readers:
another unit under a logical type, another record name in generated classes, an enum that cannot grow, an optional field that
cannot go.

Resolution is judged here, in a few lines, and not by the `avro` package, because the types in use are few and a sentence that
names the field is worth more than that package's codes. The tests hold both to the same verdicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from fastavro.schema import expand_schema

__all__ = ["problems", "unreadable"]

AvroType = Any
"""An expanded Avro type: each named type stands in full wherever it is used."""

_PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""Writer's type → the reader's types that it is promoted to."""

_LOGICAL_TYPES: Final = frozenset({("string", "uuid"), ("long", "timestamp-micros")})
_NULL: Final = "null"


def problems(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong with a topic's schemas, oldest first, as sentences that name version and field; [] if nothing is.

    Raises fastavro's SchemaParseException if one is no Avro at all.
    """
    versions = [(f"v{number}", expand_schema(dict(schema))) for number, schema in enumerate(history, 1)]
    found = [f"{version}: {problem}" for version, schema in versions for problem in _of_one(schema, "", ())]
    for (older, old), (newer, new) in combinations(versions, 2):
        found += [f"{newer} cannot read {older}: {problem}" for problem in _unreadable(old, new, "")]
        found += [f"{older} cannot read {newer}: {problem}" for problem in _unreadable(new, old, "")]
        found += [f"{older} → {newer}: {problem}" for problem in _silent_changes(old, new, "")]
    return found


def unreadable(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> list[str]:
    """Why data of the writer's schema cannot be read by the reader's, as sentences that name the field; [] if it can."""
    return list(_unreadable(expand_schema(dict(writer)), expand_schema(dict(reader)), ""))


# ---- resolution ----


def _unreadable(writer: AvroType, reader: AvroType, path: str) -> Iterator[str]:
    if isinstance(writer, list):
        for branch in writer:
            yield from _unreadable(branch, reader, path)
    elif isinstance(reader, list):
        if all(any(_unreadable(writer, branch, path)) for branch in reader):
            yield f"{_at(path)}{_name(writer)} is none of {', '.join(map(_name, reader))}"
    elif _kind(writer) != _kind(reader):
        if _kind(reader) not in _PROMOTIONS.get(_kind(writer), ()):
            yield f"{_at(path)}{_name(writer)} cannot be read as {_name(reader)}"
    elif _kind(writer) in ("record", "enum", "fixed") and not _same_name(writer, reader):
        yield f"{_at(path)}{writer['name']} cannot be read as {reader['name']}, another name"
    elif _kind(writer) == "fixed" and writer["size"] != reader["size"]:
        yield f"{_at(path)}{writer['size']} bytes cannot be read as {reader['size']}"
    elif _kind(writer) == "enum":
        if "default" not in reader and (unknown := [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]):
            yield f"{_at(path)}{', '.join(unknown)} is not known to the reader's {reader['name']}, which has no enum default"
    elif _kind(writer) in ("array", "map"):
        inner = "items" if _kind(writer) == "array" else "values"
        yield from _unreadable(writer[inner], reader[inner], f"{path}[]")
    elif _kind(writer) == "record":
        yield from _unreadable_fields(writer, reader, path)


def _unreadable_fields(writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> Iterator[str]:
    written = {field["name"]: field for field in writer["fields"]}
    for field in reader["fields"]:
        inner = _join(path, field["name"])
        match = next((written[name] for name in (field["name"], *field.get("aliases", ())) if name in written), None)
        if match:
            yield from _unreadable(match["type"], field["type"], inner)
        elif "default" not in field:
            yield f"{_at(inner)}the writer has no such field, and the reader has no default for it"


def _same_name(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    """Unqualified names count, by the specification; so do the reader's aliases."""
    names = {reader["name"].rpartition(".")[2], *(alias.rpartition(".")[2] for alias in reader.get("aliases", ()))}
    return writer["name"].rpartition(".")[2] in names


# ---- what resolution lets pass ----


def _silent_changes(old: AvroType, new: AvroType, path: str) -> Iterator[str]:
    """Differences under which old and new read each other, and one of them gets something else than was meant."""
    if isinstance(old, list) and isinstance(new, list):
        for before in old:
            for after in new:
                if _kind(before) == _kind(after):
                    yield from _silent_changes(before, after, path)
        return
    if isinstance(old, list) or isinstance(new, list) or _kind(old) != _kind(new):
        return
    if _logical(old) != _logical(new):
        yield f"{_at(path)}logical type {_logical(old)} became {_logical(new)}; readers would take the old unit for the new one"
    if _kind(old) in ("record", "enum", "fixed") and old["name"] != new["name"]:
        yield f"{_at(path)}{old['name']} became {new['name']}; classes generated from the schema would break"
    if _kind(old) in ("array", "map"):
        inner = "items" if _kind(old) == "array" else "values"
        yield from _silent_changes(old[inner], new[inner], f"{path}[]")
    if _kind(old) == "record":
        after_by_name = {field["name"]: field for field in new["fields"]}
        for field in old["fields"]:
            if field["name"] in after_by_name:
                yield from _silent_changes(field["type"], after_by_name[field["name"]]["type"], _join(path, field["name"]))


# ---- rules for one version ----


def _of_one(avro_type: AvroType, path: str, enclosing: tuple[str, ...]) -> Iterator[str]:
    """enclosing: names of the records around this type."""
    kind = _kind(avro_type)
    if kind == "union":
        yield from _of_union(avro_type, path, enclosing)
    elif kind == "record":
        for field in avro_type["fields"]:
            yield from _of_field(field, _join(path, field["name"]), (*enclosing, avro_type["name"]))
    elif kind in ("array", "map"):
        if kind == "array" and _kind(avro_type["items"]) in ("float", "double"):
            yield f"{_at(path)}an array of {_kind(avro_type['items'])} is slow to read; use signals.Vector"
        yield from _of_one(avro_type["items" if kind == "array" else "values"], f"{path}[]", enclosing)
    elif kind == "enum":
        if avro_type["symbols"][0] != "UNKNOWN" or avro_type.get("default") != "UNKNOWN":
            yield f"{_at(path)}the enum {avro_type['name']} must have UNKNOWN as first symbol and own default, to grow later"
    elif kind in enclosing:
        yield f"{_at(path)}{kind} contains itself, and could nest without end"
    if (logical := _logical(avro_type)) and (kind, logical) not in _LOGICAL_TYPES:
        yield f"{_at(path)}{kind} as {logical} is not in use here; times are timestamp-micros, ids uuid strings, amounts long"


def _of_union(branches: Sequence[AvroType], path: str, enclosing: tuple[str, ...]) -> Iterator[str]:
    if len(branches) != 2 or branches[0] != _NULL:
        names = ", ".join(map(_name, branches))
        yield f'{_at(path)}the union [{names}] must be ["null", T]; other unions can never gain a branch'
    for branch in branches:
        yield from _of_one(branch, path, enclosing)


def _of_field(field: Mapping[str, Any], path: str, enclosing: tuple[str, ...]) -> Iterator[str]:
    if isinstance(field["type"], list) and field["type"][:1] == [_NULL] and field.get("default", ...) is not None:
        yield f"{_at(path)}an optional field must have the default null"
    if "logicalType" in field:
        yield f"{_at(path)}logicalType stands beside the type, where parsers pass over it; it belongs inside"
    yield from _of_one(field["type"], path, enclosing)


def _kind(avro_type: AvroType) -> str:
    if isinstance(avro_type, list):
        return "union"
    return str(avro_type["type"]) if isinstance(avro_type, dict) else str(avro_type)


def _logical(avro_type: AvroType) -> str | None:
    return avro_type.get("logicalType") if isinstance(avro_type, dict) else None


def _name(avro_type: AvroType) -> str:
    """What a person calls the type."""
    return str(avro_type["name"]) if isinstance(avro_type, dict) and "name" in avro_type else _kind(avro_type)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return f"{path}: " if path else ""
