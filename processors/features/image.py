"""Pictures to the tensors that image models eat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.decode.scaling import resized
from processors.media import Image, Picture, PictureWithin, Piece, View
from processors.signal import FeatureStream, Window

__all__ = ["FacePixels", "TagsPixels", "tags_pixels"]

_SHORT_SIDE_PX = 256
_CROP_PX = 224
_STRIDE_PX = 32


def tags_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The usual view of an ImageNet classifier: short side 256 (bicubic, antialiased), of which the middle 224 × 224.

    pixels: uint8 (height, width, 3) of any size → uint8 (224, 224, 3).
    """
    middle = _middle(pixels)
    height, width = middle.shape[:2]
    scale = _SHORT_SIDE_PX / min(height, width)
    small = resized(middle, round(width * scale), round(height * scale))
    top, left = (round((side - _CROP_PX) / 2) for side in small.shape[:2])
    return small[top : top + _CROP_PX, left : left + _CROP_PX]


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle, at most twice as long as wide: the rest would be cropped anyway, and may be a thousand times longer."""
    height, width = pixels.shape[:2]
    top, left = max((height - 2 * width) // 2, 0), max((width - 2 * height) // 2, 0)
    return pixels[top : height - top, left : width - left]


@dataclass(frozen=True, slots=True)
class TagsPixels:
    """One window `image`: uint8 (1, 224, 224, 3), see tags_pixels."""

    @property
    def view(self) -> View:
        return Picture(short_side_px=_SHORT_SIDE_PX)

    def start(self) -> FeatureStream:
        return _TagsStream()


@dataclass(frozen=True, slots=True)
class FacePixels:
    """One window `image`: uint8 (1, h, w, 3), the whole picture; h and w multiples of 32, the longer at most longest_side_px."""

    longest_side_px: int = 640

    @property
    def view(self) -> PictureWithin:
        return PictureWithin(long_side_px=self.longest_side_px, multiple_px=_STRIDE_PX)

    def start(self) -> FeatureStream:
        return _FaceStream(self.view)


class _TagsStream:
    def push(self, piece: Piece) -> Iterable[Window]:
        yield _one_row(tags_pixels(_image(piece).pixels))

    def finish(self) -> Iterable[Window]:
        return ()


class _FaceStream:
    def __init__(self, view: PictureWithin) -> None:
        self._view = view

    def push(self, piece: Piece) -> Iterable[Window]:
        pixels = _image(piece).pixels
        yield _one_row(resized(pixels, *self._view.size_px(pixels.shape[1], pixels.shape[0])))

    def finish(self) -> Iterable[Window]:
        return ()


def _image(piece: Piece) -> Image:
    if not isinstance(piece, Image):
        raise TypeError(f"An image feature takes Image pieces, not {type(piece).__name__}")
    return piece


def _one_row(pixels: NDArray[np.uint8]) -> Window:
    return Window({"image": np.ascontiguousarray(pixels[np.newaxis])})
