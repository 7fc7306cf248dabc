"""What one finished event publishes, read back from the bytes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes import text_event, text_signal

from processors.conclusion import Conclusion, conclude
from processors.errors import ContentError, HealableError, Reason, SignalsError
from processors.signal import Signal
from schemas import cloudevents, identity, subjects, wire
from schemas.records import Asset, ContentPublished, Findings, Measure, MediaKind, OutcomeRecord, Segment, SignalRecord, Status
from streams.publication import Publication, WireSchema
from streams.record import Record
from streams.topics import signal_schema
from streams.transactions import Output

CLUSTER, GROUP, LEDGER = "cluster-1", "signals", "signal-outcomes.v1"
FOUND, PLAIN, GONE = text_signal("text.found"), text_signal("text.plain", model=None), text_signal("text.gone")
SIGNALS = (FOUND, PLAIN, GONE)
EVENT = text_event("abc", "de")
FINDINGS = Findings(measures=(Measure(name="letters", value=3.0, unit="1"),))
ERROR = ContentError(Reason.UNDECODABLE, "the header is damaged")
HEADERS: list[tuple[str, str | bytes | None]] = [
    ("ce_id", b"e1"),
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("x-upload", b"\xff\x00"),
    ("nothing", None),
    ("x-upload", b"twice"),
]


def record(key: bytes | None = b"c1", value: bytes | None = b"\x00the event's own bytes", offset: int = 41) -> Record:
    return Record(key, value, HEADERS, "content-published.v1", 3, offset, 0)


def publication(most_bytes: int = 900_000, signals: Sequence[Signal] = SIGNALS) -> Publication:
    schemas = {signal.topic: WireSchema(signal_schema(signal), 10 + number) for number, signal in enumerate(signals)}
    schemas[LEDGER] = WireSchema(subjects.latest(LEDGER), 5)
    return Publication(
        group=GROUP, worker="worker-7", version="1.2.3", ledger_topic=LEDGER, schemas=schemas, most_bytes=most_bytes
    )


def concluded(signal: Signal, **found: Findings | SignalsError) -> Conclusion:
    return conclude(signal, found, attempts=2, timings_ms={"fetch": 5})


def published(*conclusions: Conclusion, most_bytes: int = 900_000, event: ContentPublished = EVENT) -> dict[str, Output]:
    """By topic; a second record for one topic would be a fault."""
    outputs = publication(most_bytes).of(record(), CLUSTER, event, conclusions)
    by_topic = {output.topic: output for output in outputs}
    assert len(by_topic) == len(outputs)
    return by_topic


def read(output: Output) -> dict[str, Any]:
    assert output.value is not None
    schemas = {wired.id: wired.schema for wired in publication().schemas.values()}
    return wire.decode(output.value, schemas.__getitem__, publication().schemas[output.topic].schema)


def signal_in(output: Output) -> SignalRecord:
    return wire.signal_record(read(output))


def ledger_in(output: Output) -> OutcomeRecord:
    return wire.outcome_record(read(output))


def test_a_good_event_publishes_signals_and_ledger_and_nothing_else() -> None:
    """One record for each signal and one for the ledger, each under the event's key."""
    outputs = published(concluded(FOUND, text0=FINDINGS), concluded(PLAIN, text0=FINDINGS))
    assert set(outputs) == {FOUND.topic, PLAIN.topic, LEDGER}
    assert {output.key for output in outputs.values()} == {b"c1"}


def test_a_signal_record_says_all_about_itself() -> None:
    """Content, event, status, model, configuration, worker's release, entries: nothing is left to guess."""
    before = datetime.now(UTC)
    found = signal_in(published(concluded(FOUND, text0=FINDINGS, text1=FINDINGS))[FOUND.topic])
    assert (found.signal, found.content_id, found.content_version, found.tenant) == ("text.found", "c1", 1, "t")
    assert (found.source_event_id, found.published_at, found.status) == ("e1", EVENT.published_at, Status.OK)
    assert before <= found.produced_at <= datetime.now(UTC)
    assert found.model is not None
    assert (found.model.name, found.model.version) == ("echo", "1")
    assert (found.pipeline.version, found.pipeline.config_hash) == ("1.2.3", FOUND.config_hash)
    assert [(entry.asset_id, entry.findings) for entry in found.entries] == [("text0", FINDINGS), ("text1", FINDINGS)]
    assert found.timings_ms == {"fetch": 5}
    assert found.signal_id == identity.signal_id("c1", 1, "text.found", "echo:1", FOUND.config_hash)
    assert found.run_id == identity.run_id(CLUSTER, GROUP, "content-published.v1", 3, 41)


