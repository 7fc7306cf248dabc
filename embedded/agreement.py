"""Compares what signals found with what must be found in the sample media.

An expectation names a content, an asset, a signal and a check; the rest are the check's own values:

| check | values | holds when |
|---|---|---|
| speech_segments | segments, tolerance_ms, min_iou | both edges of each are found in tolerance; shared ÷ joint time ≥ min_iou |
| measure | name, value, tolerance | the measure of that name is within tolerance of value |
| label_in_top | names_any_of, k | one of the k best labels has one of the names |
| regions | count, boxes, min_iou | there are count regions, and each box overlaps a region of its own by min_iou |
| shots | boundaries_ms, tolerance_ms | as many boundaries between segments are found, each within tolerance of its own |
| segment_label | at_ms, names_any_of | a segment that holds at_ms has a label with one of the names |
| language | id | the best label has this id |
| similar | content_ids (a, b), more_than (c) | a and b have a higher cosine similarity than a and c, and than b and c |
| status | status, reason | the outcome has this status, and this reason if one is given |
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["Finding", "Findings", "disagreements"]

Finding = Mapping[str, Any]
Findings = Mapping[tuple[str, str, str], Finding]
Span = Sequence[float]


def disagreements(expectations: Sequence[Mapping[str, Any]], findings: Findings) -> list[str]:
    """One sentence for each expectation that does not hold: content, asset and signal, what was expected and what was found.

    findings: by (content_id, asset_id, signal): {"status", "reason", "labels": [{"id", "name", "score"}], "segments":
    [{"start_ms", "end_ms", "labels"}], "regions": [{"left", "top", "width", "height", "score"}], "measures": [{"name", "value",
    "unit"}], "vector": [floats]}; what a signal does not have may be left out. Unless the check is `status`, the status must be
    OK or DEGRADED. Raises ValueError for a check of unknown name.
    """
    return [sentence for expectation in expectations if (sentence := _disagreement(expectation, findings))]


def _disagreement(expectation: Mapping[str, Any], findings: Findings) -> str | None:
    check, key = expectation["check"], _key(expectation)
    if check not in _CHECKS:
        raise ValueError(f"unknown check {check!r}; known are {', '.join(sorted(_CHECKS))}")
    expected, compare = _CHECKS[check]
    finding = findings.get(key)
    if finding is None:
        found: str | None = "found nothing at all"
    elif check != "status" and finding.get("status") not in ("OK", "DEGRADED"):
        found = f"found {_outcome(finding)}"
    else:
        found = compare(expectation, finding, findings)
    if found is None:
        return None
    return f"{key[0]}/{key[1]} {key[2]}: expected {expected.format_map(_Blanks(expectation))}, {found}"


class _Blanks(dict[str, Any]):
    """An expectation for filling sentences; a value that it does not have reads as nothing."""

    def __missing__(self, key: str) -> str:
        return ""


def _key(expectation: Mapping[str, Any]) -> tuple[str, str, str]:
    return expectation["content_id"], expectation["asset_id"], expectation["signal"]


def _outcome(finding: Finding) -> str:
    return " ".join(filter(None, (f"status {finding.get('status')}", finding.get("reason"))))


# ---- the checks: each answers None, or what was found instead ----


def _speech_segments(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    found = _spans(finding)
    iou = _time_iou(expectation["segments"], found)
    lonely = [
        span[side]
        for side in (0, 1)
        for span in expectation["segments"]
        if not any(abs(span[side] - other[side]) <= expectation["tolerance_ms"] for other in found)
    ]
    if not lonely and iou >= expectation["min_iou"]:
        return None
    return f"found {found}: shared ÷ joint time {iou:.2f}, nothing in tolerance of {lonely}"


def _measure(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    values = [measure["value"] for measure in finding.get("measures", ()) if measure["name"] == expectation["name"]]
    if not values:
        return f"found no measure of that name but {[measure['name'] for measure in finding.get('measures', ())]}"
    return None if abs(values[0] - expectation["value"]) <= expectation["tolerance"] else f"found {values[0]}"


def _label_in_top(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    names = [label["name"] for label in _best(finding)[: expectation["k"]]]
    return None if set(names) & set(expectation["names_any_of"]) else f"found {names}"


def _regions(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    found = [[region[side] for side in ("left", "top", "width", "height")] for region in finding.get("regions", ())]
    if len(found) != expectation["count"]:
        return f"found {len(found)}: {found}"
    free = list(found)
    for box in expectation["boxes"]:
        best = max(free, key=lambda other: _box_iou(box, other), default=None)
        if best is None or _box_iou(box, best) < expectation["min_iou"]:
            return f"found {found}, none of which overlaps {box} enough"
        free.remove(best)
    return None


def _shots(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    boundaries = [start for start, _end in _spans(finding)][1:]
    expected = expectation["boundaries_ms"]
    if len(boundaries) == len(expected) and all(
        abs(boundary - other) <= expectation["tolerance_ms"] for boundary, other in zip(boundaries, expected, strict=True)
    ):
        return None
    return f"found {boundaries}"


def _segment_label(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    segments = [
        segment for segment in finding.get("segments", ()) if segment["start_ms"] <= expectation["at_ms"] < segment["end_ms"]
    ]
    names = [label["name"] for segment in segments for label in segment.get("labels", ())]
    return None if set(names) & set(expectation["names_any_of"]) else f"found {names} in {len(segments)} segments"


def _language(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    ids = [label["id"] for label in _best(finding)]
    return None if ids[:1] == [expectation["id"]] else f"found {ids}"


def _similar(expectation: Mapping[str, Any], finding: Finding, findings: Findings) -> str | None:
    _content_id, asset_id, signal = _key(expectation)
    vectors = []
    for content_id in (*expectation["content_ids"], expectation["more_than"]):
        vector = findings.get((content_id, asset_id, signal), {}).get("vector")
        if not vector:
            return f"found no vector of {content_id}"
        vectors.append(np.asarray(vector, np.float64) / max(float(np.linalg.norm(vector)), 1e-12))
    a, b, c = vectors
    near, far = float(a @ b), max(float(a @ c), float(b @ c))
    return None if near > far else f"found similarity {near:.3f} against {far:.3f}"


def _status(expectation: Mapping[str, Any], finding: Finding, _: Findings) -> str | None:
    same = finding.get("status") == expectation["status"] and expectation.get("reason") in (None, finding.get("reason"))
    return None if same else f"found {_outcome(finding)}"


# ---- what they compare with ----


def _best(finding: Finding) -> list[Mapping[str, Any]]:
    return sorted(finding.get("labels", ()), key=lambda label: -label["score"])


def _spans(finding: Finding) -> list[list[float]]:
    return sorted([segment["start_ms"], segment["end_ms"]] for segment in finding.get("segments", ()))


def _time_iou(first: Sequence[Span], second: Sequence[Span]) -> float:
    """Time in both sets of spans ÷ time in either; 1 if both are empty."""
    edges = sorted({edge for span in (*first, *second) for edge in span})
    both = either = 0.0
    for start, end in pairwise(edges):
        inside = [any(span[0] <= start < span[1] for span in spans) for spans in (first, second)]
        both += (end - start) * all(inside)
        either += (end - start) * any(inside)
    return both / either if either else 1.0


def _box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Shared area ÷ joint area of two boxes (left, top, width, height)."""
    width, height = (
        max(0.0, min(first[axis] + first[axis + 2], second[axis] + second[axis + 2]) - max(first[axis], second[axis]))
        for axis in (0, 1)
    )
    shared = width * height
    joint = first[2] * first[3] + second[2] * second[3] - shared
    return shared / joint if joint else 0.0


_Compare = Callable[[Mapping[str, Any], Finding, Findings], str | None]
_CHECKS: dict[str, tuple[str, _Compare]] = {
    "speech_segments": ("speech in {segments} within {tolerance_ms} ms", _speech_segments),
    "measure": ("{name} {value} ± {tolerance}", _measure),
    "label_in_top": ("one of {names_any_of} in the best {k} labels", _label_in_top),
    "regions": ("{count} regions at {boxes}", _regions),
    "shots": ("boundaries at {boundaries_ms} within {tolerance_ms} ms", _shots),
    "segment_label": ("one of {names_any_of} at {at_ms} ms", _segment_label),
    "language": ("language {id}", _language),
    "similar": ("{content_ids} to be more similar to each other than to {more_than}", _similar),
    "status": ("status {status} {reason}", _status),
}
