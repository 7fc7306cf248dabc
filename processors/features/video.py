"""Video frames to the tensors that models of video eat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.features.image import tags_pixels
from processors.media import Frames, Piece, VideoFrames, View
from processors.signal import FeatureStream, Window

__all__ = ["SampledFrames", "ShotFrames"]

_WIDTH_PX, _HEIGHT_PX = 48, 27
_WINDOW_FRAMES = 100
_HOP_FRAMES = 50
_MARGIN_FRAMES = 25
_SHORT_SIDE_PX = 256


@dataclass(frozen=True, slots=True)
class ShotFrames:
    """What TransNetV2 eats: every frame of the video, 48 × 27, in windows of 100 frames, 50 apart.

    `frames`: uint8 (1, 100, 27, 48, 3). A window speaks for its frames 25 to 74, so that each has 25 neighbours at least; before
    the first frame of the video and after the last, these are repeated (Souček and Lokoč 2020, TransNet V2). `times_ms`, int64
    (n,), n ≤ 50: the times of the frames that the window speaks for, from its frame 25 on. Windows speak for stretches without
    gap; the last ends where the last frame does.
    """

    @property
    def view(self) -> View:
        return Frames(_WIDTH_PX, _HEIGHT_PX, piece_frames=_HOP_FRAMES)

    def start(self) -> FeatureStream:
        return _ShotStream()


class _ShotStream:
    """Holds fewer than 100 frames and a piece. The buffer starts 25 frames before the first that the next window speaks for."""

    def __init__(self) -> None:
        self._pixels = np.zeros((0, _HEIGHT_PX, _WIDTH_PX, 3), np.uint8)
        self._times_ms = np.zeros(0, np.int64)
        self._end_ms = 0

    def push(self, piece: Piece) -> Iterable[Window]:
        frames = _video(piece)
        if not len(frames.pixels):
            return
        if not len(self._pixels):
            self._append(frames.pixels[:1], frames.times_ms[:1], repeat=_MARGIN_FRAMES)
        self._append(frames.pixels, frames.times_ms)
        self._end_ms = _end_ms(frames, self._times_ms[_MARGIN_FRAMES:])
        while len(self._pixels) >= _WINDOW_FRAMES:
            yield self._window(_HOP_FRAMES)

    def finish(self) -> Iterable[Window]:
        left = len(self._pixels) - _MARGIN_FRAMES
        if left <= 0:
            return
        self._append(self._pixels[-1:], np.array([self._end_ms]), repeat=2 * _WINDOW_FRAMES)
        while left > 0:
            yield self._window(min(left, _HOP_FRAMES))
            left -= _HOP_FRAMES

    def _append(self, pixels: NDArray[np.uint8], times_ms: NDArray[np.int64], repeat: int = 1) -> None:
        self._pixels = np.concatenate([self._pixels, np.repeat(pixels, repeat, axis=0)])
        self._times_ms = np.concatenate([self._times_ms, np.repeat(times_ms, repeat)])

    def _window(self, count: int) -> Window:
        times_ms = self._times_ms[_MARGIN_FRAMES : _MARGIN_FRAMES + count]
        end_ms = int(self._times_ms[_MARGIN_FRAMES + count])
        window = Window({"frames": self._pixels[np.newaxis, :_WINDOW_FRAMES], "times_ms": times_ms}, int(times_ms[0]), end_ms)
        self._pixels, self._times_ms = self._pixels[_HOP_FRAMES:], self._times_ms[_HOP_FRAMES:]
        return window


def _end_ms(frames: VideoFrames, times_ms: NDArray[np.int64]) -> int:
    """Where the last frame ends: by its own duration, else as long after it as it is after the one before."""
    interval_ms = int(times_ms[-1] - times_ms[-2]) if len(times_ms) > 1 else 0
    return int(times_ms[-1]) + (frames.last_duration_ms or interval_ms)


@dataclass(frozen=True, slots=True)
class SampledFrames:
    """A frame every every_ms as a classifier of pictures sees it, up to batch_frames in a window.

    `image`: uint8 (n, 224, 224, 3), see tags_pixels; `times_ms`: int64 (n,).
    """

    every_ms: int = 500
    batch_frames: int = 8

    @property
    def view(self) -> View:
        return Frames(_SHORT_SIDE_PX, every_ms=self.every_ms, piece_frames=self.batch_frames)

    def start(self) -> FeatureStream:
        return _SampledStream()


class _SampledStream:
    def push(self, piece: Piece) -> Iterable[Window]:
        frames = _video(piece)
        image = np.stack([tags_pixels(pixels) for pixels in frames.pixels])
        times_ms = frames.times_ms
        yield Window({"image": image, "times_ms": times_ms}, int(times_ms[0]), int(times_ms[-1]) + frames.last_duration_ms)

    def finish(self) -> Iterable[Window]:
        return ()


def _video(piece: Piece) -> VideoFrames:
    if not isinstance(piece, VideoFrames):
        raise TypeError(f"A video feature takes VideoFrames, not {type(piece).__name__}")
    return piece