def test_a_signal_without_model_names_none() -> None:
    """The model field is null, and the id still is its own."""
    found = signal_in(published(concluded(PLAIN, text0=FINDINGS))[PLAIN.topic])
    assert found.model is None
    assert found.signal_id == identity.signal_id("c1", 1, "text.plain", "", PLAIN.config_hash)


@pytest.mark.parametrize(
    ("found", "status", "reaches_the_signal_topic"),
    [
        ({"text0": FINDINGS, "text1": FINDINGS}, Status.OK, True),
        ({"text0": FINDINGS, "text1": ERROR}, Status.DEGRADED, True),
        ({"text0": ERROR, "text1": ERROR}, Status.FAILED, False),
        ({"text0": HealableError(Reason.NOT_FOUND, "not there")}, Status.FAILED, False),
        ({"text0": ContentError(Reason.EMPTY_CONTENT, "no words")}, Status.SKIPPED, False),
        ({}, Status.SKIPPED, False),
    ],
)
def test_only_good_values_reach_a_signal_topic(
    found: Mapping[str, Findings | SignalsError], status: Status, reaches_the_signal_topic: bool
) -> None:
    """OK and DEGRADED are published; what is FAILED or SKIPPED must not replace an earlier good value, and is on the ledger."""
    outputs = published(concluded(FOUND, **found))
    (outcome,) = ledger_in(outputs[LEDGER]).outcomes
    assert outcome.status is status
    assert (FOUND.topic in outputs) is reaches_the_signal_topic
    assert (outcome.signal_id is not None) is reaches_the_signal_topic
    assert ("dlq.signals" in outputs) is (status is Status.FAILED)


def test_a_degraded_record_names_what_is_missing() -> None:
    """Asset, reason and detail stand in the record; the first of them stands on the ledger."""
    outputs = published(concluded(FOUND, text0=FINDINGS, text1=ERROR))
    found = signal_in(outputs[FOUND.topic])
    assert found.status is Status.DEGRADED
    assert [entry.asset_id for entry in found.entries] == ["text0"]
    assert [(lost.asset_id, lost.reason, lost.detail) for lost in found.missing] == [
        ("text1", "undecodable", "the header is damaged")
    ]
    (outcome,) = ledger_in(outputs[LEDGER]).outcomes
    assert (outcome.reason, outcome.detail) == ("undecodable", "the header is damaged")


def test_the_ledger_has_one_outcome_for_each_planned_signal() -> None:
    """Planned names and outcomes are the same, in order; the record says that the run is complete, and where the event stood."""
    conclusions = [concluded(FOUND, text0=FINDINGS), concluded(PLAIN), concluded(GONE, text0=ERROR)]
    ledger = ledger_in(published(*conclusions)[LEDGER])
    assert ledger.planned == ("text.found", "text.plain", "text.gone")
    assert tuple(outcome.signal for outcome in ledger.outcomes) == ledger.planned
    assert [outcome.status for outcome in ledger.outcomes] == [Status.OK, Status.SKIPPED, Status.FAILED]
    assert ledger.complete
    assert (ledger.source.topic, ledger.source.partition, ledger.source.offset) == ("content-published.v1", 3, 41)
    assert (ledger.group, ledger.worker, ledger.event_id, ledger.content_id) == (GROUP, "worker-7", "e1", "c1")
    assert [outcome.attempts for outcome in ledger.outcomes] == [2, 2, 2]
    assert ledger.outcomes[0].reason is None
    assert ledger.outcomes[1].reason == "no_applicable_asset"


def test_ledger_and_signal_speak_of_the_same_record() -> None:
    """signal_id and run_id are equal on both: so an audit finds one by the other."""
    outputs = published(concluded(FOUND, text0=FINDINGS))
    found, ledger = signal_in(outputs[FOUND.topic]), ledger_in(outputs[LEDGER])
    assert found.run_id == ledger.run_id
    assert found.signal_id == ledger.outcomes[0].signal_id


def test_a_dead_letter_keeps_the_event_byte_for_byte() -> None:
    """Key, value and headers as they came, those twice of one name too; behind them what failed, where and why."""
    outputs = published(concluded(FOUND, text0=FINDINGS), concluded(PLAIN, text0=ERROR), concluded(GONE, text0=ERROR))
    letter = outputs["dlq.signals"]
    assert (letter.key, letter.value) == (b"c1", b"\x00the event's own bytes")
    assert letter.headers[: len(HEADERS)] == HEADERS
    extra = dict(letter.headers[len(HEADERS) :])
    assert extra["__dlq.errors.topic"] == b"content-published.v1"
    assert (extra["__dlq.errors.partition"], extra["__dlq.errors.offset"]) == (b"3", b"41")
    assert (extra["__dlq.errors.group"], extra["__dlq.errors.delivery.count"]) == (b"signals", b"2")
    assert extra["__dlq.errors.message"] == b"the header is damaged"
    assert extra["x-signal-error-class"] == b"undecodable"
    assert extra["x-signal-failed"] == b"text.plain,text.gone"
    assert extra["x-signal-worker-version"] == b"1.2.3"
    assert isinstance(extra["x-signal-first-failed-at"], bytes)
    assert datetime.fromisoformat(extra["x-signal-first-failed-at"].decode()).tzinfo is not None


