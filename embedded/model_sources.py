"""The folders of `triton_models/`, read: where each model's weights come from, what its export depends on, its configuration."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from embedded.errors import EmbeddedError

__all__ = ["SOURCES", "ModelRepositoryError", "ModelSource", "Profile", "chosen", "installed", "sha256_of"]

Profile = Literal["embedded", "gpu"]

SOURCES = Path(__file__).resolve().parent.parent / "triton_models"


class ModelRepositoryError(EmbeddedError):
    """A model repository cannot be built, or is not what it should be."""


@dataclass(frozen=True)
class ModelSource:
    """One folder of `triton_models/`.

    packages: distributions that shape the graph, the one with the weights first. tools: distributions that an export also needs,
    of any version. weights: shipped files, as package/path.
    threads: of one run. arena: whether ONNX Runtime keeps memory between runs. pad: ragged inputs and what to pad them with.
    tensorrt: whether the gpu profile asks for the TensorRT accelerator.
    """

    name: str
    folder: Path
    title: str
    packages: tuple[str, ...]
    tools: tuple[str, ...]
    weights: tuple[str, ...]
    code_licence: str
    weights_licence: str
    threads: int
    arena: bool
    pad: Mapping[str, float]
    tensorrt: bool

    @property
    def backend(self) -> Path:
        """What becomes model.py in the embedded profile."""
        return self.folder.parent / "onnx_backend.py"

    @property
    def export_fingerprint(self) -> str:
        """Over the files that shape model.onnx."""
        return _fingerprint([self.folder / "export.py", self.folder / "model.toml", self.folder.parent / "onnx_export.py"])

    def serving_fingerprint(self, profile: Profile) -> str:
        """Over all that shapes the files beside model.onnx."""
        return _fingerprint([self.folder / "config.pbtxt", self.folder / "model.toml", self.backend, Path(__file__)], profile)

    def weight_files(self) -> list[Path]:
        """The shipped files, found without importing their packages. Raises ModelRepositoryError for a missing package."""
        return [_shipped(self.name, weight) for weight in self.weights]

    def config(self, profile: Profile) -> str:
        """config.pbtxt for a profile: the tensors, batching and queue of the folder's own, and how the profile runs it."""
        from google.protobuf import text_format
        from tritonclient.grpc.model_config_pb2 import ModelConfig

        config = text_format.Parse((self.folder / "config.pbtxt").read_text(), ModelConfig())
        if profile == "embedded":
            self._run_by_our_backend(config)
        else:
            self._run_by_nvidias_backend(config)
        return str(text_format.MessageToString(config))

    def _run_by_our_backend(self, config: Any) -> None:
        from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

        config.backend = "python"
        config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_CPU)
        for tensor in config.input:
            tensor.allow_ragged_batch = tensor.name in self.pad
        parameters = {"onnx": "model.onnx", "threads": str(self.threads), "arena": str(int(self.arena))}
        if self.pad:
            parameters["pad"] = json.dumps(self.pad)
        for key, value in parameters.items():
            config.parameters[key].string_value = value

    def _run_by_nvidias_backend(self, config: Any) -> None:
        """Without ragged batches: Triton joins requests of equal shapes only, so clients pad to a few lengths."""
        from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

        config.backend = "onnxruntime"
        config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_GPU)
        if self.tensorrt:
            config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")


def chosen(names: Sequence[str] | None = None, folder: Path = SOURCES) -> list[ModelSource]:
    """The sources of these names, or all, by name. Raises ModelRepositoryError for a name that is not there."""
    there = sorted(path.parent.name for path in folder.glob("*/model.toml"))
    for name in names or ():
        if name not in there:
            raise ModelRepositoryError(f"There is no model {name!r}; there are {', '.join(there)}.")
    return [_read(folder / name) for name in there if names is None or name in names]


def installed(packages: Iterable[str]) -> dict[str, str | None]:
    """The versions of distributions; None for one that is not installed."""
    return {package: _version(package) for package in packages}


def sha256_of(path: Path) -> str:
    """Lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> ModelSource:
    stated = tomllib.loads((folder / "model.toml").read_text())
    origin, ours = stated["origin"], stated["embedded"]
    return ModelSource(
        name=folder.name,
        folder=folder,
        title=origin["title"],
        packages=tuple(origin["packages"]),
        tools=tuple(origin["tools"]),
        weights=tuple(origin["weights"]),
        code_licence=origin["code_licence"],
        weights_licence=origin["weights_licence"],
        threads=ours["threads"],
        arena=ours["arena"],
        pad=ours["pad"],
        tensorrt=stated["gpu"]["tensorrt"],
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _shipped(model: str, weight: str) -> Path:
    package, _, inside = weight.partition("/")
    spec = find_spec(package)
    path = Path(spec.submodule_search_locations[0]) / inside if spec and spec.submodule_search_locations else None
    if path is None or not path.is_file():
        raise ModelRepositoryError(f"The weights {weight} of the model {model} are missing: install the package again.")
    return path


def _fingerprint(files: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256()
    for part in [*(file.read_bytes() for file in files), *(word.encode() for word in words)]:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
