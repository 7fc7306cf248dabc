"""CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the value is the data and nothing else.

Kafka protocol binding, section 3.2: `ce_<attribute>` headers in UTF-8; `datacontenttype` is the header `content-type`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

__all__ = ["AVRO", "CONTENT_TYPE", "PREFIX", "SPEC_VERSION", "headers", "parse"]

SPEC_VERSION: Final = "1.0"
PREFIX: Final = "ce_"
CONTENT_TYPE: Final = "content-type"
AVRO: Final = "application/avro"


def headers(id: str, source: str, type: str, time: datetime, content_type: str = AVRO) -> list[tuple[str, bytes]]:
    """The six headers of an event. source: a URI reference; type: here the topic; time: when it happened, timezone-aware.

    Raises ValueError for an empty id, source or type, and for a time without a timezone.
    """
    for name, value in (("id", id), ("source", source), ("type", type)):
        if not value:
            raise ValueError(f"A CloudEvent's {name} must not be empty")
    attributes = {"specversion": SPEC_VERSION, "id": id, "source": source, "type": type, "time": _rfc3339(time)}
    return [*((PREFIX + name, value.encode()) for name, value in attributes.items()), (CONTENT_TYPE, content_type.encode())]


def parse(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The attributes by their CloudEvents names (id, source, …, datacontenttype), extensions too; other headers are left out.

    Whatever the headers hold, this raises nothing: of two with one name the last counts, and bytes that are no UTF-8 become
    U+FFFD.
    """
    attributes = {}
    for header, value in headers:
        if value is not None and header == CONTENT_TYPE:
            attributes["datacontenttype"] = value.decode(errors="replace")
        elif value is not None and header.startswith(PREFIX):
            attributes[header.removeprefix(PREFIX)] = value.decode(errors="replace")
    return attributes


def _rfc3339(time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError(f"The time {time.isoformat()} of a CloudEvent must have a timezone: use datetime.now(UTC)")
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
