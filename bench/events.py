"""Events with a text each, put on the input topic before anything is measured."""

from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.records import ContentPublished, TextField
from streams.publishing import EventWriter
from streams.settings import Settings

__all__ = ["publish"]


def publish(settings: Settings, texts: Sequence[str]) -> None:
    """One event a text, each with a content id of its own; returns when the broker has them all."""
    writer = EventWriter(settings)
    for number, text in enumerate(texts):
        event = ContentPublished(
            event_id=f"event-{number:06}",
            content_id=f"content-{number:06}",
            content_version=1,
            tenant="bench",
            published_at=datetime.now(UTC),
            texts=(TextField(name="text", value=text),),
        )
        writer.write(event)
    writer.flush()
