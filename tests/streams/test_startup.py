"""What a worker needs before it reads anything."""

from pathlib import Path

import pytest
from fakes import text_signal

from streams.settings import Settings
from streams.startup import CannotStart, check, chosen, unknown_settings


def test_a_misspelt_setting_is_named_with_its_neighbour() -> None:
    """Variables that nobody reads get a sentence each; known ones and those of the embedded servers do not."""
    environment = {"SIGNALS_CONCURENCY": "3", "SIGNALS_GROUP": "a", "SIGNALS_CACHE_DIR": "/c", "OTHER": "x"}
    (sentence,) = unknown_settings(environment)
    assert "SIGNALS_CONCURENCY" in sentence
    assert "SIGNALS_CONCURRENCY" in sentence


def test_an_unwritable_spool_is_refused(tmp_path: Path) -> None:
    """Before any partition is taken, with the setting to change."""
    with pytest.raises(CannotStart, match="SIGNALS_SPOOL_DIR"):
        check(Settings(spool_dir=tmp_path / "nowhere"), [])


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """The root stands in the sentence."""
    with pytest.raises(CannotStart, match="SIGNALS_FILE_ROOTS names /no/such/root"):
        check(Settings(spool_dir=tmp_path, file_roots="/no/such/root"), [])


def test_chosen_signals_come_after_their_needs() -> None:
    """SIGNALS_SIGNALS picks; a name nobody knows, or a need that is left out, is a sentence."""
    signals = [text_signal("text.b", needs=("text.a",)), text_signal("text.a")]
    assert [s.name for s in chosen(Settings(signals="text.b, text.a"), signals)] == ["text.a", "text.b"]
    with pytest.raises(CannotStart, match=r"no signal 'text\.c'"):
        chosen(Settings(signals="text.c"), signals)
    with pytest.raises(CannotStart, match=r"text\.b needs text\.a"):
        chosen(Settings(signals="text.b"), signals)
