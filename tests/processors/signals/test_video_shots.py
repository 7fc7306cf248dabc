"""From scores of frames to shots."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.errors import ModelError, Reason
from processors.signal import Window
from processors.signals.video_shots import SIGNAL


def partials(cut, transition, times_ms, end_ms):
    """The scores of a whole video cut into windows as the feature does it."""
    made = []
    for first in range(0, len(times_ms), 50):
        own = slice(first, first + 50)
        answer = {name: np.zeros((1, 100), np.float32) for name in ("cut", "transition")}
        answer["cut"][0, :25] = answer["cut"][0, 75:] = 0.9  # of other windows' frames: not to be listened to
        count = len(times_ms[own])
        answer["cut"][0, 25 : 25 + count], answer["transition"][0, 25 : 25 + count] = cut[own], transition[own]
        tensors = {"frames": np.zeros((1, 100, 27, 48, 3), np.uint8), "times_ms": times_ms[own]}
        until = int(times_ms[first + 50]) if first + 50 < len(times_ms) else end_ms
        made.append(SIGNAL.interpret(answer, Window(tensors, int(times_ms[first]), until)))
    return made


def shots(cut, transition, times_ms=None, end_ms=None):
    times_ms = np.arange(len(cut)) * 40 if times_ms is None else np.array(times_ms)
    end_ms = int(times_ms[-1]) + 40 if end_ms is None else end_ms
    segments = SIGNAL.reduce(partials(np.array(cut), np.array(transition), times_ms, end_ms), {}).segments
    return [(segment.start_ms, segment.end_ms, segment.score and round(segment.score, 2)) for segment in segments]


def scores(count, **at):
    row = [0.0] * count
    for place, score in at.items():
        row[int(place[1:])] = score
    return row


def test_a_film_without_a_cut_is_one_shot():
    """One shot from the first frame to the end of the last, without a score."""
    assert shots(scores(30), scores(30)) == [(0, 1200, None)]


def test_a_shot_begins_with_the_frame_after_the_score():
    """The score is highest at the last frame of the old shot; the new one begins with the next, also over a window's edge."""
    assert shots(scores(120, f49=0.9, f74=0.7), scores(120)) == [(0, 2000, None), (2000, 3000, 0.9), (3000, 4800, 0.7)]


def test_neighbouring_high_scores_are_one_cut():
    """The highest of a run is the cut."""
    assert shots(scores(60, f20=0.6, f21=0.95, f22=0.7), scores(60)) == [(0, 880, None), (880, 2400, 0.95)]


def test_a_dissolve_is_cut_in_its_middle():
    """A run of transition frames without a cut is a boundary; with a cut in or beside it, it is that cut's."""
    dissolve = [0.0] * 40 + [0.8] * 19 + [0.0] * 41
    assert shots(scores(100), dissolve) == [(0, 2000, None), (2000, 4000, 0.8)]
    assert shots(scores(100, f49=0.6), dissolve) == [(0, 2000, None), (2000, 4000, 0.6)]
    assert shots(scores(100, f49=0.9), scores(100, f50=0.9)) == [(0, 2000, None), (2000, 4000, 0.9)]


def test_a_cut_at_the_last_frame_is_none():
    """Nothing comes after it."""
    assert shots(scores(30, f29=0.9), scores(30)) == [(0, 1200, None)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 230), calm=st.integers(0, 8))
def test_shots_cover_the_video_without_gap(seed, count, calm):
    """Whatever the scores and times, shots follow one another from the first frame to the end, none of them empty."""
    random = np.random.default_rng(seed)
    cut, transition = random.uniform(0, 1, (2, count)) ** calm
    steps = random.integers(0, 90, count) * random.integers(0, 2, count)
    times_ms = np.cumsum(steps) - steps[0]
    found = shots(cut, transition, times_ms, int(times_ms[-1]) + 33)
    assert found[0][0] == 0
    assert found[-1][1] == times_ms[-1] + 33
    assert all(earlier[1] == later[0] for earlier, later in pairwise(found))
    assert all(start < end for start, end, _ in found)
    assert found[0][2] is None
    assert all(score is not None for *_, score in found[1:])


@pytest.mark.parametrize("answer", [{}, {"cut": np.zeros((1, 99)), "transition": np.zeros((1, 100))}])
def test_nonsense_is_refused(answer):
    """An answer that does not score each frame is the model's error."""
    window = Window({"frames": np.zeros((1, 100, 27, 48, 3), np.uint8), "times_ms": np.arange(50)}, 0, 50)
    with pytest.raises(ModelError) as caught:
        SIGNAL.interpret(answer, window)
    assert caught.value.reason is Reason.BAD_OUTPUT
