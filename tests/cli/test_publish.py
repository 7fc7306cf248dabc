"""From paths, addresses and lines of JSON to content-published events."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from cli.main import signals
from cli.publish import content_of, event_of_line, events_of, kind_of, media_type_of, skipped_line, text_event
from processors.errors import InfrastructureError, Reason
from schemas import subjects, wire
from schemas.records import ContentPublished, MediaKind, Metadata, TextField
from streams.publishing import EventWriter
from streams.settings import Settings


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


ONE_TEXT = '"texts": [{"name": "n", "value": "v"}]'


def test_content_id_and_a_text_are_enough() -> None:
    """The rest has defaults, also where it is null; two lines have two event ids."""
    line = f'{{"content_id": "c1", "event_id": null, "metadata": null, "assets": null, {ONE_TEXT}}}'
    first, second = (event_of_line(line, "here") for _ in range(2))
    assert (first.content_version, first.tenant, first.assets, first.metadata) == (1, "default", (), Metadata())
    assert first.texts == (TextField(name="n", value="v"),)
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
        ('{"content_id": 5}', "content_id must be a text, but is 5"),
        ('{"content_id": ""}', "content_id is empty"),
        ('{"content_id": "c"}', "neither assets nor texts"),
        ('{"content_id": "c", "assets": [], "texts": []}', "neither assets nor texts"),
        ('{"content_id": "c", "content_version": "x"}', 'content_version must be a whole number, but is "x"'),
        ('{"content_id": "c", "content_version": true}', "content_version must be a whole number, but is true"),
        ('{"content_id": "c", "content_version": 9223372036854775808}', "64 bits"),
        ('{"content_id": "c", "assets": {}}', "assets must be a list, but is {}"),
        ('{"content_id": "c", "assets": [{"asset_id": "a", "uri": "u", "kind": 1}]}', "assets[0].kind must be a text"),
        ('{"content_id": "c", "texts": [{"name": "n", "value": null}]}', "texts[0].value must be a text, but is null"),
        ('{"content_id": "c", "texts": [{"name": "n", "value": "\\ud800"}]}', "surrogate"),
        ('{"content_id": "c", "attributes": {"a": 1}}', "attributes.a must be a text"),
        ('{"content_id": "c", "asset": []}', "asset"),
        ('{"content_id": "c", "published_at": "2026-01-02T03:04:05"}', "time zone"),
        ('{"content_id": "c", "published_at": "0001-01-01T00:00:00+23:00"}', "published_at is no time"),
        ("[" * 100_000, "recursion"),
    ],
    ids=lambda value: value[:80],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    """The sentence has the file, the line's number and what is wrong with it; good lines before it do not hide it."""
    file = tmp_path / "events.jsonl"
    file.write_text(f'{{"content_id": "good", {ONE_TEXT}}}\n\n{line}\n')
    with pytest.raises(click.ClickException) as caught:
        list(events_of(str(file), None, "t", None, None))
    assert caught.value.message.startswith(f"{file}, line 3: ")
    assert said in caught.value.message


def test_a_list_gives_an_event_for_each_line(tmp_path: Path) -> None:
    """In order; empty lines are passed over; only a line feed ends a line."""
    file = tmp_path / "events.jsonl"
    separated = ONE_TEXT.replace('"v"', '"one\u2028text"')
    file.write_text("".join(f'{{"content_id": "c{number}", {separated}}}\n\n' for number in range(3)), encoding="utf-8")
    assert [event.content_id for event in events_of(str(file), None, "t", None, None)] == ["c0", "c1", "c2"]


def test_a_list_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    """With the byte that is none."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(f'{{"content_id": "good", {ONE_TEXT}}}\n'.encode() + b'{"content_id": "\xff"}\n')
    with pytest.raises(click.ClickException) as caught:
        list(events_of(str(file), None, "t", None, None))
    assert caught.value.message == f"{file}, line 2: not UTF-8: byte 0xff at 16."


@pytest.mark.parametrize("written", ["", "\n  \n"])
def test_an_empty_list_is_refused(tmp_path: Path, written: str) -> None:
    """A list without events is a mistake, not a success."""
    file = tmp_path / "events.jsonl"
    file.write_text(written)
    with pytest.raises(click.ClickException, match="the list is empty"):
        list(events_of(str(file), None, "t", None, None))


# ---- folders, and what is given ----


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    """The address keeps its bytes, percent-encoded; title and content id can be written."""
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\xff.mp3"))
    file.write_bytes(b"sound")
    (event,) = events_of(str(file), None, "t", None, None)
    assert event.assets[0].uri == f"{tmp_path.as_uri()}/caf%E9%FF.mp3"
    assert event.metadata.title == "caf\ufffd\ufffd.mp3"
    assert event.content_id.startswith("caf\ufffd\ufffd-")
    assert wire.encode(event, subjects.latest("content-published.v1"), 1)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A named pipe, which would wait for a writer for ever, and a device without an end."""
    pipe = tmp_path / "pipe.mp3"
    os.mkfifo(pipe)
    for source in (str(pipe), "/dev/zero"):
        with pytest.raises(click.ClickException, match="is no regular file") as caught:
            list(events_of(source, "audio", "t", None, None))
        assert caught.value.message.startswith(source)


