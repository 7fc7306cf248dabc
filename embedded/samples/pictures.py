"""Pictures and films for the samples, from the freely licensed photographs that scikit-image carries.

Pictures are uint8 (height, width, 3), sRGB. Boxes are (left, top, width, height), of a Photograph in px, of a Take in fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from embedded.samples.sound import SPEECH_RATE_HZ, Speech, add_sound, write_sound

__all__ = ["FRAMES_PER_SECOND", "PHOTOGRAPHS", "Scene", "Take", "boundaries_ms", "encode_film", "save_picture", "take"]

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

FRAMES_PER_SECOND = 25
_FILM_WIDTH_PX, _FILM_HEIGHT_PX = 320, 180
_ENCODER_OPTIONS = {
    "libx264": {"crf": "30", "preset": "slow"},
    "libvpx-vp9": {"crf": "38", "b": "0", "deadline": "good", "cpu-used": "2"},
}
_EXIF_ORIENTATION = 0x0112
_TURN_RIGHT_TO_SHOW = 6


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph of scikit-image; centre: the part that every crop keeps; face: the one human face, found by eye."""

    name: str
    centre: Box
    face: Box | None = None


PHOTOGRAPHS = {
    photograph.name: photograph
    for photograph in (
        Photograph("coffee", centre=(60, 10, 430, 385)),
        Photograph("astronaut", centre=(30, 10, 400, 490), face=(180, 62, 90, 116)),
        Photograph("chelsea", centre=(20, 0, 380, 300)),
        Photograph("rocket", centre=(180, 80, 280, 347)),
        Photograph("hubble_deep_field", centre=(200, 200, 600, 500)),
        Photograph("brick", centre=(56, 56, 400, 400)),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A picture made from a photograph, and its face box in fractions of width and height."""

    pixels: Pixels
    face: Box | None


def _pixels(name: str) -> Pixels:
    picture = np.asarray(getattr(data, name)())
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def take(name: str, rng: np.random.Generator) -> Take:
    """A crop that keeps the photograph's centre, mirrored or not, a little darker or brighter, at most 512 px a side."""
    photograph, pixels = PHOTOGRAPHS[name], _pixels(name)
    height, width = pixels.shape[:2]
    left, top, centre_width, centre_height = photograph.centre
    x0, y0 = (int(rng.integers(0, int(edge) + 1)) for edge in (left, top))
    x1 = int(rng.integers(int(left + centre_width), width + 1))
    y1 = int(rng.integers(int(top + centre_height), height + 1))
    gain = rng.uniform(0.9, 1.1)
    mirrored = bool(rng.integers(2))
    crop = np.clip(pixels[y0:y1, x0:x1] * gain, 0, 255).astype(np.uint8)
    picture = Image.fromarray(crop[:, ::-1] if mirrored else crop)
    picture.thumbnail((512, 512), Image.Resampling.LANCZOS)
    return Take(np.asarray(picture), _moved(photograph.face, (x0, y0, x1 - x0, y1 - y0), mirrored))


def _moved(box: Box | None, crop: Box, mirrored: bool) -> Box | None:
    """A box of the photograph as fractions of a crop of it."""
    if box is None:
        return None
    left, width = (box[0] - crop[0]) / crop[2], box[2] / crop[2]
    return (1 - left - width if mirrored else left), (box[1] - crop[1]) / crop[3], width, box[3] / crop[3]


def save_picture(path: Path, pixels: Pixels, lying: bool = False) -> None:
    """Writes JPEG, PNG or WebP by suffix. lying: pixels turned left and EXIF orientation 6, so that viewers turn them right."""
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    if lying:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[_EXIF_ORIENTATION] = _TURN_RIGHT_TO_SHOW
    if path.suffix == ".png":
        picture.save(path, optimize=True)
    else:
        picture.save(path, quality=88, exif=exif)


@dataclass(frozen=True, slots=True)
class Scene:
    """A number of frames of one photograph, seen by a camera that slowly moves and zooms."""

    photograph: str
    frames: int


def boundaries_ms(scenes: Sequence[Scene]) -> list[int]:
    """When each scene but the first begins."""
    ends = np.cumsum([scene.frames for scene in scenes])[:-1]
    return [round(1000 * int(end) / FRAMES_PER_SECOND) for end in ends]


def encode_film(path: Path, codec: str, scenes: Sequence[Scene], rng: np.random.Generator, speech: Speech | None = None) -> None:
    """Writes scenes with hard cuts between them, 320×180, 25 frames a second; with speech as AAC if there is any."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream(codec, rate=FRAMES_PER_SECOND, options=_ENCODER_OPTIONS[codec])
        if not isinstance(video, av.VideoStream):
            raise ValueError(f"{codec} is not a video codec")
        video.width, video.height, video.pix_fmt = _FILM_WIDTH_PX, _FILM_HEIGHT_PX, "yuv420p"
        video.codec_context.thread_count = 1
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        sound = add_sound(container, "aac", 44_100, 1, 64_000) if speech else None
        number = 0
        for scene in scenes:
            for pixels in _shot(scene, rng):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
                container.mux(video.encode(frame))
                number += 1
        container.mux(video.encode(None))
        if speech and sound:
            write_sound(container, sound, speech.samples, SPEECH_RATE_HZ)


def _shot(scene: Scene, rng: np.random.Generator) -> list[Pixels]:
    """The frames of a scene: a 16:9 window around the photograph's centre, drifting and zooming by up to a tenth."""
    pixels = _pixels(scene.photograph)
    height, width = pixels.shape[:2]
    picture = Image.fromarray(pixels)
    left, top, centre_width, centre_height = PHOTOGRAPHS[scene.photograph].centre
    middle = np.array([left + centre_width / 2, top + centre_height / 2])
    largest = min(width, height * 16 / 9)
    drift = rng.uniform(-0.05, 0.05, 2)
    zoom = rng.choice([-1, 1])
    frames = []
    for place in np.linspace(-0.5, 0.5, scene.frames):
        window_width = largest * (0.92 + 0.1 * zoom * place)
        window = np.array([window_width, window_width * 9 / 16])
        corner = np.clip(middle + 2 * place * drift * window - window / 2, 0, np.array([width, height]) - window)
        box = (corner[0], corner[1], corner[0] + window[0], corner[1] + window[1])
        frames.append(np.asarray(picture.resize((_FILM_WIDTH_PX, _FILM_HEIGHT_PX), Image.Resampling.BICUBIC, box=box)))
    return frames
