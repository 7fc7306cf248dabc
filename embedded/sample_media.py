"""The committed sample contents, and what must be found in them.

Made by `samples/make_samples.py`; licences and origins stand in `samples/README.md`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SAMPLES_FOLDER", "SampleAsset", "SampleContent", "SampleText", "expectations", "load"]

SAMPLES_FOLDER = Path(__file__).resolve().parent / "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAsset:
    """A media file. kind: AUDIO, IMAGE, VIDEO or TEXT; path: absolute; sha256: lower-case hexadecimal."""

    asset_id: str
    kind: str
    path: Path
    media_type: str
    sha256: str
    size_bytes: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleText:
    """A text that travels inside the event; language is a BCP 47 tag."""

    name: str
    value: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleContent:
    """One content to publish."""

    content_id: str
    title: str
    tenant: str
    assets: tuple[SampleAsset, ...] = ()
    texts: tuple[SampleText, ...] = ()


def load(folder: Path = SAMPLES_FOLDER) -> list[SampleContent]:
    """The contents of a folder that make_samples.py wrote, in the order of its samples.json."""
    return [_content(folder.resolve(), entry) for entry in _json(folder / "samples.json")]


def expectations(folder: Path = SAMPLES_FOLDER) -> list[dict[str, Any]]:
    """What must be found in those contents, as `embedded.agreement.disagreements` takes it."""
    return _json(folder / "expected.json")


def _json(path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def _content(folder: Path, entry: dict[str, Any]) -> SampleContent:
    assets = []
    for fields in entry["assets"]:
        path = folder / fields["file"]
        assets.append(SampleAsset(path=path, **{name: value for name, value in fields.items() if name != "file"}))
    texts = tuple(SampleText(**fields) for fields in entry["texts"])
    return SampleContent(
        content_id=entry["content_id"], title=entry["title"], tenant=entry["tenant"], assets=tuple(assets), texts=texts
    )
