"""Resizing of pixels that are decoded already."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

__all__ = ["resized"]


def resized(pixels: NDArray[np.uint8], width_px: int, height_px: int) -> NDArray[np.uint8]:
    """pixels: uint8 (height, width, 3) → uint8 (height_px, width_px, 3); bicubic (a = -0.5), antialiased when it shrinks."""
    if pixels.shape[:2] == (height_px, width_px):
        return pixels
    return np.asarray(Pil.fromarray(pixels).resize((width_px, height_px), Pil.Resampling.BICUBIC, reducing_gap=2.0))
