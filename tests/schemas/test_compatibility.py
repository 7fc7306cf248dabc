"""The rules for schema changes: the committed history keeps them, and each kind of change gets its verdict."""

import copy
import io
import json
from dataclasses import dataclass
from typing import Any

import avro.schema
import fastavro
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas import compose, subjects
from schemas.compatibility import problems, unreadable

OK, FAIL = True, False


@pytest.mark.parametrize("topic", subjects.topics())
def test_committed_history_keeps_the_rules(topic):
    """No committed schema, and no step between two of them, breaks a rule."""
    assert problems(subjects.history(topic)) == []


@pytest.mark.parametrize("topic", subjects.topics())
def test_reference_agrees_on_committed_history(topic):
    """The avro package, too, reads every committed version with every other."""
    versions = subjects.history(topic)
    assert all(reference_reads(writer, reader) for writer in versions for reader in versions)


def reference_reads(writer, reader) -> bool:
    """What the avro package says."""
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader=parsed(reader), writer=parsed(writer))
    return result.compatibility is SchemaCompatibilityType.compatible


def parsed(schema):
    return avro.schema.parse(json.dumps({name: value for name, value in schema.items() if not name.startswith("__")}))


def record(*fields, name="R", namespace="n", **more):
    """A record with a field that never changes, and these. A field: (name, type) or (name, type, default)."""
    made = [{"name": "id", "type": "string"}]
    made += [dict(zip(("name", "type", "default"), field, strict=False)) for field in fields]
    return {"type": "record", "name": name, "namespace": namespace, "fields": made, **more}


def enum(*symbols, default=None):
    return {"type": "enum", "name": "E", "namespace": "n", "symbols": list(symbols)} | ({"default": default} if default else {})


def array(items):
    return {"type": "array", "items": items}


def logical(kind, name, **more):
    return {"type": kind, "logicalType": name, **more}


def fixed(size):
    return {"type": "fixed", "name": "F", "namespace": "n", "size": size}


AB, ABC = ("UNKNOWN", "A"), ("UNKNOWN", "A", "B")


@dataclass
class Change:
    """One row of the matrix. backward: new reader, old data; forward: old reader, new data; rule: what `problems` adds."""

    old: Any
    new: Any
    backward: bool
    forward: bool
    rule: str | None = None
    written: Any = None


