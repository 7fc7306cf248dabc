"""How much a decoder may make of one file, whatever its header says."""

from dataclasses import dataclass, fields

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every limit is the largest (or smallest) value that still passes; beyond it: ContentError, LIMIT_EXCEEDED.

    Pictures: max_pixels, max_jpeg_scans. Texts: max_text_bytes. Video: max_frame_pixels (the default holds 8K UHD, 7680 × 4320)
    and max_frames (the default is six hours at 60 frames a second). Sound: channels, sample rates. max_duration_seconds holds
    for sound and video. Samples and frames are counted as they are made.
    """

    max_pixels: int = 100_000_000
    max_jpeg_scans: int = 100
    max_text_bytes: int = 10_000_000
    max_frame_pixels: int = 36_000_000
    max_frames: int = 1_296_000
    max_channels: int = 64
    min_sample_rate_hz: int = 4_000
    max_sample_rate_hz: int = 384_000
    max_duration_seconds: float = 21_600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value <= 0:
                raise ValueError(f"Limits.{field.name} must be positive, not {value}")
