"""What every signal has to keep. The suite walks the catalogue: to be listed is to be tested.

Nothing here names a signal. Media are the embedded samples; a model's answers are made up (`model_answers`).
"""

import copy
import dataclasses
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_answers import answer_of

from embedded import sample_media
from processors.catalogue import SIGNALS
from processors.conclusion import conclude
from processors.decode.limits import Limits
from processors.decode.windows import windows
from processors.errors import ModelError, Reason, SignalsError
from processors.media import Characters, Frames, Loudness, Mono, Picture, PictureWithin
from processors.plan import in_order
from processors.signal import Feature, Signal, Tensors, Window
from processors.vectors import unpack
from schemas import compose, identity, subjects, wire
from schemas.records import (
    Entry,
    Findings,
    MediaKind,
    ModelVersion,
    PipelineVersion,
    SignalRecord,
    Status,
)
from streams.pipeline import Answers, reduced

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(5)
VIEWS = {
    MediaKind.AUDIO: (Mono, Loudness),
    MediaKind.VIDEO: (Mono, Loudness, Frames),
    MediaKind.IMAGE: (Picture, PictureWithin),
    MediaKind.TEXT: (Characters,),
}
BY_NAME = {signal.name: signal for signal in SIGNALS}
WITH_MODEL = [signal for signal in SIGNALS if signal.model]

each_signal = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
each_signal_with_model = pytest.mark.parametrize("signal", WITH_MODEL, ids=lambda signal: signal.name)
each_signal_and_kind = pytest.mark.parametrize(
    ("signal", "kind"),
    [(signal, kind) for signal in SIGNALS for kind in sorted(signal.applies_to)],
    ids=lambda value: value.name if isinstance(value, Signal) else value.lower(),
)


# ---- what is understood: a sample of each kind ----


@cache
def sample_windows(kind: MediaKind) -> Mapping[Feature, list[Window | SignalsError]]:
    """What each feature of the catalogue makes of the largest sample of this kind, in one pass."""
    assets = [asset for content in sample_media.load() for asset in content.assets if asset.kind == kind]
    features = frozenset(signal.feature for signal in SIGNALS if kind in signal.applies_to)
    found: dict[Feature, list[Window | SignalsError]] = {feature: [] for feature in features}
    with max(assets, key=lambda asset: asset.size_bytes).path.open("rb") as file:
        for feature, window in windows(file, kind, features, Limits()):
            found[feature].append(window)
    return found


def windows_of(signal: Signal, kind: MediaKind) -> list[Window]:
    found = sample_windows(kind)[signal.feature]
    assert found, f"{signal.feature} made no window of the {kind} sample"
    assert all(isinstance(window, Window) for window in found), found
    return [window for window in found if isinstance(window, Window)]


def answered(signal: Signal, window: Window, seed: int) -> Tensors:
    """The model's answer for a window; without a model, the window's own tensors."""
    if signal.model is None:
        return window.tensors
    return answer_of(signal.model, {spec.name: window.tensors[spec.name] for spec in signal.model.inputs}, seed)


def findings_of(signal: Signal, kind: MediaKind, seed: int) -> Findings:
    """The findings in the sample of this kind, those of the signals it needs included."""
    upstream = {name: findings_of(BY_NAME[name], kind, seed) for name in signal.needs}
    partials = [
        signal.interpret(answered(signal, window, seed + number), window)
        for number, window in enumerate(windows_of(signal, kind))
    ]
    return signal.reduce(partials, upstream)


def filled(findings: Findings) -> set[str]:
    return {field.name for field in dataclasses.fields(findings) if getattr(findings, field.name) not in ((), None)}


# ---- what a signal says of itself ----


def test_names_and_topics_are_unique() -> None:
    """No two signals share a name or write to one topic."""
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)
    assert len({signal.topic for signal in SIGNALS}) == len(SIGNALS)


