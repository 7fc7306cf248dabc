"""A person's own files, in every format that is promised, become signals."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from running import ROOT, Gathered, gather, running_worker, signals_command

from streams.settings import Settings

AUDIO = {
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "ogg": ("ogg", "libopus"),
    "m4a": ("mp4", "aac"),
}
VIDEO = {"mp4": ("mp4", "libx264", "aac"), "webm": ("webm", "libvpx-vp9", "libopus")}
IMAGES = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
EXPECTED = {
    "audio": {"audio.speech", "audio.loudness"},
    "image": {"image.tags", "image.faces"},
    "video": {"video.shots", "video.tags", "audio.speech", "audio.loudness"},
    "text": {"text.embedding", "text.language"},
}
RATE_HZ = 48_000


def sound(stream: av.AudioStream, seconds: int = 2) -> Iterator[av.Packet]:
    """A tone, as packets of the stream."""
    wave = (8_000 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ * seconds) / RATE_HZ)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
    frame.sample_rate = RATE_HZ
    frame.pts = 0
    resampler = av.AudioResampler(stream.format, "stereo", RATE_HZ, frame_size=stream.frame_size or 1024)
    for part in [*resampler.resample(frame), *resampler.resample(None), None]:
        yield from stream.encode(part)


def pictures(stream: av.VideoStream) -> Iterator[av.Packet]:
    """Two seconds, dark and then bright, as packets of the stream."""
    for number in range(50):
        pixels = np.full((96, 160, 3), 40 if number < 25 else 200, np.uint8)
        yield from stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    yield from stream.encode(None)


def pictures_and_sound(container: av.container.OutputContainer, video: str, audio: str) -> None:
    """Both streams exist before the first packet is written, as containers want it."""
    picture_stream = container.add_stream(video, rate=25, width=160, height=96, pix_fmt="yuv420p")
    sound_stream = container.add_stream(audio, rate=RATE_HZ, layout="stereo")
    for packet in [*pictures(picture_stream), *sound(sound_stream)]:
        container.mux(packet)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("own")
    made = {}
    for suffix, (container_format, codec) in AUDIO.items():
        made[suffix] = folder / f"sound.{suffix}"
        with av.open(str(made[suffix]), "w", format=container_format) as container:
            for packet in sound(container.add_stream(codec, rate=RATE_HZ, layout="stereo")):
                container.mux(packet)
    for suffix, (container_format, video, audio) in VIDEO.items():
        made[suffix] = folder / f"film.{suffix}"
        with av.open(str(made[suffix]), "w", format=container_format) as container:
            pictures_and_sound(container, video, audio)
    with Image.open(ROOT / "embedded/samples/espresso.jpg") as picture:
        for suffix, name in IMAGES.items():
            made[suffix] = folder / f"picture.{suffix}"
            picture.save(made[suffix], name)
    made["txt"] = folder / "words.txt"
    made["txt"].write_text("A short walk along the river before breakfast.")
    return made


@pytest.fixture(scope="module")
def gathered(settings: Settings, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    for suffix, path in files.items():
        result = signals_command(settings, "publish", str(path), "--content-id", suffix)
        assert result.returncode == 0, result.stderr
    with running_worker(settings, tmp_path_factory.mktemp("worker")) as worker:
        return gather(settings, set(files), 100, worker=worker)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("suffix", [*AUDIO, *VIDEO, *IMAGES, "txt"])
def test_signals_of_the_kind_appear(gathered: Gathered, suffix: str) -> None:
    """Each signal that applies to the kind of file has an OK record."""
    kind = "audio" if suffix in AUDIO else "video" if suffix in VIDEO else "image" if suffix in IMAGES else "text"
    found = {record.signal for record in gathered.signals if record.content_id == suffix}
    problems = [
        o
        for record in gathered.ledger
        if record.content_id == suffix
        for o in record.outcomes
        if o.reason != "no_applicable_asset"
    ]
    assert found == EXPECTED[kind], problems
