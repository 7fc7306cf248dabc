"""Makes the sample media of all four kinds, `samples.json` (what they are) and `expected.json` (what must be found in them).

    python make_samples.py OUT_DIR --seed 7

The same seed makes the same samples again; another seed makes others of the same kinds that nobody has looked at. What must be
found comes from what is put in here, from looking at the photographs, or from another tool; never from this project's models.

Needs espeak-ng, ffmpeg and libebur128 (Debian, Ubuntu: apt-get install espeak-ng ffmpeg libebur128-1), and this project with its
`dev` extra. The same bytes come from the same versions of those and of PyAV and Pillow.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedded.samples import loudness, pictures, sound, words

__all__ = ["main", "make_samples", "missing_packages"]

Json = dict[str, Any]

_TENANT = "demo"
_CUP = ["espresso", "cup", "coffee mug"]
_CAT = ["tabby", "tiger cat", "Egyptian cat"]
_BY_CONSTRUCTION = "put in by make_samples.py"
_BY_EYE = "judged by eye, from the photograph"


@dataclass(frozen=True, slots=True)
class Sample:
    """One content as samples.json lists it, and its lines of expected.json."""

    content: Json
    expectations: list[Json]


def _asset(folder: Path, asset_id: str, file: str, media_type: str, duration_ms: int | None = None) -> Json:
    payload = (folder / file).read_bytes()
    asset: Json = {"asset_id": asset_id, "kind": media_type.partition("/")[0].upper(), "file": file, "media_type": media_type}
    asset |= {"sha256": hashlib.sha256(payload).hexdigest(), "size_bytes": len(payload)}
    return asset if duration_ms is None else asset | {"duration_ms": duration_ms}


def _text(name: str, language: str, value: str) -> Json:
    return {"name": name, "language": language, "value": value}


def _content(content_id: str, title: str, assets: Sequence[Json] = (), texts: Sequence[Json] = ()) -> Json:
    return {"content_id": content_id, "title": title, "tenant": _TENANT, "assets": list(assets), "texts": list(texts)}


def _expect(content_id: str, asset_id: str, signal: str, check: str, source: str, **values: Any) -> Json:
    return {"content_id": content_id, "asset_id": asset_id, "signal": signal, "check": check, **values, "source": source}


def _measure(content_id: str, signal: str, name: str, value: float, tolerance: float, source: str) -> Json:
    return _expect(content_id, "main", signal, "measure", source, name=name, value=round(value, 3), tolerance=tolerance)


# ---- audio ----


def _speech(language: str, sentences: int, rng: np.random.Generator) -> sound.Speech:
    chosen = rng.choice(len(words.SPOKEN[language]), sentences, replace=False)
    pitch, pace = int(rng.integers(40, 60)), int(rng.integers(145, 165))
    clips = [sound.spoken(words.SPOKEN[language][number], language, pace, pitch) for number in chosen]
    return sound.track(clips, [int(pause) for pause in rng.integers(1200, 2000, sentences + 1)], rng)


def _speech_expectations(content_id: str, speech: sound.Speech) -> list[Json]:
    segments = [list(segment) for segment in speech.segments_ms]
    ratio = sum(end - start for start, end in segments) / speech.duration_ms
    return [
        _expect(
            content_id,
            "main",
            "audio.speech",
            "speech_segments",
            _BY_CONSTRUCTION,
            segments=segments,
            tolerance_ms=250,
            min_iou=0.8,
        ),
        _measure(content_id, "audio.speech", "speech_ratio", ratio, 0.1, _BY_CONSTRUCTION),
    ]


def _loudness_expectations(content_id: str, path: Path) -> list[Json]:
    measured = loudness.measure(path)
    return [
        _measure(content_id, "audio.loudness", "integrated", measured.integrated_lufs, 0.3, measured.tool),
        _measure(content_id, "audio.loudness", "short_term_max", measured.short_term_max_lufs, 0.3, measured.tool),
        _measure(content_id, "audio.loudness", "true_peak", measured.true_peak_dbtp, 0.5, measured.tool),
    ]


def _broadcast(
    folder: Path, language: str, title: str, file: str, codec: str, media_type: str, rng: np.random.Generator
) -> Sample:
    speech = _speech(language, 3, rng)
    rate_hz = 48_000 if codec == "libopus" else 44_100
    sound.encode_sound(folder / file, codec, speech.samples, sound.SPEECH_RATE_HZ, rate_hz, 48_000)
    content_id = Path(file).stem
    asset = _asset(folder, "main", file, media_type, speech.duration_ms)
    expectations = _speech_expectations(content_id, speech) + _loudness_expectations(content_id, folder / file)
    return Sample(_content(content_id, title, [asset]), expectations)


def harbour_report(folder: Path, rng: np.random.Generator) -> Sample:
    """English speech, MP3."""
    return _broadcast(folder, "en", "The harbour report", "harbour-report.mp3", "libmp3lame", "audio/mpeg", rng)


def garden_hour(folder: Path, rng: np.random.Generator) -> Sample:
    """German speech, Opus in Ogg."""
    return _broadcast(folder, "de", "Die Gartenstunde", "garden-hour.ogg", "libopus", "audio/ogg", rng)


def guitar(folder: Path, rng: np.random.Generator) -> Sample:
    """Plucked chords without speech at -18 LUFS, AAC in MP4."""
    roots = rng.permutation([0, 5, 7, 9])
    chords = [[110 * 2 ** ((int(root) + step) / 12) for step in (0, 7, 12, 16, 19, 24)] for root in roots]
    strings = sound.plucked_strings(chords, 2.0, 44_100, rng)
    with tempfile.TemporaryDirectory() as scratch:
        unscaled = Path(scratch) / "unscaled.m4a"
        sound.encode_sound(unscaled, "aac", strings, 44_100, 44_100, 112_000)
        gain_db = -18.0 - loudness.measure(unscaled).integrated_lufs
    path = folder / "guitar.m4a"
    sound.encode_sound(path, "aac", strings * 10 ** (gain_db / 20), 44_100, 44_100, 112_000)
    asset = _asset(folder, "main", path.name, "audio/mp4", round(1000 * strings.shape[1] / 44_100))
    expectations = [
        *_loudness_expectations("guitar", path),
        _measure("guitar", "audio.speech", "speech_ratio", 0.0, 0.1, _BY_CONSTRUCTION),
    ]
    return Sample(_content("guitar", "Four chords on plucked strings", [asset]), expectations)


def reference_tone(folder: Path, rng: np.random.Generator) -> Sample:
    """A sine of 1 kHz in both channels: its level in dBFS is its loudness in LUFS (EBU Tech 3341, test cases 1 and 2). FLAC."""
    level = float(rng.choice([-33.0, -23.0]))
    path = folder / "reference-tone.flac"
    sound.encode_sound(path, "flac", sound.sine(1000, level, 20, 48_000), 48_000, 48_000)
    source = "EBU Tech 3341, test cases 1 and 2: the level that was put in"
    values = (("integrated", level, 0.1), ("short_term_max", level, 0.1), ("range", 0.0, 0.1), ("true_peak", level, 0.2))
    expectations = [_measure("reference-tone", "audio.loudness", *value, source) for value in values]
    expectations.append(_measure("reference-tone", "audio.speech", "speech_ratio", 0.0, 0.05, _BY_CONSTRUCTION))
    asset = _asset(folder, "main", path.name, "audio/flac", 20_000)
    return Sample(_content("reference-tone", "Line-up tone", [asset]), expectations)


# ---- images ----


def _faces(content_id: str, asset_id: str, face: pictures.Box | None) -> Json:
    boxes = [] if face is None else [[round(part, 4) for part in face]]
    return _expect(content_id, asset_id, "image.faces", "regions", _BY_EYE, count=len(boxes), boxes=boxes, min_iou=0.5)


def _tags(content_id: str, asset_id: str, names: list[str]) -> Json:
    return _expect(content_id, asset_id, "image.tags", "label_in_top", _BY_EYE, names_any_of=names, k=5)


def espresso(folder: Path, rng: np.random.Generator) -> Sample:
    """A cup of coffee as JPEG, and another take of it lying on its side with EXIF orientation 6."""
    for file, lying in (("espresso.jpg", False), ("espresso-lying.jpg", True)):
        pictures.save_picture(folder / file, pictures.take("coffee", rng).pixels, lying)
    assets = [
        _asset(folder, "main", "espresso.jpg", "image/jpeg"),
        _asset(folder, "lying", "espresso-lying.jpg", "image/jpeg"),
    ]
    ids = [asset["asset_id"] for asset in assets]
    expectations = [_tags("espresso", asset_id, _CUP) for asset_id in ids]
    expectations += [_faces("espresso", asset_id, None) for asset_id in ids]
    return Sample(_content("espresso", "A cup of coffee", assets), expectations)


def portrait(folder: Path, rng: np.random.Generator) -> Sample:
    """One face as WebP, and another take lying on its side with EXIF orientation 6: boxes are those of the upright picture."""
    assets, expectations = [], []
    for asset_id, file, media_type in (
        ("main", "portrait.webp", "image/webp"),
        ("lying", "portrait-lying.jpg", "image/jpeg"),
    ):
        made = pictures.take("astronaut", rng)
        pictures.save_picture(folder / file, made.pixels, lying=asset_id == "lying")
        assets.append(_asset(folder, asset_id, file, media_type))
        expectations.append(_faces("portrait", asset_id, made.face))
    return Sample(_content("portrait", "An astronaut", assets), expectations)


def cat_post(folder: Path, rng: np.random.Generator) -> Sample:
    """A post: the picture of a cat as PNG, and its caption."""
    pictures.save_picture(folder / "cat.png", pictures.take("chelsea", rng).pixels)
    caption = _text("caption", "en", words.CAPTIONS[int(rng.integers(len(words.CAPTIONS)))])
    expectations = [
        _tags("cat-post", "main", _CAT),
        _faces("cat-post", "main", None),
        _expect("cat-post", "caption", "text.language", "language", _BY_CONSTRUCTION, id="en"),
    ]
    assets = [_asset(folder, "main", "cat.png", "image/png")]
    return Sample(_content("cat-post", "Waiting for the pigeon", assets, [caption]), expectations)


# ---- video ----


def _scenes(names: Sequence[str], fewest: int, most: int, rng: np.random.Generator) -> list[pictures.Scene]:
    return [pictures.Scene(str(name), int(rng.integers(fewest, most + 1))) for name in rng.permutation(list(names))]


def _film_expectations(content_id: str, scenes: Sequence[pictures.Scene]) -> list[Json]:
    cuts = pictures.boundaries_ms(scenes)
    expectations = [
        _expect(content_id, "main", "video.shots", "shots", _BY_CONSTRUCTION, boundaries_ms=cuts, tolerance_ms=80),
    ]
    for scene, start_ms in zip(scenes, [0, *cuts], strict=True):
        names = {"coffee": _CUP, "chelsea": _CAT, "rocket": ["missile", "projectile"]}.get(scene.photograph)
        if names:
            at_ms = start_ms + round(500 * scene.frames / pictures.FRAMES_PER_SECOND)
            expectations.append(
                _expect(content_id, "main", "video.tags", "segment_label", _BY_EYE, at_ms=at_ms, names_any_of=names)
            )
    return expectations


def _duration_ms(scenes: Sequence[pictures.Scene]) -> int:
    return round(1000 * sum(scene.frames for scene in scenes) / pictures.FRAMES_PER_SECOND)


def film(folder: Path, rng: np.random.Generator) -> Sample:
    """Five scenes with hard cuts, and one sentence somewhere: H.264 and AAC in MP4."""
    scenes = _scenes(["coffee", "rocket", "chelsea", "hubble_deep_field", "brick"], 40, 52, rng)
    sentence = words.SPOKEN["en"][int(rng.integers(len(words.SPOKEN["en"])))]
    clip = sound.spoken(sentence, "en", 160, 50)
    rest_ms = _duration_ms(scenes) - round(1000 * clip.size / sound.SPEECH_RATE_HZ)
    before_ms = int(rng.integers(1500, rest_ms - 1500))
    speech = sound.track([clip], [before_ms, rest_ms - before_ms], rng)
    path = folder / "film.mp4"
    pictures.encode_film(path, "libx264", scenes, rng, speech)
    asset = _asset(folder, "main", path.name, "video/mp4", _duration_ms(scenes))
    expectations = [
        *_film_expectations("film", scenes),
        *_speech_expectations("film", speech),
        *_loudness_expectations("film", path),
    ]
    return Sample(_content("film", "Five views", [asset]), expectations)


def silent_clip(folder: Path, rng: np.random.Generator) -> Sample:
    """Three scenes and no sound stream: VP9 in WebM."""
    scenes = _scenes(["coffee", "chelsea", "brick"], 30, 45, rng)
    path = folder / "silent-clip.webm"
    pictures.encode_film(path, "libvpx-vp9", scenes, rng)
    expectations = _film_expectations("silent-clip", scenes)
    for signal in ("audio.loudness", "audio.speech"):
        expectations.append(
            _expect("silent-clip", "main", signal, "status", _BY_CONSTRUCTION, status="SKIPPED", reason="no_such_stream")
        )
    asset = _asset(folder, "main", path.name, "video/webm", _duration_ms(scenes))
    return Sample(_content("silent-clip", "Three views without sound", [asset]), expectations)


# ---- text ----


def articles(folder: Path, rng: np.random.Generator) -> list[Sample]:
    """An English text as a file, the same in other words inline, and one about something else inline."""
    article = words.ARTICLES[int(rng.integers(len(words.ARTICLES)))]
    (folder / "news.txt").write_text(article.original + "\n", encoding="utf-8")
    contents = [
        _content("news", "A short report", [_asset(folder, "body", "news.txt", "text/plain")]),
        _content("news-retold", "The same, in other words", texts=[_text("body", "en", article.rewritten)]),
        _content("other-matter", "Something else", texts=[_text("body", "en", article.unrelated)]),
    ]
    samples = []
    for content in contents:
        content_id = content["content_id"]
        language = _expect(content_id, "body", "text.language", "language", _BY_CONSTRUCTION, id="en")
        samples.append(Sample(content, [language]))
    nearer = {"content_ids": ["news", "news-retold"], "more_than": "other-matter"}
    samples[0].expectations.append(_expect("news", "body", "text.embedding", "similar", _BY_CONSTRUCTION, **nearer))
    return samples


def travel_notes(folder: Path, rng: np.random.Generator) -> Sample:
    """One content in four languages: German and Japanese as files, French and Spanish inline."""
    notes = {language: texts[int(rng.integers(len(texts)))] for language, texts in words.NOTES.items()}
    for language in ("de", "ja"):
        (folder / f"notes-{language}.txt").write_text(notes[language] + "\n", encoding="utf-8")
    assets = [_asset(folder, f"notes-{language}", f"notes-{language}.txt", "text/plain") for language in ("de", "ja")]
    texts = [_text(f"notes-{language}", language, notes[language]) for language in ("fr", "es")]
    expectations = [
        _expect("travel-notes", f"notes-{language}", "text.language", "language", _BY_CONSTRUCTION, id=language)
        for language in notes
    ]
    return Sample(_content("travel-notes", "Notes in four languages", assets, texts), expectations)


# ---- all of it ----

_SINGLE = (
    harbour_report,
    garden_hour,
    guitar,
    reference_tone,
    espresso,
    portrait,
    cat_post,
    film,
    silent_clip,
    travel_notes,
)


def make_samples(folder: Path, seed: int) -> None:
    """Writes media, samples.json and expected.json into a folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [make(folder, np.random.default_rng([seed, number])) for number, make in enumerate(_SINGLE)]
    samples += articles(folder, np.random.default_rng([seed, len(_SINGLE)]))
    for name, value in (
        ("samples.json", [sample.content for sample in samples]),
        ("expected.json", [expectation for sample in samples for expectation in sample.expectations]),
    ):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def missing_packages() -> list[str]:
    """The packages (by their Debian names) without which samples cannot be made here."""
    missing = [program for program in ("espeak-ng", "ffmpeg") if shutil.which(program) is None]
    return missing if loudness.library() else [*missing, "libebur128-1"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="OUT_DIR", type=Path, help="where the samples go")
    parser.add_argument("--seed", type=int, default=0, help="0 (default): the committed samples; others: held-out samples")
    options = parser.parse_args(arguments)
    if missing := missing_packages():
        print(f"not installed: {', '.join(missing)}. On Debian or Ubuntu: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    make_samples(options.folder, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
