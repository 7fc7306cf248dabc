"""Do the tensors that signals name agree with what a model repository, or a live Triton, has?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tritonclient.grpc as grpc
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from embedded.model_check import parsed_config
from processors.catalogue import SIGNALS
from processors.signal import ModelRef, TensorSpec
from streams.settings import Settings

__all__ = ["problems_of_repository", "problems_of_server"]

DTYPES = {
    "float32": "FP32", "float16": "FP16", "int64": "INT64", "int32": "INT32", "uint8": "UINT8", "bool": "BOOL",
}  # fmt: skip


def models_of_signals() -> dict[str, ModelRef]:
    return {signal.model.name: signal.model for signal in SIGNALS if signal.model}


def differences(model: str, ours: Sequence[TensorSpec], theirs: Mapping[str, tuple[str, list[int]]], where: str) -> list[str]:
    """Sentences for each tensor that is missing, or of another dtype or shape. theirs: name → (Triton's dtype, dims, -1 any)."""
    problems = []
    for spec in ours:
        wanted = DTYPES[spec.dtype], [-1 if length is None else length for length in spec.shape]
        if spec.name not in theirs:
            problems.append(f"{model}: the signals name the tensor {spec.name!r}; {where} has {', '.join(sorted(theirs))}")
        elif theirs[spec.name] != wanted:
            problems.append(f"{model}: {spec.name} is {wanted[0]}{wanted[1]} for the signals, {theirs[spec.name]} in {where}")
    return problems


def problems_of_repository(repository: Path) -> list[str]:
    """Compares with each model's config.pbtxt."""
    problems = []
    for name, model in models_of_signals().items():
        file = repository / name / "config.pbtxt"
        if not file.is_file():
            problems.append(f"{name}: {repository} does not have it; run `signals models build`")
            continue
        config = parsed_config(file)
        tensors = {t.name: (data_type(t.data_type), list(t.dims)) for t in [*config.input, *config.output]}
        problems += differences(name, [*model.inputs, *model.outputs], tensors, "config.pbtxt")
        if config.max_batch_size != model.max_batch_rows:
            problems.append(
                f"{name}: {model.max_batch_rows} rows for the signals, max_batch_size {config.max_batch_size} in config.pbtxt"
            )
        if not (repository / name / model.version / "model.onnx").is_file():
            problems.append(f"{name}: version {model.version} has no model.onnx in {repository}")
    return problems


def data_type(number: int) -> str:
    return str(model_config_pb2.DataType.Name(number)).removeprefix("TYPE_")


def problems_of_server(settings: Settings) -> list[str]:
    """Compares with what each Triton server says of its models."""
    problems = []
    for url in settings.triton_urls.split(","):
        client = grpc.InferenceServerClient(url)
        try:
            for name, model in models_of_signals().items():
                problems += problems_of_live_model(client, url, name, model)
        finally:
            client.close()
    return problems


def problems_of_live_model(client: Any, url: str, name: str, model: ModelRef) -> list[str]:
    try:
        metadata = client.get_model_metadata(name, model.version, client_timeout=10)
    except InferenceServerException as error:
        return [f"{name}: Triton at {url} says: {error.message()}"]
    tensors = {t.name: (t.datatype, list(t.shape)[1:]) for t in [*metadata.inputs, *metadata.outputs]}
    return differences(name, [*model.inputs, *model.outputs], tensors, f"Triton at {url}")
