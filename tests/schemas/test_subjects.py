"""The committed schemas: composed from the parts, mirrored by the record classes, documented; and the store that keeps them."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import avro.schema
import fastavro
import pytest
from fastavro.schema import expand_schema

from processors.catalogue import SIGNALS
from schemas import compose, records, subjects

COMPOSED = {signal.topic: compose.signal_schema(signal.name, signal.version, signal.shapes) for signal in SIGNALS} | {
    "content-published.v1": compose.content_published_schema(),
    "signal-outcomes.v1": compose.signal_outcomes_schema(),
}
EVERYTHING = compose.signal_schema("all.shapes", 1, compose.SHAPES)


@pytest.mark.parametrize("topic", COMPOSED)
def test_committed_is_composed(topic):
    """The newest committed schema of each topic is what the parts compose to now."""
    assert subjects.latest(topic) == fastavro.parse_schema(COMPOSED[topic])


def test_there_are_no_other_topics():
    """Every folder under subjects/ belongs to a known topic, and every topic has one."""
    assert subjects.topics() == tuple(sorted(COMPOSED))


@pytest.mark.parametrize("topic", COMPOSED)
def test_every_parser_takes_the_file(topic):
    """A committed file is self-contained Avro for the reference implementation too."""
    text = (subjects._SUBJECTS / topic / "v1.avsc").read_text()
    assert avro.schema.parse(text).type == "record"
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def named_types(schema):
    """Every record and enum in a schema, by unqualified name."""
    found, todo = {}, [expand_schema(schema)]
    while todo:
        match todo.pop():
            case list(branches):
                todo += branches
            case {"type": "record" | "enum", "name": name} as named:
                found[name.rpartition(".")[2]] = named
                todo += [field["type"] for field in named.get("fields", ())]
            case {"items": inner} | {"values": inner}:
                todo.append(inner)
    return found


NAMED = named_types(COMPOSED["content-published.v1"]) | named_types(COMPOSED["signal-outcomes.v1"]) | named_types(EVERYTHING)
NAMED["SignalRecord"] = NAMED.pop("AllShapes")


def test_every_record_class_has_a_schema():
    """Each class of records.py is a type in the schemas, and the other way round; Findings lies flat in Entry."""
    assert set(NAMED) | {"Findings"} == set(records.__all__)


def avro_of(hint):
    """The Avro type that mirrors a type hint, in short."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return ["null", avro_of(arguments[0])]
    if origin is tuple:
        return {"array": avro_of(arguments[0])}
    if origin is Mapping:
        return {"map": avro_of(arguments[1])}
    return {str: "string", bool: "boolean", bytes: "bytes", datetime: "timestamp-micros", int: "long", float: "double"}.get(
        hint, hint.__name__
    )


def short(avro_type):
    """An Avro type as avro_of gives it: int as long, float as double, uuid as string, named types by name."""
    match avro_type:
        case list(branches):
            return [short(branch) for branch in branches]
        case {"type": "array", "items": inner}:
            return {"array": short(inner)}
        case {"type": "map", "values": inner}:
            return {"map": short(inner)}
        case {"logicalType": "timestamp-micros"}:
            return "timestamp-micros"
        case {"name": name}:
            return name.rpartition(".")[2]
        case {"type": inner}:
            return inner
    return {"int": "long", "float": "double"}.get(avro_type, avro_type)


@pytest.mark.parametrize("name", [name for name in NAMED if dataclasses.is_dataclass(getattr(records, name))])
def test_record_mirrors_schema(name):
    """Fields have the same names, order and types in the class and in the schema."""
    cls = getattr(records, name)
    hints = typing.get_type_hints(cls)
    if name == "Entry":
        hints = {"asset_id": str} | typing.get_type_hints(records.Findings)
    assert {field["name"]: short(field["type"]) for field in NAMED[name]["fields"]} == {
        field: avro_of(hint) for field, hint in hints.items()
    }
    assert [field["name"] for field in NAMED[name]["fields"]] == list(hints)


@pytest.mark.parametrize("name", [name for name in NAMED if issubclass(getattr(records, name), StrEnum)])
def test_enum_mirrors_schema(name):
    """Enums have the same symbols in the class and in the schema, UNKNOWN first."""
    assert NAMED[name]["symbols"] == [member.value for member in getattr(records, name)]
    assert NAMED[name]["symbols"][0] == NAMED[name]["default"] == "UNKNOWN"


