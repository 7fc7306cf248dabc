"""Composes the self-contained schema of a topic from the parts under `parts/`.

A part is one named type, in the file of its name (`signals.ModelVersion` in `model_version.avsc`), and names other parts in
full. A composed schema has each part in full where it is first used and by name after that, as every Avro parser wants it.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["SHAPES", "content_published_schema", "signal_outcomes_schema", "signal_schema"]

AvroType = Any
"""An Avro type as JSON has it: a name, a union (list) or a definition (dict)."""

_PARTS: Final = Path(__file__).parent / "parts"
_NAMESPACE: Final = "signals"
_SIGNAL_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


def content_published_schema() -> dict[str, Any]:
    """The schema of content-published.v1."""
    return _composed("ContentPublished")


def signal_outcomes_schema() -> dict[str, Any]:
    """The schema of the ledger, signal-outcomes.v1."""
    return _composed("OutcomeRecord")


def signal_schema(signal_name: str, version: int, shapes: Sequence[str]) -> dict[str, Any]:
    """The schema of a signal's topic: the shared head, the missing assets, and one entry per asset with these body shapes.

    The record and its Entry live in a namespace of their own (signals.audio.loudness.v1), because each signal's Entry differs.
    The order of shapes does not matter: fields come in the order of SHAPES.
    Raises ValueError for a name that is no dotted lower-case name, a version below 1, and unknown, repeated or no shapes.
    """
    if not _SIGNAL_NAME.fullmatch(signal_name):
        raise ValueError(
            f"{signal_name!r} is no signal name: use lower-case words with dots between them, such as audio.loudness"
        )
    if version < 1:
        raise ValueError(f"Version {version} of {signal_name}: versions start at 1")
    if not shapes or len(set(shapes)) != len(shapes) or not set(shapes) <= set(SHAPES):
        raise ValueError(
            f"{signal_name} has the shapes {list(map(str, shapes))}: it must have one or more of {', '.join(SHAPES)}, each once"
        )
    head = _part("SignalRecord")
    entry = {
        "type": "record",
        "name": "Entry",
        "doc": f"What {signal_name} says of one asset.",
        "fields": [_ASSET_ID, *(field for field in _part("Findings")["fields"] if field["name"] in shapes)],
    }
    entries = {
        "name": "entries",
        "type": {"type": "array", "items": entry},
        "default": [],
        "doc": "One per asset, in the event's order.",
    }
    record = {
        "type": "record",
        "name": "".join(word.capitalize() for word in re.split(r"[._]", signal_name)),
        "namespace": f"{_NAMESPACE}.{signal_name}.v{version}",
        "doc": f"What {signal_name} says of one content. Record key: content_id. A tombstone retracts it.",
        "fields": [*head["fields"], entries],
    }
    composed: dict[str, Any] = _inlined(record, set())
    return composed


_ASSET_ID: Final = {"name": "asset_id", "type": "string", "doc": "The asset's id, or the name of an inline text."}


def _part(name: str) -> dict[str, Any]:
    """A part, as an object of the caller's own."""
    part: dict[str, Any] = json.loads(_part_text(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()))
    return part


@cache
def _part_text(file_name: str) -> str:
    return (_PARTS / f"{file_name}.avsc").read_text(encoding="utf-8")


def _composed(name: str) -> dict[str, Any]:
    composed: dict[str, Any] = _inlined(f"{_NAMESPACE}.{name}", set())
    return composed


def _inlined(avro_type: AvroType, defined: set[str]) -> AvroType:
    """The type with each part in full at its first use. defined: the parts that are; grows in the order of the text."""
    if isinstance(avro_type, str):
        namespace, _, name = avro_type.rpartition(".")
        if namespace != _NAMESPACE or name in defined:
            return avro_type
        defined.add(name)
        return _inlined(_part(name), defined)
    if isinstance(avro_type, list):
        return [_inlined(branch, defined) for branch in avro_type]
    inlined = {**avro_type}
    for inner in ("items", "values"):
        if inner in avro_type:
            inlined[inner] = _inlined(avro_type[inner], defined)
    if "fields" in avro_type:
        inlined["fields"] = [{**field, "type": _inlined(field["type"], defined)} for field in avro_type["fields"]]
    return inlined


SHAPES: Final[tuple[str, ...]] = tuple(field["name"] for field in _part("Findings")["fields"])
"""The body shapes that an Entry can have: labels, vector, segments, regions, measures."""
