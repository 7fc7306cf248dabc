"""What every model that a signal names has to have under triton_models/."""

import re
from pathlib import Path

import pytest

from cli.model_check import data_type, differences
from embedded.model_check import parsed_config
from processors.catalogue import SIGNALS
from processors.signal import ModelRef

MODELS_FOLDER = Path(__file__).resolve().parents[2] / "triton_models"
MODELS = list({signal.model.name: signal.model for signal in SIGNALS if signal.model}.values())

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def test_a_model_is_declared_once() -> None:
    """Two signals that name one model mean the same tensors."""
    assert len({signal.model for signal in SIGNALS if signal.model}) == len(MODELS)


@each_model
def test_the_folder_has_export_and_readme(model: ModelRef) -> None:
    """How to make it, where its weights come from, under which licence, and what was measured."""
    assert (MODELS_FOLDER / model.name / "export.py").is_file()
    readme = (MODELS_FOLDER / model.name / "README.md").read_text()
    for row in ("origin", "licence"):
        assert re.search(rf"^\| {row} \| \S.+\|$", readme, re.MULTILINE), row
    assert "## Measured" in readme


@each_model
def test_the_configuration_has_the_signals_tensors_and_no_others(model: ModelRef) -> None:
    """Names, dtypes, shapes and the largest batch of config.pbtxt are those of the ModelRef."""
    config = parsed_config(MODELS_FOLDER / model.name / "config.pbtxt")
    assert config.name == model.name
    assert config.max_batch_size == model.max_batch_rows
    for ours, theirs in ((model.inputs, config.input), (model.outputs, config.output)):
        tensors = {tensor.name: (data_type(tensor.data_type), list(tensor.dims)) for tensor in theirs}
        assert differences(model.name, ours, tensors, "config.pbtxt") == []
        assert tensors.keys() == {spec.name for spec in ours}


@each_model
def test_the_queue_is_bounded(model: ModelRef) -> None:
    """A full queue says so at once, and nothing waits there for ever: that is what tells overload from an outage."""
    policy = parsed_config(MODELS_FOLDER / model.name / "config.pbtxt").dynamic_batching.default_queue_policy
    assert policy.max_queue_size > 0
    assert policy.default_timeout_microseconds > 0


@each_model
def test_the_readme_states_the_tensors(model: ModelRef) -> None:
    """Each input and output is named in the README, in code type."""
    readme = (MODELS_FOLDER / model.name / "README.md").read_text()
    for spec in (*model.inputs, *model.outputs):
        assert f"`{spec.name}`" in readme
