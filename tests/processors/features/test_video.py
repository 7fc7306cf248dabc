"""Frames of video for the shot detector and the classifier."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.features.image import tags_pixels
from processors.features.video import SampledFrames, ShotFrames
from processors.media import Frames, Text, VideoFrames


def numbered(first, count):
    """count tiny frames, each holding its own number."""
    pixels = np.zeros((count, 27, 48, 3), np.uint8)
    numbers = np.arange(first, first + count)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = numbers // 256, numbers % 256
    return pixels


def number_of(frames):
    return frames[..., 0, 0, 0].astype(int) * 256 + frames[..., 0, 0, 1]


def shot_windows(count, sizes, last_duration_ms=40):
    stream, windows, position, turn = ShotFrames().start(), [], 0, 0
    while position < count:
        size = min(sizes[turn % len(sizes)], count - position)
        times_ms = np.arange(position, position + size) * 40
        windows.extend(stream.push(VideoFrames(numbered(position, size), times_ms, last_duration_ms)))
        position, turn = position + size, turn + 1
    return [*windows, *stream.finish()]


@settings(max_examples=80, deadline=None)
@given(count=st.integers(1, 400), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_each_frame_is_spoken_for_once_among_its_neighbours(count, sizes):
    """Frame 25 + i of window k is frame 50 k + i; before and after it stand its neighbours, the first and last repeated."""
    windows = shot_windows(count, sizes)
    spoken_for = [time for window in windows for time in window.tensors["times_ms"].tolist()]
    assert spoken_for == [40 * index for index in range(count)]
    for index, window in enumerate(windows):
        frames = window.tensors["frames"]
        assert frames.shape == (1, 100, 27, 48, 3)
        assert frames.dtype == np.uint8
        expected = np.clip(np.arange(50 * index - 25, 50 * index + 75), 0, count - 1)
        assert np.array_equal(number_of(frames[0]), expected)


@given(count=st.integers(1, 200))
@settings(max_examples=30, deadline=None)
def test_windows_speak_for_the_whole_video_without_gap(count):
    """Each window begins where the one before ended, and the last ends with the last frame."""
    windows = shot_windows(count, [50])
    assert [window.start_ms for window in windows] == [0] + [window.end_ms for window in windows[:-1]]
    assert windows[-1].end_ms == count * 40


def test_a_last_frame_of_unknown_length_is_as_long_as_the_one_before():
    """Where the file does not say how long the last frame is shown."""
    assert shot_windows(10, [4], last_duration_ms=0)[-1].end_ms == 400


def test_a_video_without_frames_has_no_window():
    """Nothing in, nothing out."""
    assert not list(ShotFrames().start().finish())


def test_sampled_frames_are_cropped_as_pictures_are():
    """A piece of frames is one window, each frame seen as image.tags sees a picture."""
    pixels = np.random.default_rng(4).integers(0, 256, (3, 256, 455, 3), dtype=np.uint8)
    stream = SampledFrames().start()
    (window,) = stream.push(VideoFrames(pixels, np.array([0, 480, 1000]), 40))
    assert window.tensors["image"].shape == (3, 224, 224, 3)
    assert np.array_equal(window.tensors["image"][1], tags_pixels(pixels[1]))
    assert window.tensors["times_ms"].tolist() == [0, 480, 1000]
    assert (window.start_ms, window.end_ms) == (0, 1040)
    assert not list(stream.finish())


def test_features_ask_for_their_views():
    """Shots want every frame at 48 × 27, samples one every half second, eight at a time."""
    assert ShotFrames().view == Frames(48, 27, None, 50)
    assert SampledFrames().view == Frames(256, None, 500, 8)


@pytest.mark.parametrize("feature", [ShotFrames(), SampledFrames()])
def test_video_features_take_frames_only(feature):
    """Any other piece is a mistake of the caller."""
    with pytest.raises(TypeError, match="Text"):
        list(feature.start().push(Text("a")))
