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
    "MissingStream",
    "Mono",
    "Picture",
    "PictureWithin",
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
    """A picture, upright, sRGB. pixels: uint8 (height, width, 3). original_*: its size before any scaling, px."""

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
    """Consecutive frames. pixels: uint8 (n, height, width, 3), sRGB, upright.

    times_ms: int64 (n,), from the start of the video, never falling. last_duration_ms: how long the last of them is shown, as the
    file says; 0 where it does not say.
    """

    pixels: NDArray[np.uint8]
    times_ms: NDArray[np.int64]
    last_duration_ms: int = 0

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


@dataclass(frozen=True, slots=True)
class MissingStream:
    """The only piece of a view that the file has nothing for, which is no failure. what: a sentence for a person."""

    what: str


# ---- views: what a feature asks for, and the pieces in which it comes ----


@dataclass(frozen=True, slots=True)
class Mono:
    """AudioClips of one channel at sample_rate_hz, window_seconds each but for the last, without gap or overlap.

    Stereo becomes the mean of both channels; 5.1 and the like are weighted as in ITU-R BS.775, scaled to a sum of 1, so that
    nothing clips.
    """

    sample_rate_hz: int
    window_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """One LoudnessReading at the end."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One Image whose short side has short_side_px, or the file's own size if that is smaller."""

    short_side_px: int

    def size_px(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height in which a picture of this width and height comes."""
        scale = min(self.short_side_px / min(width_px, height_px), 1.0)
        return max(round(width_px * scale), 1), max(round(height_px * scale), 1)


@dataclass(frozen=True, slots=True)
class PictureWithin:
    """One Image whose long side has at most long_side_px; both sides are multiples of multiple_px, rounded to the nearest."""

    long_side_px: int
    multiple_px: int

    def __post_init__(self) -> None:
        fits = self.multiple_px > 0 and self.long_side_px > 0 and self.long_side_px % self.multiple_px == 0
        _require(fits, f"PictureWithin.long_side_px must be a multiple of {self.multiple_px}, not {self.long_side_px}")

    def size_px(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height in which a picture of this width and height comes."""
        steps = min(self.long_side_px / max(width_px, height_px), 1.0) / self.multiple_px
        return max(round(width_px * steps), 1) * self.multiple_px, max(round(height_px * steps), 1) * self.multiple_px


@dataclass(frozen=True, slots=True)
class Frames:
    """VideoFrames of up to piece_frames each, in order.

    every_ms: None for each frame of the file, else the frame that is shown at 0, every_ms, 2 × every_ms, …, with its own time; a
    frame that stays for several of these is given once.
    Size: exactly width_px × height_px (aspect ratio not kept), or, with height_px None, width_px is the length of the short side
    (the long one is at most 20 times that).
    """

    width_px: int
    height_px: int | None = None
    every_ms: int | None = None
    piece_frames: int = 50


@dataclass(frozen=True, slots=True)
class Characters:
    """One Text: the whole of it, up to max_characters."""

    max_characters: int = 200_000


View = Mono | Loudness | Picture | PictureWithin | Frames | Characters
Piece = AudioClip | LoudnessReading | Image | VideoFrames | Text | MissingStream
