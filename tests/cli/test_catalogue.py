"""`signals list` and `signals show`."""

import json

import pytest
from click.testing import CliRunner

from cli.catalogue import described
from cli.main import signals
from processors.catalogue import SIGNALS

each_signal = pytest.mark.parametrize("name", [signal.name for signal in SIGNALS])


def said(*words: str) -> str:
    result = CliRunner().invoke(signals, list(words), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_as_json_is_a_list_of_objects() -> None:
    """One object for each signal, in the catalogue's order, with name, modality, topic and model."""
    listed = json.loads(said("list", "--json"))
    assert [entry["name"] for entry in listed] == [signal.name for signal in SIGNALS]
    for entry, signal in zip(listed, SIGNALS, strict=True):
        assert entry["modality"] == signal.modality
        assert entry["topic"] == signal.topic
        assert entry["model"] == (f"{signal.model.name}:{signal.model.version}" if signal.model else None)


def test_list_for_people_has_a_line_for_each_signal() -> None:
    """Name and topic stand on one line."""
    lines = said("list").splitlines()
    for signal in SIGNALS:
        assert any(signal.name in line and signal.topic in line for line in lines)


@each_signal
def test_show_says_everything(name: str) -> None:
    """Owner, meaning, topic, model's tensors and configuration hash, for people and as one JSON object."""
    signal = next(signal for signal in SIGNALS if signal.name == name)
    text = " ".join(said("show", name).split())
    for fact in (signal.owner, signal.meaning, signal.topic, signal.config_hash):
        assert fact in text
    entry = json.loads(said("show", name, "--json"))
    assert entry == json.loads(json.dumps(described(signal)))
    assert entry["subject"] == f"{signal.topic}-value"
    assert set(entry["inputs"]) == {spec.name for spec in (signal.model.inputs if signal.model else ())}


def test_an_unknown_signal_is_refused_with_those_that_there_are() -> None:
    """The sentence has the wrong name and the right ones."""
    result = CliRunner().invoke(signals, ["show", "audio.colour"])
    assert result.exit_code == 1
    assert "audio.colour" in result.output
    assert all(signal.name in result.output for signal in SIGNALS)
