"""The audit: what it proves, and what it does not let pass."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from schemas import identity
from schemas.records import Outcome, OutcomeRecord, PipelineVersion, SignalRecord, SourcePosition, Status
from streams.audit import Audit

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PLANNED = ("text.a", "text.b")


def ledger(offset: int, signals: Sequence[str] = PLANNED, run: str = "first", complete: bool = True) -> OutcomeRecord:
    return OutcomeRecord(
        run_id=identity.run_id("c", run, "in", 0, offset),
        group="g",
        source=SourcePosition(topic="in", partition=0, offset=offset),
        event_id="e",
        content_id=f"c{offset}",
        content_version=1,
        tenant="t",
        recorded_at=NOW,
        worker="w",
        planned=PLANNED,
        outcomes=tuple(Outcome(signal=name, status=Status.OK) for name in signals),
        complete=complete,
    )


def signal(offset: int, name: str = "text.a") -> SignalRecord:
    return SignalRecord(
        signal_id=identity.signal_id(f"c{offset}", 1, name, "1", "h"),
        run_id=identity.run_id("c", "first", "in", 0, offset),
        signal=name,
        content_id=f"c{offset}",
        content_version=1,
        tenant="t",
        source_event_id="e",
        published_at=NOW,
        produced_at=NOW,
        status=Status.OK,
        model=None,
        pipeline=PipelineVersion(version="1", config_hash="h"),
    )


def audited(events: int = 3, unfinished: Sequence[int] = ()) -> Audit:
    audit = Audit("g", "in")
    for offset in range(events):
        audit.event(0, offset, offset not in unfinished)
    return audit


def test_a_clean_window_is_proven() -> None:
    """Each event complete, each planned signal once, each record once."""
    audit = audited()
    for offset in range(3):
        audit.outcome(ledger(offset))
        audit.signal(signal(offset), 0, offset)
    report = audit.report()
    assert report.proven
    assert (report.events, report.outcomes, report.missing, report.copies) == (3, {"OK": 6}, 0, 0)


def test_an_event_that_is_committed_without_outcome_is_missing() -> None:
    """Its partition and offset are named."""
    audit = audited()
    for offset in (0, 2):
        audit.outcome(ledger(offset))
    report = audit.report()
    assert not report.proven
    assert report.named == ["partition 0, offset 1: committed as done, and no outcome"]


def test_an_event_in_work_is_unfinished_and_not_missing() -> None:
    """The group's own commit says that it is not done."""
    audit = audited(unfinished=[2])
    for offset in (0, 1):
        audit.outcome(ledger(offset))
    report = audit.report()
    assert report.proven
    assert report.unfinished == 1


def test_a_planned_signal_without_outcome_is_missing() -> None:
    """A run that says it is complete and is not; one that never says so."""
    audit = audited()
    audit.outcome(ledger(0, ["text.a"]))
    audit.outcome(ledger(1, ["text.a"], complete=False))
    audit.outcome(ledger(2))
    report = audit.report()
    assert report.named[0] == "in[0]@0: no outcome of text.b"
    assert any("in[0]@1: no outcome of text.b yet" in sentence for sentence in report.named)


def test_a_run_may_end_in_several_records() -> None:
    """Outcomes of one run on two ledger records are whole together."""
    audit = audited(1)
    audit.outcome(ledger(0, ["text.a"], complete=False))
    audit.outcome(ledger(0, ["text.b"]))
    assert audit.report().proven


def test_copies_are_found_on_ledger_and_signal_topics() -> None:
    """A second record with the same ids is a copy; another run is none."""
    audit = audited(2)
    audit.outcome(ledger(0))
    audit.outcome(ledger(0))
    audit.outcome(ledger(1))
    audit.outcome(ledger(1, run="repair"))
    audit.signal(signal(0), 4, 17)
    audit.signal(signal(0), 4, 18)
    report = audit.report()
    assert report.copies == 3
    assert "record of text.a at partition 4, offset 18: twice" in report.named


def test_others_are_passed_over() -> None:
    """Other groups, other topics, other windows and their signals say nothing here."""
    audit = audited(1)
    audit.outcome(ledger(0))
    audit.outcome(replace(ledger(0), group="other"))
    audit.outcome(replace(ledger(0), source=SourcePosition(topic="elsewhere", partition=0, offset=0)))
    audit.outcome(ledger(99))
    audit.signal(signal(99), 0, 0)
    audit.signal(signal(99), 0, 1)
    report = audit.report()
    assert report.proven
    assert report.outcomes == {"OK": 2}
