"""The wire codec: records come back as they went, and every Avro implementation reads the same bytes."""

import dataclasses
import io
import json
import struct
from datetime import UTC, datetime
from types import MappingProxyType

import avro.io
import avro.schema
import fastavro
import pytest
import record_strategies as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import compose, subjects, wire
from schemas.records import (
    ContentPublished,
    Entry,
    Findings,
    Measure,
    MediaKind,
    ModelVersion,
    PipelineVersion,
    SignalRecord,
    Status,
    TextField,
    Vector,
    VectorDtype,
)

EVENTS = subjects.latest("content-published.v1")
LEDGER = subjects.latest("signal-outcomes.v1")
LOUDNESS = subjects.latest("signal.audio.loudness.v1")
EMBEDDING = subjects.latest("signal.text.embedding.v1")
EVERYTHING = fastavro.parse_schema(compose.signal_schema("all.shapes", 1, compose.SHAPES))
ID = 0x01020304
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

every_record = st.one_of(
    st.tuples(made.events, st.just(EVENTS), st.just(wire.content_published)),
    st.tuples(made.outcome_records, st.just(LEDGER), st.just(wire.outcome_record)),
    st.tuples(made.signal_records(compose.SHAPES), st.just(EVERYTHING), st.just(wire.signal_record)),
    st.tuples(made.signal_records(["measures"]), st.just(LOUDNESS), st.just(wire.signal_record)),
)


def loudness_record(**changes) -> SignalRecord:
    fields = {
        "signal_id": "0d2e9e0c-53c5-5d3b-8b5a-3d0f6f6c1a11",
        "run_id": "7c9d6a1e-10b4-5f0f-9a51-0a4a3d1c2b22",
        "signal": "audio.loudness",
        "content_id": "c1",
        "content_version": 3,
        "tenant": "t",
        "source_event_id": "e1",
        "published_at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        "produced_at": datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
        "status": Status.OK,
        "model": None,
        "pipeline": PipelineVersion(version="0.1.0", config_hash="00ff00ff00ff00ff"),
        "timings_ms": {"decode": 12},
        "entries": (
            Entry(asset_id="a1", findings=Findings(measures=(Measure(name="integrated_loudness", value=-23.5, unit="LUFS"),))),
        ),
    }
    return SignalRecord(**fields | changes)


def reference(schema):
    """A schema as the avro package parses it."""
    return avro.schema.parse(json.dumps({name: value for name, value in schema.items() if not name.startswith("__")}))


def body_of(payload: bytes) -> io.BytesIO:
    return io.BytesIO(payload[5:])


@PATIENT
@given(every_record)
def test_round_trip(case):
    """Every record comes back equal to what was written."""
    record, schema, typed = case
    payload = wire.encode(record, schema, ID)
    assert typed(wire.decode(payload, {ID: schema}.__getitem__, schema)) == record


@PATIENT
@given(every_record)
def test_other_implementations_read_it(case):
    """Plain fastavro and the avro package read the body to the same values, and the avro package writes the same bytes."""
    record, schema, typed = case
    payload = wire.encode(record, schema, ID)
    plain = fastavro.schemaless_reader(body_of(payload), schema)
    by_reference = avro.io.DatumReader(reference(schema)).read(avro.io.BinaryDecoder(body_of(payload)))
    assert typed(plain) == typed(by_reference) == record
    out = io.BytesIO()
    avro.io.DatumWriter(reference(schema)).write(by_reference, avro.io.BinaryEncoder(out))
    assert out.getvalue() == payload[5:]


def test_golden_bytes():
    """These bytes, written by the avro package, are what a v1 loudness record is, for as long as v1 lives."""
    golden = bytes.fromhex(GOLDEN)
    v1 = subjects.history("signal.audio.loudness.v1")[0]
    assert wire.encode(loudness_record(), v1, 7) == b"\x00\x00\x00\x00\x07" + golden
    assert wire.signal_record(wire.decode(b"\x00\x00\x00\x00\x07" + golden, {7: v1}.__getitem__, LOUDNESS)) == loudness_record()


