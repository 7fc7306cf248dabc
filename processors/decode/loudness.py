"""Loudness of a whole sound by FFmpeg's `ebur128` filter, at the sound's own rate and layout, before any downmix."""

import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame

from processors.decode.sound import Chain, Filters, Form, form_of
from processors.media import LoudnessReading

__all__ = ["LoudnessMeter"]

_SAMPLE_FORMAT = "dbl"
_GATING_BLOCK_SECONDS = Fraction(4, 10)  # ITU-R BS.1770-5, annex 1: integrated loudness has blocks of 400 ms
_SHORT_TERM_SECONDS = 3  # EBU Tech 3341, 2.2, and Tech 3342, 3
_ABSOLUTE_GATE_LUFS = -70.0  # ITU-R BS.1770-5, annex 1; the filter says -70 of what is below it throughout


class LoudnessMeter:
    """Joined frames to one LoudnessReading at the end.

    Sound that changes its rate or layout on the way goes on in those it began with. A mono file is measured as one channel (3 LU
    less than as both of a stereo pair). Short-term loudness and range need 3 s, integrated loudness 0.4 s; silence has no
    loudness.
    """

    def __init__(self) -> None:
        self._first: Form | None = None
        self._to_first = Chain(self._conversion)
        self._meter = Chain(lambda form: (("ebur128", "metadata=1:peak=true:framelog=quiet"),))
        self._last: deque[AudioFrame] = deque(maxlen=2)
        self._seconds = Fraction(0)
        self._integrated = self._short_term_max = -math.inf
        self._range = self._peak = 0.0

    def push(self, frame: AudioFrame) -> Iterator[LoudnessReading]:
        self._first = self._first or form_of(frame)
        self._seconds += Fraction(frame.samples, frame.sample_rate)
        for converted in self._to_first.push(frame):
            self._measure(converted)
        yield from ()

    def finish(self) -> Iterator[LoudnessReading]:
        for converted in self._to_first.finish():
            self._measure(converted)
        if self._last:
            self._peak = max(self._peak, *(float(np.abs(frame.to_ndarray()).max(initial=0.0)) for frame in self._last))
            yield self._reading()

    def _conversion(self, form: Form) -> Filters:
        rate, layout, _ = self._first or form
        return ("aresample", str(rate)), ("aformat", f"sample_fmts={_SAMPLE_FORMAT}:channel_layouts={layout}")

    def _measure(self, frame: AudioFrame) -> None:
        frame.pts = None
        self._last.append(frame)
        for measured in self._meter.push(frame):
            self._read(measured)

    def _read(self, frame: AudioFrame) -> None:
        found = frame.metadata
        self._integrated = float(found.get("lavfi.r128.I", self._integrated))
        self._range = float(found.get("lavfi.r128.LRA", self._range))
        self._short_term_max = max(self._short_term_max, float(found.get("lavfi.r128.S", -math.inf)))
        self._peak = max(self._peak, float(found.get("lavfi.r128.true_peak", 0.0)))

    def _reading(self) -> LoudnessReading:
        peak = 20.0 * math.log10(self._peak) if self._peak > 0.0 else -math.inf
        sounds = self._seconds >= _GATING_BLOCK_SECONDS and _ABSOLUTE_GATE_LUFS < self._integrated < math.inf
        long = self._seconds >= _SHORT_TERM_SECONDS
        return LoudnessReading(
            integrated_lufs=self._integrated if sounds else None,
            range_lu=self._range if sounds and long else None,
            short_term_max_lufs=self._short_term_max if sounds and long else None,
            true_peak_dbtp=peak if math.isfinite(peak) else None,
            duration_ms=round(self._seconds * 1000),
        )
