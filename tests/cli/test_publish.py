"""From paths, addresses and lines of JSON to content-published events."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cli.main import signals
from cli.publish import content_of, event_of_line, events_of, kind_of, media_type_of, text_event
from schemas import subjects, wire
from schemas.records import ContentPublished, MediaKind, Metadata, TextField


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp3", MediaKind.AUDIO),
        ("a.FLAC", MediaKind.AUDIO),
        ("a.opus", MediaKind.AUDIO),
        ("a.m4a", MediaKind.AUDIO),
        ("a.jpeg", MediaKind.IMAGE),
        ("a.webp", MediaKind.IMAGE),
        ("a.avif", MediaKind.IMAGE),
        ("a.mp4", MediaKind.VIDEO),
        ("a.mkv", MediaKind.VIDEO),
        ("a.webm", MediaKind.VIDEO),
        ("a.txt", MediaKind.TEXT),
        ("a.md", MediaKind.TEXT),
        ("folder.mp3/a.png", MediaKind.IMAGE),
    ],
)
def test_a_name_tells_the_kind(name: str, kind: MediaKind) -> None:
    """By its ending, whatever its case, on any machine."""
    assert kind_of(name) is kind


def test_what_is_given_counts_more_than_the_name() -> None:
    """--kind decides, also for names that say something else or nothing."""
    assert kind_of("a.mp3", "image") is MediaKind.IMAGE
    assert kind_of("recording", "audio") is MediaKind.AUDIO


@pytest.mark.parametrize("name", ["recording", "a.zip", "a.pdf", "", ".hidden"])
def test_a_name_that_tells_nothing_asks_for_the_kind(name: str) -> None:
    """The sentence names the file and the option."""
    with pytest.raises(click.ClickException, match="--kind") as caught:
        kind_of(name)
    assert caught.value.message.startswith(f"{name}:")


def test_a_file_becomes_an_event(tmp_path: Path) -> None:
    """One asset with the file's address, type, size and checksum; the title is the file's name."""
    file = tmp_path / "holiday morning.mp3"
    file.write_bytes(b"sound")
    event = content_of(str(file), None, "acme", None, None)
    (asset,) = event.assets
    assert (asset.asset_id, asset.kind, asset.media_type, asset.size_bytes) == ("main", MediaKind.AUDIO, "audio/mpeg", 5)
    assert asset.uri == file.as_uri()
    assert asset.sha256 == hashlib.sha256(b"sound").hexdigest()
    assert (event.tenant, event.content_version, event.metadata.title) == ("acme", 1, "holiday morning.mp3")
    assert event.published_at.tzinfo is not None


def test_the_same_file_has_the_same_content_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is written; another folder's file of the same name has another; each event has an id of its own."""
    (tmp_path / "a").mkdir()
    for file in (tmp_path / "x.png", tmp_path / "a" / "x.png"):
        file.write_bytes(b"picture")
    monkeypatch.chdir(tmp_path)
    first, again, other = (content_of(name, None, "t", None, None) for name in ("x.png", f"{tmp_path}/a/../x.png", "a/x.png"))
    assert first.content_id == again.content_id != other.content_id
    assert first.content_id.startswith("x-")
    assert first.event_id != again.event_id


def test_given_id_and_title_are_kept(tmp_path: Path) -> None:
    """--content-id and --title."""
    file = tmp_path / "x.png"
    file.write_bytes(b"picture")
    event = content_of(str(file), None, "t", "A picture", "my-id")
    assert (event.content_id, event.metadata.title) == ("my-id", "A picture")


@pytest.mark.parametrize(
    "uri", ["https://example.org/media/clip.mp4?token=a.txt", "s3://bucket/media/clip.mp4", "file:///media/clip.mp4"]
)
def test_an_address_goes_as_it_is(uri: str) -> None:
    """Nothing is fetched: no size, no checksum; the kind comes from the path alone."""
    event = content_of(uri, None, "t", None, None)
    (asset,) = event.assets
    assert (asset.uri, asset.kind, asset.media_type) == (uri, MediaKind.VIDEO, "video/mp4")
    assert (asset.size_bytes, asset.sha256) == (None, None)
    assert event.metadata.title == "clip.mp4"


# ---- lines of JSON ----

LINE: dict[str, Any] = {
    "event_id": "e1",
    "content_id": "c1",
    "content_version": 3,
    "tenant": "acme",
    "published_at": "2026-01-02T03:04:05+00:00",
    "assets": [{"asset_id": "main", "kind": "audio", "uri": "s3://bucket/a.mp3", "duration_ms": 1000}],
    "texts": [{"name": "caption", "value": "Guten Morgen", "language": "de"}],
    "metadata": {"title": "A", "tags": ["x", "y"]},
    "attributes": {"origin": "test"},
}