GOLDEN = (
    "4830643265396530632d353363352d356433622d386235612d3364306636663663316131314837633964366131652d313062342d356630662d396135"
    "312d3061346133643163326232321c617564696f2e6c6f75646e6573730463310602740465318ccde7e4ded7a30680d6e1e5ded7a30602000a302e31"
    "2e30203030666630306666303066663030666600020c6465636f6465180000020461310226696e74656772617465645f6c6f75646e65737300000000"
    "008037c0084c5546530000"
)


@PATIENT
@given(st.integers(0, 2**32 - 1))
def test_prefix(schema_id):
    """A payload starts with a zero and the schema id, four bytes, big-endian."""
    payload = wire.encode(loudness_record(), LOUDNESS, schema_id)
    assert payload[:5] == b"\x00" + struct.pack(">I", schema_id)
    assert wire.split(payload) == (schema_id, payload[5:])


def test_vector_bytes():
    """An embedding's bytes stand in the body as they are, little-endian, and come back untouched."""
    data = struct.pack("<3f", 1.0, -0.5, 2.0**-20)
    vector = Vector(dtype=VectorDtype.FLOAT32_LE, dim=3, normalized=False, data=data)
    record = loudness_record(entries=(Entry(asset_id="a", findings=Findings(vector=vector)),))
    payload = wire.encode(record, EMBEDDING, ID)
    assert bytes([len(data) * 2]) + data in payload
    (entry,) = wire.signal_record(wire.decode(payload, {ID: EMBEDDING}.__getitem__, EMBEDDING)).entries
    assert struct.unpack("<3f", entry.findings.vector.data) == (1.0, -0.5, 2.0**-20)


def test_only_the_schemas_shapes_are_in_the_body():
    """A signal's entries carry no empty shapes of other signals."""
    row = wire.decode(wire.encode(loudness_record(), LOUDNESS, ID), {ID: LOUDNESS}.__getitem__, LOUDNESS)
    assert set(row["entries"][0]) == {"asset_id", "measures"}


def test_any_mapping_and_enum_will_do():
    """Mappings that are no dicts and enum members as strings are written like their plain counterparts."""
    plain = ContentPublished(
        event_id="e",
        content_id="c",
        content_version=1,
        tenant="t",
        published_at=datetime(2026, 1, 2, tzinfo=UTC),
        attributes={"a": "b"},
    )
    dressed = dataclasses.replace(plain, attributes=MappingProxyType({"a": "b"}), tenant=MediaKind.AUDIO)
    assert wire.encode(dressed, EVENTS, 1) == wire.encode(dataclasses.replace(plain, tenant="AUDIO"), EVENTS, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"published_at": datetime(2026, 1, 2)}, "2026-01-02T00:00:00 has no timezone"),  # noqa: DTZ001
        ({"published_at": 5}, "tzinfo"),
        ({"signal_id": "s1"}, "'s1' is no UUID"),
        ({"signal_id": None}, "NoneType"),
        ({"content_id": None}, "content_id"),
        ({"content_id": "\ud800"}, "surrogates not allowed"),
        ({"content_version": 2**63}, "OverflowError"),
        ({"content_version": "3"}, "content_version"),
        ({"status": "FINE"}, "FINE"),
        ({"pipeline": None}, "NoneType"),
        ({"model": PipelineVersion(version="1", config_hash="")}, "name"),
        ({"model": ModelVersion(name=None, version="1")}, "name"),
        ({"timings_ms": {1: 2}}, "timings_ms"),
        ({"timings_ms": {"decode": "long"}}, "int"),
        (
            {"entries": (Entry(asset_id="a7", findings=Findings(vector=Vector(dtype="x", dim=1, normalized=True, data=b""))),)},
            "'a7' has vector",
        ),
        ({"entries": 1}, "iterable"),
    ],
)
def test_what_does_not_fit_is_not_written(changes, said):
    """A record that its schema cannot hold is refused, with schema and fault named."""
    with pytest.raises(
        wire.WireError, match=r"SignalRecord does not fit the schema signals.audio.loudness.v1.AudioLoudness"
    ) as caught:
        wire.encode(loudness_record(**changes), LOUDNESS, ID)
    assert said in str(caught.value)


