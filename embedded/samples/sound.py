"""Sound for the samples: spoken sentences at known times, plucked strings, a reference tone; and encoding with PyAV.

Samples are float64 (channels, n) or (n,), in [-1, 1]. Needs the program espeak-ng for speech.
"""

import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

__all__ = ["SPEECH_RATE_HZ", "Speech", "add_sound", "encode_sound", "plucked_strings", "sine", "spoken", "track", "write_sound"]

Samples = NDArray[np.float64]

SPEECH_RATE_HZ = 22_050
_EDGE_BLOCK_SECONDS = 0.005
_EDGE_LEVEL_DB = -40.0


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A mono sound track and the stretches in which somebody speaks, [start_ms, end_ms)."""

    samples: Samples
    segments_ms: tuple[tuple[int, int], ...]

    @property
    def duration_ms(self) -> int:
        return round(1000 * self.samples.size / SPEECH_RATE_HZ)


def spoken(sentence: str, voice: str, words_per_minute: int, pitch: int) -> Samples:
    """One sentence by espeak-ng, mono at SPEECH_RATE_HZ, peak 0.5, without the silence that espeak-ng puts around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentence.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "-w", str(path), sentence]
        subprocess.run(command, check=True)
        with wave.open(str(path)) as file:
            if file.getframerate() != SPEECH_RATE_HZ:
                raise ValueError(f"espeak-ng speaks at {file.getframerate()} Hz; these samples need {SPEECH_RATE_HZ} Hz")
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
    trimmed = _without_silent_edges(samples)
    return np.multiply(trimmed, 0.5 / np.abs(trimmed).max(), dtype=np.float64)


def _without_silent_edges(samples: Samples) -> Samples:
    """Cuts what lies before the first and after the last block of 5 ms whose level is within 40 dB of the loudest block."""
    block = round(_EDGE_BLOCK_SECONDS * SPEECH_RATE_HZ)
    count = samples.size // block
    power = np.square(samples[: count * block].reshape(count, block)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (_EDGE_LEVEL_DB / 10))
    return samples[loud[0] * block : (loud[-1] + 1) * block]


def track(sentences: Sequence[Samples], pauses_ms: Sequence[int], rng: np.random.Generator) -> Speech:
    """Sentences with one more pause than there are of them, around and between; room noise of -75 dBFS throughout."""
    parts: list[Samples] = []
    segments: list[tuple[int, int]] = []
    at = 0
    for pause_ms, sentence in zip(pauses_ms, [*sentences, None], strict=True):
        parts.append(np.zeros(round(pause_ms * SPEECH_RATE_HZ / 1000)))
        at += parts[-1].size
        if sentence is not None:
            segments.append((round(1000 * at / SPEECH_RATE_HZ), round(1000 * (at + sentence.size) / SPEECH_RATE_HZ)))
            parts.append(sentence)
            at += sentence.size
    samples = np.concatenate(parts)
    return Speech(samples + 10 ** (-75 / 20) * rng.standard_normal(samples.size), tuple(segments))


def plucked_strings(
    chords_hz: Sequence[Sequence[float]], seconds_per_chord: float, rate_hz: int, rng: np.random.Generator
) -> Samples:
    """Broken chords on plucked strings, stereo (2, n), peak 0.5.

    Each string is the loop of Karplus and Strong (Computer Music Journal 7(2), 1983): noise in a delay line with a mean of two.
    """
    per_chord = round(seconds_per_chord * rate_hz)
    out = np.zeros((2, per_chord * len(chords_hz) + rate_hz))
    for number, chord in enumerate(chords_hz):
        for place, frequency_hz in enumerate(chord):
            start = number * per_chord + round(place * per_chord / len(chord))
            string = _string(frequency_hz, rate_hz, rng)
            pan = (place + 0.5) / len(chord)
            string = string[: out.shape[1] - start]
            out[:, start : start + string.size] += np.outer([np.sqrt(1 - pan), np.sqrt(pan)], string)
    out *= np.minimum(1.0, np.arange(out.shape[1])[::-1] / (0.5 * rate_hz))
    return np.multiply(out, 0.5 / np.abs(out).max(), dtype=np.float64)


def _string(frequency_hz: float, rate_hz: int, rng: np.random.Generator) -> Samples:
    """Two seconds of one string, peak about 1."""
    period = round(rate_hz / frequency_hz)
    turn = rng.uniform(-1, 1, period)
    turns = []
    for _ in range(2 * rate_hz // period):
        turns.append(turn)
        turn = 0.498 * (turn + np.roll(turn, 1))
    return np.concatenate(turns)


def sine(frequency_hz: float, peak_dbfs: float, seconds: float, rate_hz: int) -> Samples:
    """A sine in both channels, (2, n)."""
    one = 10 ** (peak_dbfs / 20) * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.stack([one, one])


def encode_sound(path: Path, codec: str, samples: Samples, rate_hz: int, to_rate_hz: int, bit_rate: int | None = None) -> None:
    """Writes samples (n,) or (channels, n) of rate_hz as one audio file of to_rate_hz; its suffix names the container."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = add_sound(container, codec, to_rate_hz, np.atleast_2d(samples).shape[0], bit_rate)
        write_sound(container, stream, samples, rate_hz)


def add_sound(container: OutputContainer, codec: str, rate_hz: int, channels: int, bit_rate: int | None) -> av.AudioStream:
    """Adds a sound stream of one or two channels, to be written when all streams are added."""
    stream = container.add_stream(codec, rate=rate_hz, layout="mono" if channels == 1 else "stereo")
    if not isinstance(stream, av.AudioStream):
        raise ValueError(f"{codec} is not an audio codec")
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    if bit_rate is not None:
        stream.bit_rate = bit_rate
    return stream


def write_sound(container: OutputContainer, stream: av.AudioStream, samples: Samples, rate_hz: int) -> None:
    """Encodes samples (n,) or (channels, n) of rate_hz into the stream, and ends it."""
    channels = np.atleast_2d(samples).astype(np.float32)
    for start in range(0, channels.shape[1], rate_hz):
        piece = np.ascontiguousarray(channels[:, start : start + rate_hz])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono" if len(channels) == 1 else "stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
