"""The data path of one event, with fakes behind its ports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import EchoInfer, FolderFetch, InProcessDecode, Letters, permanent, text_event, text_signal

from processors.conclusion import Conclusion
from processors.errors import ContentError, ModelError, Reason
from processors.signal import Signal, Tensors
from schemas.records import Asset, Findings, MediaKind, Status
from streams.pipeline import Pipeline


def pipeline_of(tmp_path: Path, signals: Sequence[Signal], infer: Any = None, files: Any = None) -> Pipeline:
    return Pipeline(signals, FolderFetch(tmp_path, files or {}), InProcessDecode(), infer or EchoInfer(), windows_in_flight=4)


def by_name(conclusions: list[Conclusion]) -> dict[str, Conclusion]:
    return {conclusion.signal.name: conclusion for conclusion in conclusions}


async def test_each_text_gets_an_entry(tmp_path: Path) -> None:
    """A signal that applies to two texts has two entries, in the event's order."""
    (conclusion,) = await pipeline_of(tmp_path, [text_signal()]).understand(text_event("abc", "defgh"))
    assert conclusion.status is Status.OK
    assert [(entry.asset_id, entry.findings.measures[0].value) for entry in conclusion.entries] == [
        ("text0", 3.0),
        ("text1", 5.0),
    ]


async def test_a_signal_that_applies_to_nothing_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """Every planned signal has a conclusion, also where there is nothing for it to do."""
    signals = [text_signal(), text_signal("audio.letters", applies_to=frozenset({MediaKind.AUDIO}))]
    conclusions = by_name(await pipeline_of(tmp_path, signals).understand(text_event("abc")))
    assert conclusions["audio.letters"].status is Status.SKIPPED
    assert conclusions["audio.letters"].reason is Reason.NO_APPLICABLE_ASSET
    assert "needs audio" in (conclusions["audio.letters"].detail or "")


async def test_a_broken_signal_leaves_its_neighbour_alone(tmp_path: Path) -> None:
    """Signals whose own code raises, in interpret or in reduce, fail with the reason; others of the event are OK."""

    def breaks(*_: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    signals = [text_signal(), text_signal("text.map", interpret=breaks), text_signal("text.reduce", reduce=breaks)]
    conclusions = by_name(await pipeline_of(tmp_path, signals).understand(text_event("abc")))
    assert conclusions["text.letters"].status is Status.OK
    for name in ("text.map", "text.reduce"):
        assert conclusions[name].status is Status.FAILED
        assert conclusions[name].reason is Reason.SIGNAL_CODE_FAILED
        assert "ZeroDivisionError" in (conclusions[name].detail or "")


async def test_one_of_two_texts_failing_degrades(tmp_path: Path) -> None:
    """What succeeded is published; what is missing is named with its reason."""

    def refuse_long(tensors: Tensors) -> None:
        if tensors["letters"][0, 0] > 4:
            raise ModelError(Reason.MODEL_REJECTED_INPUT, "too long")

    pipeline = pipeline_of(tmp_path, [text_signal()], EchoInfer(refuse_long))
    (conclusion,) = await pipeline.understand(text_event("abc", "defgh"))
    assert conclusion.status is Status.DEGRADED
    assert [entry.asset_id for entry in conclusion.entries] == ["text0"]
    assert [(missing.asset_id, missing.reason) for missing in conclusion.missing] == [("text1", "model_rejected_input")]


async def test_equal_features_are_computed_once(tmp_path: Path) -> None:
    """Two signals that share a feature and differ in the model see the same window; a different feature is a different one."""
    infer = EchoInfer()
    signals = [text_signal("text.a"), text_signal("text.b"), text_signal("text.c", feature=Letters("other"))]
    conclusions = await pipeline_of(tmp_path, signals, infer).understand(text_event("abc"))
    assert [c.status for c in conclusions] == [Status.OK] * 3
    assert infer.calls == 3


async def test_a_failed_fetch_fails_all_its_signals_and_only_those(tmp_path: Path) -> None:
    """An asset that cannot be fetched has its own error; the text beside it is understood, and so the signal is degraded."""
    asset = Asset(asset_id="file", kind=MediaKind.TEXT, uri="s3://bucket/gone")
    error = ContentError(Reason.TOO_LARGE, "9 TB is too large")
    pipeline = pipeline_of(tmp_path, [text_signal()], files={"s3://bucket/gone": error})
    (conclusion,) = await pipeline.understand(text_event("abc", assets=(asset,)))
    assert conclusion.status is Status.DEGRADED
    assert conclusion.missing[0].asset_id == "file"
    assert conclusion.missing[0].reason == "too_large"


async def test_needs_are_reduced_first_and_handed_on(tmp_path: Path) -> None:
    """A signal that needs another gets its findings for the same material, whatever the order in the catalogue."""

    def doubled(partials: Sequence[float], upstream: dict[str, Findings]) -> Findings:
        return upstream["text.letters"]

    signals = [text_signal("text.again", needs=("text.letters",), reduce=doubled), text_signal()]
    conclusions = by_name(await pipeline_of(tmp_path, signals).understand(text_event("abc")))
    assert conclusions["text.again"].entries[0].findings.measures[0].value == 3.0


async def test_a_failed_need_fails_its_dependants_with_the_cause(tmp_path: Path) -> None:
    """The dependant's detail names the signal it needs and why that has no result."""

    def refuse(*_: Any) -> Any:
        raise permanent("cannot be understood")

    signals = [text_signal(reduce=refuse), text_signal("text.again", needs=("text.letters",))]
    conclusions = by_name(await pipeline_of(tmp_path, signals).understand(text_event("abc")))
    assert conclusions["text.again"].reason is Reason.UPSTREAM_SIGNAL_FAILED
    assert "cannot be understood" in (conclusions["text.again"].detail or "")


async def test_windows_in_flight_are_bounded_per_event(tmp_path: Path) -> None:
    """However many texts an event has, no more than the bound are inferred at once."""
    infer = EchoInfer()
    await pipeline_of(tmp_path, [text_signal()], infer).understand(text_event(*["abc"] * 50))
    assert infer.calls == 50
    assert infer.most_in_flight <= 4


async def test_fetched_files_are_gone_afterwards(tmp_path: Path) -> None:
    """Also when decoding fails, the fetched file does not stay."""

    class NoDecode:
        async def __call__(self, *_: Any) -> Any:
            raise permanent("damaged")
            yield

    asset = Asset(asset_id="file", kind=MediaKind.TEXT, uri="file:///x")
    fetch = FolderFetch(tmp_path, {"file:///x": b"abc"})
    pipeline = Pipeline([text_signal()], fetch, NoDecode(), EchoInfer(), 4)
    (conclusion,) = await pipeline.understand(text_event(assets=(asset,)))
    assert conclusion.status is Status.FAILED
    assert fetch.open == 0
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240  # a test may look


def test_a_need_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    """A pipeline without a needed signal cannot be built; the sentence names both."""
    with pytest.raises(ValueError, match=r"text\.again needs text\.letters"):
        pipeline_of(tmp_path, [text_signal("text.again", needs=("text.letters",))])
