"""Picture files become upright sRGB pixels, or a ContentError."""

import contextlib
import io
import pickle
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageCms, ImageFile, PngImagePlugin, features

from processors.decode.image import FORMATS, decode_image
from processors.decode.limits import Limits
from processors.errors import ContentError, Reason
from processors.media import Characters, Image, Picture, PictureWithin

LIMITS = Limits()
WHOLE = Picture(short_side_px=10_000)


def decoded(data: bytes, view: Picture | PictureWithin = WHOLE, limits: Limits = LIMITS) -> Image:
    ((answered, image),) = decode_image(io.BytesIO(data), frozenset({view}), limits)
    assert answered == view
    assert isinstance(image, Image)
    return image


def reason_of(data: bytes, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(ContentError) as caught:
        decoded(data, limits=limits)
    return caught.value.reason


def saved(picture: Pil.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)  # type: ignore[arg-type]
    return out.getvalue()


def quadrants(width: int = 96, height: int = 64) -> Pil.Image:
    """Red, green over blue, white."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = (255, 255, 255)
    return Pil.fromarray(pixels)


def photo(width: int, height: int) -> Pil.Image:
    """Smooth colours with some detail, for comparing resizes."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    planes = [np.sin(9 * x + 3 * y), np.cos(7 * y * x + 1), np.sin(40 * x) * np.cos(30 * y)]
    return Pil.fromarray(np.stack([(plane * 100 + 128).astype(np.uint8) for plane in planes], axis=-1))


def difference(one: NDArray[np.uint8], other: Pil.Image | NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - np.asarray(other).astype(int)).mean())


# ---- what comes out ----


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_gives_its_pixels(format: str) -> None:
    """Every accepted format decodes to the picture that was saved."""
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    image = decoded(saved(quadrants(), format))
    assert image.pixels.shape == (64, 96, 3)
    assert (image.original_width_px, image.original_height_px) == (96, 64)
    assert difference(image.pixels, quadrants()) < 8


TURNED: dict[int, Callable[[Pil.Image], Pil.Image]] = {
    1: lambda upright: upright,
    2: lambda upright: upright.transpose(Pil.Transpose.FLIP_LEFT_RIGHT),
    3: lambda upright: upright.rotate(180),
    4: lambda upright: upright.transpose(Pil.Transpose.FLIP_TOP_BOTTOM),
    5: lambda upright: upright.transpose(Pil.Transpose.FLIP_LEFT_RIGHT).rotate(90, expand=True),
    6: lambda upright: upright.rotate(90, expand=True),
    7: lambda upright: upright.transpose(Pil.Transpose.FLIP_LEFT_RIGHT).rotate(-90, expand=True),
    8: lambda upright: upright.rotate(-90, expand=True),
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_is_undone(format: str, orientation: int) -> None:
    """A picture stored turned, with the EXIF orientation that says so, comes out upright at its upright size."""
    exif = Pil.Exif()
    exif[0x0112] = orientation
    image = decoded(saved(TURNED[orientation](quadrants()), format, exif=exif))
    assert (image.original_width_px, image.original_height_px) == (96, 64)
    assert difference(image.pixels, quadrants()) < 8


def test_a_turned_large_jpeg_is_scaled_and_upright() -> None:
    """Orientation, scaled decode and resize work together."""
    exif = Pil.Exif()
    exif[0x0112] = 6
    image = decoded(saved(quadrants(960, 640).rotate(90, expand=True), "JPEG", exif=exif), Picture(64))
    assert image.pixels.shape == (64, 96, 3)
    assert (image.original_width_px, image.original_height_px) == (960, 640)
    assert difference(image.pixels, quadrants()) < 8


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_broken_exif_is_ignored(exif: bytes) -> None:
    """A picture with unreadable EXIF is decoded as it stands."""
    assert decoded(saved(quadrants(), "JPEG", exif=exif)).pixels.shape == (64, 96, 3)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_tones(format: str) -> None:
    """16-bit grey is scaled to 8 bits, not clipped."""
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    image = decoded(saved(Pil.fromarray(ramp), format))
    assert np.array_equal(image.pixels[..., 0], (ramp >> 8).astype(np.uint8))
    assert np.array_equal(image.pixels[..., 0], image.pixels[..., 2])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_modes_without_alpha(mode: str) -> None:
    """Bilevel, grey, palette and colour PNG give what Pillow's conversion gives."""
    picture = quadrants().convert(mode)
    assert difference(decoded(saved(picture, "PNG")).pixels, picture.convert("RGB")) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(mode: str) -> None:
    """Where a picture is transparent it shows white; half-transparent black is grey."""
    picture = Pil.new("RGBA", (30, 10), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 128), (10, 0, 20, 10))
    picture.paste((0, 0, 0, 255), (20, 0, 30, 10))
    pixels = decoded(saved(picture.convert(mode), "PNG")).pixels
    assert pixels[5, [5, 15, 25], 0].tolist() == [255, 127, 0]


