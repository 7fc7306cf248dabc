"""`signals publish`."""

import hashlib
import json
import mimetypes
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.progress import track

from schemas import subjects, wire
from schemas.records import Asset, ContentPublished, MediaKind, Metadata, TextField
from streams.settings import Settings

__all__ = ["content_of", "event_of_line", "kind_of", "publish_command"]

KINDS = {"audio": MediaKind.AUDIO, "image": MediaKind.IMAGE, "video": MediaKind.VIDEO, "text": MediaKind.TEXT}
MORE_TYPES = {
    ".opus": "audio/ogg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".wav": "audio/wav",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".md": "text/markdown",
}
SCHEMES = ("http", "https", "s3", "file")
ADDRESS = re.compile("([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
MOST_SHOWN = 5
EVENT_SCHEMA = "content-published.v1"


# ---- files and addresses ----


def media_type_of(name: str) -> str | None:
    suffix = Path(name).suffix.lower()
    return MORE_TYPES.get(suffix) or mimetypes.guess_type(name)[0]


def shown(name: str) -> str:
    """A file's name or path as UTF-8 has it: bytes that are none become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def require_utf8(what: str, value: str) -> None:
    """Raises ClickException if a word of the command line has bytes that are no UTF-8."""
    if shown(value) != value:
        raise click.ClickException(f"{what} {shown(value)!r} is not UTF-8. Write it in UTF-8; in an address, percent-encode it.")


def is_address(source: str) -> bool:
    """Whether it is an address with a scheme that workers fetch. Raises ClickException for other schemes."""
    scheme = ADDRESS.match(source)
    if scheme is None or os.path.lexists(source):
        return False
    if scheme[1].lower() not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise click.ClickException(f"{shown(source)}: the scheme {scheme[1]}:// is not known. Known are {known}.")
    require_utf8("The address", source)
    return True


def name_of(source: str) -> str:
    """The file's name, or the path of an address. Raises ClickException for an address that cannot be taken apart."""
    if not is_address(source):
        return Path(source).name
    try:
        return urlsplit(source).path
    except ValueError as error:
        raise click.ClickException(f"{source}: not an address: {error}.") from None


def guessed_kind(source: str) -> MediaKind | None:
    return KINDS.get((media_type_of(name_of(source)) or "").partition("/")[0])


def kind_of(source: str, given: str | None = None) -> MediaKind:
    """The media kind that a file's name or an address suggests, or the one given. Raises ClickException if there is none."""
    kind = KINDS[given] if given else guessed_kind(source)
    if kind is None:
        raise click.ClickException(
            f"{shown(source)}: cannot tell from its name whether it is audio, image, video or text. "
            "Say so with --kind, e.g. --kind audio."
        )
    return kind


def content_of(source: str, kind: str | None, tenant: str, title: str | None, content_id: str | None) -> ContentPublished:
    """The event for one file or address. Its content id is the same whenever the same one is published again."""
    remote = is_address(source)
    path = Path(source)
    uri = source if remote else path.resolve().as_uri()
    name = name_of(source)
    asset = Asset(
        asset_id="main",
        kind=kind_of(source, kind),
        uri=uri,
        media_type=media_type_of(name),
        sha256=None if remote else sha256_of(path),
        size_bytes=None if remote else path.stat().st_size,
        role="main",
    )
    return ContentPublished(
        event_id=str(uuid.uuid4()),
        content_id=content_id or f"{shown(Path(name).stem)[:40]}-{uuid.uuid5(uuid.NAMESPACE_URL, uri).hex[:8]}",
        content_version=1,
        tenant=tenant,
        published_at=datetime.now(UTC),
        assets=(asset,),
        metadata=Metadata(title=title or shown(Path(name).name)),
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- lines of JSON ----


def event_of_line(line: str, where: str) -> ContentPublished:
    """An event from a line of JSON with the fields of content-published. Raises ClickException that names the line."""
    defaults = {
        "event_id": str(uuid.uuid4()),
        "content_version": 1,
        "tenant": "default",
        "published_at": datetime.now(UTC).isoformat(),
    }
    try:
        given = checked(json.loads(line), dict, "")
        present = {name: value for name, value in given.items() if value is not None or name not in defaults}
        row = record_of(subjects.latest(EVENT_SCHEMA), defaults | present, "")
        if not row["content_id"]:
            raise ValueError("content_id is empty")
        if not row["assets"] and not row["texts"]:
            raise ValueError("it has neither assets nor texts")
        return wire.content_published(row)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{where}: not a content-published event: {error}.") from None


JSON_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}
SCALARS = {"string": str, "long": int, "boolean": bool}


def checked(value: Any, wanted: type, path: str) -> Any:
    """The value, if JSON has it as this type. Raises ValueError that names the field."""
    if type(value) is not wanted:
        raise ValueError(f"{path or 'the line'} must be {JSON_NAMES[wanted]}, but is {json.dumps(value)[:60]}")
    return value


def value_of(avro_type: Any, value: Any, path: str) -> Any:
    """A JSON value as a row of this Avro type has it. path: the field's, as in assets[0].uri. Raises ValueError."""
    if isinstance(avro_type, list):
        branch = next(branch for branch in avro_type if branch != "null")
        return None if value is None else value_of(branch, value, path)
    kind = avro_type["type"] if isinstance(avro_type, dict) else avro_type
    if kind == "record":
        return record_of(avro_type, value, path)
    if kind == "array":
        items = enumerate(checked(value, list, path))
        return [value_of(avro_type["items"], item, f"{path}[{number}]") for number, item in items]
    if kind == "map":
        return {name: value_of(avro_type["values"], item, f"{path}.{name}") for name, item in checked(value, dict, path).items()}
    if kind == "enum":
        return symbol_of(avro_type["symbols"], value, path)
    if isinstance(avro_type, dict) and avro_type.get("logicalType") == "timestamp-micros":
        return time_of(value, path)
    return scalar_of(SCALARS[kind], value, path)


def record_of(schema: Mapping[str, Any], value: Any, path: str) -> dict[str, Any]:
    """All of the record's fields, defaults filled in. Raises ValueError, also for fields that the record lacks."""
    given = checked(value, dict, path)
    prefix = f"{path}." if path else ""
    fields = {field["name"]: field for field in schema["fields"]}
    if unknown := sorted(given.keys() - fields.keys()):
        raise ValueError(f"the field {prefix + unknown[0]!r} is unknown; known are {', '.join(fields)}")
    row = {}
    for name, field in fields.items():
        if name not in given and "default" not in field:
            raise ValueError(f"{path + ': ' if path else ''}the field {name!r} is missing")
        item = given.get(name)
        row[name] = value_of(field["type"], field["default"] if item is None and "default" in field else item, prefix + name)
    return row


def scalar_of(wanted: type, value: Any, path: str) -> Any:
    checked(value, wanted, path)
    if wanted is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{path} is {value}, which does not fit 64 bits")
    if wanted is str and value.encode("utf-8", "replace").decode() != value:
        raise ValueError(f"{path} has half of a surrogate pair, which is no text")
    return value


def symbol_of(symbols: Sequence[str], value: Any, path: str) -> str:
    symbol = str(checked(value, str, path)).upper()
    if symbol not in symbols:
        raise ValueError(f"{path} is {json.dumps(value)[:60]}, but must be one of {', '.join(symbols)}")
    return symbol


def time_of(value: Any, path: str) -> datetime:
    advice = "write it like 2026-01-31T12:00:00+01:00"
    try:
        time = datetime.fromisoformat(checked(value, str, path))
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{path} is no time: {error}; {advice}") from None
    raise ValueError(f"{path} is {value!r}, which has no time zone; {advice}")


def events_of_list(path: Path) -> Iterator[ContentPublished]:
    """The events of a .jsonl file. Raises ClickException that names the line, or the file if it has none."""
    lines = [(number, line) for number, line in enumerate(path.read_bytes().split(b"\n"), 1) if line.strip()]
    if not lines:
        raise click.ClickException(f"{shown(str(path))}: the list is empty. Write one event in JSON on each line.")
    for number, line in lines:
        where = f"{shown(str(path))}, line {number}"
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{where}: not UTF-8: byte {line[error.start]:#04x} at {error.start}.") from None
        yield event_of_line(text, where)


# ---- all that is given ----


def events_of(
    source: str, kind: str | None, tenant: str, title: str | None, content_id: str | None, skipped: list[str] | None = None
) -> Iterator[ContentPublished]:
    """The events for a path or an address. skipped: takes the paths of a folder's files of unknown kind."""
    path = Path(source)
    if is_address(source):
        yield content_of(source, kind, tenant, title, content_id)
    elif not path.exists():
        raise click.ClickException(
            f"{shown(source)}: there is no such file or folder. Give a path, or an address such as https://… or s3://…."
        )
    elif path.is_dir():
        if content_id:
            raise click.UsageError("--content-id names one content; publish a folder's files one at a time.")
        yield from (content_of(str(file), kind, tenant, None, None) for file in known_files(path, kind, skipped))
    elif not path.is_file():
        raise click.ClickException(f"{shown(source)} is no regular file. Save what it holds to a file and publish that.")
    elif path.suffix == ".jsonl":
        if content_id:
            raise click.UsageError("--content-id names one content; in a list, each line has its own.")
        yield from events_of_list(path)
    else:
        yield content_of(source, kind, tenant, title, content_id)


def known_files(folder: Path, kind: str | None, skipped: list[str] | None) -> list[Path]:
    """The folder's files, sorted, whose kind is known, or all with a kind given; never hidden ones and lists of events.

    skipped: takes the paths of the others. Raises ClickException if none is left.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    if not files:
        raise click.ClickException(f"{shown(str(folder))}: the folder has no files.")
    known = [file for file in files if file.suffix != ".jsonl" and (kind or guessed_kind(str(file)))]
    left_out = [str(file) for file in files if file not in set(known)]
    if not known:
        raise click.ClickException(
            f"{shown(str(folder))}: nothing to publish, {skipped_line(left_out)}. "
            "Say what they are with --kind, e.g. --kind audio; name a list of events (.jsonl) itself."
        )
    if skipped is not None:
        skipped += left_out
    return known


def skipped_line(skipped: Sequence[str]) -> str:
    names = [*map(shown, skipped[:MOST_SHOWN]), *(["…"] if len(skipped) > MOST_SHOWN else [])]
    return f"skipped {len(skipped)} {'file' if len(skipped) == 1 else 'files'} of unknown kind: {', '.join(names)}"


@click.command("publish")
@click.argument("sources", nargs=-1, metavar="PATH|URI...")
@click.option("--kind", type=click.Choice(list(KINDS)), help="What the files are, where their names do not say it.")
@click.option("--text", "text", help="Publish this text instead of a file.")
@click.option("--title", help="The content's title; default: the file's name.")
@click.option("--content-id", help="The content's id; default: made of the name and address, the same each time.")
@click.option("--tenant", default="default", show_default=True, help="The tenant it belongs to.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines: content id, event id, partition, offset.")
def publish_command(
    sources: tuple[str, ...],
    kind: str | None,
    text: str | None,
    title: str | None,
    content_id: str | None,
    tenant: str,
    as_json: bool,
) -> None:
    """Emit content-published events: for files, folders, addresses (https, s3), or a list of events (.jsonl).

    A worker must be allowed to fetch them: file:// only under SIGNALS_FILE_ROOTS.

    \b
    Example:
      signals publish interview.mp3 photos/ https://example.org/clip.mp4
      signals publish --text "Guten Morgen, liebe Sorgen" --content-id greeting
    """
    from streams.publishing import EventWriter

    check_usage(sources, kind, text, content_id)
    for option, value in (("--text", text), ("--title", title), ("--content-id", content_id), ("--tenant", tenant)):
        require_utf8(option, value or "")
    skipped: list[str] = []
    try:
        events = [event for source in sources for event in events_of(source, kind, tenant, title, content_id, skipped)]
    except OSError as error:
        raise click.ClickException(f"{shown(str(error.filename))} cannot be read: {error.strerror}.") from None
    if text is not None:
        events.append(text_event(text, title, content_id, tenant))
    writer = EventWriter(Settings())
    for event in track(events, "publishing", disable=len(events) < 20 or as_json):
        writer.write(event, lambda partition, offset, event=event: report(event, partition, offset, as_json))  # type: ignore[misc]
    writer.flush()
    if skipped:
        click.echo(skipped_line(skipped), err=True)


def check_usage(sources: Sequence[str], kind: str | None, text: str | None, content_id: str | None) -> None:
    """Raises UsageError for options that cannot be meant."""
    if not sources and text is None:
        raise click.UsageError("Give a path, an address or --text. See `signals publish --help`.")
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty. Give the text to publish.")
    if text is not None and kind is not None:
        raise click.UsageError("--kind is for files and addresses; what --text gives is a text.")
    if content_id is not None and not content_id.strip():
        raise click.UsageError("--content-id is empty. Give an id, or leave it out for one that is made up.")
    if content_id and len(sources) + (text is not None) > 1:
        raise click.UsageError("--content-id names one content; publish one at a time.")


def text_event(text: str, title: str | None, content_id: str | None, tenant: str) -> ContentPublished:
    return ContentPublished(
        event_id=str(uuid.uuid4()),
        content_id=content_id or f"text-{hashlib.sha256(text.encode()).hexdigest()[:8]}",
        content_version=1,
        tenant=tenant,
        published_at=datetime.now(UTC),
        texts=(TextField(name="text", value=text),),
        metadata=Metadata(title=title),
    )


def report(event: ContentPublished, partition: int, offset: int, as_json: bool) -> None:
    if as_json:
        line = {"content_id": event.content_id, "event_id": event.event_id, "partition": partition, "offset": offset}
        click.echo(json.dumps(line))
    else:
        what = event.assets[0].kind.lower() if event.assets else "text"
        click.echo(f"published {event.content_id} ({what}) at partition {partition}, offset {offset}")
