"""From conclusions to the records that are published: signals, ledger, dead letters, tombstones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from processors.conclusion import Conclusion
from processors.errors import PermanentError, Reason, SignalsError
from processors.signal import Signal
from schemas import cloudevents, identity, wire
from schemas.records import (
    ContentPublished,
    ModelVersion,
    Outcome,
    OutcomeRecord,
    PipelineVersion,
    SignalRecord,
    SourcePosition,
    Status,
)
from streams.record import Record
from streams.transactions import Output

__all__ = ["Publication", "WireSchema"]

PUBLISHED = frozenset({Status.OK, Status.DEGRADED})
"""What goes to a signal topic. Anything else must never replace a good value there: it is on the ledger."""


MOST_DETAIL = 500
MOST_KEY_BYTES = 1_024
MOST_DEAD_LETTER_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class WireSchema:
    """A topic's parsed Avro schema and the id under which the registry knows it."""

    schema: Any
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """How this worker signs what it publishes. schemas: by topic, for the ledger and each signal. most_bytes: largest record."""

    group: str
    worker: str
    version: str
    ledger_topic: str
    schemas: Mapping[str, WireSchema]
    most_bytes: int

    @property
    def dead_letter_topic(self) -> str:
        return f"dlq.{self.group}"

    def of(self, record: Record, cluster: str, event: ContentPublished, conclusions: Sequence[Conclusion]) -> list[Output]:
        """All that one finished event publishes, in one transaction: signals, ledger, a dead letter if a signal failed."""
        run_id = identity.run_id(cluster, self.group, record.topic, record.partition, record.offset)
        now = datetime.now(UTC)
        outputs: list[Output] = []
        outcomes: list[Outcome] = []
        for conclusion in conclusions:
            try:
                output = self._signal(record, run_id, event, conclusion, now)
            except PermanentError as error:
                conclusion, output = failed_at_last(conclusion, error), None
            outputs += [output] if output else []
            outcomes.append(self._outcome(event, conclusion))
        outputs.append(self._ledger(record, run_id, event, outcomes, now))
        if failed := [outcome for outcome in outcomes if outcome.status is Status.FAILED]:
            outputs.append(self._dead_letter(record, str(failed[0].reason), failed[0].detail or "", failed))
        return outputs

    def unreadable(
        self, record: Record, cluster: str, signals: Sequence[Signal], error: SignalsError, *, with_value: bool = True
    ) -> list[Output]:
        """An event that nobody can read: its bytes as they came with what is wrong with them, and FAILED for each signal."""
        detail = short(error.detail)
        outcomes = [Outcome(signal=s.name, status=Status.FAILED, reason=error.reason, detail=detail) for s in signals]
        ledger = self._ledger_of_nameless(record, cluster, outcomes)
        return [ledger, self._dead_letter(record, error.reason, detail, outcomes, with_value)]

    def retraction(self, record: Record, cluster: str, signals: Sequence[Signal]) -> list[Output]:
        """The content is gone: a tombstone on each signal topic, RETRACTED on the ledger."""
        outcomes = [Outcome(signal=signal.name, status=Status.RETRACTED) for signal in signals]
        tombstones = [Output(signal.topic, record.key, None) for signal in signals]
        return [*tombstones, self._ledger_of_nameless(record, cluster, outcomes)]

    def _ledger_of_nameless(self, record: Record, cluster: str, outcomes: Sequence[Outcome]) -> Output:
        """For a record without a readable event: all that is known of it is its key and where it stood."""
        run_id = identity.run_id(cluster, self.group, record.topic, record.partition, record.offset)
        content_id, now = short((record.key or b"").decode(errors="replace")), datetime.now(UTC)
        event = ContentPublished(event_id="", content_id=content_id, content_version=0, tenant="", published_at=now)
        return self._ledger(record, run_id, event, outcomes, now)

    def _signal_id(self, event: ContentPublished, signal: Signal) -> str:
        model_version = f"{signal.model.name}:{signal.model.version}" if signal.model else ""
        return identity.signal_id(event.content_id, event.content_version, signal.name, model_version, signal.config_hash)

    def _signal(
        self, record: Record, run_id: str, event: ContentPublished, conclusion: Conclusion, now: datetime
    ) -> Output | None:
        if conclusion.status not in PUBLISHED:
            return None
        signal = conclusion.signal
        value = SignalRecord(
            signal_id=self._signal_id(event, signal),
            run_id=run_id,
            signal=signal.name,
            content_id=event.content_id,
            content_version=event.content_version,
            tenant=event.tenant,
            source_event_id=event.event_id,
            published_at=event.published_at,
            produced_at=now,
            status=conclusion.status,
            model=ModelVersion(name=signal.model.name, version=signal.model.version) if signal.model else None,
            pipeline=PipelineVersion(version=self.version, config_hash=signal.config_hash),
            timings_ms=conclusion.timings_ms,
            missing=conclusion.missing,
            entries=conclusion.entries,
        )
        try:
            output = self._output(signal.topic, record, value.signal_id, value, now)
        except wire.WireError as bug:
            raise PermanentError(
                Reason.SIGNAL_CODE_FAILED, f"{signal.name} made a record that breaks its schema: {bug}"[:500]
            ) from bug
        if len(output.value or b"") > self.most_bytes:
            detail = f"the record has {len(output.value or b'')} bytes; SIGNALS_MAX_RECORD_BYTES allows {self.most_bytes}"
            raise PermanentError(Reason.RECORD_TOO_LARGE, detail)
        return output

    def _outcome(self, event: ContentPublished, conclusion: Conclusion) -> Outcome:
        published = conclusion.status in PUBLISHED
        return Outcome(
            signal=conclusion.signal.name,
            status=conclusion.status,
            reason=conclusion.reason,
            detail=short(conclusion.detail) if conclusion.detail else None,
            attempts=conclusion.attempts,
            signal_id=self._signal_id(event, conclusion.signal) if published else None,
            timings_ms=conclusion.timings_ms,
        )

    def _ledger(self, record: Record, run_id: str, event: ContentPublished, outcomes: Sequence[Outcome], now: datetime) -> Output:
        value = OutcomeRecord(
            run_id=run_id,
            group=self.group,
            source=SourcePosition(topic=record.topic, partition=record.partition, offset=record.offset),
            event_id=event.event_id,
            content_id=event.content_id,
            content_version=event.content_version,
            tenant=event.tenant,
            recorded_at=now,
            worker=self.worker,
            planned=tuple(outcome.signal for outcome in outcomes),
            outcomes=tuple(outcomes),
            complete=True,
        )
        return self._output(self.ledger_topic, record, run_id, value, now)

    def _output(self, topic: str, record: Record, id: str, value: SignalRecord | OutcomeRecord, now: datetime) -> Output:
        wired = self.schemas[topic]
        headers: list[tuple[str, str | bytes | None]] = [*cloudevents.headers(id, f"/content-signals/{self.group}", topic, now)]
        headers += [(name, content) for name, content in record.headers if name == "traceparent"]
        key = record.key and record.key[:MOST_KEY_BYTES]
        return Output(topic, key, wire.encode(value, wired.schema, wired.id), headers)

    def _dead_letter(
        self, record: Record, reason: str, detail: str, failed: Sequence[Outcome], with_value: bool = True
    ) -> Output:
        whole = with_value and len(record.value or b"") <= MOST_DEAD_LETTER_BYTES
        extra = {
            "__dlq.errors.topic": record.topic,
            "__dlq.errors.partition": record.partition,
            "__dlq.errors.offset": record.offset,
            "__dlq.errors.group": self.group,
            "__dlq.errors.delivery.count": max((outcome.attempts for outcome in failed), default=1),
            "__dlq.errors.message": detail,
            "x-signal-error-class": reason,
            "x-signal-failed": ",".join(outcome.signal for outcome in failed),
            "x-signal-first-failed-at": datetime.now(UTC).isoformat(),
            "x-signal-worker-version": self.version,
        }
        extra |= {} if whole else {"x-signal-value-omitted": f"{len(record.value or b'')} bytes"}
        headers = [*(record.headers if whole else ()), *((name, str(value).encode()) for name, value in extra.items())]
        return Output(self.dead_letter_topic, record.key if whole else None, record.value if whole else None, headers)


def short(detail: str) -> str:
    """A sentence that may quote what a stranger wrote, cut to what a ledger record has room for."""
    return detail if len(detail) <= MOST_DETAIL else f"{detail[:MOST_DETAIL]}…"


def failed_at_last(conclusion: Conclusion, error: PermanentError) -> Conclusion:
    """A conclusion whose record cannot be published: FAILED, with nothing found."""
    return replace(conclusion, status=Status.FAILED, entries=(), missing=(), reason=error.reason, detail=error.detail)