def test_transparent_palette_colour_is_white() -> None:
    """The transparent colour of a palette counts as alpha."""
    picture = Pil.new("P", (10, 10), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    assert decoded(saved(picture, "PNG", transparency=1)).pixels[0, 0].tolist() == [255, 255, 255]


def test_cmyk_jpeg_is_not_inverted() -> None:
    """A CMYK JPEG comes out in its colours."""
    assert difference(decoded(saved(quadrants().convert("CMYK"), "JPEG", quality=95)).pixels, quadrants()) < 8


def test_32_bit_pictures_are_refused() -> None:
    """Floats have no known range."""
    assert reason_of(saved(Pil.fromarray(np.zeros((4, 4), dtype=np.float32)), "TIFF")) is Reason.UNSUPPORTED_FORMAT


def test_the_icc_profile_is_applied() -> None:
    """Lab and sRGB agree: a picture in a profile of linear light comes out brighter than its numbers."""
    linear = linear_profile()
    grey = Pil.new("RGB", (8, 8), (55, 55, 55))
    pixels = decoded(saved(grey, "PNG", icc_profile=linear)).pixels
    assert abs(int(pixels[0, 0, 0]) - 128) <= 3  # 55 / 255 of linear light is 0.5 in sRGB (IEC 61966-2-1)


def test_srgb_profile_changes_nothing() -> None:
    """A picture that says it is sRGB keeps its numbers."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(decoded(saved(quadrants(), "PNG", icc_profile=profile)).pixels, quadrants()) == 0


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200, "cut", "grey picture"])
def test_broken_or_foreign_profiles_are_ignored(profile: bytes | str) -> None:
    """A profile that is damaged, or made for another kind of picture, does not fail the picture."""
    mode = "L" if profile == "grey picture" else "RGB"
    data = linear_profile()[:300] if profile == "cut" else linear_profile() if profile == "grey picture" else profile
    picture = quadrants().convert(mode)
    assert difference(decoded(saved(picture, "PNG", icc_profile=data)).pixels, picture.convert("RGB")) == 0


def linear_profile() -> bytes:
    """An sRGB profile whose three tone curves are replaced by the identity (ICC.1:2010, curveType with no entries)."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data = data.replace(b"s\0R\0G\0B\0", b"t\0e\0s\0t\0")
    for entry in range(int.from_bytes(data[128:132])):
        name, offset, size = struct.unpack(">4sII", data[132 + 12 * entry : 144 + 12 * entry])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + size] = b"curv" + bytes(size - 4)
    return bytes(data)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_animations_show_their_first_frame(format: str) -> None:
    """Of an animation only the first frame is decoded."""
    frames = [Pil.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    pixels = decoded(saved(frames[0], format, save_all=True, append_images=frames[1:])).pixels
    assert np.abs(pixels[8, 8].astype(int) - (255, 0, 0)).max() < 8


def test_a_jpeg_with_a_second_picture_gives_the_first() -> None:
    """MPO, as stereo cameras and phones write it, counts as JPEG."""
    assert difference(decoded(saved(quadrants(), "MPO", save_all=True, append_images=[photo(32, 32)])).pixels, quadrants()) < 8


# ---- sizes ----


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 480), (640, 480)), ((960, 640), (640, 416)), ((480, 1000), (320, 640)), ((10, 9), (32, 32)), ((9000, 1), (640, 32))],
)
def test_a_picture_within_has_sides_a_model_can_take(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The long side is within the limit, both are multiples, the proportions kept as near as that allows; turned ones as well."""
    assert decoded(saved(Pil.new("RGB", size), "PNG"), PictureWithin(640, 32)).pixels.shape == (*expected[::-1], 3)
    exif = Pil.Exif()
    exif[0x0112] = 8
    turned = decoded(saved(Pil.new("RGB", size[::-1]), "JPEG", exif=exif), PictureWithin(640, 32))
    assert turned.pixels.shape == (*expected[::-1], 3)


@pytest.mark.parametrize("size", [(1200, 800), (800, 1203), (300, 256), (2999, 2001)])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_the_short_side_is_what_the_view_asks(format: str, size: tuple[int, int]) -> None:
    """The resized picture has the asked short side, and is close to Pillow's full decode and bicubic resize."""
    data = saved(photo(*size), format, **({"quality": 95} if format == "JPEG" else {}))
    image = decoded(data, Picture(256))
    short = min(size)
    expected = (round(size[0] * 256 / short), round(size[1] * 256 / short))
    assert image.pixels.shape[:2] == expected[::-1]
    assert (image.original_width_px, image.original_height_px) == size
    reference = Pil.open(io.BytesIO(data)).convert("RGB").resize(expected, Pil.Resampling.BICUBIC)
    assert difference(image.pixels, reference) < 1.0


def test_several_views_come_from_one_decode() -> None:
    """Each view gets its own size, and the same picture."""
    views = frozenset({Picture(64), Picture(640), PictureWithin(320, 32)})
    images = dict(decode_image(io.BytesIO(saved(photo(1500, 1000), "JPEG", quality=95)), views, LIMITS))
    assert {view: image.pixels.shape[:2] for view, image in images.items() if isinstance(image, Image)} == {
        Picture(64): (64, 96),
        Picture(640): (640, 960),
        PictureWithin(320, 32): (224, 320),
    }
    for image in images.values():
        assert isinstance(image, Image)
        height, width = image.pixels.shape[:2]
        assert difference(image.pixels, photo(1500, 1000).resize((width, height), Pil.Resampling.BICUBIC)) < 1.5


def test_a_small_picture_is_not_enlarged() -> None:
    """A picture smaller than the view keeps its size."""
    assert decoded(saved(quadrants(), "PNG"), Picture(256)).pixels.shape == (64, 96, 3)


def test_a_line_of_pixels_stays_a_picture() -> None:
    """A picture one pixel high is not scaled away, nor enlarged."""
    assert decoded(saved(Pil.new("RGB", (5000, 1)), "PNG"), Picture(256)).pixels.shape == (1, 5000, 3)


def test_other_views_are_a_mistake_of_ours() -> None:
    """Asking a picture for characters is not the content's fault."""
    with pytest.raises(TypeError, match="Picture"):
        list(decode_image(io.BytesIO(b""), frozenset({Characters()}), LIMITS))


def test_decoding_opens_no_file_and_imports_nothing() -> None:
    """All that a decode of any format needs is there after the import: a caged process can open nothing."""
    program = (
        "import io, pickle, sys\n"
        "from processors.decode.image import decode_image\n"
        "from processors.decode.limits import Limits\n"
        "from processors.media import Picture\n"
        "files = pickle.load(sys.stdin.buffer)\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, details: seen.append((event, details[0])) if event in ('open', 'import') else None)\n"
        "for file in files:\n"
        "    list(decode_image(io.BytesIO(file), frozenset({Picture(16)}), Limits()))\n"
        "sys.exit(repr(seen) if seen else 0)\n"
    )
    exif = Pil.Exif()
    exif[0x0112] = 6
    files = [saved(quadrants(), format, exif=exif) for format in FORMATS if format not in ("GIF", "BMP")]
    files += [*SEEDS, saved(quadrants(), "MPO", save_all=True, append_images=[photo(32, 32)])]
    root = Path(decode_image.__code__.co_filename).parents[2]
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(files), capture_output=True, cwd=root, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")


# ---- hostile files ----


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = saved(quadrants(64, 64), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * scans + data[end:]


def huge_jpeg() -> bytes:
    data = bytearray(saved(quadrants(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(data)


BOMBS = {
    "png of 100,000 × 100,000": png(100_000, 100_000),
    "png just over the limit": png(10_001, 10_000),
    "jpeg that claims 65,500 × 65,500": huge_jpeg(),
    "jpeg of 2,000 scans": many_scans(2000),
    "gif of 65,535 × 65,535": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x08\0\0;",
    "bmp of 60,000 × 60,000": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(name: str) -> None:
    """A file that would become gigabytes is refused by its header."""
    began = time.perf_counter()
    assert reason_of(BOMBS[name]) is Reason.LIMIT_EXCEEDED
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(60_000_000))),
        chunk(b"iTXt", b"key\0\x01\0\0\0" + zlib.compress(bytes(60_000_000))),
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(60_000_000))),
    ],
    ids=["zTXt", "iTXt", "iCCP"],
)
def test_compressed_text_bombs_are_refused(bomb: bytes) -> None:
    """60 MB of compressed text in a picture are not unpacked."""
    began = time.perf_counter()
    assert reason_of(png(8, 8, bomb)) is Reason.UNDECODABLE
    assert time.perf_counter() - began < 1.0