@each_signal
def test_the_name_says_the_modality(signal: Signal) -> None:
    """A name is modality.word; the modality is a kind of media that the signal applies to; the topic carries name and version."""
    assert re.fullmatch(r"(audio|image|video|text)\.[a-z][a-z0-9_]*", signal.name)
    assert MediaKind(signal.modality.upper()) in signal.applies_to
    assert MediaKind.UNKNOWN not in signal.applies_to
    assert signal.topic == f"signal.{signal.name}.v{signal.version}"
    assert signal.version >= 1


@each_signal
def test_owner_and_meaning_are_given(signal: Signal) -> None:
    """The owner is a team's name; the meaning is one or more whole sentences on a line."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", signal.owner)
    assert re.fullmatch(r"[A-Z][^\n]+\.", signal.meaning)
    assert len(signal.meaning.split()) >= 6


@each_signal
def test_shapes_are_listed_once(signal: Signal) -> None:
    """A signal fills at least one shape, and the shapes are those of the schema."""
    assert signal.shapes
    assert len(set(signal.shapes)) == len(signal.shapes)
    assert set(signal.shapes) <= set(compose.SHAPES)


def test_needs_are_listed_and_go_in_no_circle() -> None:
    """The plan can order the catalogue."""
    ordered = [signal.name for signal in in_order(SIGNALS)]
    for signal in SIGNALS:
        assert all(ordered.index(name) < ordered.index(signal.name) for name in signal.needs)


@each_signal
def test_needs_are_met_for_every_kind(signal: Signal) -> None:
    """What a signal needs applies wherever the signal does."""
    assert all(signal.applies_to <= BY_NAME[name].applies_to for name in signal.needs)


@each_signal
def test_the_file_is_called_like_the_signal(signal: Signal) -> None:
    """One signal is one file, with one test: processors/signals/<modality>_<name>.py."""
    file_name = signal.name.replace(".", "_")
    assert (ROOT / "processors/signals" / f"{file_name}.py").is_file()
    assert (ROOT / "tests/processors/signals" / f"test_{file_name}.py").is_file()


# ---- its feature ----


@each_signal
def test_the_feature_is_a_value(signal: Signal) -> None:
    """Frozen, hashable, equal to its copy, and the same after pickling: computed once for all signals, in another process."""
    feature: Any = signal.feature
    assert feature.__dataclass_params__.frozen
    for other in (copy.deepcopy(feature), dataclasses.replace(feature), pickle.loads(pickle.dumps(feature))):
        assert other == feature
        assert hash(other) == hash(feature)
        assert other.view == feature.view


@each_signal_and_kind
def test_the_view_fits_the_kind(signal: Signal, kind: MediaKind) -> None:
    """A decoder of each kind that the signal applies to can give the view."""
    assert isinstance(signal.feature.view, VIEWS[kind])


@each_signal_and_kind
def test_windows_are_what_the_model_takes(signal: Signal, kind: MediaKind) -> None:
    """A sample gives windows with each input of the model: its dtype and shape, equal rows, no more than Triton batches."""
    for window in windows_of(signal, kind):
        assert 0 <= window.start_ms <= window.end_ms
        if signal.model is None:
            continue
        tensors = [window.tensors[spec.name] for spec in signal.model.inputs]
        rows = {len(tensor) for tensor in tensors}
        assert len(rows) == 1
        assert 1 <= rows.pop() <= signal.model.max_batch_rows
        for spec, tensor in zip(signal.model.inputs, tensors, strict=True):
            assert tensor.dtype == spec.dtype, spec.name
            assert tensor.ndim == len(spec.shape) + 1, spec.name
            assert all(want in (None, have) for want, have in zip(spec.shape, tensor.shape[1:], strict=True)), spec.name


@each_signal_and_kind
def test_windows_are_finite_and_in_order(signal: Signal, kind: MediaKind) -> None:
    """A sample gives no NaN and no infinity, and windows follow one another."""
    found = windows_of(signal, kind)
    for window in found:
        for name, tensor in window.tensors.items():
            assert tensor.dtype.kind not in "fc" or np.isfinite(tensor).all(), name
    starts = [window.start_ms for window in found]
    assert starts == sorted(starts)


# ---- its findings ----


@each_signal_and_kind
def test_findings_have_the_shapes_that_are_listed(signal: Signal, kind: MediaKind) -> None:
    """No answer fills a shape that the schema lacks, and each listed shape is filled by some."""
    seen = [filled(findings_of(signal, kind, seed)) for seed in SEEDS]
    assert set().union(*seen) == set(signal.shapes)


@each_signal_and_kind
def test_findings_keep_the_contract_of_their_records(signal: Signal, kind: MediaKind) -> None:
    """Scores in [0, 1], spans that are not empty and in order, boxes in the picture, finite measures, vectors of dim numbers."""
    for seed in SEEDS:
        findings = findings_of(signal, kind, seed)
        labels = [*findings.labels, *(label for segment in findings.segments for label in segment.labels)]
        scored = [*labels, *findings.regions, *(segment for segment in findings.segments if segment.score is not None)]
        assert all(0.0 <= thing.score <= 1.0 for thing in scored)
        assert all(label.scheme and label.scheme_version and label.id for label in labels)
        assert all(0 <= segment.start_ms < segment.end_ms for segment in findings.segments)
        assert list(findings.segments) == sorted(findings.segments, key=lambda segment: segment.start_ms)
        for box in findings.regions:
            assert min(box.left, box.top, box.width, box.height) >= 0.0
            assert max(box.left + box.width, box.top + box.height) <= 1.0 + 1e-6
        assert all(np.isfinite(measure.value) and measure.unit for measure in findings.measures)
        assert findings.vector is None or np.isfinite(unpack(findings.vector)).all()


@each_signal_and_kind
def test_records_survive_the_wire(signal: Signal, kind: MediaKind) -> None:
    """A record with the findings fits the committed schema and is the same when read, to the precision of the schema's floats."""
    schema = subjects.latest(signal.topic)
    for seed in SEEDS:
        record = record_of(signal, findings_of(signal, kind, seed))
        payload = wire.encode(record, schema, 7)
        read = wire.signal_record(wire.decode(payload, {7: schema}.__getitem__, schema))
        assert in_single_precision(read) == in_single_precision(record)
        assert wire.encode(read, schema, 7) == payload