MATRIX = {
    "add a field with default": Change(record(), record(("f", "int", 0)), OK, OK),
    "add a field without default": Change(record(), record(("f", "int")), FAIL, OK),
    "remove a field that had a default": Change(record(("f", "int", 0)), record(), OK, OK),
    "remove a field without default": Change(record(("f", "int")), record(), OK, FAIL),
    "enum: add a symbol, enum default": Change(
        record(("f", enum(*AB, default="UNKNOWN"))), record(("f", enum(*ABC, default="UNKNOWN"))), OK, OK, written={"f": "B"}
    ),
    "enum in an optional field: add a symbol, enum default": Change(
        record(("f", ["null", enum(*AB, default="UNKNOWN")], None)),
        record(("f", ["null", enum(*ABC, default="UNKNOWN")], None)),
        OK,
        OK,
        written={"f": "B"},
    ),
    "enum in an array: add a symbol, enum default": Change(
        record(("f", array(enum(*AB, default="UNKNOWN")), [])),
        record(("f", array(enum(*ABC, default="UNKNOWN")), [])),
        OK,
        OK,
        written={"f": ["B"]},
    ),
    "enum: add a symbol, no default": Change(
        record(("f", enum(*AB))), record(("f", enum(*ABC))), OK, FAIL, rule="must have UNKNOWN", written={"f": "B"}
    ),
    "enum: add a symbol, a field default only": Change(
        record(("f", enum(*AB), "UNKNOWN")),
        record(("f", enum(*ABC), "UNKNOWN")),
        OK,
        FAIL,
        rule="must have UNKNOWN",
        written={"f": "B"},
    ),
    "enum: reorder symbols": Change(
        record(("f", enum("UNKNOWN", "A", "B", default="UNKNOWN"))),
        record(("f", enum("UNKNOWN", "B", "A", default="UNKNOWN"))),
        OK,
        OK,
    ),
    "int → long": Change(record(("f", "int")), record(("f", "long")), OK, FAIL),
    "float → double": Change(record(("f", "float")), record(("f", "double")), OK, FAIL),
    "T → [null, T]": Change(record(("f", "int")), record(("f", ["null", "int"], None)), OK, FAIL),
    "add a branch to a union": Change(
        record(("f", ["null", "int"], None)), record(("f", ["null", "int", "string"], None)), OK, FAIL, "must be", {"f": "x"}
    ),
    "rename a field with alias": Change(
        record(("f", "int")),
        record() | {"fields": [*record()["fields"], {"name": "g", "type": "int", "aliases": ["f"]}]},
        OK,
        FAIL,
    ),
    "rename the record": Change(record(), record(name="S"), FAIL, FAIL, rule="n.R became n.S"),
    "array of float → bytes": Change(record(("f", array("float"))), record(("f", "bytes")), FAIL, FAIL, rule="is slow to read"),
    "bytes → fixed": Change(record(("f", "bytes")), record(("f", fixed(4))), FAIL, FAIL),
    "size of a fixed": Change(record(("f", fixed(4))), record(("f", fixed(8))), FAIL, FAIL),
    "uuid string → fixed 16": Change(record(("f", logical("string", "uuid"))), record(("f", fixed(16))), FAIL, FAIL),
    "namespace": Change(record(), record(namespace="m"), OK, OK, rule="n.R became m.R"),
    "timestamp-millis → micros": Change(
        record(("f", logical("long", "timestamp-millis"))),
        record(("f", logical("long", "timestamp-micros"))),
        OK,
        OK,
        rule="timestamp-millis became timestamp-micros",
    ),
    "lose a logical type": Change(
        record(("f", ["null", logical("long", "timestamp-micros")], None)),
        record(("f", ["null", "long"], None)),
        OK,
        OK,
        rule="timestamp-micros became None",
    ),
    "scale of a decimal": Change(
        record(("f", logical("bytes", "decimal", precision=9, scale=2))),
        record(("f", logical("bytes", "decimal", precision=9, scale=3))),
        OK,
        OK,
        rule="bytes as decimal is not in use here",
    ),
    "documentation and properties": Change(record(doc="old"), record(doc="new", **{"confluent:tags": ["PII"]}), OK, OK),
}


@pytest.mark.parametrize("change", MATRIX.values(), ids=MATRIX.keys())
def test_verdicts(change):
    """Each kind of change gets the known verdict in both directions, from us and from the avro package alike."""
    assert (not unreadable(change.old, change.new), not unreadable(change.new, change.old)) == (change.backward, change.forward)
    assert (reference_reads(change.old, change.new), reference_reads(change.new, change.old)) == (change.backward, change.forward)


@pytest.mark.parametrize("change", MATRIX.values(), ids=MATRIX.keys())
def test_problems_of_changes(change):
    """A history with the change has problems exactly if it cannot be read both ways or breaks a rule of the house."""
    found = problems([change.old, change.new])
    assert bool(found) == (not (change.backward and change.forward) or change.rule is not None)
    assert any(problem.startswith("v2 cannot read v1: ") for problem in found) == (not change.backward)
    assert any(problem.startswith("v1 cannot read v2: ") for problem in found) == (not change.forward)
    assert change.rule is None or any(change.rule in problem for problem in found)


