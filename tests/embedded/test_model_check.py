"""What the check of a model repository finds."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from embedded.model_check import check, parsed_config, tensor_faults
from embedded.model_repository import ModelRepositoryError

CONFIG = """
max_batch_size: 4
input [ { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] } ]
"""


def graph(
    name: str = "image", kind: str = "tensor(uint8)", shape: tuple[int | str, ...] = ("batch", "h", "w", 3)
) -> SimpleNamespace:
    return SimpleNamespace(name=name, type=kind, shape=list(shape))


@pytest.mark.parametrize(
    ("tensor", "fault"),
    [
        (graph(), None),
        (graph(shape=("batch", "h", "w", "channels")), None),
        (
            graph(shape=(1, "h", "w", 3)),
            "input image has shape [-1, -1, -1, 3] in config.pbtxt and [1, 'h', 'w', 3] in the graph",
        ),
        (graph(shape=("batch", 3, "h", "w")), "[-1, -1, -1, 3] in config.pbtxt and ['batch', 3, 'h', 'w'] in the graph"),
        (graph(shape=("batch", "h", "w")), "in config.pbtxt and ['batch', 'h', 'w'] in the graph"),
        (graph(kind="tensor(float)"), "input image is TYPE_UINT8 in config.pbtxt and tensor(float) in the graph"),
        (graph(name="pixels"), "input pixels is in the graph only"),
    ],
)
def test_each_way_in_which_tensors_can_differ(tensor: SimpleNamespace, fault: str | None) -> None:
    """Type, rank, fixed and free axes, and names; a graph may be freer than its configuration."""
    config = text_format.Parse(CONFIG, ModelConfig())
    faults = tensor_faults("input", config.input, [tensor], batched=True)
    if fault is None:
        assert faults == []
    else:
        assert fault in faults[0]


def test_a_configuration_that_triton_would_not_read_is_told(tmp_path: Path) -> None:
    """With the file and the place of the mistake."""
    path = tmp_path / "config.pbtxt"
    path.write_text('name: "x"\nmax_batch: 4\n')
    with pytest.raises(ModelRepositoryError, match=r"config\.pbtxt is not a model configuration: 2:1 .*max_batch"):
        parsed_config(path)


def test_a_folder_without_repository_is_told(tmp_path: Path) -> None:
    """It says what is missing and what to do."""
    with pytest.raises(ModelRepositoryError, match=r"manifest\.json is missing\)\. Build one first"):
        check(tmp_path)
