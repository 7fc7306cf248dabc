"""Joining, converting and windowing of decoded sound."""

import av
import numpy as np
import pytest

from processors.decode.sound import Joiner, MonoWindows
from processors.media import Mono


def frames_of(samples, rate, layout, each=1024):
    for start in range(0, samples.shape[1], each):
        part = np.ascontiguousarray(samples[:, start : start + each].T, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
        frame.sample_rate = rate
        yield frame


def heard(frames, view, offset_ms=0):
    joiner, windows, clips = Joiner(), MonoWindows(view, offset_ms), []
    for frame in frames:
        for joined in joiner.push(frame):
            clips.extend(windows.push(joined))
    for joined in joiner.finish():
        clips.extend(windows.push(joined))
    return [*clips, *windows.finish()]


@pytest.mark.parametrize(("layout", "channels"), [("3 channels", 3), ("9 channels", 9), ("64 channels", 64), ("2 channels", 2)])
def test_channels_that_nothing_names_count_the_same(layout, channels):
    """A layout without names has no centre and no rear: mono is the plain mean."""
    samples = np.random.default_rng(2).uniform(-0.9, 0.9, (channels, 16_000))
    (clip,) = heard(frames_of(samples, 16_000, layout), Mono(16_000))
    assert np.abs(clip.samples[0] - samples.mean(axis=0)).max() < 1e-6


def test_surround_does_not_clip():
    """5.1 at full scale in phase stays within it."""
    (clip,) = heard(frames_of(np.full((6, 16_000), 1.0), 16_000, "5.1"), Mono(16_000))
    assert np.abs(clip.samples).max() <= 1.0


def test_windows_go_on_over_a_change_of_form():
    """Rate and layout change on the way: windows stay full, no second is lost, and each part is heard as it is."""
    parts = [np.full((2, 44_100), 0.25), np.full((1, 24_000), -0.5), np.full((2, 44_100), 0.125)]
    forms = [(44_100, "stereo"), (48_000, "mono"), (44_100, "stereo")]
    frames = [frame for part, form in zip(parts, forms, strict=True) for frame in frames_of(part, *form)]
    clips = heard(frames, Mono(16_000, window_seconds=1.0))
    assert [clip.samples.shape[1] for clip in clips[:-1]] == [16_000, 16_000]
    whole = np.concatenate([clip.samples[0] for clip in clips])
    assert len(whole) == pytest.approx(2.5 * 16_000, abs=3)
    assert whole[[8_000, 20_000, 32_000]] == pytest.approx([0.25, -0.5, 0.125], abs=1e-3)


def test_sound_that_starts_later_has_later_times():
    """The offset of the sound in its asset is in each window's time."""
    clips = heard(frames_of(np.zeros((1, 40_000)), 16_000, "mono"), Mono(16_000, window_seconds=1.0), offset_ms=320)
    assert [clip.start_ms for clip in clips] == [320, 1320, 2320]


def test_clips_stay_as_they_were_given():
    """A clip that somebody holds does not change when the next window fills."""
    ramp = np.arange(32_000, dtype=np.float32)[np.newaxis] / 32_000
    first, second = heard(frames_of(ramp, 16_000, "mono"), Mono(16_000, window_seconds=1.0))
    assert np.array_equal(np.concatenate([first.samples, second.samples], axis=1), ramp)