def test_the_pixel_limit_is_the_largest_that_passes() -> None:
    """A picture of exactly max_pixels passes, and one of a row more does not."""
    limits = Limits(max_pixels=64 * 64)
    assert decoded(saved(Pil.new("RGB", (64, 64)), "PNG"), limits=limits).pixels.shape == (64, 64, 3)
    assert reason_of(saved(Pil.new("RGB", (64, 65)), "PNG"), limits) is Reason.LIMIT_EXCEEDED


def test_a_jpeg_may_have_as_many_scans_as_allowed() -> None:
    """An ordinary progressive JPEG passes; the marker's bytes in what follows the picture do not count."""
    assert decoded(saved(quadrants(), "JPEG", progressive=True)).pixels.shape == (64, 96, 3)
    assert decoded(saved(quadrants(), "JPEG") + b"\xff\xda" * 1000).pixels.shape == (64, 96, 3)


def test_pillow_is_left_as_it_was() -> None:
    """The limits hold inside a decode only, also after one that failed."""
    before = Pil.MAX_IMAGE_PIXELS
    reason_of(BOMBS["png of 100,000 × 100,000"])
    assert before == Pil.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert PngImagePlugin.MAX_TEXT_CHUNK <= 1 << 20


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.UNDECODABLE),
        (b"\0" * 1000, Reason.UNSUPPORTED_FORMAT),
        (b"plain text", Reason.UNSUPPORTED_FORMAT),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED_FORMAT),
        (b"P6 1 1 255 abc", Reason.UNSUPPORTED_FORMAT),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_what_is_no_accepted_picture_is_refused(data: bytes, reason: Reason) -> None:
    """Nothing but the listed formats is tried, least of all those that run programs."""
    assert reason_of(data) is reason


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_half_a_file_is_refused(format: str) -> None:
    """A truncated picture is damaged, not half grey."""
    data = saved(photo(200, 150), format)
    assert reason_of(data[: len(data) // 2]) in {Reason.UNDECODABLE, Reason.UNSUPPORTED_FORMAT}


SEEDS = [saved(photo(40, 30), format) for format in FORMATS] + [
    saved(photo(40, 30).convert("P"), "PNG"),
    saved(photo(40, 30).convert("CMYK"), "JPEG", icc_profile=linear_profile()),
    saved(photo(40, 30), "TIFF", compression="tiff_lzw"),
    saved(
        photo(40, 30), "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    ),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    cut=st.floats(0.05, 1),
)
def test_damaged_files_give_a_picture_or_a_content_error(seed: bytes, changes: list[tuple[float, int]], cut: float) -> None:
    """Whatever bytes are changed or missing, nothing but a picture or a ContentError comes out."""
    data = bytearray(seed)
    for where, value in changes:
        data[int(where**2 * len(data))] = value
    try:
        image = decoded(bytes(data[: int(len(data) * cut)]), Picture(16), Limits(max_pixels=1_000_000))
    except ContentError:
        return
    assert image.pixels.dtype == np.uint8


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"RIFF\0\0\0\0WEBPVP8 "]),
)
def test_random_bytes_give_a_content_error_or_a_picture(tail: bytes, magic: bytes) -> None:
    """Random bytes behind a magic number do no other harm."""
    with contextlib.suppress(ContentError):
        decoded(magic + tail, limits=Limits(max_pixels=1_000_000))
