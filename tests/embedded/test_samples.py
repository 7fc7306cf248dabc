"""The committed sample media are what their lists say they are."""

import hashlib
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from embedded.agreement import disagreements
from embedded.sample_media import SAMPLES_FOLDER, SampleAsset, expectations, load

ASSETS = {(content.content_id, asset.asset_id): asset for content in load() for asset in content.assets}


def expected(check: str) -> list[dict[str, Any]]:
    return [expectation for expectation in expectations() if expectation["check"] == check]


def asset_of(expectation: dict[str, Any]) -> SampleAsset:
    return ASSETS[expectation["content_id"], expectation["asset_id"]]


def named(expectation: dict[str, Any]) -> str:
    return f"{expectation['content_id']}-{expectation['signal']}"


@pytest.mark.parametrize("asset", ASSETS.values(), ids=lambda asset: asset.path.name)
def test_file_is_the_listed_one(asset: SampleAsset) -> None:
    """Each file has the size and the checksum that samples.json says, and is small."""
    payload = asset.path.read_bytes()
    assert asset.path.is_absolute()
    assert len(payload) == asset.size_bytes < 700_000
    assert hashlib.sha256(payload).hexdigest() == asset.sha256


def test_folder_holds_nothing_else() -> None:
    """Every media file in the folder is listed, has its origin in the README, and all together stay below 3 MB."""
    files = [path for path in SAMPLES_FOLDER.iterdir() if path.is_file()]
    media = {path.name for path in files if path.suffix not in {".py", ".json", ".md"}}
    assert media == {asset.path.name for asset in ASSETS.values()}
    readme = (SAMPLES_FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(media) if f"`{name}`" not in readme] == []
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_contents_cover_every_kind() -> None:
    """There are all four kinds, texts inline and as files, and a content of several kinds; ids and names are unique."""
    contents = load()
    assert {asset.kind for asset in ASSETS.values()} == {"AUDIO", "IMAGE", "VIDEO", "TEXT"}
    assert any(content.texts and any(asset.kind == "IMAGE" for asset in content.assets) for content in contents)
    assert max(Counter(content.content_id for content in contents).values()) == 1
    for content in contents:
        names = [asset.asset_id for asset in content.assets] + [text.name for text in content.texts]
        assert len(set(names)) == len(names) > 0
    languages = {text.language for content in contents for text in content.texts}
    assert languages == {"en", "fr", "es"}


def test_expectations_speak_of_what_is_there() -> None:
    """Each expectation names an asset or text that exists, a known check and its source; each content has an expectation."""
    known = {(content.content_id, text.name) for content in load() for text in content.texts} | set(ASSETS)
    all_expected = expectations()
    assert [named(e) for e in all_expected if (e["content_id"], e["asset_id"]) not in known] == []
    assert {e["content_id"] for e in all_expected} == {content.content_id for content in load()}
    assert [named(e) for e in all_expected if not e["source"]] == []
    assert len(disagreements(all_expected, {})) == len(all_expected)


@pytest.mark.parametrize("expectation", expected("speech_segments"), ids=named)
def test_speech_is_where_it_was_put(expectation: dict[str, Any]) -> None:
    """After encoding, sound is loud inside the segments and close to silent outside them, but for 50 ms at the edges."""
    with av.open(str(asset_of(expectation).path)) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    times_ms = np.arange(sound.size) / 16
    segments = expectation["segments"]
    inside = [(times_ms >= start) & (times_ms < end) for start, end in segments]
    near = np.any([(times_ms > start - 50) & (times_ms < end + 50) for start, end in segments], axis=0)
    assert min(np.sqrt(np.mean(sound[span] ** 2)) for span in inside) > 10 ** (-30 / 20)
    assert np.sqrt(np.mean(sound[~near] ** 2)) < 10 ** (-60 / 20)


@pytest.mark.parametrize("expectation", expected("shots"), ids=named)
def test_cuts_are_where_they_were_put(expectation: dict[str, Any]) -> None:
    """The greatest jumps between neighbouring frames are at the boundaries, far above the motion inside scenes."""
    asset = asset_of(expectation)
    with av.open(str(asset.path)) as container:
        frames = [
            (round(1000 * frame.time), frame.to_ndarray(format="gray").astype(float)) for frame in container.decode(video=0)
        ]
        assert bool(container.streams.audio) == (expectation["content_id"] == "film")
    jumps = {time_ms: np.abs(after - before).mean() for (_, before), (time_ms, after) in itertools.pairwise(frames)}
    cuts = {time_ms: jumps.pop(time_ms) for time_ms in expectation["boundaries_ms"]}
    assert min(cuts.values()) > 2 * max(jumps.values())
    assert len(frames) * 40 == asset.duration_ms


@pytest.mark.parametrize("key", [key for key, asset in ASSETS.items() if asset.kind == "IMAGE"], ids="-".join)
def test_lying_pictures_say_so(key: tuple[str, str]) -> None:
    """Pictures named lying carry EXIF orientation 6 and are as upright as the others once it is heeded."""
    with Image.open(ASSETS[key].path) as picture:
        assert picture.getexif().get(0x0112) == (6 if key[1] == "lying" else None)
        assert max(picture.size) <= 600
        upright = ImageOps.exif_transpose(picture)
    with Image.open(ASSETS[key[0], "main"].path) as main:
        assert (upright.width > upright.height) == (main.width > main.height)


def make(name: str, *arguments: Any) -> Any:
    """Calls the maker of samples, or skips the test where its programs are not installed."""
    pytest.importorskip("skimage")
    from embedded.samples import make_samples

    if missing := make_samples.missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    return getattr(make_samples, name)(*arguments)


@pytest.mark.slow
def test_another_seed_gives_other_samples_of_the_same_kinds(tmp_path: Path) -> None:
    """Held-out samples have the same contents and signals, and no sound, picture or film in common but, maybe, the tone."""
    make("make_samples", tmp_path, 7)
    held_out = load(tmp_path)
    assert [(c.content_id, [a.path.name for a in c.assets]) for c in held_out] == [
        (c.content_id, [a.path.name for a in c.assets]) for c in load()
    ]
    assert {(e["content_id"], e["asset_id"], e["signal"]) for e in expectations(tmp_path)} == {
        (e["content_id"], e["asset_id"], e["signal"]) for e in expectations()
    }
    known = {asset.sha256 for asset in ASSETS.values()}
    media = [asset for content in held_out for asset in content.assets if asset.kind != "TEXT"]
    assert {asset.path.name for asset in media if asset.sha256 in known} <= {"reference-tone.flac"}


@pytest.mark.slow
def test_a_seed_gives_the_same_sample_again(tmp_path: Path) -> None:
    """Nothing but the seed decides what is made."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make("garden_hour", folder, np.random.default_rng(3))
    assert (first / "garden-hour.ogg").read_bytes() == (second / "garden-hour.ogg").read_bytes()