def test_a_record_that_is_too_large_fails_instead() -> None:
    """No signal record; FAILED with record_too_large, its size and the setting; neighbours are published; the event is kept."""
    many = Findings(measures=tuple(Measure(name="letters", value=float(n), unit="1") for n in range(1000)))
    outputs = published(concluded(FOUND, text0=many), concluded(PLAIN, text0=FINDINGS), most_bytes=10_000)
    assert set(outputs) == {PLAIN.topic, LEDGER, "dlq.signals"}
    outcome, neighbour = ledger_in(outputs[LEDGER]).outcomes
    assert (outcome.status, outcome.reason, outcome.signal_id) == (Status.FAILED, "record_too_large", None)
    assert "SIGNALS_MAX_RECORD_BYTES" in (outcome.detail or "")
    assert "10000" in (outcome.detail or "")
    assert neighbour.status is Status.OK
    assert dict(outputs["dlq.signals"].headers)["x-signal-failed"] == b"text.found"


def test_a_record_that_breaks_its_schema_fails_alone() -> None:
    """A signal that fills a shape its schema lacks is FAILED with the reason; its neighbours are published."""
    odd = Findings(segments=(Segment(start_ms=0, end_ms=1),))
    outputs = published(concluded(FOUND, text0=odd), concluded(PLAIN, text0=FINDINGS))
    assert set(outputs) == {PLAIN.topic, LEDGER, "dlq.signals"}
    outcome, neighbour = ledger_in(outputs[LEDGER]).outcomes
    assert (outcome.status, outcome.reason) == (Status.FAILED, "signal_code_failed")
    assert "segments" in (outcome.detail or "")
    assert neighbour.status is Status.OK


def test_a_record_of_just_the_size_passes() -> None:
    """The limit is the largest size that is allowed."""
    size = len(published(concluded(FOUND, text0=FINDINGS))[FOUND.topic].value or b"")
    assert FOUND.topic in published(concluded(FOUND, text0=FINDINGS), most_bytes=size)
    assert FOUND.topic not in published(concluded(FOUND, text0=FINDINGS), most_bytes=size - 1)


def test_a_second_pass_has_the_same_ids() -> None:
    """An event that is done again after a crash repeats signal_id and run_id, so that a copy would be seen as one."""
    first, second = (published(concluded(FOUND, text0=FINDINGS)) for _ in range(2))
    for topic, reading in ((FOUND.topic, signal_in), (LEDGER, ledger_in)):
        assert reading(first[topic]).run_id == reading(second[topic]).run_id
    assert signal_in(first[FOUND.topic]).signal_id == signal_in(second[FOUND.topic]).signal_id
    assert cloudevents.parse(headers_of(first[FOUND.topic]))["id"] == cloudevents.parse(headers_of(second[FOUND.topic]))["id"]


def test_ids_differ_where_something_else_was_understood() -> None:
    """Another version of the content or another configuration is another signal_id; another offset is another run."""
    ours = signal_in(published(concluded(FOUND, text0=FINDINGS))[FOUND.topic])
    newer = ContentPublished(
        event_id="e2", content_id="c1", content_version=2, tenant="t", published_at=EVENT.published_at, texts=EVENT.texts
    )
    version = signal_in(published(concluded(FOUND, text0=FINDINGS), event=newer)[FOUND.topic])
    stricter = text_signal("text.found", parameters={"least": 1})
    configured = signal_in(published(concluded(stricter, text0=FINDINGS))[FOUND.topic])
    assert len({ours.signal_id, version.signal_id, configured.signal_id}) == 3
    assert ours.run_id == version.run_id == configured.run_id
    (elsewhere, *_) = publication().of(record(offset=42), CLUSTER, EVENT, [concluded(FOUND, text0=FINDINGS)])
    assert signal_in(elsewhere).run_id != ours.run_id
    assert signal_in(elsewhere).signal_id == ours.signal_id


def headers_of(output: Output) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in output.headers if isinstance(value, bytes)]


