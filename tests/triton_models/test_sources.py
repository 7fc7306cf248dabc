"""What each folder of triton_models must have."""

from pathlib import Path

import pytest

from embedded.model_check import parsed_config
from embedded.model_sources import SOURCES, chosen

MODELS = chosen(None)


def test_the_models_of_the_contract_are_there() -> None:
    """The names under which signals ask for models."""
    assert {"speech_segments", "image_tags", "faces", "text_embedding", "video_shots"} <= {model.name for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize(("profile", "backend", "kind"), [("embedded", "python", 2), ("gpu", "onnxruntime", 1)])
def test_both_profiles_are_configurations_that_triton_reads(model, profile, backend, kind, tmp_path: Path) -> None:
    """A rendered config.pbtxt parses with Triton's own grammar and keeps the template's tensors, batching and queue."""
    path = tmp_path / "config.pbtxt"
    path.write_text(model.config(profile))
    config, template = parsed_config(path), parsed_config(model.folder / "config.pbtxt")
    assert (config.name, config.backend) == (model.name, backend)
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, kind)]
    assert config.max_batch_size == template.max_batch_size > 0
    assert config.dynamic_batching == template.dynamic_batching
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [
        (t.name, t.data_type, list(t.dims)) for t in template.input
    ]
    assert list(config.output) == list(template.output)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_queue_is_bounded_in_length_and_time(model) -> None:
    """A full queue must say so, and a request must not wait for ever."""
    policy = parsed_config(model.folder / "config.pbtxt").dynamic_batching.default_queue_policy
    assert policy.max_queue_size > 0
    assert policy.default_timeout_microseconds > 0
    assert policy.allow_timeout_override


def test_ragged_batches_are_for_our_backend_only(tmp_path: Path) -> None:
    """NVIDIA's backend would join ragged inputs into one flat tensor."""
    (model,) = chosen(["text_embedding"])
    ragged = {}
    for profile in ("embedded", "gpu"):
        path = tmp_path / profile
        path.write_text(model.config(profile))
        ragged[profile] = [tensor.allow_ragged_batch for tensor in parsed_config(path).input]
    assert ragged == {"embedded": [True, True], "gpu": [False, False]}


def test_the_accelerator_is_asked_for_only_where_stated(tmp_path: Path) -> None:
    """`tensorrt = true` adds Triton's TensorRT accelerator to the gpu profile."""
    from dataclasses import replace

    (model,) = chosen(["faces"])
    path = tmp_path / "config.pbtxt"
    path.write_text(replace(model, tensorrt=True).config("gpu"))
    accelerators = parsed_config(path).optimization.execution_accelerators.gpu_execution_accelerator
    assert [accelerator.name for accelerator in accelerators] == ["tensorrt"]
    assert "tensorrt" not in model.config("gpu")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_model_states_origin_and_licences(model) -> None:
    """Package, weights and both licences are stated, and the README repeats them with the measured quality."""
    readme = (model.folder / "README.md").read_text()
    assert model.packages
    assert model.weights
    assert model.packages[0] in readme
    assert model.code_licence in readme
    assert model.weights_licence in readme
    assert "## Measured" in readme
    assert (SOURCES / model.name / "export.py").is_file()
