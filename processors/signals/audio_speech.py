"""audio.speech: where people speak, and for how much of the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.errors import ModelError, Reason
from processors.features.audio import SpeechFrames
from processors.signal import Shape, Signal, Tensors, Window
from processors.signals.checks import one_row, require_between
from processors.signals.models import SPEECH_SEGMENTS
from schemas.records import Findings, Measure, MediaKind, Segment

__all__ = ["SIGNAL"]

# The defaults of Silero VAD (get_speech_timestamps), whose frames and probabilities these are.
ON_SCORE = 0.5
OFF_SCORE = 0.35
SHORTEST_SPEECH_MS = 250
SHORTEST_SILENCE_MS = 100
PADDING_MS = 30
FRAME_MS = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """scores:

    Float32, the probability of speech in each frame of 32 ms from start_ms on. end_ms: where the sound of these frames ends.
    """

    scores: NDArray[np.float32]
    start_ms: int
    end_ms: int


def _interpret(answer: Tensors, window: Window) -> _Heard:
    scores = one_row(answer, "speech", (None,))
    asked = window.tensors["frames"].shape[1]
    if len(scores) != asked:
        raise ModelError(Reason.BAD_OUTPUT, f"speech must have a score for each of the {asked} frames, and has {len(scores)}")
    require_between("speech", scores, 0.0, 1.0)
    return _Heard(scores[int(window.tensors["warm_up"][0]) :].astype(np.float32), window.start_ms, window.end_ms)


def _reduce(partials: Sequence[_Heard], upstream: Mapping[str, Findings]) -> Findings:
    start_ms, end_ms = partials[0].start_ms, partials[-1].end_ms
    scores = np.concatenate([partial.scores for partial in partials])
    segments = tuple(_segments(scores, start_ms, end_ms))
    spoken_ms = sum(segment.end_ms - segment.start_ms for segment in segments)
    ratio = spoken_ms / (end_ms - start_ms) if end_ms > start_ms else 0.0
    return Findings(segments=segments, measures=(Measure(name="speech_ratio", value=ratio, unit="1"),))


def _segments(scores: NDArray[np.float32], start_ms: int, end_ms: int) -> Iterator[Segment]:
    """Padded by 30 ms on both sides, or by half of the silence between two where that is shorter."""
    stretches = list(_stretches(scores))
    edges = [(start_ms + first * FRAME_MS, min(start_ms + after * FRAME_MS, end_ms)) for first, after in stretches]
    for index, ((first, after), (begin, end)) in enumerate(zip(stretches, edges, strict=True)):
        before_ms = min(PADDING_MS, (begin - edges[index - 1][1]) // 2 if index else begin - start_ms)
        after_ms = min(PADDING_MS, (edges[index + 1][0] - end) // 2 if index + 1 < len(edges) else end_ms - end)
        score = min(max(float(scores[first:after].mean()), 0.0), 1.0)
        yield Segment(start_ms=begin - before_ms, end_ms=end + after_ms, score=score)


def _stretches(scores: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """[first, after) frames of speech: it begins where a score reaches ON_SCORE, and ends where scores fall below OFF_SCORE and
    do not reach ON_SCORE again for SHORTEST_SILENCE_MS; what is no longer than SHORTEST_SPEECH_MS is dropped.
    """
    first: int | None = None
    quiet: int | None = None
    for frame, score in enumerate(scores.tolist()):
        if score >= ON_SCORE:
            first, quiet = frame if first is None else first, None
        elif score < OFF_SCORE and first is not None:
            quiet = frame if quiet is None else quiet
            if (frame - quiet) * FRAME_MS >= SHORTEST_SILENCE_MS:
                if (quiet - first) * FRAME_MS > SHORTEST_SPEECH_MS:
                    yield first, quiet
                first = quiet = None
    if first is not None and ((quiet or len(scores)) - first) * FRAME_MS > SHORTEST_SPEECH_MS:
        yield first, quiet or len(scores)


SIGNAL = Signal(
    name="audio.speech",
    owner="media-understanding",
    meaning="Stretches in which someone speaks, each with the mean probability of it, and the share of the whole that they make.",
    applies_to=frozenset({MediaKind.AUDIO, MediaKind.VIDEO}),
    shapes=(Shape.SEGMENTS, Shape.MEASURES),
    feature=SpeechFrames(),
    model=SPEECH_SEGMENTS,
    interpret=_interpret,
    reduce=_reduce,
    parameters={
        "on_score": ON_SCORE,
        "off_score": OFF_SCORE,
        "shortest_speech_ms": SHORTEST_SPEECH_MS,
        "shortest_silence_ms": SHORTEST_SILENCE_MS,
        "padding_ms": PADDING_MS,
    },
)
