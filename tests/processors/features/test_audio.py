"""Frames of sound for the speech detector, and loudness as tensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.features.audio import LoudnessMeasures, SpeechFrames
from processors.media import AudioClip, Loudness, LoudnessReading, Mono, Text


def windows_of(samples, lengths, feature, start_ms=0):
    """The feature's windows of samples cut into clips of these lengths."""
    stream, windows, position = feature.start(), [], 0
    for length in lengths:
        clip = AudioClip(samples[np.newaxis, position : position + length], 16_000, start_ms + position // 16)
        windows.extend(stream.push(clip))
        position += length
    return [*windows, *stream.finish()]


def framed(samples):
    """All frames at once: 64 zeros before, zeros after, 576 samples each 512."""
    count = -(-len(samples) // 512)
    padded = np.pad(samples, (64, count * 512 - len(samples)))
    return np.stack([padded[512 * index : 512 * index + 576] for index in range(count)])


def own(window):
    return window.tensors["frames"][0, int(window.tensors["warm_up"][0]) :]


@given(lengths=st.lists(st.integers(1, 3_000), min_size=1, max_size=8), warm_up=st.integers(0, 5))
def test_frames_of_windows_are_the_frames_of_the_whole(lengths, warm_up):
    """However the sound is cut, the windows' own frames are those of the whole sound, none lost, none twice."""
    samples = np.random.default_rng(sum(lengths)).uniform(-1, 1, sum(lengths)).astype(np.float32)
    windows = windows_of(samples, lengths, SpeechFrames(warm_up_frames=warm_up))
    assert np.array_equal(np.concatenate([own(window) for window in windows]), framed(samples))
    assert all(window.tensors["frames"].dtype == np.float32 for window in windows)


def test_each_window_begins_with_frames_of_the_one_before():
    """The model's memory starts warm: up to warm_up_frames earlier frames come first, none in the first window."""
    samples = np.random.default_rng(1).uniform(-1, 1, 16_000 * 5).astype(np.float32)
    first, second, *_ = windows_of(samples, [32_000, 32_000, 16_000], SpeechFrames(2.0, warm_up_frames=10))
    assert first.tensors["warm_up"].tolist() == [0]
    assert second.tensors["warm_up"].tolist() == [10]
    assert np.array_equal(second.tensors["frames"][0, :10], own(first)[-10:])


def test_times_join_and_end_with_the_sound():
    """Windows speak for stretches without gap, from where the sound starts to where it ends."""
    samples = np.zeros(16_000 * 3 + 100, np.float32)
    windows = windows_of(samples, [16_000, 16_000, 16_100], SpeechFrames(1.0), start_ms=500)
    assert [window.start_ms for window in windows] == [500] + [window.end_ms for window in windows[:-1]]
    assert windows[-1].end_ms == 500 + 3_007


def test_speech_wants_sound_of_its_own_rate():
    """Any other piece is a mistake of the caller."""
    with pytest.raises(TypeError, match="16000 Hz"):
        list(SpeechFrames().start().push(AudioClip(np.zeros((1, 10), np.float32), 8_000)))


def test_loudness_passes_through():
    """One window, NaN where there is no number."""
    stream = LoudnessMeasures().start()
    (window,) = stream.push(LoudnessReading(-23.0, None, -20.5, None, 4_321))
    assert {name: tensor.tolist() for name, tensor in window.tensors.items()} == {
        "integrated_lufs": [-23.0],
        "range_lu": [pytest.approx(np.nan, nan_ok=True)],
        "short_term_max_lufs": [-20.5],
        "true_peak_dbtp": [pytest.approx(np.nan, nan_ok=True)],
    }
    assert (window.start_ms, window.end_ms) == (0, 4_321)
    assert not list(stream.finish())
    with pytest.raises(TypeError, match="Text"):
        list(stream.push(Text("a")))


def test_equal_features_are_computed_once():
    """Features are values: equal ones are one, and ask for one view."""
    assert SpeechFrames() == SpeechFrames()
    assert hash(SpeechFrames()) == hash(SpeechFrames())
    assert SpeechFrames().view == Mono(16_000, 30.0)
    assert LoudnessMeasures().view == Loudness()
