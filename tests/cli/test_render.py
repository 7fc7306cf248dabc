"""Signals as lines."""

from datetime import UTC, datetime

import pytest

from cli.render import clock, few, findings_line, outcome_line, record_line
from schemas.records import (
    Entry,
    Findings,
    Label,
    Measure,
    MissingAsset,
    Outcome,
    PipelineVersion,
    Region,
    Segment,
    SignalRecord,
    Status,
    Vector,
    VectorDtype,
)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "0.0"),
        (3_240, "3.2"),
        (59_900, "59.9"),
        (59_949, "59.9"),
        (59_950, "1:00.0"),
        (59_999, "1:00.0"),
        (60_000, "1:00.0"),
        (64_500, "1:04.5"),
        (119_960, "2:00.0"),
        (3_599_949, "59:59.9"),
        (3_599_960, "1:00:00"),
        (3_600_000, "1:00:00"),
        (3_723_000, "1:02:03"),
        (3_723_940, "1:02:03"),
        (36_000_000, "10:00:00"),
    ],
)
def test_clock(ms: int, shown: str) -> None:
    """Seconds with a tenth, then minutes, then hours; no second or minute ever reads 60."""
    assert clock(ms) == shown


def test_clock_has_no_sixty() -> None:
    """At no moment of two hours."""
    assert [ms for ms in range(0, 7_300_000, 997) if ":60" in f":{clock(ms)}"] == []


def test_few() -> None:
    """At most so many parts, and how many are left."""
    assert few([]) == ""
    assert few("abc", 3) == "a, b, c"
    assert few("abcde", 3) == "a, b, c, +2 more"


def label(name: str, score: float) -> Label:
    return Label(scheme="s", scheme_version="1", id=f"id-{name}", name=name, score=score)


def record(*entries: Entry, missing: tuple[MissingAsset, ...] = ()) -> SignalRecord:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return SignalRecord(
        signal_id="0" * 32,
        run_id="0" * 32,
        signal="audio.test",
        content_id="c",
        content_version=1,
        tenant="t",
        source_event_id="e",
        published_at=now,
        produced_at=now,
        status=Status.OK,
        model=None,
        pipeline=PipelineVersion(version="0", config_hash="0"),
        missing=missing,
        entries=entries,
    )


@pytest.mark.parametrize(
    ("findings", "line"),
    [
        (Findings(), "nothing found"),
        (Findings(labels=(label("espresso", 0.953), label("cup", 0.04))), "espresso 0.95, cup 0.04"),
        (Findings(labels=(Label(scheme="s", scheme_version="1", id="de", score=1.0),)), "de 1.00"),
        (Findings(labels=tuple(label(letter, 0.5) for letter in "abcd")), "a 0.50, b 0.50, c 0.50, +1 more"),
        (
            Findings(vector=Vector(dtype=VectorDtype.FLOAT32_LE, dim=3, normalized=True, data=b"\0" * 12)),
            "vector of 3",
        ),
        (Findings(segments=(Segment(start_ms=500, end_ms=61_000),)), "0.5–1:01.0 s"),
        (Findings(segments=(Segment(start_ms=0, end_ms=900, labels=(label("cat", 0.9),)),)), "0.0–0.9 s cat 0.90"),
        (
            Findings(regions=(Region(left=0.1, top=0.2, width=0.3, height=0.4, score=0.9),)),
            "left 10% top 20% size 30%×40% (0.90)",
        ),
        (
            Findings(regions=(Region(left=0.1, top=0.2, width=0.3, height=0.4, score=0.9, time_ms=1500),)),
            "left 10% top 20% size 30%×40% (0.90) at 1.5 s",
        ),
        (
            Findings(
                measures=(
                    Measure(name="speech_ratio", value=0.42, unit="1"),
                    Measure(name="integrated", value=-23.04, unit="LUFS"),
                )
            ),
            "speech 42%, integrated -23.0 LUFS",
        ),
    ],
)
def test_each_shape_is_a_line(findings: Findings, line: str) -> None:
    """What was found, short; an empty result is said to be one."""
    assert findings_line(findings) == line
    assert record_line(record(Entry(asset_id="main", findings=findings))) == line


def test_several_shapes_are_one_line() -> None:
    """Joined by semicolons."""
    findings = Findings(labels=(label("a", 0.5),), measures=(Measure(name="m", value=1.0, unit="dB"),))
    assert findings_line(findings) == "a 0.50; m 1.0 dB"


def test_several_assets_are_named() -> None:
    """One is not; of two each is, and so is one that is missing, with the reason."""
    found = Findings(labels=(label("a", 0.5),))
    entries = Entry(asset_id="x", findings=found), Entry(asset_id="y", findings=Findings())
    assert record_line(record(*entries)) == "x: a 0.50 | y: nothing found"
    lost = MissingAsset(asset_id="z", reason="not_found")
    assert record_line(record(entries[0], missing=(lost,))) == "a 0.50 [z: not_found]"


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome(signal="s", status=Status.SKIPPED, reason="no_such_stream", detail="no sound"), "skipped (no_such_stream)"),
        (
            Outcome(signal="s", status=Status.FAILED, reason="undecodable", detail="bad header"),
            "failed (undecodable): bad header",
        ),
        (Outcome(signal="s", status=Status.RETRACTED), "retracted"),
    ],
)
def test_outcomes_say_why(outcome: Outcome, line: str) -> None:
    """Status and reason; of a failure the detail too."""
    assert outcome_line(outcome) == line
