"""video.tags: what each shot of a video shows, as ImageNet classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.errors import ModelError, Reason
from processors.features.video import SampledFrames
from processors.signal import Shape, Signal, Tensors, Window
from processors.signals.checks import one_row, require_between
from processors.signals.imagenet import classes, top_labels
from processors.signals.models import IMAGE_TAGS
from schemas.records import Findings, MediaKind, Segment

__all__ = ["SIGNAL"]

SHOTS = "video.shots"
MOST_LABELS = 5
LEAST_SCORE = 0.1
KEPT_CLASSES = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Tagged:
    """For each frame: its time, int64 (n,), its likeliest classes, uint16 (n, 20), and their probabilities, float16 (n, 20).

    88 bytes a frame, where all thousand probabilities would take 4,000.
    """

    times_ms: NDArray[np.int64]
    classes: NDArray[np.uint16]
    scores: NDArray[np.float16]


def _interpret(answer: Tensors, window: Window) -> _Tagged:
    times_ms = window.tensors["times_ms"]
    batch = answer.get("probabilities", np.zeros((0, 0)))
    if len(batch) != len(times_ms):
        raise ModelError(Reason.BAD_OUTPUT, f"probabilities must have {len(times_ms)} rows, and has the shape {batch.shape}")
    rows = np.stack([one_row({"probabilities": row[np.newaxis]}, "probabilities", (len(classes()),)) for row in batch])
    require_between("probabilities", rows, 0.0, 1.0)
    best = np.argpartition(-rows, KEPT_CLASSES, axis=1)[:, :KEPT_CLASSES]
    return _Tagged(times_ms, best.astype(np.uint16), np.take_along_axis(rows, best, axis=1).astype(np.float16))


def _reduce(partials: Sequence[_Tagged], upstream: Mapping[str, Findings]) -> Findings:
    times_ms = np.concatenate([partial.times_ms for partial in partials])
    kept = np.concatenate([partial.classes for partial in partials])
    scores = np.concatenate([partial.scores for partial in partials])
    return Findings(segments=tuple(_labelled(shot, times_ms, kept, scores) for shot in upstream[SHOTS].segments))


def _labelled(shot: Segment, times_ms: NDArray[np.int64], kept: NDArray[np.uint16], scores: NDArray[np.float16]) -> Segment:
    """The shot with the classes whose mean probability over its frames is high enough; none where no frame was looked at."""
    first, after = np.searchsorted(times_ms, [shot.start_ms, shot.end_ms])
    mean = np.zeros(len(classes()))
    np.add.at(mean, kept[first:after], scores[first:after] / max(after - first, 1))
    return Segment(start_ms=shot.start_ms, end_ms=shot.end_ms, labels=top_labels(mean, MOST_LABELS, LEAST_SCORE))


SIGNAL = Signal(
    name="video.tags",
    owner="media-understanding",
    meaning="What each shot of a video shows, as up to five ImageNet classes: the mean over frames half a second apart.",
    applies_to=frozenset({MediaKind.VIDEO}),
    shapes=(Shape.SEGMENTS,),
    feature=SampledFrames(every_ms=500),
    model=IMAGE_TAGS,
    interpret=_interpret,
    reduce=_reduce,
    needs=(SHOTS,),
    parameters={"most_labels": MOST_LABELS, "least_score": LEAST_SCORE},
)
