"""Sound to the tensors that models of sound eat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.media import AudioClip, Loudness, LoudnessReading, Mono, Piece, View
from processors.signal import FeatureStream, Window

__all__ = ["LoudnessMeasures", "SpeechFrames"]

_RATE_HZ = 16_000
_FRAME_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_FRAME_MS = _FRAME_SAMPLES * 1000 // _RATE_HZ


@dataclass(frozen=True, slots=True)
class SpeechFrames:
    """What the Silero voice activity detector eats, a row for each window.

    `frames`: float32 (1, t, 576): each frame is 512 new samples at 16 kHz (32 ms) after the last 64 of the frame before (zeros
    before the first); the tail is filled with zeros. Frames run on across windows. The detector has a memory, which is empty at
    the start of each row: so a row begins with up to warm_up_frames frames of the window before, and `warm_up`, int64 (1,), says
    how many; their answers are to be dropped. The window's times are those of the frames after them. With 96 frames (3 s) scores
    differ from those of one long row by at most 0.12 at the seams, with 32 by up to 0.5 (measured on speech with noise).
    """

    window_seconds: float = 30.0
    warm_up_frames: int = 96

    @property
    def view(self) -> View:
        return Mono(_RATE_HZ, self.window_seconds)

    def start(self) -> FeatureStream:
        return _SpeechStream(self.warm_up_frames)


class _SpeechStream:
    def __init__(self, warm_up_frames: int) -> None:
        self._warm_up_frames = warm_up_frames
        self._waiting = np.zeros(_CONTEXT_SAMPLES, np.float32)  # the context of the next frame, and what does not fill it yet
        self._before = np.zeros((0, _CONTEXT_SAMPLES + _FRAME_SAMPLES), np.float32)
        self._start_ms: int | None = None
        self._given = 0

    def push(self, piece: Piece) -> Iterable[Window]:
        if not isinstance(piece, AudioClip) or piece.sample_rate_hz != _RATE_HZ or len(piece.samples) != 1:
            raise TypeError(f"SpeechFrames takes AudioClips of one channel at {_RATE_HZ} Hz, not {piece!r}")
        if self._start_ms is None:
            self._start_ms = piece.start_ms
        self._waiting = np.concatenate([self._waiting, piece.samples[0]])
        yield from self._windows()

    def finish(self) -> Iterable[Window]:
        left = len(self._waiting) - _CONTEXT_SAMPLES
        if left:
            self._waiting = np.pad(self._waiting, (0, _FRAME_SAMPLES - left))
            yield from self._windows(cut_ms=_FRAME_MS - -(-left * 1000 // _RATE_HZ))

    def _windows(self, cut_ms: int = 0) -> Iterable[Window]:
        """All full frames that wait, as one window; cut_ms: how much of the last of them is padding."""
        count = (len(self._waiting) - _CONTEXT_SAMPLES) // _FRAME_SAMPLES
        if not count:
            return
        frames = _overlapping(self._waiting, count)
        self._waiting = self._waiting[count * _FRAME_SAMPLES :]
        start_ms = (self._start_ms or 0) + self._given * _FRAME_MS
        tensors = {"frames": np.concatenate([self._before, frames])[np.newaxis], "warm_up": np.array([len(self._before)])}
        yield Window(tensors, start_ms, start_ms + count * _FRAME_MS - cut_ms)
        self._given += count
        self._before = tensors["frames"][0, -self._warm_up_frames :] if self._warm_up_frames else self._before


def _overlapping(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """count frames of 576 samples, 512 apart."""
    return np.lib.stride_tricks.sliding_window_view(samples, _CONTEXT_SAMPLES + _FRAME_SAMPLES)[::_FRAME_SAMPLES][:count]


@dataclass(frozen=True, slots=True)
class LoudnessMeasures:
    """One window with the LoudnessReading's numbers, float64 (1,) each and NaN for None: `integrated_lufs`, `range_lu`,
    `short_term_max_lufs`, `true_peak_dbtp`.
    """

    @property
    def view(self) -> View:
        return Loudness()

    def start(self) -> FeatureStream:
        return _LoudnessStream()


class _LoudnessStream:
    def push(self, piece: Piece) -> Iterable[Window]:
        if not isinstance(piece, LoudnessReading):
            raise TypeError(f"LoudnessMeasures takes a LoudnessReading, not {type(piece).__name__}")
        found = {
            "integrated_lufs": piece.integrated_lufs,
            "range_lu": piece.range_lu,
            "short_term_max_lufs": piece.short_term_max_lufs,
            "true_peak_dbtp": piece.true_peak_dbtp,
        }
        yield Window(
            {name: np.array([np.nan if value is None else value]) for name, value in found.items()}, 0, piece.duration_ms
        )

    def finish(self) -> Iterable[Window]:
        return ()
