"""Serves the ONNX file beside it from Triton's Python backend, for machines without NVIDIA's onnxruntime backend.

Copied as model.py into each version folder of the embedded profile. Requests that Triton hands over together run together: those
of equal shapes as they are, ragged inputs padded to the longest. If a run fails, each of its requests runs alone, so that one bad
request fails only itself.

Parameters in config.pbtxt, all strings:
  onnx     the file's name (model.onnx)
  threads  threads of one run (1)
  arena    "0" gives memory back after each run, "1" keeps it for the next (1)
  pad      JSON {input: value}: inputs that may be ragged, and what to pad them with. The graph must ignore the padding, and no
           output may have a ragged axis.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["InputRefused", "TritonPythonModel", "answered", "checked", "disagreements", "grouped", "is_out_of_memory", "joined"]

Feed = Mapping[str, Any]  # input name → array, axis 0 the rows of the request
Outputs = Sequence[Any]  # arrays, axis 0 the rows
Run = Callable[[Feed], Outputs]

_ONNX_TYPES = {
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_BOOL": "tensor(bool)",
}


class InputRefused(ValueError):
    """A request that cannot be run, whatever its neighbours are."""


def checked(feed: Feed, pad: Mapping[str, float]) -> Feed:
    """The feed itself, if its inputs are not empty, have equally many rows, and padded ones one shape. Raises InputRefused."""
    shapes = {name: array.shape for name, array in feed.items()}
    for name, shape in shapes.items():
        if 0 in shape:
            raise InputRefused(f"input {name} is empty: its shape is {list(shape)}")
    if len({shape[0] for shape in shapes.values()}) > 1:
        raise InputRefused(f"inputs have different numbers of rows: {_listed(shapes)}")
    if len({shape for name, shape in shapes.items() if name in pad}) > 1:
        raise InputRefused(f"inputs that are padded together differ in shape: {_listed(shapes)}")
    return feed


def grouped(feeds: Sequence[Feed], pad: Mapping[str, float]) -> list[list[int]]:
    """Places of feeds that can share a run: equal shapes but for axis 0 and for inputs that are padded."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, feed in enumerate(feeds):
        key = tuple((name, array.ndim if name in pad else array.shape[1:]) for name, array in sorted(feed.items()))
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def joined(feeds: Sequence[Feed], pad: Mapping[str, float]) -> dict[str, Any]:
    """One feed with the rows of all, in order; padded at the end of each axis to the longest where `pad` names the input."""
    return {name: _concatenated([feed[name] for feed in feeds], pad.get(name)) for name in feeds[0]}


def answered(feeds: Sequence[Feed], run: Run, pad: Mapping[str, float]) -> list[Outputs | Exception]:
    """What each feed gets: its rows of each output, or the error that is its own. Never raises for one of them."""
    answers: list[Outputs | Exception] = [InputRefused("not run")] * len(feeds)
    sound = []
    for place, feed in enumerate(feeds):
        try:
            checked(feed, pad)
        except InputRefused as refusal:
            answers[place] = refusal
        else:
            sound.append(place)
    for group in grouped([feeds[place] for place in sound], pad):
        members = [sound[index] for index in group]
        for place, answer in zip(members, _together([feeds[place] for place in members], run, pad), strict=True):
            answers[place] = answer
    return answers


def disagreements(kind: str, configured: Iterable[Mapping[str, Any]], actual: Iterable[Any]) -> list[str]:
    """Sentences on how tensors of config.pbtxt (name, data_type) and of the graph (name, type) differ; kind: input or output."""
    wanted = {tensor["name"]: _ONNX_TYPES.get(tensor["data_type"], tensor["data_type"]) for tensor in configured}
    found = {tensor.name: tensor.type for tensor in actual}
    names = sorted(wanted.keys() | found.keys())
    return [
        f"{kind} {name} is {wanted.get(name, 'missing')} in config.pbtxt and {found.get(name, 'missing')} in the graph"
        for name in names
        if wanted.get(name) != found.get(name)
    ]


def is_out_of_memory(error: Exception) -> bool:
    """Whether a run failed for want of memory, which says nothing against its request. ONNX Runtime has no class for it."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "bad_alloc" in str(error)


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


def _concatenated(arrays: Sequence[Any], fill: float | None) -> Any:
    if fill is None:
        return np.concatenate(arrays)
    longest = np.max([array.shape[1:] for array in arrays], axis=0)
    whole = np.full((sum(len(array) for array in arrays), *longest), fill, dtype=arrays[0].dtype)
    first = 0
    for array in arrays:
        whole[(slice(first, first + len(array)), *map(slice, array.shape[1:]))] = array
        first += len(array)
    return whole


def _together(feeds: Sequence[Feed], run: Run, pad: Mapping[str, float]) -> Sequence[Outputs | Exception]:
    if len(feeds) == 1:
        return [_alone(feeds[0], run)]
    try:
        outputs = run(joined(feeds, pad))
    except Exception:  # noqa: BLE001  whatever it is, the runs alone decide what it means
        return [_alone(feed, run) for feed in feeds]
    ends = np.cumsum([len(next(iter(feed.values()))) for feed in feeds])
    parts = [np.split(output, ends[:-1]) for output in outputs]
    return [[part[index] for part in parts] for index in range(len(feeds))]


def _alone(feed: Feed, run: Run) -> Outputs | Exception:
    try:
        return run(feed)
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors have no common class
        return error


class TritonPythonModel:
    """What Triton's Python backend looks for: one instance of the model."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the graph. Raises TritonModelException if config.pbtxt and the graph disagree: the model is not ready then."""
        import triton_python_backend_utils as backend  # type: ignore[import-not-found]  # only inside Triton

        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        path = Path(args["model_repository"]) / args["model_version"] / parameters.get("onnx", "model.onnx")
        self.backend = backend
        self.pad: dict[str, float] = json.loads(parameters.get("pad", "{}"))
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.session = _session(path, int(parameters.get("threads", "1")), parameters.get("arena", "1") == "1")
        faults = disagreements("input", config["input"], self.session.get_inputs())
        faults += disagreements("output", config["output"], self.session.get_outputs())
        if faults:
            raise backend.TritonModelException(f"{path}: {'; '.join(faults)}. Build the repository again.")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request, in order."""
        get = self.backend.get_input_tensor_by_name
        feeds = [{name: get(request, name).as_numpy() for name in self.inputs} for request in requests]
        return [self._response(answer) for answer in answered(feeds, self._run, self.pad)]

    def _run(self, feed: Feed) -> Outputs:
        outputs: Outputs = self.session.run(self.outputs, dict(feed))
        return outputs

    def _response(self, answer: Outputs | Exception) -> Any:
        if not isinstance(answer, Exception):
            tensors = [self.backend.Tensor(name, array) for name, array in zip(self.outputs, answer, strict=True)]
            return self.backend.InferenceResponse(output_tensors=tensors)
        # A request that fails alone, on a processor, and not for want of memory, fails because of what it holds.
        error = self.backend.TritonError
        code = error.UNAVAILABLE if is_out_of_memory(answer) else error.INVALID_ARG
        return self.backend.InferenceResponse(error=error(f"{type(answer).__name__}: {answer}", code))


def _session(path: Path, threads: int, arena: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # fatal only: other errors go to the client whose request it was
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
