"""Loudness of a finished file by tools that this project does not use: decoded by the ffmpeg program, measured by libebur128.

libebur128 shares no code with the `ebur128` filter of the worker's decoder. (Nor does ffmpeg's loudnorm, but its figures for
these short files were up to 0.4 LU away from libebur128, pyloudnorm and the ebur128 filter, which agree to 0.06 LU.)
"""

import ctypes
import ctypes.util
import json
import math
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["MeasuredLoudness", "library", "measure"]

_SHORT_TERM_INTEGRATED_TRUE_PEAK = 0b110111  # EBUR128_MODE_S | EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK of ebur128.h


@dataclass(frozen=True, slots=True)
class MeasuredLoudness:
    """Integrated and highest short-term loudness in LUFS, true peak in dBTP, and the tool with its version."""

    integrated_lufs: float
    short_term_max_lufs: float
    true_peak_dbtp: float
    tool: str


def library() -> str | None:
    """The file name of libebur128, None where it is not installed."""
    return ctypes.util.find_library("ebur128")


def measure(path: Path) -> MeasuredLoudness:
    """Measures the first sound stream of a file, short-term loudness every 100 ms."""
    ebur128 = ctypes.CDLL(library())
    ebur128.ebur128_init.restype = ctypes.c_void_p
    samples, rate_hz = _decoded(path)
    state = ctypes.c_void_p(
        ebur128.ebur128_init(
            ctypes.c_uint(samples.shape[1]), ctypes.c_ulong(rate_hz), ctypes.c_int(_SHORT_TERM_INTEGRATED_TRUE_PEAK)
        )
    )
    short_term = []
    for start in range(0, len(samples), rate_hz // 10):
        piece = np.ascontiguousarray(samples[start : start + rate_hz // 10])
        ebur128.ebur128_add_frames_float(state, piece.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(piece)))
        short_term.append(_value(ebur128.ebur128_loudness_shortterm, state))
    peaks = [_value(ebur128.ebur128_true_peak, state, ctypes.c_uint(channel)) for channel in range(samples.shape[1])]
    integrated = _value(ebur128.ebur128_loudness_global, state)
    ebur128.ebur128_destroy(ctypes.byref(state))
    return MeasuredLoudness(integrated, max(short_term), 20 * math.log10(max(peaks)), _tool(ebur128))


def _value(ask: Callable[..., int], state: ctypes.c_void_p, *more: ctypes.c_uint) -> float:
    out = ctypes.c_double()
    if ask(state, *more, ctypes.byref(out)) != 0:
        raise ValueError("libebur128 refused to measure")
    return out.value


def _decoded(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples float32 (n, channels) at the file's own rate and layout, and that rate."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "stream=sample_rate,channels", "-of", "json"]
    stream = json.loads(subprocess.run([*probe, str(path)], check=True, capture_output=True).stdout)["streams"][0]
    decode = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-"]
    raw = subprocess.run(decode, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, stream["channels"]), int(stream["sample_rate"])


def _tool(ebur128: ctypes.CDLL) -> str:
    numbers = [ctypes.c_int() for _ in range(3)]
    ebur128.ebur128_get_version(*(ctypes.byref(number) for number in numbers))
    first_line = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    return f"libebur128 {'.'.join(str(number.value) for number in numbers)}, decoded by ffmpeg {first_line.split()[2]}"
