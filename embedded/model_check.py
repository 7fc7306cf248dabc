"""Checks a model repository: files against the manifest, config.pbtxt against Triton's own grammar, tensors against the graph."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.model_repository import MANIFEST, read_manifest
from embedded.model_sources import ModelRepositoryError, sha256_of

__all__ = ["Check", "check", "parsed_config", "tensor_faults"]

_ONNX_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. what: files, configuration or tensors; faults: a sentence for each thing that is wrong."""

    model: str
    what: str
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.faults


def check(repository: Path) -> list[Check]:
    """Three checks for each model of the manifest, by name. Raises ModelRepositoryError where there is no repository."""
    manifest = read_manifest(repository)
    if manifest is None:
        raise ModelRepositoryError(f"There is no model repository at {repository} ({MANIFEST} is missing). Build one first.")
    checks = []
    for name, entry in sorted(manifest["models"].items()):
        onnx = repository / name / "1" / "model.onnx"
        found = sha256_of(onnx) if onnx.is_file() else "nothing"
        changed = (
            [] if found == entry["onnx_sha256"] else [f"{onnx} has sha256 {found}, the manifest says {entry['onnx_sha256']}"]
        )
        try:
            config = parsed_config(repository / name / "config.pbtxt")
        except ModelRepositoryError as error:
            config, misread = None, [str(error)]
        else:
            misread = [] if config.name == name else [f"config.pbtxt is of {config.name!r}"]
        checks += [Check(name, "files", tuple(changed)), Check(name, "configuration", tuple(misread))]
        if config is not None and onnx.is_file():
            checks.append(Check(name, "tensors", tuple(_compared(config, onnx))))
    return checks


def parsed_config(path: Path) -> Any:
    """A config.pbtxt as Triton's own ModelConfig message. Raises ModelRepositoryError if Triton would not read it."""
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    try:
        return text_format.Parse(path.read_text(), ModelConfig())
    except FileNotFoundError:
        raise ModelRepositoryError(f"{path} is missing.") from None
    except text_format.ParseError as error:
        raise ModelRepositoryError(f"{path} is not a model configuration: {error}") from error


def tensor_faults(kind: str, configured: Iterable[Any], actual: Iterable[Any], batched: bool) -> list[str]:
    """How the tensors of a ModelConfig differ from those of a graph (name, type, shape); kind: input or output.

    batched: the configuration leaves out axis 0, which the graph must leave free. Where the configuration says -1 the graph must
    be free; where it says a length, the graph may be free or say the same.
    """
    from tritonclient.grpc.model_config_pb2 import DataType

    graph = {tensor.name: tensor for tensor in actual}
    config = {tensor.name: tensor for tensor in configured}
    faults = [f"{kind} {name} is in the graph only" for name in sorted(graph.keys() - config.keys())]
    for name, tensor in config.items():
        if name not in graph:
            faults.append(f"{kind} {name} is in config.pbtxt only")
            continue
        wanted_type, found = DataType.Name(tensor.data_type), graph[name]
        if _ONNX_TYPES.get(wanted_type) != found.type:
            faults.append(f"{kind} {name} is {wanted_type} in config.pbtxt and {found.type} in the graph")
        wanted = [*([-1] * batched), *tensor.dims]
        if not _fits(wanted, found.shape):
            faults.append(f"{kind} {name} has shape {wanted} in config.pbtxt and {list(found.shape)} in the graph")
    return faults


def _fits(wanted: Sequence[int], found: Sequence[int | str | None]) -> bool:
    return len(wanted) == len(found) and all(
        not isinstance(there, int) or there == length for length, there in zip(wanted, found, strict=True)
    )


def _compared(config: Any, onnx: Path) -> list[str]:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ModelRepositoryError(
            "Checking models needs the package onnxruntime, which is not installed. Install the extra `embedded`:"
            " pip install 'content-signals[embedded]'."
        ) from None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    graph = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    batched = config.max_batch_size > 0
    faults = tensor_faults("input", config.input, graph.get_inputs(), batched)
    return faults + tensor_faults("output", config.output, graph.get_outputs(), batched)
