"""video.shots: a video's shots, one after the other, without gap."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.features.video import ShotFrames
from processors.signal import Shape, Signal, Tensors, Window
from processors.signals.checks import one_row, require_between
from processors.signals.models import VIDEO_SHOTS
from schemas.records import Findings, MediaKind, Segment

__all__ = ["SIGNAL"]

CUT_SCORE = 0.5
TRANSITION_SCORE = 0.5
MARGIN_FRAMES = 25


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """For each frame that a window speaks for, float32 and int64 (n,): its scores, its time. end_ms: where the last one ends."""

    cut: NDArray[np.float32]
    transition: NDArray[np.float32]
    times_ms: NDArray[np.int64]
    end_ms: int


def _interpret(answer: Tensors, window: Window) -> _Seen:
    times_ms, asked = window.tensors["times_ms"], window.tensors["frames"].shape[1]
    spoken_for = slice(MARGIN_FRAMES, MARGIN_FRAMES + len(times_ms))
    rows = {name: one_row(answer, name, (asked,)) for name in ("cut", "transition")}
    for name, row in rows.items():
        require_between(name, row, 0.0, 1.0)
    cut, transition = (row[spoken_for].astype(np.float32) for row in rows.values())
    return _Seen(cut, transition, times_ms, window.end_ms)


def _reduce(partials: Sequence[_Seen], upstream: Mapping[str, Findings]) -> Findings:
    cut = np.concatenate([partial.cut for partial in partials])
    transition = np.concatenate([partial.transition for partial in partials])
    times_ms = np.concatenate([partial.times_ms for partial in partials])
    return Findings(segments=tuple(_shots(_boundaries(cut, transition), times_ms, partials[-1].end_ms)))


def _boundaries(cut: NDArray[np.float32], transition: NDArray[np.float32]) -> list[tuple[int, float]]:
    """(first frame of the new shot, score) of each boundary, in order.

    A cut's score is highest at the last frame of the old shot. A run of transition frames without a cut in or beside it is a
    dissolve: the new shot begins in its middle.
    """
    found = [
        (first + int(cut[first:after].argmax()) + 1, float(cut[first:after].max())) for first, after in _runs(cut > CUT_SCORE)
    ]
    for first, after in _runs(transition > TRANSITION_SCORE):
        if not (cut[max(first - 1, 0) : after + 1] > CUT_SCORE).any():
            found.append(((first + after + 1) // 2, float(transition[first:after].max())))
    return sorted(found)


def _runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """[first, after) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _shots(boundaries: Sequence[tuple[int, float]], times_ms: NDArray[np.int64], end_ms: int) -> Iterator[Segment]:
    """Boundaries that fall on one and the same millisecond, or behind the last frame, are none."""
    start_ms, score = int(times_ms[0]), None
    for frame, boundary_score in boundaries:
        if frame < len(times_ms) and start_ms < times_ms[frame] < end_ms:
            yield Segment(start_ms=start_ms, end_ms=int(times_ms[frame]), score=score)
            start_ms, score = int(times_ms[frame]), min(boundary_score, 1.0)
    yield Segment(start_ms=start_ms, end_ms=end_ms, score=score)


SIGNAL = Signal(
    name="video.shots",
    owner="media-understanding",
    meaning="A video's shots, without gap; the score is that of the cut or dissolve a shot begins with, and the first has none.",
    applies_to=frozenset({MediaKind.VIDEO}),
    shapes=(Shape.SEGMENTS,),
    feature=ShotFrames(),
    model=VIDEO_SHOTS,
    interpret=_interpret,
    reduce=_reduce,
    parameters={"cut_score": CUT_SCORE, "transition_score": TRANSITION_SCORE},
)
