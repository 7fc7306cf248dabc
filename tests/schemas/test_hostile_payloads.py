"""Whatever bytes come in, the codec gives a value or WireError, quickly and without taking much memory."""

import json
import tracemalloc

import fastavro
import pytest
import record_strategies as made
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas import compose, subjects, wire

EVENTS = subjects.latest("content-published.v1")
LEDGER = subjects.latest("signal-outcomes.v1")
EVERYTHING = fastavro.parse_schema(compose.signal_schema("all.shapes", 1, compose.SHAPES))
READERS = [(EVENTS, wire.content_published), (LEDGER, wire.outcome_record), (EVERYTHING, wire.signal_record)]

NEWER_EVENTS = json.loads(json.dumps(compose.content_published_schema()))
NEWER_EVENTS["fields"].insert(
    0, {"name": "extra", "type": {"type": "map", "values": {"type": "array", "items": "double"}}, "default": {}}
)
NEWER_EVENTS["fields"].append({"name": "more", "type": ["null", {"type": "fixed", "name": "F", "size": 2**40}], "default": None})

PREFIX = b"\x00\x00\x00\x00\x07"
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def long(number: int) -> bytes:
    """Avro's variable-length zig-zag long."""
    rest, out = ((number << 1) ^ (number >> 63)) & (2**64 - 1), b""
    while rest >= 0x80:
        rest, out = rest >> 7, out + bytes([rest & 0x7F | 0x80])
    return out + bytes([rest])


def read(payload: bytes, writer, reader, typed) -> object:
    """The record, or None for WireError; anything else that is raised fails the test."""
    try:
        return typed(wire.decode(payload, {7: writer}.__getitem__, reader))
    except wire.WireError:
        return None


def read_as_all(body: bytes) -> None:
    for reader, typed in READERS:
        read(PREFIX + body, reader, reader, typed)
    read(PREFIX + body, NEWER_EVENTS, EVENTS, wire.content_published)


extreme_longs = st.sampled_from([-(2**63), -(2**62), -(2**32), -3, -1, 0, 1, 3, 7, 64, 2**31, 2**40, 2**62, 2**63 - 1]).map(long)
pieces = st.one_of(
    st.binary(max_size=24), extreme_longs, st.just(long(36) + b"7c9d6a1e-10b4-5f0f-9a51-0a4a3d1c2b22"), st.just(b"\x00" * 9)
)


@PATIENT
@given(st.lists(pieces, max_size=20).map(b"".join))
@example(b"\xff" * 1000)
@example(b"\x02" * 1000)
@example(b"\x00" * 1000)
@example(b"\x80" * 1000)
def test_random_bodies(body):
    """Random bodies, with lengths, counts, times and branches at the extremes, as each record and by a foreign schema."""
    read_as_all(body)


@PATIENT
@given(st.binary(max_size=40))
def test_random_payloads(payload):
    """Random payloads, prefix included."""
    read(payload, EVENTS, EVENTS, wire.content_published)


@PATIENT
@given(st.data())
def test_damaged_records(data):
    """Good records with a cut, a changed stretch or something put in: the likeliest damage, and the best disguise."""
    record, (schema, typed) = data.draw(
        st.one_of(
            st.tuples(made.events, st.just(READERS[0])),
            st.tuples(made.outcome_records, st.just(READERS[1])),
            st.tuples(made.signal_records(compose.SHAPES), st.just(READERS[2])),
        )
    )
    payload = wire.encode(record, schema, 7)
    start = data.draw(st.integers(5, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 12)))
    read(payload[:start] + data.draw(pieces | st.just(b"")) + payload[end:], schema, schema, typed)


@PATIENT
@given(made.events, st.data())
def test_every_cut_is_noticed(event, data):
    """No true beginning of a record passes for a record, and nothing may follow one."""
    payload = wire.encode(event, EVENTS, 7)
    cut = data.draw(st.integers(0, len(payload) - 1))
    assert read(payload[:cut], EVENTS, EVENTS, wire.content_published) is None
    with pytest.raises(wire.WireError, match=r"3 bytes follow the record signals\.ContentPublished"):
        wire.decode(payload + b"abc", {7: EVENTS}.__getitem__, EVENTS)


def head(event_id: bytes = long(1) + b"e", published_at: bytes = long(0)) -> bytes:
    """The fields of an event before its assets."""
    return event_id + long(1) + b"c" + long(1) + long(0) + published_at


REST = long(0) + long(0) + b"\x00" * 5 + long(0)
"""The fields of an event after its head: no assets, no texts, metadata of nulls, no attributes."""