def test_records_are_cloud_events() -> None:
    """Six attributes; the id is signal_id or run_id, the type is the topic. Of the event's headers only the trace goes on."""
    outputs = published(concluded(FOUND, text0=FINDINGS))
    for topic, id in ((FOUND.topic, signal_in(outputs[FOUND.topic]).signal_id), (LEDGER, ledger_in(outputs[LEDGER]).run_id)):
        attributes = cloudevents.parse(headers_of(outputs[topic]))
        assert (attributes["id"], attributes["type"], attributes["specversion"]) == (id, topic, "1.0")
        assert attributes["source"] == "/content-signals/signals"
        assert attributes["datacontenttype"] == "application/avro"
        assert datetime.fromisoformat(attributes["time"]).tzinfo is not None
        names = [name for name, _ in outputs[topic].headers]
        assert len(names) == len(set(names)) == 7
        assert dict(outputs[topic].headers)["traceparent"] == dict(HEADERS)["traceparent"]


# ---- events that nobody can read, and contents that are gone ----


def test_an_unreadable_event_fails_every_signal_and_is_kept() -> None:
    """FAILED with the reason for each signal on the ledger; the bytes as they came in the dead letters; no signal record."""
    error = ContentError(Reason.UNREADABLE_EVENT, "the payload starts with byte 7")
    outputs = publication().unreadable(record(key=b"\xff\xfe", value=b"\x07nonsense"), CLUSTER, SIGNALS, error)
    by_topic = {output.topic: output for output in outputs}
    assert set(by_topic) == {LEDGER, "dlq.signals"}
    assert len(outputs) == 2
    ledger = ledger_in(by_topic[LEDGER])
    assert ledger.planned == tuple(signal.name for signal in SIGNALS)
    assert {(outcome.status, outcome.reason) for outcome in ledger.outcomes} == {(Status.FAILED, "unreadable_event")}
    assert ledger.complete
    assert ledger.run_id == identity.run_id(CLUSTER, GROUP, "content-published.v1", 3, 41)
    letter = by_topic["dlq.signals"]
    assert (letter.key, letter.value) == (b"\xff\xfe", b"\x07nonsense")
    assert letter.headers[: len(HEADERS)] == HEADERS
    assert dict(letter.headers)["x-signal-error-class"] == b"unreadable_event"


@pytest.mark.parametrize("key", [None, b""])
def test_an_unreadable_event_without_key_is_kept_too(key: bytes | None) -> None:
    """The ledger says so with an empty content id; the dead letter has no key either."""
    ledger, letter = publication().unreadable(record(key=key), CLUSTER, SIGNALS, ERROR)
    assert ledger_in(ledger).content_id == ""
    assert letter.key == key


def test_a_long_detail_is_cut() -> None:
    """What quotes a stranger's words has a bounded length, on the ledger and in the dead letter."""
    error = ContentError(Reason.UNREADABLE_EVENT, "x" * 50_000)
    ledger, letter = publication().unreadable(record(), CLUSTER, SIGNALS, error)
    assert dict(letter.headers)["__dlq.errors.message"] == b"x" * 500 + "…".encode()
    assert len(ledger.value or b"") < 5_000


def test_a_huge_event_is_a_dead_letter_without_its_value() -> None:
    """What no topic would take is named by its size; the key of a ledger record is bounded as well."""
    huge = record(key=b"k" * 2_000_000, value=b"v" * 9_000_000)
    ledger, letter = publication().unreadable(huge, CLUSTER, SIGNALS, ERROR)
    assert (letter.key, letter.value) == (None, None)
    assert dict(letter.headers)["x-signal-value-omitted"] == b"9000000 bytes"
    assert len(ledger.key or b"") + len(ledger.value or b"") < 5_000


def test_a_retraction_leaves_tombstones_and_a_ledger_record() -> None:
    """A null value under the content's key on each signal topic, RETRACTED for each signal, no dead letter."""
    outputs = publication().retraction(record(value=None), CLUSTER, SIGNALS)
    *tombstones, ledger = outputs
    assert [(output.topic, output.key, output.value) for output in tombstones] == [(s.topic, b"c1", None) for s in SIGNALS]
    assert ledger.topic == LEDGER
    found = ledger_in(ledger)
    assert found.content_id == "c1"
    assert found.planned == tuple(signal.name for signal in SIGNALS)
    assert {outcome.status for outcome in found.outcomes} == {Status.RETRACTED}


def test_assets_are_named_by_their_ids() -> None:
    """An entry of an asset has the asset's id, beside those of inline texts."""
    asset = Asset(asset_id="file", kind=MediaKind.TEXT, uri="s3://bucket/note.txt")
    event = text_event("abc", assets=(asset,))
    found = signal_in(published(concluded(FOUND, file=FINDINGS, text0=FINDINGS), event=event)[FOUND.topic])
    assert [entry.asset_id for entry in found.entries] == ["file", "text0"]
