"""Hypothesis strategies for every record that goes over the wire, as good as the schemas allow."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from schemas.records import (
    Asset,
    ContentPublished,
    Entry,
    Findings,
    Label,
    Measure,
    MediaKind,
    Metadata,
    MissingAsset,
    ModelVersion,
    Outcome,
    OutcomeRecord,
    PipelineVersion,
    Point,
    Region,
    Segment,
    SignalRecord,
    SourcePosition,
    Status,
    TextField,
    Vector,
    VectorDtype,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(width=32, allow_nan=False)
doubles = st.floats(allow_nan=False)
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
uuids = st.uuids().map(str)
timings = st.dictionaries(texts, longs, max_size=3)


def maybe(strategy):
    return st.none() | strategy


def many(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


labels = st.builds(Label, scheme=texts, scheme_version=texts, id=texts, name=maybe(texts), score=floats)
points = st.builds(Point, x=floats, y=floats)
vectors = st.builds(Vector, dtype=st.sampled_from(VectorDtype), dim=ints, normalized=st.booleans(), data=st.binary(max_size=64))
segments = st.builds(Segment, start_ms=longs, end_ms=longs, score=maybe(floats), labels=many(labels))
regions = st.builds(
    Region,
    left=floats,
    top=floats,
    width=floats,
    height=floats,
    score=floats,
    landmarks=many(points),
    time_ms=maybe(longs),
)
measures = st.builds(Measure, name=texts, value=doubles, unit=texts)
SHAPES = {
    "labels": many(labels),
    "vector": maybe(vectors),
    "segments": many(segments),
    "regions": many(regions),
    "measures": many(measures),
}


def signal_records(shapes):
    """Records of a signal whose entries have these shapes."""
    findings = st.builds(Findings, **{shape: SHAPES[shape] for shape in shapes})
    return st.builds(
        SignalRecord,
        signal_id=uuids,
        run_id=uuids,
        signal=texts,
        content_id=texts,
        content_version=longs,
        tenant=texts,
        source_event_id=texts,
        published_at=times,
        produced_at=times,
        status=st.sampled_from(Status),
        model=maybe(st.builds(ModelVersion, name=texts, version=texts, revision=maybe(texts))),
        pipeline=st.builds(PipelineVersion, version=texts, config_hash=texts),
        experiment=maybe(texts),
        timings_ms=timings,
        missing=many(st.builds(MissingAsset, asset_id=texts, reason=texts, detail=maybe(texts))),
        entries=many(st.builds(Entry, asset_id=texts, findings=findings)),
    )


events = st.builds(
    ContentPublished,
    event_id=texts,
    content_id=texts,
    content_version=longs,
    tenant=texts,
    published_at=times,
    assets=many(
        st.builds(
            Asset,
            asset_id=texts,
            kind=st.sampled_from(MediaKind),
            uri=texts,
            media_type=maybe(texts),
            sha256=maybe(texts),
            size_bytes=maybe(longs),
            duration_ms=maybe(longs),
            role=maybe(texts),
        )
    ),
    texts=many(st.builds(TextField, name=texts, value=texts, language=maybe(texts))),
    metadata=st.builds(
        Metadata,
        title=maybe(texts),
        description=maybe(texts),
        tags=many(texts),
        language=maybe(texts),
        explicit=maybe(st.booleans()),
    ),
    attributes=st.dictionaries(texts, texts, max_size=3),
)

outcomes = st.builds(
    Outcome,
    signal=texts,
    status=st.sampled_from(Status),
    reason=maybe(texts),
    detail=maybe(texts),
    attempts=ints,
    signal_id=maybe(uuids),
    timings_ms=timings,
)
outcome_records = st.builds(
    OutcomeRecord,
    run_id=uuids,
    group=texts,
    source=st.builds(SourcePosition, topic=texts, partition=ints, offset=longs),
    event_id=texts,
    content_id=texts,
    content_version=longs,
    tenant=texts,
    recorded_at=times,
    worker=texts,
    planned=many(texts),
    outcomes=many(outcomes),
    complete=st.booleans(),
)