@pytest.mark.parametrize("source", ["ftp://x/y.mp3", "gs://bucket/y.mp3"])
def test_an_unknown_scheme_is_told_the_known_ones(source: str) -> None:
    """It is an address, not a file that is missing."""
    with pytest.raises(click.ClickException, match="http://, https://, s3://, file://") as caught:
        list(events_of(source, None, "t", None, None))
    assert caught.value.message.startswith(source)


def test_an_address_that_cannot_be_taken_apart_is_told() -> None:
    """An IPv6 address without its closing bracket."""
    with pytest.raises(click.ClickException, match="not an address"):
        list(events_of("http://[::1/y.mp3", None, "t", None, None))


def test_a_folders_files_of_unknown_kind_are_skipped(tmp_path: Path) -> None:
    """And their paths collected, lists of events among them; files in hidden folders are not spoken of."""
    for name in ("a.pdf", "b.png", "deep/c.xmp", "deep/d.jsonl", ".git/e.png"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    skipped: list[str] = []
    (event,) = events_of(str(tmp_path), None, "t", None, None, skipped)
    assert event.metadata.title == "b.png"
    assert skipped == [str(tmp_path / name) for name in ("a.pdf", "deep/c.xmp", "deep/d.jsonl")]
    given = [event.metadata.title for event in events_of(str(tmp_path), "image", "t", None, None)]
    assert given == ["a.pdf", "b.png", "c.xmp"]


def test_a_folder_of_unknown_kinds_only_is_refused(tmp_path: Path) -> None:
    """With the paths, and the option that helps."""
    (tmp_path / "a.pdf").write_bytes(b"x")
    with pytest.raises(click.ClickException, match="skipped 1 file of unknown kind") as caught:
        list(events_of(str(tmp_path), None, "t", None, None))
    assert str(tmp_path / "a.pdf") in caught.value.message
    assert "--kind" in caught.value.message


def test_many_skipped_files_are_one_line() -> None:
    """The first five by name."""
    line = skipped_line([f"{letter}.pdf" for letter in "abcdefg"])
    assert line == "skipped 7 files of unknown kind: a.pdf, b.pdf, c.pdf, d.pdf, e.pdf, …"


def test_a_file_of_unknown_kind_is_named_by_its_path(tmp_path: Path) -> None:
    """Not by its bare name, of which there may be many."""
    file = tmp_path / "a.pdf"
    file.write_bytes(b"x")
    with pytest.raises(click.ClickException, match="--kind") as caught:
        list(events_of(str(file), None, "t", None, None))
    assert caught.value.message.startswith(f"{file}:")


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


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a.png", "b.png", "--content-id", "x"],
        ["--text", ""],
        ["--text", " "],
        ["--text", "Guten Morgen", "--content-id", ""],
        ["--text", "Guten Morgen", "--kind", "text"],
        [".", "--content-id", "x"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(words: list[str]) -> None:
    """Nothing to publish, something empty, or one id for two contents: exit code 2 before any server is asked."""
    result = CliRunner().invoke(signals, ["publish", *words])
    assert result.exit_code == 2, result.output


def test_a_word_that_is_not_utf8_is_refused() -> None:
    """It could not be written; a sentence says which option it is."""
    result = CliRunner().invoke(signals, ["publish", "--text", "caf\udce9"])
    assert result.exit_code == 1
    assert "--text" in result.stderr
    assert "not UTF-8" in result.stderr


# ---- brokers ----


def test_a_broker_that_is_away_is_told_before_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's sentence, before the registry is asked and before anything is sent."""
    monkeypatch.setattr("streams.publishing.ANSWER_SECONDS", 0.3)
    with pytest.raises(InfrastructureError) as caught:
        EventWriter(Settings(kafka_brokers="127.0.0.1:9", registry_url="http://127.0.0.1:9"))
    assert caught.value.reason is Reason.BROKER_UNAVAILABLE
    assert caught.value.detail.startswith("No Kafka broker answers at 127.0.0.1:9 (")
    assert caught.value.detail.endswith("Start one (`signals up`) or set SIGNALS_KAFKA_BROKERS.")


def test_a_missing_topic_is_told_and_not_created() -> None:
    """On librdkafka's own broker in this process, which creates topics that are asked for by name."""
    broker = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (address,) = (str(node).partition("/")[0] for node in broker.list_topics(timeout=5).brokers.values())
    for _ in range(2):
        with pytest.raises(InfrastructureError, match=r"lacks the topic content-published\.v1; run `signals topics apply`"):
            EventWriter(Settings(kafka_brokers=address, registry_url="http://127.0.0.1:9"))


def test_more_types_are_of_known_kinds() -> None:
    """Types that the system's table may not have are those of the four kinds."""
    assert media_type_of("x.OPUS") == "audio/ogg"
    assert media_type_of("x.unknown-ending") is None
