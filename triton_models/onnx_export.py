"""What the export scripts share: find shipped weights, write a plain ONNX file, prove that it computes what the original does.

Each script calls `main`, which writes OUT_DIR/model.onnx and OUT_DIR/export.json (opset, largest differences) and prints a line.
"""

import argparse
import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

__all__ = [
    "OPSET",
    "TOLERANCE",
    "Feed",
    "Outputs",
    "main",
    "renamed",
    "run_onnx",
    "session",
    "torch_export",
    "torch_reference",
    "weights",
]

Feed = Mapping[str, NDArray[Any]]
Outputs = Sequence[NDArray[Any]]

TOLERANCE = 1e-4
"""Largest difference allowed between an output of the original and of the exported graph, absolute."""
OPSET = 18
_NEWEST_IR_VERSION = 10  # what ONNX Runtime 1.18 and newer read, and with it all recent Triton images


def main(
    script: str,
    make: Callable[[], onnx.ModelProto],
    reference: Callable[[Feed], Outputs],
    examples: Mapping[str, Feed],
) -> int:
    """Exports one model, proves it and prints one line; returns the exit code: 0, or 1 beyond TOLERANCE.

    script: the `__file__` of the caller. make: the graph. reference: the original's outputs, in the order of the graph's.
    examples: inputs by a name that says batch and length; the first is also run twice, to see that the model is deterministic.
    """
    folder = Path(script).resolve().parent
    parser = argparse.ArgumentParser(description=f"Export the model {folder.name} to OUT_DIR/model.onnx.")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    out_dir: Path = parser.parse_args().out_dir
    began = time.monotonic()
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "model.onnx"
    model = make()
    _save(model, path)
    runner = session(path)
    parity = {name: _difference(reference(feed), run_onnx(runner, feed)) for name, feed in examples.items()}
    same = _is_deterministic(runner, next(iter(examples.values())))
    opset = max(entry.version for entry in model.opset_import if not entry.domain)
    (out_dir / "export.json").write_text(json.dumps({"opset": opset, "parity": parity}))
    shown = " ".join(f"{name}={value:.0e}" for name, value in parity.items())
    verdict = _verdict(max(parity.values()), same)
    size_mb, seconds = path.stat().st_size / 1e6, time.monotonic() - began
    print(f"{folder.name}: {size_mb:.1f} MB, opset {opset}, largest difference {shown}, {seconds:.0f} s: {verdict}")
    return 0 if verdict == "good" else 1


def _verdict(worst: float, deterministic: bool) -> str:
    if not worst <= TOLERANCE:
        return f"REFUSED, differs from the original by {worst:.1e}, more than {TOLERANCE:.0e}"
    return "good" if deterministic else "REFUSED, answers the same input differently"


def weights(script: str) -> list[Path]:
    """The shipped files that the model.toml beside a script names, found without importing their packages."""
    origin = tomllib.loads((Path(script).resolve().parent / "model.toml").read_text())["origin"]
    return [_shipped(name) for name in origin["weights"]]


def _shipped(name: str) -> Path:
    package, _, inside = name.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            f"The weights {name} are missing, since the package {package} is not installed. Install the extra `models`."
        )
    return Path(spec.submodule_search_locations[0]) / inside


def session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_onnx(runner: onnxruntime.InferenceSession, feed: Feed) -> Outputs:
    """All outputs, in the graph's order."""
    outputs: Outputs = runner.run(None, dict(feed))
    return outputs


def renamed(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Gives values of a graph other names, in place."""
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*model.graph.input, *model.graph.output]:
        value.name = names.get(value.name, value.name)


def torch_export(network: Any, example: Feed, outputs: Sequence[str], dynamic: Sequence[Mapping[int, Any]]) -> onnx.ModelProto:
    """Exports a torch module. example: inputs in the order of forward; dynamic: for each input, {axis: torch.export.Dim}."""
    import torch

    arguments = tuple(torch.from_numpy(array) for array in example.values())
    program = torch.onnx.export(
        network.eval(),
        arguments,
        dynamo=True,
        opset_version=OPSET,
        input_names=list(example),
        output_names=list(outputs),
        dynamic_shapes=tuple(dict(axes) for axes in dynamic),
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def torch_reference(network: Any) -> Callable[[Feed], Outputs]:
    """A torch module as a reference; it takes its inputs in the order of the feed and returns a tensor or a tuple of them."""
    import torch

    network.eval()

    def run(feed: Feed) -> Outputs:
        with torch.no_grad():
            answer = network(*(torch.from_numpy(array) for array in feed.values()))
        return [part.numpy() for part in (answer if isinstance(answer, tuple) else (answer,))]

    return run


def _save(model: onnx.ModelProto, path: Path) -> None:
    """Writes the graph without its history (stack traces, source paths), so that the same input gives the same file."""
    model.ir_version = min(model.ir_version, _NEWEST_IR_VERSION)
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    for part in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _difference(wanted: Outputs, got: Outputs) -> float:
    """Largest absolute difference over all outputs, to two digits; infinite if shapes differ or a value is not finite."""
    if [array.shape for array in wanted] != [array.shape for array in got]:
        return float("inf")
    if not all(np.isfinite(array).all() for array in got):
        return float("inf")
    return float(f"{max(float(np.abs(a - b).max()) for a, b in zip(wanted, got, strict=True)):.1e}")


def _is_deterministic(runner: onnxruntime.InferenceSession, feed: Feed) -> bool:
    first, second = (run_onnx(runner, feed) for _ in range(2))
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
