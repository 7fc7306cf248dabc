"""Media values, and the views of an asset that a feature may ask its decoder for.

Values check themselves when made. A view is a request ("mono at 16 kHz"), frozen and hashable, so that a decoder makes each
view once however many features want it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AudioClip",
    "Characters",
    "Frames",
    "Image",
    "Loudness",
    "LoudnessReading",
    "Mono",
    "Picture",
    "Piece",
    "Text",
    "VideoFrames",
    "View",
]


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


@dataclass(frozen=True, slots=True, eq=False)
class AudioClip:
    """Sound. samples: float32 (channels, n), nominally in [-1, 1]; start_ms: where the first sample stands in the asset."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_ms: int = 0

    def __post_init__(self) -> None:
        _require(self.samples.dtype == np.float32, f"AudioClip.samples must be float32, not {self.samples.dtype}")
        _require(self.samples.ndim == 2, f"AudioClip.samples must be (channels, n), not of shape {self.samples.shape}")
        _require(self.sample_rate_hz > 0, f"AudioClip.sample_rate_hz must be positive, not {self.sample_rate_hz}")


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture, upright, sRGB. pixels: uint8 (height, width, 3). original_*: size of the upright picture before any scaling, px."""

    pixels: NDArray[np.uint8]
    original_width_px: int
    original_height_px: int

    def __post_init__(self) -> None:
        _require(self.pixels.dtype == np.uint8, f"Image.pixels must be uint8, not {self.pixels.dtype}")
        _require(
            self.pixels.ndim == 3 and self.pixels.shape[2] == 3 and self.pixels.size > 0,
            f"Image.pixels must be (height, width, 3) and not empty, not of shape {self.pixels.shape}",
        )


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrames:
    """Consecutive frames. pixels: uint8 (n, height, width, 3), sRGB, upright; times_ms: int64 (n,), rising, from the start of the video."""

    pixels: NDArray[np.uint8]
    times_ms: NDArray[np.int64]

    def __post_init__(self) -> None:
        _require(self.pixels.dtype == np.uint8, f"VideoFrames.pixels must be uint8, not {self.pixels.dtype}")
        _require(
            self.pixels.ndim == 4 and self.pixels.shape[3] == 3,
            f"VideoFrames.pixels must be (n, height, width, 3), not of shape {self.pixels.shape}",
        )
        _require(self.times_ms.shape == self.pixels.shape[:1], "VideoFrames needs one time for each frame")


@dataclass(frozen=True, slots=True)
class Text:
    """A text in Unicode normalisation form C. language: BCP 47 as declared, or None."""

    value: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class LoudnessReading:
    """Loudness of a whole asset by EBU R 128 (ITU-R BS.1770-5, EBU Tech 3341 and 3342), measured at its own rate and layout.

    integrated and maximum short-term loudness in LUFS, range in LU, true peak in dBTP. None: silent throughout, or too short.
    """

    integrated_lufs: float | None
    range_lu: float | None
    short_term_max_lufs: float | None
    true_peak_dbtp: float | None
    duration_ms: int


# ---- views: what a feature asks for, and the pieces in which it comes ----


@dataclass(frozen=True, slots=True)
class Mono:
    """AudioClips of one channel (the mean of all) at sample_rate_hz, window_seconds each but for the last, without gap or overlap."""

    sample_rate_hz: int
    window_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """One LoudnessReading at the end."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One Image whose short side has at least short_side_px, or the file's own size if that is smaller."""

    short_side_px: int


@dataclass(frozen=True, slots=True)
class Frames:
    """VideoFrames of up to piece_frames each, in order.

    every_ms: None for each frame of the file, else the frame that is shown at 0, every_ms, 2 × every_ms, …
    Size: exactly width_px × height_px (aspect ratio not kept), or, with height_px None, width_px is the length of the short side.
    """

    width_px: int
    height_px: int | None = None
    every_ms: int | None = None
    piece_frames: int = 50


@dataclass(frozen=True, slots=True)
class Characters:
    """One Text: the whole of it, up to max_characters."""

    max_characters: int = 200_000


View = Mono | Loudness | Picture | Frames | Characters
Piece = AudioClip | LoudnessReading | Image | VideoFrames | Text