@pytest.mark.parametrize("name", NAMED)
def test_everything_is_documented(name):
    """Every type and every field says what it is."""
    assert len(NAMED[name]["doc"]) > 10
    assert not [field["name"] for field in NAMED[name].get("fields", ()) if len(field.get("doc", "")) < 10]


def test_every_part_is_used():
    """No part lies about unused, and each is in the file of its name."""
    parts = {json.loads(file.read_text())["name"] for file in compose._PARTS.glob("*.avsc")}
    assert parts == (set(NAMED) - {"Entry"}) | {"Findings"}


def test_entry_has_only_its_shapes():
    """A signal's Entry has asset_id and the fields of its shapes, whatever order they are named in."""
    one, other = (compose.signal_schema("a.b_c", 2, shapes) for shapes in (["labels", "vector"], ["vector", "labels"]))
    assert one == other
    assert (one["namespace"], one["name"]) == ("signals.a.b_c.v2", "ABC")
    entry = one["fields"][-1]["type"]["items"]
    assert [field["name"] for field in entry["fields"]] == ["asset_id", "labels", "vector"]
    assert [field["name"] for field in one["fields"]][-2:] == ["missing", "entries"]


def test_composing_leaves_the_parts_alone():
    """Composed schemas share nothing: changing one does not change the next."""
    first = compose.signal_schema("a.b", 1, ["labels"])
    first["fields"][0]["type"]["logicalType"] = "spoilt"
    first["fields"].clear()
    assert compose.signal_schema("a.b", 1, ["labels"])["fields"][0]["type"] == {"type": "string", "logicalType": "uuid"}


@pytest.mark.parametrize(
    ("name", "version", "shapes", "said"),
    [
        ("Loudness", 1, ["labels"], "no signal name"),
        ("a-b.c", 1, ["labels"], "no signal name"),
        ("a.b", 0, ["labels"], "versions start at 1"),
        ("a.b", 1, [], "one or more of labels, vector, segments, regions, measures"),
        ("a.b", 1, ["smells"], "one or more of labels, vector, segments, regions, measures"),
        ("a.b", 1, ["labels", "labels"], "each once"),
    ],
)
def test_what_cannot_be_composed(name, version, shapes, said):
    """A bad name, version or shape is refused with a sentence that says what to write."""
    with pytest.raises(ValueError, match=said):
        compose.signal_schema(name, version, shapes)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store in a folder of its own."""
    monkeypatch.setattr(subjects, "_SUBJECTS", tmp_path)
    subjects.history.cache_clear()
    yield tmp_path
    subjects.history.cache_clear()


def test_save_writes_a_version_only_for_a_change(store):
    """v1 for a new topic, nothing for the same schema, the next number for a changed one; history keeps all, oldest first."""
    one, two = compose.signal_schema("a.b", 1, ["labels"]), compose.signal_schema("a.b", 1, ["labels", "vector"])
    assert subjects.save("signal.a.b.v1", one) == store / "signal.a.b.v1" / "v1.avsc"
    assert subjects.save("signal.a.b.v1", one) is None
    assert subjects.latest("signal.a.b.v1") == fastavro.parse_schema(one)
    assert subjects.save("signal.a.b.v1", two) == store / "signal.a.b.v1" / "v2.avsc"
    assert subjects.history("signal.a.b.v1") == (fastavro.parse_schema(one), fastavro.parse_schema(two))
    assert subjects.topics() == ("signal.a.b.v1",)


def test_versions_are_ordered_by_number(store):
    """v10 comes after v9, not after v1."""
    for number in range(1, 12):
        subjects.save("t", {"type": "record", "name": f"R{number}", "fields": []})
    assert [schema["name"] for schema in subjects.history("t")] == [f"R{number}" for number in range(1, 12)]


def test_a_gap_in_history_is_an_error(store):
    """A deleted version is noticed, and named by what is left."""
    for number in range(1, 4):
        subjects.save("t", {"type": "record", "name": f"R{number}", "fields": []})
    (store / "t" / "v2.avsc").unlink()
    with pytest.raises(ValueError, match="has v1, v3: a version is missing"):
        subjects.history("t")


def test_unknown_topic_is_named():
    """Asking for a topic without a schema says which topic, which there are and what to do."""
    with pytest.raises(subjects.UnknownTopicError, match=r"topic 'nope\.v1'.*content-published\.v1.*signals topics schemas"):
        subjects.latest("nope.v1")


def test_latest_is_parsed_once():
    """The same object each time, so that the codec's caches hold."""
    assert subjects.latest("content-published.v1") is subjects.latest("content-published.v1")
