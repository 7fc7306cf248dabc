"""Picture files to upright sRGB pixels.

Pillow is the only decoder: it reads the header alone when it opens a file, and refuses bombs before any pixel is made. Large
JPEGs are decoded at 1/2, 1/4 or 1/8 of their size (in the DCT, a quarter of the time), never below 1.5 times what was asked.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

# The plugins are named so that they are imported now: a decoder in its cage can open no file later.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageCms,
    JpegImagePlugin,
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL import Image as Pil

from processors.decode.limits import Limits
from processors.errors import ContentError, Reason
from processors.media import Image, Picture, PictureWithin, Piece, View

__all__ = ["FORMATS", "decode_image"]

Pil.preinit()  # for the same reason: otherwise the first open imports a few more

_PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    AvifImagePlugin.AvifImageFile,
)
FORMATS: tuple[str, ...] = tuple(str(plugin.format) for plugin in _PLUGINS)
"""Names of the accepted formats. A JPEG with further pictures behind the first (MPO) counts as JPEG."""

_OVERSAMPLING = 1.5  # a scaled JPEG keeps this many times the asked size: 2 gives 54 dB to the full decode, 1 gives 49 dB
_MAX_JPEG_MARKERS = 10_000
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {  # EXIF 2.32, tag 274: what brings each orientation upright
    2: Pil.Transpose.FLIP_LEFT_RIGHT,
    3: Pil.Transpose.ROTATE_180,
    4: Pil.Transpose.FLIP_TOP_BOTTOM,
    5: Pil.Transpose.TRANSPOSE,
    6: Pil.Transpose.ROTATE_270,
    7: Pil.Transpose.TRANSVERSE,
    8: Pil.Transpose.ROTATE_90,
}
_ICC_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_BROKEN_EXIF = (SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, OSError, struct.error, zlib.error)

# What Pillow raises on damaged, foreign and hostile files; the first match counts.
_REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (Pil.DecompressionBombError, Reason.LIMIT_EXCEEDED),
    (Pil.DecompressionBombWarning, Reason.LIMIT_EXCEEDED),
    (MemoryError, Reason.LIMIT_EXCEEDED),
    (UnidentifiedImageError, Reason.UNSUPPORTED_FORMAT),
    (NotImplementedError, Reason.UNSUPPORTED_FORMAT),
    (OSError, Reason.UNDECODABLE),
    (EOFError, Reason.UNDECODABLE),
    (SyntaxError, Reason.UNDECODABLE),
    (ValueError, Reason.UNDECODABLE),
    (TypeError, Reason.UNDECODABLE),
    (LookupError, Reason.UNDECODABLE),
    (ArithmeticError, Reason.UNDECODABLE),
    (AttributeError, Reason.UNDECODABLE),
    (AssertionError, Reason.UNDECODABLE),
    (RuntimeError, Reason.UNDECODABLE),
    (struct.error, Reason.UNDECODABLE),
    (zlib.error, Reason.UNDECODABLE),
)


def decode_image(source: BinaryIO, views: frozenset[View], limits: Limits) -> Iterator[tuple[View, Piece]]:
    """One Image for each view (Picture or PictureWithin) of the first picture in a file; decoded once, for the largest view.

    Upright by its EXIF orientation, uint8 sRGB (h, w, 3): 16-bit grey scaled, alpha laid on white, ICC profile applied (a broken
    one is ignored), resized (bicubic, antialiased) to exactly the size that the view asks for.

    Raises ContentError: UNSUPPORTED_FORMAT, UNDECODABLE, LIMIT_EXCEEDED (limits.max_pixels, limits.max_jpeg_scans, memory).
    """
    pictures = [_picture_view(view) for view in views]
    data = source.read()
    if not data:
        raise ContentError(Reason.UNDECODABLE, "The picture file is empty; publish it again")
    if data.startswith(b"\xff\xd8"):
        _refuse_many_scans(data, limits.max_jpeg_scans)
    with _pillow_errors(limits.max_pixels):
        images = _decode(data, pictures)
    yield from zip(pictures, images, strict=True)


def _picture_view(view: View) -> Picture | PictureWithin:
    if not isinstance(view, Picture | PictureWithin):
        raise TypeError(f"An image gives Picture and PictureWithin only, not {view}; plan features by the kind of the asset")
    return view


@contextmanager
def _pillow_errors(max_pixels: int) -> Iterator[None]:
    """Holds Pillow to max_pixels inside, and turns whatever it raises into ContentError by the table."""
    previous_pixels, previous_threads = Pil.MAX_IMAGE_PIXELS, AvifImagePlugin.DEFAULT_MAX_THREADS
    Pil.MAX_IMAGE_PIXELS, AvifImagePlugin.DEFAULT_MAX_THREADS = max_pixels, 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Pil.DecompressionBombWarning)
            yield
    except ContentError:
        raise
    except tuple(kind for kind, _ in _REASONS) as error:
        reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
        raise ContentError(reason, _explain(reason, error, max_pixels)) from error
    finally:
        Pil.MAX_IMAGE_PIXELS, AvifImagePlugin.DEFAULT_MAX_THREADS = previous_pixels, previous_threads


def _explain(reason: Reason, error: BaseException, max_pixels: int) -> str:
    said = str(error)[:200]
    match reason:
        case Reason.UNSUPPORTED_FORMAT:
            return f"The file is no picture in one of the formats {', '.join(FORMATS)}, or its header is damaged: {said}"
        case Reason.LIMIT_EXCEEDED:
            return f"The picture needs more than {max_pixels} pixels or more memory than a decoder has: {said}"
        case _:
            return f"The picture is damaged: {said}"


def _refuse_many_scans(data: bytes, most: int) -> None:
    """A progressive JPEG of a few kilobytes can hold thousands of scans, each a pass over the whole picture."""
    if data.count(b"\xff\xda") <= most:  # may also count bytes of thumbnails or of what follows the picture, so look closer
        return
    position = 2
    scans = 0
    for _ in range(_MAX_JPEG_MARKERS):
        found = _MARKER.search(data, position)
        if found is None or found.group() == b"\xff\xd9":
            return
        scans += found.group() == b"\xff\xda"
        if scans > most:
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The JPEG has more than {most} scans; save it again with fewer")
        length = 0 if found.group() == b"\xff\xd8" else int.from_bytes(data[found.end() : found.end() + 2])
        position = found.end() + length
    raise ContentError(Reason.LIMIT_EXCEEDED, f"The JPEG has more than {_MAX_JPEG_MARKERS} markers; save it again")


def _decode(data: bytes, views: list[Picture | PictureWithin]) -> list[Image]:
    with Pil.open(io.BytesIO(data), formats=FORMATS) as opened:
        width, height = opened.size
        sizes = [view.size_px(width, height) for view in views]
        largest = (int(max(size[0] for size in sizes) * _OVERSAMPLING), int(max(size[1] for size in sizes) * _OVERSAMPLING))
        drafted = opened.draft(None, largest) if isinstance(opened, JpegImagePlugin.JpegImageFile) else None
        opened.load()
        flat = _flatten(opened)
        box = drafted[1] if drafted else (0, 0, width, height)
        profile = opened.info.get("icc_profile")
        orientation = _orientation(opened)
        upright_size = (height, width) if orientation >= 5 else (width, height)
        return [_image(_to_srgb(_scaled(flat, box, size), profile), orientation, upright_size) for size in sizes]


def _orientation(opened: Pil.Image) -> int:
    try:
        value = opened.getexif().get(_ORIENTATION_TAG, 1)
    except _BROKEN_EXIF:
        return 1
    return value if value in _UPRIGHT else 1


def _flatten(opened: Pil.Image) -> Pil.Image:
    """Any mode to L, RGB or CMYK of 8 bits, without alpha."""
    if opened.mode.startswith("I;16"):
        return Pil.fromarray((np.asarray(opened) >> 8).astype(np.uint8))
    if opened.mode in ("I", "F"):
        raise ContentError(
            Reason.UNSUPPORTED_FORMAT, "The picture has 32 bits a sample, whose range nothing tells; save it with 8 or 16"
        )
    if opened.has_transparency_data:
        coloured = opened.convert("RGBA")
        white = Pil.new("RGB", opened.size, "white")
        white.paste(coloured, mask=coloured.getchannel("A"))
        return white
    if opened.mode in ("L", "RGB", "CMYK"):
        return opened
    return opened.convert("L" if opened.mode == "1" else "RGB")


def _scaled(flat: Pil.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Pil.Image:
    """box: where the whole picture lies in flat, which a scaled JPEG overhangs by part of a pixel."""
    return flat if flat.size == size else flat.resize(size, Pil.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def _to_srgb(picture: Pil.Image, icc: bytes | None) -> Pil.Image:
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            space, name = profile.profile.xcolor_space.strip(), profile.profile.profile_description or ""
            if space == _ICC_SPACES[picture.mode] and not name.startswith("sRGB"):
                converted = ImageCms.profileToProfile(picture, profile, _SRGB, outputMode="RGB")
                return converted or picture.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # the profile is broken; most viewers then show the numbers as they stand
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _image(picture: Pil.Image, orientation: int, upright_size: tuple[int, int]) -> Image:
    turned = picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture
    return Image(np.asarray(turned), original_width_px=upright_size[0], original_height_px=upright_size[1])
