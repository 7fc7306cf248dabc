"""Decoded sound, joined, converted and cut into windows. FFmpeg's filters do the work; every sample is counted as it comes."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av.error
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.filter.graph import Graph
from numpy.typing import NDArray

from processors.decode.limits import Limits
from processors.errors import ContentError, Reason
from processors.media import AudioClip, Mono

__all__ = ["Chain", "Filters", "Form", "Joiner", "MonoWindows", "SoundMeter", "form_of"]

Filters = tuple[tuple[str, str], ...]
"""Names and arguments of FFmpeg filters, in their order."""

Form = tuple[int, str, str]
"""Sample rate in Hz, channel layout and sample format, by FFmpeg's names."""

_JOINED_SAMPLES = 1 << 16
"""Decoders give about a thousand at a time, and a step through Python costs the same however many there are."""

_LOUDEST = 8.0
"""A float file may hold any number, also none; what is more than 18 dB above full scale is an error in it."""


def form_of(frame: AudioFrame) -> Form:
    """The frame's sample rate in Hz, channel layout and sample format: where one of them changes, a new resampler is needed."""
    return frame.sample_rate, frame.layout.name, frame.format.name


class SoundMeter:
    """Holds decoded sound to the limits (rate, channels, seconds that were really made). Raises ContentError, LIMIT_EXCEEDED."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seconds = 0.0

    def count(self, frame: AudioFrame) -> None:
        limits, rate, channels = self._limits, frame.sample_rate, frame.layout.nb_channels
        if not limits.min_sample_rate_hz <= rate <= limits.max_sample_rate_hz:
            allowed = f"{limits.min_sample_rate_hz} to {limits.max_sample_rate_hz} Hz"
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The sound has {rate} samples a second; allowed are {allowed}")
        if channels > limits.max_channels:
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The sound has {channels} channels; allowed are {limits.max_channels}")
        self._seconds += frame.samples / rate
        if self._seconds > limits.max_duration_seconds:
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The sound is longer than the allowed {limits.max_duration_seconds:g} s")


class Joiner:
    """Short frames to long ones, of one form each. Time stamps are dropped: the samples stand one after the other."""

    def __init__(self) -> None:
        self._form: Form | None = None
        self._fifo = AudioFifo()

    def push(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        if self._form != form_of(frame):
            yield from self.finish()
            self._form, self._fifo = form_of(frame), AudioFifo()
        frame.pts = None
        self._fifo.write(frame)
        while (joined := self._fifo.read(_JOINED_SAMPLES)) is not None:
            yield joined

    def finish(self) -> Iterator[AudioFrame]:
        if self._form is not None and (rest := self._fifo.read()) is not None:
            yield rest


class Chain:
    """A chain of filters, drained and built anew whenever the form of what comes in changes. filters: what to build for it."""

    def __init__(self, filters: Callable[[Form], Filters]) -> None:
        self._filters = filters
        self._form: Form | None = None
        self._graph = Graph()

    def push(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        if self._form != form_of(frame):
            yield from self.finish()
            self._form = form_of(frame)
            self._graph = _build(self._form, self._filters(self._form))
        self._graph.push(frame)
        yield from self._drain()

    def finish(self) -> Iterator[AudioFrame]:
        if self._form is not None:
            self._form = None
            self._graph.push(None)
            yield from self._drain()

    def _drain(self) -> Iterator[AudioFrame]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if isinstance(frame, AudioFrame):
                yield frame


def _build(form: Form, filters: Filters) -> Graph:
    rate, layout, sample_format = form
    graph = Graph()
    graph.threads = 1
    source = graph.add_abuffer(sample_rate=rate, layout=layout, format=sample_format, time_base=Fraction(1, rate))
    middle = [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(source, *middle, graph.add("abuffersink"))
    graph.configure(auto_buffer=False)
    return graph


class MonoWindows:
    """Joined frames to the AudioClips of a Mono view, finite and within ±8. offset_ms: where the sound starts in the asset."""

    def __init__(self, view: Mono, offset_ms: int) -> None:
        self._rate = view.sample_rate_hz
        self._chain = Chain(lambda form: _to_mono(form, view.sample_rate_hz))
        self._window = np.empty((1, round(view.sample_rate_hz * view.window_seconds)), np.float32)
        self._filled = 0
        self._given = 0
        self._offset_ms = offset_ms

    def push(self, frame: AudioFrame) -> Iterator[AudioClip]:
        yield from self._cut(self._chain.push(frame))

    def finish(self) -> Iterator[AudioClip]:
        yield from self._cut(self._chain.finish())
        if self._filled:
            yield self._clip()

    def _cut(self, frames: Iterator[AudioFrame]) -> Iterator[AudioClip]:
        for frame in frames:
            samples: NDArray[Any] = np.nan_to_num(np.clip(frame.to_ndarray(), -_LOUDEST, _LOUDEST), copy=False)
            while samples.shape[1]:
                taken = samples[:, : self._window.shape[1] - self._filled]
                self._window[:, self._filled : self._filled + taken.shape[1]] = taken
                self._filled += taken.shape[1]
                samples = samples[:, taken.shape[1] :]
                if self._filled == self._window.shape[1]:
                    yield self._clip()

    def _clip(self) -> AudioClip:
        start_ms = self._offset_ms + self._given * 1000 // self._rate
        clip = AudioClip(self._window[:, : self._filled].copy(), self._rate, start_ms)
        self._given += self._filled
        self._filled = 0
        return clip


def _to_mono(form: Form, rate: int) -> Filters:
    """Filters to one channel. Without rematrix_maxval=1 a float downmix has a gain (+3 dB for stereo) and clips.

    Where nothing says which channel is which, all count the same.
    """
    layout = form[1]
    resample = ("aresample", f"{rate}:rematrix_maxval=1")
    to_mono = ("aformat", "sample_fmts=flt:channel_layouts=mono")
    if "channels" in layout or "ambisonic" in layout:
        return ("pan", "mono|" + "c0<" + "+".join(f"c{channel}" for channel in range(_channels(layout)))), resample, to_mono
    return resample, to_mono


def _channels(layout: str) -> int:
    return av.AudioLayout(layout).nb_channels