def test_a_bare_event():
    """What the cases below are made of is an event."""
    assert read(PREFIX + head() + REST, EVENTS, EVENTS, wire.content_published).event_id == "e"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "has 0 bytes, but magic byte and schema id alone take 5"),
        (b"\x00\x00\x00\x07", "has 4 bytes"),
        (b"\x01\x00\x00\x00\x07" + head() + REST, "starts with byte 1"),
        (b"\xff\x00\x00\x00\x07" + head() + REST, "starts with byte 255"),
        (b'{"event_id": "e"}', "starts with byte 123"),
        (b"\x00\x00\x00\x00\x08" + head() + REST, "No schema is known for id 8"),
        (PREFIX, "The body ends before the record signals.ContentPublished (schema id 7) does"),
        (PREFIX + head(event_id=long(2**62) + b"e") + REST, "ends before"),
        (PREFIX + head(event_id=long(-2) + b"e") + REST, "ends before"),
        (PREFIX + head(event_id=long(2) + b"\xff\xfe") + REST, "UnicodeDecodeError"),
        (PREFIX + head(event_id=long(3) + b"\xed\xa0\x80") + REST, "UnicodeDecodeError"),
        (PREFIX + head(published_at=long(2**62)) + REST, "OverflowError"),
        (PREFIX + head(published_at=long(-(2**62))) + REST, "OverflowError"),
        (PREFIX + head() + long(2**62), "ends before"),
        (PREFIX + head() + long(-(2**63)), "ends before"),
        (PREFIX + head() + long(1) + long(0) + long(99) + REST, "IndexError"),
        (PREFIX + head() + long(0) + long(0) + long(5) + REST, "IndexError"),
        (PREFIX + head() + REST + b"\x00", "1 bytes follow the record"),
    ],
)
def test_what_is_wrong_is_said(payload, said):
    """Each way of being malformed is named."""
    with pytest.raises(wire.WireError) as caught:
        wire.decode(payload, {7: EVENTS}.__getitem__, EVENTS)
    assert said in str(caught.value)


def test_the_wrong_record_is_refused():
    """A good record of another topic does not resolve."""
    with pytest.raises(wire.WireError, match=r"ContentPublished \(schema id 7\) does not resolve to signals.OutcomeRecord"):
        wire.decode(PREFIX + head() + REST, {7: EVENTS}.__getitem__, LEDGER)


@pytest.mark.parametrize(
    "item", ["double", "float", "boolean", {"type": "fixed", "name": "F", "size": 4}, ["null", "int"], "string"]
)
def test_a_field_that_is_passed_over_is_read_first(item):
    """A count that is far beyond the body is noticed in fields that our schema lacks, too."""
    newer = compose.content_published_schema()
    newer["fields"].append({"name": "extra", "type": {"type": "array", "items": item}, "default": []})
    with pytest.raises(wire.WireError, match="ends before"):
        wire.decode(PREFIX + head() + REST + long(2**62) + b"\x00\x00\x00\x00", {7: newer}.__getitem__, EVENTS)


@pytest.mark.parametrize("claim", [2**62, -(2**63), 2**63 - 1, 2**33])
def test_claims_take_no_memory(claim):
    """A few bytes that claim great lengths and counts take no more memory than a few bytes."""
    bodies = [head(event_id=long(claim)), head() + long(claim), head() + long(0) + long(0) + b"\x00" * 5 + long(claim)]
    bodies += [head() + long(-claim) + long(claim) + long(1) + b"a", long(claim) + long(1) + b"k" + long(claim)]
    tracemalloc.start()
    try:
        for body in bodies:
            read_as_all(body)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_memory_goes_with_the_bytes():
    """The densest record there is, empty texts, takes less than 300 bytes of memory for each of its own."""
    count = 20_000
    payload = PREFIX + head() + long(0) + long(count) + b"\x00\x00\x00" * count + long(0) + b"\x00" * 5 + long(0)
    tracemalloc.start()
    try:
        read_event = read(payload, EVENTS, EVENTS, wire.content_published)
        assert len(read_event.texts) == count
        assert tracemalloc.get_traced_memory()[1] < 300 * len(payload)
    finally:
        tracemalloc.stop()


def record(*types):
    return {"type": "record", "name": "ContentPublished", "fields": [{"name": f"f{n}", "type": t} for n, t in enumerate(types)]}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (record({"type": "array", "items": "null"}), "null outside of a union"),
        (record({"type": "array", "items": {"type": "record", "name": "N", "fields": []}}), "N has no fields"),
        (record({"type": "array", "items": {"type": "fixed", "name": "N", "size": 0}}), "N takes no bytes"),
        (record(["null", "ContentPublished"]), "ContentPublished contains itself"),
        (record({"type": "map", "values": {"type": "array", "items": "ContentPublished"}}), "ContentPublished contains itself"),
        (record("nonsense"), "UnknownType"),
        (record({"type": {"type": "array", "items": "null"}}), "cannot be used"),
        ({}, "cannot be used"),
        ({"type": "record"}, "cannot be used"),
        ({"type": "record", "name": "N", "fields": 7}, "cannot be used"),
        ([], "not that of a record"),
        ("string", "not that of a record"),
    ],
)
def test_dangerous_and_broken_writers_schemas(schema, said):
    """A schema under which a few bytes could nest or repeat without end is refused, as is one that is no Avro record."""
    with pytest.raises(wire.WireError) as caught:
        wire.decode(PREFIX + b"\x00", {7: schema}.__getitem__, EVENTS)
    assert said in str(caught.value)


def test_other_errors_of_the_lookup_come_through():
    """A registry that is away is no malformed payload."""

    def away(schema_id: int):
        raise ConnectionError(schema_id)

    with pytest.raises(ConnectionError):
        wire.decode(PREFIX + b"\x00", away, EVENTS)
