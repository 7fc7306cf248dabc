"""What consumers are given as a schema is what is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from processors.catalogue import SIGNALS
from processors.signal import Signal
from schemas import compose

SUBJECTS = Path(__file__).resolve().parents[2] / "schemas/subjects"


def newest_committed(topic: str) -> Any:
    files = (SUBJECTS / topic).glob("v*.avsc")
    return json.loads(max(files, key=lambda file: int(file.stem[1:])).read_text(encoding="utf-8"))


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_the_committed_schema_is_the_composed_one(signal: Signal) -> None:
    """schemas/subjects has the signal's schema as `signals topics schemas` writes it."""
    assert newest_committed(signal.topic) == compose.signal_schema(signal.name, signal.version, signal.shapes)


def test_the_committed_schemas_of_events_and_ledger_are_the_composed_ones() -> None:
    """The same for the two topics that belong to no signal."""
    assert newest_committed("content-published.v1") == compose.content_published_schema()
    assert newest_committed("signal-outcomes.v1") == compose.signal_outcomes_schema()
