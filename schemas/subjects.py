"""The committed history of every topic's schema: `subjects/<topic>/v<N>.avsc`, v1 first. Nothing there is changed or deleted."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from fastavro import parse_schema

__all__ = ["ParsedSchema", "UnknownTopicError", "history", "latest", "save", "topics"]

ParsedSchema = dict[str, Any]
"""A record schema as `fastavro.parse_schema` gives it. Shared: never change one."""

_SUBJECTS: Final = Path(__file__).parent / "subjects"
_FILE: Final = re.compile(r"v([1-9][0-9]*)\.avsc")


class UnknownTopicError(LookupError):
    """There is no committed schema for a topic."""


def topics() -> tuple[str, ...]:
    """All topics with a committed schema, sorted."""
    return tuple(sorted(folder.name for folder in _SUBJECTS.iterdir() if folder.is_dir() and _files(folder.name)))


@cache
def history(topic: str) -> tuple[ParsedSchema, ...]:
    """All versions of a topic's schema, oldest first. Raises UnknownTopicError if there is none."""
    files = _files(topic)
    if not files:
        known = ", ".join(topics())
        raise UnknownTopicError(
            f"There is no schema for topic {topic!r} under schemas/subjects/, only for {known}. "
            "If it is a new signal's topic, write its schema with `signals topics schemas` and commit the file."
        )
    return tuple(_parsed(file) for file in files)


def latest(topic: str) -> ParsedSchema:
    """The newest version of a topic's schema: what is written, and what readers resolve to. Raises UnknownTopicError."""
    return history(topic)[-1]


def save(topic: str, schema: Mapping[str, Any]) -> Path | None:
    """Writes the schema as the topic's next version, v1 if there is none; writes nothing and gives None if the newest equals it.

    schema: unparsed, as `compose` gives it. Whether the change is allowed is for `compatibility.problems` to say.
    """
    files = _files(topic)
    if files and json.loads(files[-1].read_text(encoding="utf-8")) == schema:
        return None
    file = _SUBJECTS / topic / f"v{len(files) + 1}.avsc"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    history.cache_clear()
    return file


def _files(topic: str) -> list[Path]:
    """The topic's files, v1 first. Raises ValueError where one is missing between them: history is never deleted."""
    numbered = {int(match[1]): file for file in (_SUBJECTS / topic).glob("*.avsc") if (match := _FILE.fullmatch(file.name))}
    if sorted(numbered) != list(range(1, len(numbered) + 1)):
        found = ", ".join(f"v{number}" for number in sorted(numbered))
        raise ValueError(
            f"schemas/subjects/{topic}/ has {found}: a version is missing. Restore it; committed schemas are never deleted."
        )
    return [numbered[number] for number in sorted(numbered)]


def _parsed(file: Path) -> ParsedSchema:
    return cast(ParsedSchema, parse_schema(json.loads(file.read_text(encoding="utf-8"))))
