"""Signals as a person reads them: one line each."""

from collections.abc import Iterable, Sequence

from schemas.records import Entry, Findings, Label, Measure, Outcome, Region, Segment, SignalRecord, Status, Vector

__all__ = ["STATUS_MARKS", "clock", "findings_line", "outcome_line", "record_line"]

MOST = 4
SHORT = {"short_term_max": "short-term", "speech_ratio": "speech"}
UNITS = {"dB[TP]": "dBTP"}
STATUS_MARKS = {Status.OK: "✓", Status.DEGRADED: "◐", Status.SKIPPED: "·", Status.FAILED: "✗"}


def clock(ms: int) -> str:
    """Milliseconds as 3.2, 1:04.5 or 1:02:03: to the tenth of a second, from an hour on to the second."""
    minutes, tenths = divmod(round(ms / 100), 600)
    if minutes == 0:
        return f"{tenths / 10:.1f}"
    if minutes < 60:
        return f"{minutes}:{tenths / 10:04.1f}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{tenths // 10:02d}"


def few(parts: Iterable[str], most: int = MOST) -> str:
    """The first few, and how many more there are."""
    listed = list(parts)
    more = [f"+{len(listed) - most} more"] if len(listed) > most else []
    return ", ".join(listed[:most] + more)


def label_text(label: Label) -> str:
    return f"{label.name or label.id} {label.score:.2f}"


def labels_text(labels: Sequence[Label], most: int = 3) -> str:
    return few(map(label_text, labels), most)


def segment_text(segment: Segment) -> str:
    labels = f" {label_text(segment.labels[0])}" if segment.labels else ""
    return f"{clock(segment.start_ms)}–{clock(segment.end_ms)} s{labels}"


def region_text(region: Region) -> str:
    when = f" at {clock(region.time_ms)} s" if region.time_ms is not None else ""
    box = f"left {region.left:.0%} top {region.top:.0%} size {region.width:.0%}×{region.height:.0%}"
    return f"{box} ({region.score:.2f}){when}"


def measure_text(measure: Measure) -> str:
    number = f"{measure.value:.0%}" if measure.unit == "1" else f"{measure.value:.1f} {UNITS.get(measure.unit, measure.unit)}"
    return f"{SHORT.get(measure.name, measure.name.replace('_', ' '))} {number}"


def vector_text(vector: Vector) -> str:
    return f"vector of {vector.dim}"


def findings_line(findings: Findings) -> str:
    """All that was found, in a line; "nothing found" for an empty result, which is a result."""
    parts = [labels_text(findings.labels)] if findings.labels else []
    parts += [few(map(segment_text, findings.segments))] if findings.segments else []
    parts += [few(map(region_text, findings.regions), 2)] if findings.regions else []
    parts += [few(map(measure_text, findings.measures))] if findings.measures else []
    parts += [vector_text(findings.vector)] if findings.vector and not parts else []
    return "; ".join(parts) or "nothing found"


def entry_line(entry: Entry, alone: bool) -> str:
    line = findings_line(entry.findings)
    return line if alone else f"{entry.asset_id}: {line}"


def record_line(record: SignalRecord) -> str:
    """A signal record's findings; several assets are named."""
    line = " | ".join(entry_line(entry, len(record.entries) == 1) for entry in record.entries)
    lost = "".join(f" [{missing.asset_id}: {missing.reason}]" for missing in record.missing)
    return line + lost


def outcome_line(outcome: Outcome) -> str:
    """An outcome that has no record: skipped or failed, and why."""
    because = f" ({outcome.reason})" if outcome.reason else ""
    detail = f": {outcome.detail}" if outcome.detail and outcome.status is Status.FAILED else ""
    return f"{outcome.status.value.lower()}{because}{detail}"
