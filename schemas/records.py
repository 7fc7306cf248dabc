"""Frozen, typed mirrors of every record this system reads or writes.

The Avro schemas under `subjects/` are the contract; these classes are how Python code holds the same values. Times are
timezone-aware UTC datetimes (Avro timestamp-micros), positions and durations are integer milliseconds, spans are
half-open [start_ms, end_ms), picture coordinates are fractions of width and height in [0, 1], measured from top left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = [
    "Asset",
    "ContentPublished",
    "Entry",
    "Findings",
    "Label",
    "Measure",
    "MediaKind",
    "Metadata",
    "MissingAsset",
    "ModelVersion",
    "Outcome",
    "OutcomeRecord",
    "PipelineVersion",
    "Point",
    "Region",
    "Segment",
    "SignalRecord",
    "SourcePosition",
    "Status",
    "TextField",
    "Vector",
    "VectorDtype",
]


class MediaKind(StrEnum):
    """What an asset is made of."""

    UNKNOWN = "UNKNOWN"
    AUDIO = "AUDIO"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    TEXT = "TEXT"


class Status(StrEnum):
    """The terminal states of one (event, signal)."""

    UNKNOWN = "UNKNOWN"
    OK = "OK"
    DEGRADED = "DEGRADED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"
    RETRACTED = "RETRACTED"


# ---- in: content-published ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One media file of a content. sha256 is lower-case hexadecimal; role is free ("main", "thumbnail", "trailer")."""

    asset_id: str
    kind: MediaKind
    uri: str
    media_type: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    duration_ms: int | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """A text that travels inside the event. `language` is a BCP 47 tag as declared by the uploader."""

    name: str
    value: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the uploader says of the content; never trusted, only carried."""

    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    explicit: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPublished:
    """One `content-published` event: a version of a content with its assets and inline texts. The record key is content_id."""

    event_id: str
    content_id: str
    content_version: int
    tenant: str
    published_at: datetime
    assets: tuple[Asset, ...] = ()
    texts: tuple[TextField, ...] = ()
    metadata: Metadata = Metadata()
    attributes: Mapping[str, str] = field(default_factory=dict)


# ---- out: what a signal found ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A term of a named vocabulary. score in [0, 1]."""

    scheme: str
    scheme_version: str
    id: str
    name: str | None = None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of time, [start_ms, end_ms), with an optional score in [0, 1] and labels that hold in it."""

    start_ms: int
    end_ms: int
    score: float | None = None
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A position in a picture, fractions of its width and height."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A box in a picture, fractions of its width and height; time_ms says where in a video."""

    left: float
    top: float
    width: float
    height: float
    score: float
    landmarks: tuple[Point, ...] = ()
    time_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A number with its unit (UCUM where it has one: dB, LUFS, LU, ms, 1)."""

    name: str
    value: float
    unit: str


class VectorDtype(StrEnum):
    """Number format of a vector's bytes, little-endian."""

    UNKNOWN = "UNKNOWN"
    FLOAT32_LE = "FLOAT32_LE"
    FLOAT16_LE = "FLOAT16_LE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """An embedding: `dim` numbers of `dtype`, packed. Bytes, because Avro arrays of floats cost ten times as much to read."""

    dtype: VectorDtype
    dim: int
    normalized: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a signal says of one asset. A signal fills the shapes its schema has and leaves the others at their defaults."""

    labels: tuple[Label, ...] = ()
    vector: Vector | None = None
    segments: tuple[Segment, ...] = ()
    regions: tuple[Region, ...] = ()
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The findings for one asset; asset_id is the asset's id, or an inline text's field name."""

    asset_id: str
    findings: Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingAsset:
    """An asset that a DEGRADED signal has no entry for, with the reason code."""

    asset_id: str
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """The model that answered. revision: sha256 of its weights, where the server says so."""

    name: str
    version: str
    revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineVersion:
    """The worker's release and the hash of everything that shapes this signal's result."""

    version: str
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """One understanding of one content: the record on a signal topic. The record key is content_id."""

    signal_id: str
    run_id: str
    signal: str
    content_id: str
    content_version: int
    tenant: str
    source_event_id: str
    published_at: datetime
    produced_at: datetime
    status: Status
    model: ModelVersion | None
    pipeline: PipelineVersion
    experiment: str | None = None
    timings_ms: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[MissingAsset, ...] = ()
    entries: tuple[Entry, ...] = ()


# ---- ledger ----


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePosition:
    """Where the event stood."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one (event, signal). reason is a code of `processors.errors.Reason`, null for OK."""

    signal: str
    status: Status
    reason: str | None = None
    detail: str | None = None
    attempts: int = 1
    signal_id: str | None = None
    timings_ms: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """The ledger's record: the outcomes of one event that became terminal in one transaction. The record key is content_id."""

    run_id: str
    group: str
    source: SourcePosition
    event_id: str
    content_id: str
    content_version: int
    tenant: str
    recorded_at: datetime
    worker: str
    planned: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    complete: bool
