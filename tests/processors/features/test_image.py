"""Pictures become the tensors that image models eat."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pil

from processors.features.image import FacePixels, TagsPixels
from processors.media import Image, Picture, PictureWithin, Text
from processors.signal import Feature


def colours(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    """Noise of a few pixels' grain."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), dtype=np.uint8)
    return np.asarray(Pil.fromarray(small).resize((width, height), Pil.Resampling.BICUBIC))


def tensor(feature: Feature, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    stream = feature.start()
    (window,) = [*stream.push(Image(pixels, pixels.shape[1], pixels.shape[0])), *stream.finish()]
    assert list(window.tensors) == ["image"]
    assert (window.start_ms, window.end_ms) == (0, 0)
    image: NDArray[np.uint8] = window.tensors["image"]
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    return image


@pytest.mark.parametrize("size", [(256, 256), (384, 256), (640, 480), (300, 500), (100, 80), (257, 1000)])
def test_tags_pixels_equal_pillows_resize_and_crop(size: tuple[int, int]) -> None:
    """Short side 256 by Pillow's bicubic, then the middle 224 × 224, as torchvision's ImageNet transforms do."""
    pixels = colours(*size)
    scale = 256 / min(size)
    whole = Pil.fromarray(pixels).resize((round(size[0] * scale), round(size[1] * scale)), Pil.Resampling.BICUBIC)
    left, top = round((whole.width - 224) / 2), round((whole.height - 224) / 2)
    reference = np.asarray(whole.crop((left, top, left + 224, top + 224)))
    image = tensor(TagsPixels(), pixels)
    assert image.shape == (1, 224, 224, 3)
    assert np.abs(image[0].astype(int) - reference).mean() < 2.0


def test_tags_pixels_of_a_line_stay_small() -> None:
    """A picture of 60,000 × 1 pixels is not enlarged as a whole."""
    assert tensor(TagsPixels(), colours(60_000, 1)).shape == (1, 224, 224, 3)
    assert tensor(TagsPixels(), colours(1, 60_000)).shape == (1, 224, 224, 3)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (640, 480)),
        ((960, 640), (640, 416)),
        ((1280, 960), (640, 480)),
        ((640, 2000), (192, 640)),
        ((100, 100), (96, 96)),
        ((10, 10), (32, 32)),
        ((20_000, 1), (640, 32)),
    ],
)
def test_face_pixels_keep_the_whole_picture(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Sides are multiples of 32, the longer at most 640, the proportions kept as near as that allows."""
    pixels = colours(*size)
    image = tensor(FacePixels(longest_side_px=640), pixels)
    assert image.shape == (1, expected[1], expected[0], 3)
    reference = np.asarray(Pil.fromarray(pixels).resize(expected, Pil.Resampling.BICUBIC))
    assert np.abs(image[0].astype(int) - reference).mean() < 4.0  # beyond a half, boxes of pixels are averaged before the bicubic


@pytest.mark.parametrize("side", [0, -32, 100])
def test_face_pixels_refuse_sides_the_model_cannot_take(side: int) -> None:
    """The model halves its input five times."""
    with pytest.raises(ValueError, match="multiple of 32"):
        FacePixels(longest_side_px=side).start()


def test_features_ask_for_pictures() -> None:
    """The views are large enough for the tensors."""
    assert TagsPixels().view == Picture(256)
    assert FacePixels(640).view == PictureWithin(640, 32)


@pytest.mark.parametrize("feature", [TagsPixels(), FacePixels(320)])
def test_features_are_values(feature: Feature) -> None:
    """Equal features have equal hashes, also behind a pickle, so that they are computed once."""
    assert {pickle.loads(pickle.dumps(feature))} == {feature}


def test_a_text_is_no_picture() -> None:
    """A wrong piece is a mistake of ours and says so."""
    with pytest.raises(TypeError, match="Text"):
        list(TagsPixels().start().push(Text("a")))