@pytest.mark.parametrize("change", [c for c in MATRIX.values() if c.written], ids=[n for n, c in MATRIX.items() if c.written])
def test_fastavro_decodes_as_judged(change):
    """What is judged readable by old readers is read by fastavro, with UNKNOWN for a symbol it lacks; what is not, is refused."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, change.new, {"id": "", **change.written})
    out.seek(0)
    if change.forward:
        read = fastavro.schemaless_reader(out, change.new, change.old)["f"]
        assert read in ("UNKNOWN", ["UNKNOWN"])
    else:
        with pytest.raises(fastavro.read.SchemaResolutionError):
            fastavro.schemaless_reader(out, change.new, change.old)


LINT = {
    "enum without UNKNOWN first": (record(("f", enum("A", "UNKNOWN", default="UNKNOWN"))), "f: the enum n.E must have UNKNOWN"),
    "enum with another default": (record(("f", enum(*AB, default="A"))), "f: the enum n.E must have UNKNOWN"),
    "optional without default": (record(("f", ["null", "int"])), "f: an optional field must have the default null"),
    "optional with T first": (record(("f", ["int", "null"], 0)), 'f: the union [int, null] must be ["null", T]'),
    "union of two": (record(("f", ["int", "string"], 0)), 'f: the union [int, string] must be ["null", T]'),
    "decimal": (record(("f", logical("bytes", "decimal", precision=9, scale=2))), "f: bytes as decimal is not in use here"),
    "milliseconds": (record(("f", logical("long", "timestamp-millis"))), "f: long as timestamp-millis is not in use here"),
    "array of float": (record(("f", array("float"), [])), "f: an array of float is slow to read"),
    "array of double": (record(("f", ["null", array("double")], None)), "f: an array of double is slow to read"),
    "deep inside": (
        record(("f", array(record(("g", {"type": "map", "values": ["null", array("float")]}, {}), name="S")), [])),
        "f[].g[]: an array of float is slow to read",
    ),
    "recursive": (record(("f", ["null", "n.R"], None)), "f: n.R contains itself"),
    "misplaced logical type": (
        record() | {"fields": [{"name": "f", "type": "long", "logicalType": "timestamp-micros"}]},
        "f: logicalType stands beside the type",
    ),
}


@pytest.mark.parametrize(("schema", "said"), LINT.values(), ids=LINT.keys())
def test_rules_for_one_version(schema, said):
    """A schema that breaks a rule of the house is named with its version, the field's path and the rule."""
    (problem,) = problems([schema])
    assert problem.startswith(f"v1: {said}")


def test_all_pairs_count():
    """A change that only the version before last cannot live with is found: each version is held against all."""
    with_default, without, back = record(("f", "int", 0)), record(), record(("f", "string", ""))
    found = problems([with_default, without, back])
    assert found == [
        "v3 cannot read v1: f: int cannot be read as string",
        "v1 cannot read v3: f: string cannot be read as int",
    ]


def changed(schema, *path, **changes):
    """A copy of the schema with the field at the path changed."""
    copied = copy.deepcopy(schema)
    at = copied
    for step in path:
        at = next(field for field in at["fields"] if field["name"] == step)
        at = at["type"] if step != path[-1] else at
        while isinstance(at, dict) and "items" in at:
            at = at["items"]
    at.update(changes)
    return copied


def test_a_real_schema_names_the_path():
    """In a schema of ours the sentence leads to the field."""
    old = compose.signal_schema("image.tags", 1, ["labels"])
    new = changed(old, "entries", "labels", "score", type="double")
    assert problems([old, new]) == ["v1 cannot read v2: entries[].labels[].score: double cannot be read as float"]


def test_new_shapes_are_an_allowed_change():
    """A signal may gain any body shape later: each has a default from birth."""
    assert problems([compose.signal_schema("a.b", 1, compose.SHAPES[:n]) for n in range(1, len(compose.SHAPES) + 1)]) == []


def test_no_avro_is_an_error():
    """What is no schema at all is fastavro's to refuse."""
    with pytest.raises(fastavro.schema.SchemaParseException):
        problems([{"type": "record", "fields": []}])
