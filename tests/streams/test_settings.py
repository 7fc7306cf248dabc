"""Settings and their reference page."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.settings import Settings, reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_page_is_current() -> None:
    """docs/settings.md is what `python -m streams.settings` prints."""
    assert (ROOT / "docs/settings.md").read_text() == reference()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting's environment name is SIGNALS_ and its own in capitals; empty means the default."""
    monkeypatch.setenv("SIGNALS_KAFKA_BROKERS", "one:9092,two:9092")
    monkeypatch.setenv("SIGNALS_CONCURRENCY", "")
    assert Settings().kafka_brokers == "one:9092,two:9092"
    assert Settings().concurrency == 32


def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the wrong type or out of range is an error at start, not a surprise later."""
    monkeypatch.setenv("SIGNALS_CONCURRENCY", "0")
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Settings()