def test_another_record_is_not_written():
    """A record of another topic is refused."""
    with pytest.raises(wire.WireError, match=r"does not fit the schema signals\.ContentPublished"):
        wire.encode(loudness_record(), EVENTS, ID)


@pytest.mark.parametrize("schema_id", [-1, 2**32, "7"])
def test_schema_id_must_fit(schema_id):
    """An id that four bytes cannot hold is refused."""
    with pytest.raises(wire.WireError, match="id"):
        wire.encode(loudness_record(), LOUDNESS, schema_id)


# ---- other versions of a schema ----


def event_schema(change):
    """The event schema as a later version might be: `change` works on it, unparsed."""
    schema = compose.content_published_schema()
    change({field["name"]: field for field in schema["fields"]}, schema)
    return schema


def event(**changes) -> ContentPublished:
    fields = {
        "event_id": "e",
        "content_id": "c",
        "content_version": 1,
        "tenant": "t",
        "published_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return ContentPublished(**fields | changes)


def written(schema, **changes) -> bytes:
    """An event by a writer with another schema, its row changed."""
    row = wire.decode(wire.encode(event(texts=(TextField(name="n", value="v"),)), EVENTS, ID), {ID: EVENTS}.__getitem__, EVENTS)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, row | changes)
    return struct.pack(">bI", 0, ID) + out.getvalue()


def test_a_newer_writers_field_is_passed_over():
    """A reader with the older schema reads a newer record, as the JSON that a registry gives or parsed."""
    newer = event_schema(
        lambda fields, schema: schema["fields"].insert(
            0, {"name": "mood", "type": {"type": "map", "values": "long"}, "default": {}}
        )
    )
    payload = written(newer, mood={"a": 1, "b": 2})
    for schema in (newer, fastavro.parse_schema(newer)):
        assert wire.content_published(wire.decode(payload, {ID: schema}.__getitem__, EVENTS)) == event(
            texts=(TextField(name="n", value="v"),)
        )


def test_an_older_writers_missing_fields_get_defaults():
    """A reader with the newer schema fills in what the older writer did not know, each time anew."""
    older = event_schema(
        lambda fields, schema: [schema["fields"].remove(fields[name]) for name in ("tenant", "assets", "metadata", "attributes")]
    )
    payload = written(older)
    one, two = (wire.content_published(wire.decode(payload, {ID: older}.__getitem__, EVENTS)) for _ in range(2))
    assert one == two == event(tenant="", texts=(TextField(name="n", value="v"),))
    assert one.attributes is not two.attributes


def test_a_newer_writers_kind_is_unknown():
    """A symbol that the reader's enum lacks is read as UNKNOWN."""
    newer = event_schema(lambda fields, schema: fields["assets"]["type"]["items"]["fields"][1]["type"]["symbols"].append("SMELL"))
    asset = {"asset_id": "a", "kind": "SMELL", "uri": "s3://b/k"}
    read = wire.content_published(wire.decode(written(newer, assets=[asset]), {ID: newer}.__getitem__, EVENTS))
    assert read.assets[0].kind is MediaKind.UNKNOWN


def test_registrys_json_needs_no_resolution():
    """The schema as a registry gives it and our own parsed one count as the same."""
    from_registry = json.loads(json.dumps(compose.content_published_schema()))
    assert wire._prepare(from_registry).parsed is wire._prepare(EVENTS).parsed


def test_many_schemas_are_forgotten_in_time():
    """The memory of prepared schemas is bounded."""
    for number in range(2 * wire._MOST_REMEMBERED):
        wire._prepare({"type": "record", "name": f"R{number}", "fields": [{"name": "a", "type": "int"}]})
    assert len(wire._remembered) <= wire._MOST_REMEMBERED


def test_typed_readers_refuse_other_rows():
    """A row of another record is refused, with the word for what was wanted."""
    row = wire.decode(wire.encode(event(), EVENTS, ID), {ID: EVENTS}.__getitem__, EVENTS)
    for typed, what in ((wire.signal_record, "signal record"), (wire.outcome_record, "ledger record")):
        with pytest.raises(wire.WireError, match=f"The row is no {what}"):
            typed(row)
    with pytest.raises(wire.WireError, match="The row is no content-published event"):
        wire.content_published({**row, "surprise": 1})
