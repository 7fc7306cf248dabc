"""Decoded video frames, timed, chosen, scaled and turned upright."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from processors.decode.limits import Limits
from processors.errors import ContentError, Reason
from processors.media import Frames, VideoFrames

__all__ = ["FrameClock", "FramePieces", "TimedFrame"]

_MOST_ASPECT = 20  # a video of 16384 × 2 would else become one of 2 million × 256


@dataclass(frozen=True, slots=True, eq=False)
class TimedFrame:
    """A decoded frame with the time at which its showing starts, from the first frame, and how long it is shown (0: unknown)."""

    frame: VideoFrame
    time_ms: int
    duration_ms: int


class FrameClock:
    """Gives frames their times and holds them to the limits: frames, pixels, seconds. Raises ContentError, LIMIT_EXCEEDED."""

    def __init__(self, limits: Limits, time_base: Fraction | None, rate: Fraction | None) -> None:
        self._limits = limits
        self._time_base = time_base or Fraction(1, 1000)
        self._interval = 1 / rate if rate else Fraction(0)
        self._origin: Fraction | None = None
        self._previous = Fraction(0)
        self._frames = 0

    def time(self, frame: VideoFrame) -> TimedFrame:
        limits = self._limits
        self._frames += 1
        if self._frames > limits.max_frames:
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The video has more than the allowed {limits.max_frames} frames")
        if frame.width * frame.height > limits.max_frame_pixels:
            size = f"{frame.width} × {frame.height}"
            raise ContentError(Reason.LIMIT_EXCEEDED, f"A frame has {size} pixels; allowed are {limits.max_frame_pixels}")
        start = self._start(frame)
        if start > limits.max_duration_seconds:
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The video is longer than the allowed {limits.max_duration_seconds:g} s")
        self._previous = start
        duration = (frame.duration or 0) * self._base_of(frame) or self._interval
        duration = max(min(duration, Fraction(limits.max_duration_seconds) - start), Fraction(0))
        return TimedFrame(frame, round(start * 1000), round(duration * 1000))

    def _start(self, frame: VideoFrame) -> Fraction:
        """Seconds from the first frame. A frame without time follows the one before; one that goes back stays with it."""
        if frame.pts is None:
            return self._previous + self._interval if self._frames > 1 else Fraction(0)
        stamp = frame.pts * self._base_of(frame)
        if self._origin is None:
            self._origin = stamp - (self._previous + self._interval if self._frames > 1 else 0)
        return max(stamp - self._origin, self._previous)

    def _base_of(self, frame: VideoFrame) -> Fraction:
        return frame.time_base or self._time_base


class _Choice(Protocol):
    def push(self, frame: TimedFrame) -> Iterator[TimedFrame]: ...

    def finish(self) -> Iterator[TimedFrame]: ...


class _EachFrame:
    def push(self, frame: TimedFrame) -> Iterator[TimedFrame]:
        yield frame

    def finish(self) -> Iterator[TimedFrame]:
        yield from ()


class _ShownEvery:
    """The frames that are shown at 0, every_ms, 2 × every_ms, …, each once.

    Holds a frame until the next says how long it was shown.
    """

    def __init__(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._due_ms = 0
        self._shown: TimedFrame | None = None

    def push(self, frame: TimedFrame) -> Iterator[TimedFrame]:
        yield from self._shown_until(frame.time_ms)
        self._shown = frame

    def finish(self) -> Iterator[TimedFrame]:
        if self._shown is not None:
            yield from self._shown_until(self._shown.time_ms + max(self._shown.duration_ms, 1))

    def _shown_until(self, end_ms: int) -> Iterator[TimedFrame]:
        if self._shown is not None and self._due_ms < end_ms:
            yield self._shown
            self._due_ms = -(-end_ms // self._every_ms) * self._every_ms


class FramePieces:
    """Timed frames to the VideoFrames of a Frames view: scaled by FFmpeg (bilinear to an exact size, else bicubic), then turned.

    sample_aspect: width of a pixel by its height, for sizes that keep the aspect ratio.
    """

    def __init__(self, view: Frames, sample_aspect: Fraction | None) -> None:
        self._view = view
        self._aspect = sample_aspect or Fraction(1)
        self._choice: _Choice = _EachFrame() if view.every_ms is None else _ShownEvery(view.every_ms)
        self._scaler = VideoReformatter()
        self._pixels: list[NDArray[np.uint8]] = []
        self._times_ms: list[int] = []
        self._last_duration_ms = 0

    def push(self, frame: TimedFrame) -> Iterator[VideoFrames]:
        yield from self._collect(self._choice.push(frame))

    def finish(self) -> Iterator[VideoFrames]:
        yield from self._collect(self._choice.finish())
        if self._pixels:
            yield self._piece()

    def _collect(self, frames: Iterator[TimedFrame]) -> Iterator[VideoFrames]:
        for frame in frames:
            pixels = self._upright(frame.frame)
            if self._pixels and (self._pixels[-1].shape != pixels.shape or len(self._pixels) == self._view.piece_frames):
                yield self._piece()
            self._pixels.append(pixels)
            self._times_ms.append(frame.time_ms)
            self._last_duration_ms = frame.duration_ms

    def _piece(self) -> VideoFrames:
        piece = VideoFrames(np.stack(self._pixels), np.array(self._times_ms, np.int64), self._last_duration_ms)
        self._pixels, self._times_ms = [], []
        return piece

    def _upright(self, frame: VideoFrame) -> NDArray[np.uint8]:
        quarter_turns = round(frame.rotation / 90) % 4
        width, height = self._size(frame, turned=quarter_turns % 2 == 1)
        kernel = Interpolation.BICUBIC if self._view.height_px is None else Interpolation.BILINEAR
        scaled = self._scaler.reformat(frame, width, height, "rgb24", interpolation=kernel, threads=1)
        return np.rot90(_pixels_of(scaled), quarter_turns)

    def _size(self, frame: VideoFrame, turned: bool) -> tuple[int, int]:
        """Width and height to scale to, before turning, px."""
        if self._view.height_px is not None:
            size = self._view.width_px, self._view.height_px
            return size[::-1] if turned else size
        wide = Fraction(frame.width) * self._aspect / frame.height
        short = self._view.width_px
        if wide > 1:
            return round(short * min(wide, Fraction(_MOST_ASPECT))), short
        return short, round(short * min(1 / wide, Fraction(_MOST_ASPECT)))


def _pixels_of(frame: VideoFrame) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)