def record_of(signal: Signal, findings: Findings) -> SignalRecord:
    model = signal.model
    return SignalRecord(
        signal_id=identity.signal_id("content", 1, signal.name, model.version if model else "", signal.config_hash),
        run_id=identity.run_id("cluster", "signals", "content-published.v1", 0, 0),
        signal=signal.name,
        content_id="content",
        content_version=1,
        tenant="tests",
        source_event_id="event",
        published_at=datetime(2026, 1, 2, tzinfo=UTC),
        produced_at=datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC),
        status=Status.OK,
        model=ModelVersion(name=model.name, version=model.version) if model else None,
        pipeline=PipelineVersion(version="0", config_hash=signal.config_hash),
        entries=(Entry(asset_id="main", findings=findings),),
    )


def in_single_precision(value: Any) -> Any:
    """A record as dicts and tuples, its floats as Avro's float has them."""
    if dataclasses.is_dataclass(value):
        return {field.name: in_single_precision(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return tuple(map(in_single_precision, value))
    return float(np.float32(value)) if isinstance(value, float) else value


# ---- what it refuses ----


def first_window(signal: Signal) -> tuple[MediaKind, Window, dict[str, Any]]:
    kind = min(signal.applies_to)
    window = windows_of(signal, kind)[0]
    return kind, window, dict(answered(signal, window, seed=1))


def outputs_read(signal: Signal) -> list[str]:
    """The model's outputs without which the signal refuses the answer. It cannot care for what is in the others."""
    assert signal.model
    _, window, answer = first_window(signal)
    read = []
    for spec in signal.model.outputs:
        try:
            signal.interpret({name: tensor for name, tensor in answer.items() if name != spec.name}, window)
        except ModelError:
            read.append(spec.name)
    return read


@each_signal_with_model
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(signal: Signal, number: float) -> None:
    """One NaN or infinity, anywhere in an output that the signal reads, is the model's error; it never passes into a record."""
    _, window, answer = first_window(signal)
    assert outputs_read(signal)
    for name in outputs_read(signal):
        if answer[name].dtype.kind != "f":
            continue
        for place in (0, answer[name].size // 2, answer[name].size - 1):
            spoilt = answer[name].copy()
            spoilt.flat[place] = number
            with pytest.raises(ModelError) as caught:
                signal.interpret(answer | {name: spoilt}, window)
            assert caught.value.reason is Reason.BAD_OUTPUT


@each_signal_with_model
def test_other_numbers_of_rows_are_refused(signal: Signal) -> None:
    """A row too many or too few, in any output that the signal reads, is the model's error: nothing is cut off silently."""
    _, window, answer = first_window(signal)
    for name in outputs_read(signal):
        for rows in (answer[name][:-1], np.concatenate([answer[name], answer[name][:1]])):
            with pytest.raises(ModelError) as caught:
                signal.interpret(answer | {name: rows}, window)
            assert caught.value.reason is Reason.BAD_OUTPUT


@each_signal_with_model
def test_other_shapes_are_refused(signal: Signal) -> None:
    """An output with an axis too many, or a last axis that is too short, is the model's error."""
    _, window, answer = first_window(signal)
    for name in outputs_read(signal):
        for misshapen in (answer[name][..., np.newaxis], answer[name][..., :-1]):
            with pytest.raises(ModelError) as caught:
                signal.interpret(answer | {name: misshapen}, window)
            assert caught.value.reason is Reason.BAD_OUTPUT


@each_signal
def test_an_asset_without_windows_is_no_bug(signal: Signal) -> None:
    """Where a feature found nothing to make a window of, the signal is skipped with that reason, and its code does not fail."""
    kind = min(signal.applies_to)
    found = {name: {"main": findings_of(BY_NAME[name], kind, seed=1)} for name in signal.needs}
    empty = reduced(Answers(signal), "main", found)
    assert isinstance(empty, SignalsError)
    assert empty.reason is Reason.EMPTY_CONTENT
    assert conclude(signal, {"main": empty}).status is Status.SKIPPED


# ---- its configuration ----


@each_signal
def test_the_configuration_hash_follows_what_shapes_the_result(signal: Signal) -> None:
    """Another parameter, value, feature, model or version is another hash; a copy has the same."""
    assert re.fullmatch("[0-9a-f]{16}", signal.config_hash)
    assert dataclasses.replace(signal, meaning="Something else.").config_hash == signal.config_hash
    parameters = dict(signal.parameters)
    others = [dataclasses.replace(signal, parameters=parameters | {name: f"{parameters[name]} more"}) for name in parameters]
    others += [
        dataclasses.replace(signal, parameters=parameters | {"a_new_one": 1}),
        dataclasses.replace(signal, feature=f"{signal.feature} of another kind"),
        dataclasses.replace(signal, version=signal.version + 1),
    ]
    if signal.model:
        others.append(dataclasses.replace(signal, model=dataclasses.replace(signal.model, version="next")))
        others.append(dataclasses.replace(signal, model=None))
    hashes = {other.config_hash for other in others}
    assert len(hashes) == len(others)
    assert signal.config_hash not in hashes


def test_configuration_hashes_are_the_same_in_every_process() -> None:
    """They depend on nothing that differs from one process to the next, such as the order of sets."""
    code = "from processors.catalogue import SIGNALS; print(*(signal.config_hash for signal in SIGNALS))"
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [signal.config_hash for signal in SIGNALS]


def test_every_expected_answer_is_of_a_listed_signal() -> None:
    """expected.json speaks of contents, assets and signals that there are, and of every signal at least once."""
    contents = {
        content.content_id: {asset.asset_id for asset in content.assets} | {text.name for text in content.texts}
        for content in sample_media.load()
    }
    expectations = sample_media.expectations()
    for expectation in expectations:
        assert expectation["signal"] in BY_NAME, expectation
        assert expectation["asset_id"] in contents[expectation["content_id"]], expectation
    assert {expectation["signal"] for expectation in expectations} == set(BY_NAME)
