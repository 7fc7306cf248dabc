"""The pure part of the backend: which requests share a run, what each gets back, and who pays for a failure."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAD = {"ids": 0, "mask": 0}


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    """The file as Triton loads it: by its path, and here without Triton."""
    spec = importlib.util.spec_from_file_location("model", ROOT / "triton_models" / "onnx_backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(*lengths: int, rows: int = 1) -> list[dict[str, Any]]:
    """Requests of these lengths; the ids of request k are all k + 1."""
    return [{"ids": np.full((rows, n), k + 1), "mask": np.ones((rows, n), np.int64)} for k, n in enumerate(lengths)]


class Sums:
    """A model that answers each row with its masked sum, refuses what holds 13, and remembers the shapes that it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, feed: dict[str, Any]) -> list[Any]:
        self.seen.append(feed["ids"].shape)
        if (feed["ids"] == 13).any():
            raise RuntimeError("13 is refused")
        return [(feed["ids"] * feed["mask"]).sum(axis=1), feed["ids"][:, :1]]


def test_ragged_requests_run_once_and_each_gets_its_own_rows(backend: ModuleType) -> None:
    """Requests of different lengths and row counts share one padded run and are taken apart again in order."""
    model, feeds = Sums(), [*words(3, 7, 1), *words(5, rows=2)]
    answers = backend.answered(feeds, model, PAD)
    assert model.seen == [(5, 7)]
    assert [answer[0].tolist() for answer in answers] == [[3], [14], [3], [5, 5]]
    assert [answer[1].shape for answer in answers] == [(1, 1), (1, 1), (1, 1), (2, 1)]


def test_without_padding_only_equal_shapes_share_a_run(backend: ModuleType) -> None:
    """Three requests of two lengths make two runs, and answers keep the order of the requests."""
    model = Sums()
    answers = backend.answered(words(4, 6, 4), model, {})
    assert sorted(model.seen) == [(1, 6), (2, 4)]
    assert [answer[0].tolist() for answer in answers] == [[4], [12], [12]]


def test_one_bad_request_does_not_fail_its_neighbours(backend: ModuleType) -> None:
    """When a joint run fails, each request runs alone, and only the bad one gets the error."""
    model, feeds = Sums(), words(3, 3, 3)
    feeds[1]["ids"][:] = 13
    first, second, third = backend.answered(feeds, model, PAD)
    assert model.seen == [(3, 3), (1, 3), (1, 3), (1, 3)]
    assert isinstance(second, RuntimeError)
    assert (first[0].tolist(), third[0].tolist()) == ([3], [9])


def test_a_lone_bad_request_runs_once(backend: ModuleType) -> None:
    """Nothing is retried where there is nobody to protect."""
    model, feeds = Sums(), words(3)
    feeds[0]["ids"][:] = 13
    (answer,) = backend.answered(feeds, model, PAD)
    assert isinstance(answer, RuntimeError)
    assert len(model.seen) == 1


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ({"ids": np.ones((1, 0)), "mask": np.ones((1, 0))}, "input ids is empty: its shape is [1, 0]"),
        ({"ids": np.ones((2, 3)), "mask": np.ones((1, 3))}, "different numbers of rows: ids [2, 3], mask [1, 3]"),
        ({"ids": np.ones((1, 3)), "mask": np.ones((1, 4))}, "differ in shape: ids [1, 3], mask [1, 4]"),
    ],
)
def test_a_request_at_odds_with_itself_is_refused_before_the_run(backend: ModuleType, feed: dict[str, Any], told: str) -> None:
    """Empty inputs and inputs that do not belong together never reach the model, and their neighbours do."""
    model = Sums()
    refused, good = backend.answered([feed, *words(3)], model, PAD)
    assert isinstance(refused, backend.InputRefused)
    assert told in str(refused)
    assert good[0].tolist() == [3]
    assert model.seen == [(1, 3)]


def test_padding_keeps_the_type_and_fills_with_the_stated_value(backend: ModuleType) -> None:
    """Padding goes to the end of each ragged axis, in the type of the input."""
    feeds = [{"x": np.ones((1, 2, 1), np.int32)}, {"x": np.ones((1, 1, 2), np.int32)}]
    whole = backend.joined(feeds, {"x": 7})["x"]
    assert whole.dtype == np.int32
    assert whole.tolist() == [[[1, 7], [1, 7]], [[1, 1], [7, 7]]]


def test_tensors_that_differ_between_configuration_and_graph_are_named(backend: ModuleType) -> None:
    """A renamed tensor and a changed type each give a sentence."""
    configured = [{"name": "image", "data_type": "TYPE_UINT8"}, {"name": "size", "data_type": "TYPE_INT64"}]
    graph = [SimpleNamespace(name="image", type="tensor(float)"), SimpleNamespace(name="sizes", type="tensor(int64)")]
    assert backend.disagreements("input", configured, graph) == [
        "input image is tensor(uint8) in config.pbtxt and tensor(float) in the graph",
        "input size is tensor(int64) in config.pbtxt and missing in the graph",
        "input sizes is missing in config.pbtxt and tensor(int64) in the graph",
    ]


@pytest.mark.parametrize(
    ("error", "out_of_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 99"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("Non-zero status code returned while running Add node"), False),
    ],
)
def test_want_of_memory_is_told_from_a_bad_input(backend: ModuleType, error: Exception, out_of_memory: bool) -> None:
    """Only the first may be tried again."""
    assert backend.is_out_of_memory(error) is out_of_memory


def test_padding_stated_for_a_model_names_its_inputs() -> None:
    """Each `pad` of a model.toml names inputs of the same folder's config.pbtxt."""
    import tomllib

    for path in sorted((ROOT / "triton_models").glob("*/model.toml")):
        pad = tomllib.loads(path.read_text())["embedded"]["pad"]
        config = (path.parent / "config.pbtxt").read_text()
        assert all(f'name: "{name}"' in config for name in pad), path
        assert json.loads(json.dumps(pad)) == pad
