"""From scores of frames to stretches of speech."""

import numpy as np
import pytest

from processors.errors import ModelError, Reason
from processors.signal import Window
from processors.signals.audio_speech import SIGNAL


def window(scores, warm_up=0, start_ms=0, cut_ms=0):
    frames = np.zeros((1, len(scores), 576), np.float32)
    end_ms = start_ms + (len(scores) - warm_up) * 32 - cut_ms
    return Window({"frames": frames, "warm_up": np.array([warm_up])}, start_ms, end_ms)


def partial(scores, **kwargs):
    return SIGNAL.interpret({"speech": np.array([scores], np.float32)}, window(scores, **kwargs))


def spans(*scores):
    findings = SIGNAL.reduce([partial(list(scores))], {})
    return [(segment.start_ms, segment.end_ms) for segment in findings.segments]


def test_speech_is_padded_and_scored():
    """20 frames above the threshold: 640 ms, 30 ms more on both sides, their mean as score, their share of the whole."""
    findings = SIGNAL.reduce([partial([0.0] * 10 + [0.8] * 20 + [0.0] * 10)], {})
    (segment,) = findings.segments
    assert (segment.start_ms, segment.end_ms) == (320 - 30, 960 + 30)
    assert segment.score == pytest.approx(0.8)
    (ratio,) = findings.measures
    assert (ratio.name, ratio.unit) == ("speech_ratio", "1")
    assert ratio.value == pytest.approx(700 / 1280)


def test_what_has_begun_ends_below_the_lower_threshold_only():
    """Hysteresis: scores between 0.35 and 0.5 go on, but do not begin."""
    assert spans(*[0.4] * 10, *[0.9] * 10, *[0.4] * 10, *[0.1] * 10) == [(320 - 30, 960 + 30)]
    assert spans(*[0.45] * 40) == []


def test_short_silence_does_not_split():
    """Less than 100 ms of silence is part of the speech; more splits, and each side is padded by at most half of it."""
    assert spans(*[0.9] * 10, *[0.1] * 3, *[0.9] * 10) == [(0, 736)]
    assert spans(*[0.9] * 10, *[0.1] * 5, *[0.9] * 10) == [(0, 350), (450, 800)]


def test_short_speech_is_none():
    """250 ms or less is not speech."""
    assert spans(*[0.1] * 10, *[0.9] * 7, *[0.1] * 10) == []
    assert spans(*[0.1] * 10, *[0.9] * 8, *[0.1] * 10) == [(290, 606)]


def test_speech_reaches_the_edges_and_no_farther():
    """Padding stays inside the sound, and the end is the sound's, not that of the last frame's padding with zeros."""
    findings = SIGNAL.reduce([partial([0.9] * 20, cut_ms=11)], {})
    assert [(segment.start_ms, segment.end_ms) for segment in findings.segments] == [(0, 629)]
    assert findings.measures[0].value == 1.0


def test_speech_goes_on_over_windows():
    """Frames before a window's own are dropped; a stretch over three windows is one segment."""
    partials = [
        partial([0.0] * 10 + [0.9] * 10, start_ms=100),
        partial([0.0] * 4 + [0.9] * 20, warm_up=4, start_ms=740),
        partial([0.0] * 4 + [0.9] * 5 + [0.0] * 10, warm_up=4, start_ms=1380),
    ]
    (segment,) = SIGNAL.reduce(partials, {}).segments
    assert (segment.start_ms, segment.end_ms) == (100 + 320 - 30, 1380 + 160 + 30)
    assert segment.score == pytest.approx(0.9)


def test_silence_has_no_segment():
    """Nobody speaks: no segment, ratio 0."""
    findings = SIGNAL.reduce([partial([0.01] * 100)], {})
    assert findings.segments == ()
    assert findings.measures[0].value == 0.0


@pytest.mark.parametrize(
    "answer",
    [{}, {"speech": np.zeros((1, 9), np.float32)}, {"speech": np.full((1, 10), np.nan)}, {"speech": np.full((1, 10), 1.5)}],
)
def test_nonsense_is_refused(answer):
    """An answer without the tensor, of another length, or with numbers that are no probabilities is the model's error."""
    with pytest.raises(ModelError) as caught:
        SIGNAL.interpret(answer, window([0.0] * 10))
    assert caught.value.reason is Reason.BAD_OUTPUT