def test_a_line_has_the_fields_of_the_record() -> None:
    """All of them are taken; the kind may be written in any case; the event fits its schema."""
    event = event_of_line(json.dumps(LINE), "list.jsonl, line 1")
    assert (event.event_id, event.content_id, event.content_version, event.tenant) == ("e1", "c1", 3, "acme")
    assert event.published_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event.assets[0].kind is MediaKind.AUDIO
    assert event.assets[0].duration_ms == 1000
    assert event.texts == (TextField(name="caption", value="Guten Morgen", language="de"),)
    assert event.metadata == Metadata(title="A", tags=("x", "y"))
    assert event.attributes == {"origin": "test"}
    assert wire.encode(event, subjects.latest("content-published.v1"), 1)


def test_only_the_content_id_is_needed() -> None:
    """The rest has defaults; two lines have two event ids."""
    first, second = (event_of_line('{"content_id": "c1"}', "here") for _ in range(2))
    assert (first.content_version, first.tenant, first.assets, first.texts) == (1, "default", (), ())
    assert first.event_id != second.event_id
    assert first.published_at.tzinfo is not None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not a content-published event"),
        ("[]", "not a content-published event"),
        ('"text"', "not a content-published event"),
        ("{}", "'content_id' is missing"),
        ('{"content_id": "c", "assets": [{"asset_id": "a", "uri": "s3://b/c"}]}', "'kind' is missing"),
        ('{"content_id": "c", "assets": [{"asset_id": "a", "uri": "s3://b/c", "kind": "SMELL"}]}', "SMELL"),
        ('{"content_id": "c", "assets": [{"asset_id": "a", "kind": "AUDIO"}]}', "uri"),
        ('{"content_id": "c", "assets": [{"asset_id": "a", "uri": "u", "kind": "AUDIO", "colour": "red"}]}', "colour"),
        ('{"content_id": "c", "assets": ["a"]}', "not a content-published event"),
        ('{"content_id": "c", "texts": [{"name": "n"}]}', "value"),
        ('{"content_id": "c", "metadata": {"titel": "A"}}', "titel"),
        ('{"content_id": "c", "published_at": "yesterday"}', "yesterday"),
        ('{"content_id": "c", "content_version": "three"}', "three"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    """The sentence has the file, the line's number and what is wrong with it; good lines before it do not hide it."""
    file = tmp_path / "events.jsonl"
    file.write_text(f'{{"content_id": "good"}}\n\n{line}\n')
    with pytest.raises(click.ClickException) as caught:
        list(events_of(str(file), None, "t", None, None))
    assert caught.value.message.startswith(f"{file}, line 3: ")
    assert said in caught.value.message


def test_a_list_gives_an_event_for_each_line(tmp_path: Path) -> None:
    """In order; empty lines are passed over."""
    file = tmp_path / "events.jsonl"
    file.write_text("".join(f'{{"content_id": "c{number}"}}\n\n' for number in range(3)))
    assert [event.content_id for event in events_of(str(file), None, "t", None, None)] == ["c0", "c1", "c2"]


# ---- folders, and what is given ----


def test_a_folder_is_walked_to_the_bottom(tmp_path: Path) -> None:
    """Files of folders in folders, sorted; hidden files are left out."""
    for name in ("b.png", "a/deep/c.mp3", "a/b.txt", ".DS_Store", "a/.hidden.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    events = list(events_of(str(tmp_path), None, "t", None, None))
    found = [Path(event.assets[0].uri.removeprefix("file://")).relative_to(tmp_path) for event in events]
    assert list(map(str, found)) == ["a/b.txt", "a/deep/c.mp3", "b.png"]
    assert len({event.content_id for event in events}) == 3


def test_an_empty_folder_and_a_missing_file_are_told(tmp_path: Path) -> None:
    """Each in a sentence with its path."""
    for source, said in ((tmp_path, "has no files"), (tmp_path / "gone.mp3", "no such file")):
        with pytest.raises(click.ClickException, match=said) as caught:
            list(events_of(str(source), None, "t", None, None))
        assert caught.value.message.startswith(str(source))


def test_a_text_becomes_an_event() -> None:
    """Inline, with an id that the same text has again."""
    event, again = (text_event("Guten Morgen", None, None, "t") for _ in range(2))
    assert event.texts == (TextField(name="text", value="Guten Morgen"),)
    assert event.content_id == again.content_id
    assert event.assets == ()
    assert isinstance(event, ContentPublished)


@pytest.mark.parametrize("words", [["publish"], ["publish", "a.png", "b.png", "--content-id", "x"]])
def test_what_cannot_be_meant_is_a_usage_error(words: list[str]) -> None:
    """Nothing to publish, or one id for two contents: exit code 2 before any server is asked."""
    result = CliRunner().invoke(signals, words)
    assert result.exit_code == 2, result.output


def test_more_types_are_of_known_kinds() -> None:
    """Types that the system's table may not have are those of the four kinds."""
    assert media_type_of("x.OPUS") == "audio/ogg"
    assert media_type_of("x.unknown-ending") is None
