"""Hand-made findings that agree and disagree, for each kind of check."""

from typing import Any

import pytest

from embedded.agreement import Finding, disagreements


def expect(check: str, signal: str = "some.signal", **values: Any) -> dict[str, Any]:
    return {"content_id": "c", "asset_id": "a", "signal": signal, "check": check, **values}


def found(signal: str = "some.signal", **values: Any) -> dict[tuple[str, str, str], Finding]:
    return {("c", "a", signal): {"status": "OK", **values}}


def spans(*edges: tuple[int, int], names: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    labels = [{"id": name, "name": name, "score": 0.5} for name in names]
    return [{"start_ms": start, "end_ms": end, "labels": labels} for start, end in edges]


def labels(*names: str) -> list[dict[str, Any]]:
    """Labels from best to worst, handed over from worst to best."""
    return [{"id": name, "name": name, "score": 1 / (rank + 2)} for rank, name in enumerate(names)][::-1]


def region(left: float, top: float, width: float, height: float) -> dict[str, float]:
    return {"left": left, "top": top, "width": width, "height": height, "score": 0.9}


SPEECH = expect("speech_segments", segments=[[1000, 3000], [5000, 7000]], tolerance_ms=250, min_iou=0.8)
MEASURE = expect("measure", name="integrated", value=-23.0, tolerance=0.1)
TOP = expect("label_in_top", names_any_of=["espresso", "cup"], k=2)
FACE = expect("regions", count=1, boxes=[[0.3, 0.1, 0.2, 0.2]], min_iou=0.5)
NO_FACE = expect("regions", count=0, boxes=[], min_iou=0.5)
SHOTS = expect("shots", boundaries_ms=[1880, 3880], tolerance_ms=80)
SCENE = expect("segment_label", at_ms=900, names_any_of=["espresso"])
LANGUAGE = expect("language", id="ja")
SKIPPED = expect("status", status="SKIPPED", reason="no_such_stream")
SKIPPED_SOMEHOW = expect("status", status="SKIPPED")


@pytest.mark.parametrize(
    ("expectation", "values"),
    [
        (SPEECH, {"segments": spans((1100, 2900), (4900, 7100))}),
        (SPEECH, {"segments": spans((4900, 7100), (1000, 1900), (2000, 3000))}),
        (
            MEASURE,
            {"measures": [{"name": "range", "value": 3, "unit": "LU"}, {"name": "integrated", "value": -23.05, "unit": "LUFS"}]},
        ),
        (TOP, {"labels": labels("table", "cup", "plate")}),
        (FACE, {"regions": [region(0.31, 0.12, 0.2, 0.2)]}),
        (NO_FACE, {"regions": []}),
        (NO_FACE, {}),
        (SHOTS, {"segments": spans((0, 1880), (1880, 3920), (3920, 5000))}),
        (SCENE, {"segments": [*spans((0, 880), names=("wall",)), *spans((880, 1880), names=("plate", "espresso"))]}),
        (LANGUAGE, {"labels": labels("ja", "zh")}),
        (LANGUAGE, {"status": "DEGRADED", "labels": labels("ja")}),
        (SKIPPED, {"status": "SKIPPED", "reason": "no_such_stream"}),
        (SKIPPED_SOMEHOW, {"status": "SKIPPED", "reason": "empty_content"}),
    ],
)
def test_agreement_is_silent(expectation: dict[str, Any], values: dict[str, Any]) -> None:
    """A finding that keeps to its expectation gives no sentence."""
    assert disagreements([expectation], found(**values)) == []


@pytest.mark.parametrize(
    ("expectation", "values", "part"),
    [
        (SPEECH, {"segments": spans((1000, 3000))}, "nothing in tolerance of [5000, 7000]"),
        (SPEECH, {"segments": spans((1000, 2000), (2000, 7000))}, "shared ÷ joint time 0.67"),
        (SPEECH, {"segments": []}, "shared ÷ joint time 0.00"),
        (MEASURE, {"measures": [{"name": "integrated", "value": -23.2, "unit": "LUFS"}]}, "found -23.2"),
        (MEASURE, {"measures": [{"name": "integrated", "value": float("nan"), "unit": "LUFS"}]}, "found nan"),
        (MEASURE, {"measures": [{"name": "range", "value": -23, "unit": "LU"}]}, "but ['range']"),
        (TOP, {"labels": labels("table", "plate", "cup")}, "found ['table', 'plate']"),
        (FACE, {"regions": [region(0.1, 0.3, 0.2, 0.2)]}, "none of which overlaps [0.3, 0.1, 0.2, 0.2] enough"),
        (FACE, {"regions": [region(0.3, 0.1, 0.2, 0.2), region(0.7, 0.7, 0.1, 0.1)]}, "found 2"),
        (NO_FACE, {"regions": [region(0.3, 0.1, 0.2, 0.2)]}, "expected 0 regions"),
        (SHOTS, {"segments": spans((0, 1880), (1880, 5000))}, "found [1880]"),
        (SHOTS, {"segments": spans((0, 1880), (1880, 3970), (3970, 5000))}, "found [1880, 3970]"),
        (SCENE, {"segments": spans((900, 1880), names=("wall",))}, "found ['wall'] in 1 segments"),
        (SCENE, {"segments": spans((0, 900), names=("espresso",))}, "found [] in 0 segments"),
        (LANGUAGE, {"labels": labels("zh", "ja")}, "found ['zh', 'ja']"),
        (LANGUAGE, {"status": "FAILED", "reason": "undecodable", "labels": labels("ja")}, "found status FAILED undecodable"),
        (SKIPPED, {}, "expected status SKIPPED no_such_stream, found status OK"),
        (SKIPPED, {"status": "SKIPPED", "reason": "empty_content"}, "found status SKIPPED empty_content"),
    ],
)
def test_disagreement_says_what_was_expected_and_found(expectation: dict[str, Any], values: dict[str, Any], part: str) -> None:
    """A finding beside its expectation gives one sentence, which names the content, the asset and the signal first."""
    (sentence,) = disagreements([expectation], found(**values))
    assert sentence.startswith("c/a some.signal: expected ")
    assert part in sentence


def vectors(**values: list[float]) -> dict[tuple[str, str, str], Finding]:
    return {(content_id, "a", "text.embedding"): {"status": "OK", "vector": vector} for content_id, vector in values.items()}


SIMILAR = expect("similar", signal="text.embedding", content_ids=["c", "d"], more_than="e")


def test_similar_compares_directions() -> None:
    """Two texts are similar when their vectors point the same way, whatever their lengths."""
    assert disagreements([SIMILAR], vectors(c=[1, 0.1], d=[5, 0.2], e=[0.1, 1])) == []


def test_dissimilar_shows_both_similarities() -> None:
    """When the third text is nearer to either of the two, both numbers are shown."""
    (sentence,) = disagreements([SIMILAR], vectors(c=[1, 0], d=[0, 1], e=[0, 1]))
    assert sentence.endswith("found similarity 0.000 against 1.000")


def test_similar_needs_all_three_vectors() -> None:
    """A vector that is missing is named."""
    (sentence,) = disagreements([SIMILAR], vectors(c=[1, 0], d=[1, 0]))
    assert sentence.endswith("found no vector of e")


def test_each_region_counts_for_one_box() -> None:
    """One region cannot stand for two faces."""
    two = expect("regions", count=2, boxes=[[0.3, 0.1, 0.2, 0.2], [0.31, 0.1, 0.2, 0.2]], min_iou=0.5)
    near, elsewhere = region(0.3, 0.1, 0.2, 0.2), region(0.7, 0.7, 0.1, 0.1)
    assert disagreements([two], found(regions=[near, near])) == []
    assert len(disagreements([two], found(regions=[near, elsewhere]))) == 1


def test_missing_finding_is_a_disagreement() -> None:
    """A signal that never came disagrees with everything, also with being skipped."""
    sentences = disagreements([LANGUAGE, SKIPPED], found(signal="another.signal"))
    assert sentences == [
        "c/a some.signal: expected language ja, found nothing at all",
        "c/a some.signal: expected status SKIPPED no_such_stream, found nothing at all",
    ]


def test_unknown_check_is_an_error() -> None:
    """A misspelt check must not pass as agreement."""
    with pytest.raises(ValueError, match="unknown check 'lable_in_top'; known are label_in_top, "):
        disagreements([expect("lable_in_top")], found())
