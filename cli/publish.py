"""`signals publish`."""

import hashlib
import json
import mimetypes
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.progress import track

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


def media_type_of(name: str) -> str | None:
    suffix = Path(name).suffix.lower()
    return MORE_TYPES.get(suffix) or mimetypes.guess_type(name)[0]


def kind_of(name: str, given: str | None = None) -> MediaKind:
    """The media kind that a file's name suggests, or the one given. Raises ClickException if there is none."""
    if given:
        return KINDS[given]
    kind = KINDS.get((media_type_of(name) or "").partition("/")[0])
    if kind is None:
        raise click.ClickException(
            f"{name}: cannot tell from its name whether it is audio, image, video or text. Say so with --kind, e.g. --kind audio."
        )
    return kind


def content_of(source: str, kind: str | None, tenant: str, title: str | None, content_id: str | None) -> ContentPublished:
    """The event for one file or address. Its content id is the same whenever the same one is published again."""
    remote = urlsplit(source).scheme in SCHEMES
    path = Path(source)
    uri = source if remote else path.resolve().as_uri()
    name = urlsplit(source).path if remote else path.name
    asset = Asset(
        asset_id="main",
        kind=kind_of(name, kind),
        uri=uri,
        media_type=media_type_of(name),
        sha256=None if remote else sha256_of(path),
        size_bytes=None if remote else path.stat().st_size,
        role="main",
    )
    return ContentPublished(
        event_id=str(uuid.uuid4()),
        content_id=content_id or f"{Path(name).stem[:40]}-{uuid.uuid5(uuid.NAMESPACE_URL, uri).hex[:8]}",
        content_version=1,
        tenant=tenant,
        published_at=datetime.now(UTC),
        assets=(asset,),
        metadata=Metadata(title=title or Path(name).name),
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def event_of_line(line: str, where: str) -> ContentPublished:
    """An event from a line of JSON with the fields of content-published. Raises ClickException that names the line."""
    try:
        fields: dict[str, Any] = json.loads(line)
        assets = tuple(Asset(**asset | {"kind": MediaKind(str(asset["kind"]).upper())}) for asset in fields.get("assets", ()))
        texts = tuple(TextField(**text) for text in fields.get("texts", ()))
        metadata = fields.get("metadata") or {}
        published = fields.get("published_at")
        return ContentPublished(
            event_id=fields.get("event_id") or str(uuid.uuid4()),
            content_id=fields["content_id"],
            content_version=int(fields.get("content_version", 1)),
            tenant=fields.get("tenant", "default"),
            published_at=datetime.fromisoformat(published) if published else datetime.now(UTC),
            assets=assets,
            texts=texts,
            metadata=Metadata(**metadata | {"tags": tuple(metadata.get("tags", ()))}),
            attributes=fields.get("attributes", {}),
        )
    except KeyError as missing:
        raise click.ClickException(f"{where}: the field {missing} is missing.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise click.ClickException(f"{where}: not a content-published event: {error}") from None


def events_of(
    source: str, kind: str | None, tenant: str, title: str | None, content_id: str | None
) -> Iterator[ContentPublished]:
    if urlsplit(source).scheme in SCHEMES:
        yield content_of(source, kind, tenant, title, content_id)
        return
    path = Path(source)
    if not path.exists():
        raise click.ClickException(
            f"{source}: there is no such file or folder. Give a path, or an address such as https://… or s3://…."
        )
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
        if not files:
            raise click.ClickException(f"{source}: the folder has no files.")
        for file in files:
            yield content_of(str(file), kind, tenant, None, None)
    elif path.suffix == ".jsonl":
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                yield event_of_line(line, f"{source}, line {number}")
    else:
        yield content_of(source, kind, tenant, title, content_id)


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

    if not sources and text is None:
        raise click.UsageError("Give a path, an address or --text. See `signals publish --help`.")
    if content_id and len(sources) + (text is not None) > 1:
        raise click.UsageError("--content-id names one content; publish one at a time.")
    events = [event for source in sources for event in events_of(source, kind, tenant, title, content_id)]
    if text is not None:
        events.append(text_event(text, title, content_id, tenant))
    writer = EventWriter(Settings())
    for event in track(events, "publishing", disable=len(events) < 20 or as_json):
        writer.write(event, lambda partition, offset, event=event: report(event, partition, offset, as_json))  # type: ignore[misc]
    writer.flush()


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
