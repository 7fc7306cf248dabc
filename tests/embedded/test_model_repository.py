"""Building a model repository: what is in it, when nothing is done, what a failure leaves behind.

The models here have exports that take no time; those of `triton_models/` are built where a Triton serves them.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.model_repository import MANIFEST, ModelRepositoryError, build, read_manifest

ROOT = Path(__file__).resolve().parents[2]

EXPORT = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
(out / "model.onnx").write_bytes(b"graph of NAME")
(out / "export.json").write_text(json.dumps({"opset": 18, "parity": {"b1": 2e-7}}))
print("NAME: good")
"""
DECLARATION = """
[origin]
title = "The NAME"
packages = ["numpy"]
tools = ["pytest"]
weights = ["numpy/version.py"]
code_licence = "MIT"
weights_licence = "Apache-2.0"
[embedded]
threads = 1
arena = true
pad = { ids = 0 }
[gpu]
tensorrt = false
"""
CONFIG = """
name: "NAME"
max_batch_size: 4
input [ { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] } ]
output [ { name: "sum" data_type: TYPE_FP32 dims: [ 1 ] } ]
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder such as triton_models with two small models, red and blue."""
    folder = tmp_path / "sources"
    for name in ("red", "blue"):
        (folder / name).mkdir(parents=True)
        for file, text in (("export.py", EXPORT), ("model.toml", DECLARATION), ("config.pbtxt", CONFIG)):
            (folder / name / file).write_text(text.replace("NAME", name))
    (folder / "onnx_export.py").write_text("")
    (folder / "onnx_backend.py").write_text("# the backend")
    return folder


class Steps(list[str]):
    """What a build says that it does."""

    def __call__(self, what: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.append(what)

    @property
    def exported(self) -> set[str]:
        return {step.removeprefix("exported ") for step in self if step.startswith("exported ")}


def files_of(repository: Path) -> set[str]:
    return {str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file()}


def test_a_repository_has_what_triton_and_people_need(sources: Path, tmp_path: Path) -> None:
    """Configuration, graph and backend of each model, and a manifest that says where they come from."""
    repository = build(tmp_path / "models", "embedded", sources_folder=sources)
    per_model = {"config.pbtxt", "1/model.onnx", "1/model.py"}
    assert files_of(repository) == {MANIFEST} | {f"{name}/{file}" for name in ("red", "blue") for file in per_model}
    manifest = read_manifest(repository)
    assert manifest is not None
    red = manifest["models"]["red"]
    import numpy as np

    assert (red["source_package"], red["source_version"]) == ("numpy", np.__version__)
    assert (red["code_licence"], red["weights_licence"]) == ("MIT", "Apache-2.0")
    assert red["onnx_sha256"] == hashlib.sha256(b"graph of red").hexdigest()
    weights = Path(np.__file__).parent / "version.py"
    assert red["weights_sha256"] == {"numpy/version.py": hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert (red["opset"], red["parity"]) == (18, {"b1": 2e-7})


def test_two_builds_of_the_same_sources_are_the_same(sources: Path, tmp_path: Path) -> None:
    """The manifest holds no date and no path."""
    first, second = (build(tmp_path / name, "embedded", sources_folder=sources) / MANIFEST for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path) not in first.read_text()


def test_the_gpu_profile_needs_no_model_py(sources: Path, tmp_path: Path) -> None:
    """NVIDIA's backend runs the graph itself."""
    repository = build(tmp_path / "models", "gpu", sources_folder=sources)
    assert files_of(repository) == {MANIFEST, *(f"{n}/{f}" for n in ("red", "blue") for f in ("config.pbtxt", "1/model.onnx"))}


def test_an_up_to_date_repository_is_left_alone(sources: Path, tmp_path: Path) -> None:
    """The second build does nothing and says nothing, and files of Triton's own do not disturb it."""
    repository, steps = build(tmp_path / "models", "embedded", sources_folder=sources), Steps()
    before = (repository / MANIFEST).stat()
    (repository / "red" / "1" / "__pycache__").mkdir()
    build(repository, "embedded", progress=steps, sources_folder=sources)
    assert steps == []
    assert (repository / MANIFEST).stat().st_ino == before.st_ino


@pytest.mark.parametrize("changed", ["red/config.pbtxt", "onnx_backend.py"])
def test_what_is_served_changes_without_a_new_export(sources: Path, tmp_path: Path, changed: str) -> None:
    """A change of configuration or backend reaches the repository, and the graphs stay."""
    repository, steps = build(tmp_path / "models", "embedded", sources_folder=sources), Steps()
    text = (sources / changed).read_text()
    (sources / changed).write_text(text.replace("max_batch_size: 4", "max_batch_size: 8").replace("# the", "# another"))
    build(repository, "embedded", progress=steps, sources_folder=sources)
    assert steps.exported == set()
    served = (repository / "red" / "config.pbtxt").read_text() + (repository / "red" / "1" / "model.py").read_text()
    assert "max_batch_size: 8" in served or "# another" in served


@pytest.mark.parametrize(("changed", "again"), [("red/export.py", {"red"}), ("onnx_export.py", {"red", "blue"})])
def test_a_changed_export_runs_again_and_no_other(sources: Path, tmp_path: Path, changed: str, again: set[str]) -> None:
    """A model's own script concerns it alone, the shared code concerns all."""
    repository, steps = build(tmp_path / "models", "embedded", sources_folder=sources), Steps()
    with (sources / changed).open("a") as script:
        script.write("\n# changed\n")
    build(repository, "embedded", progress=steps, sources_folder=sources)
    assert steps.exported == again


def test_another_version_of_a_package_asks_for_a_new_export(sources: Path, tmp_path: Path) -> None:
    """What the manifest says of a package is compared with what is installed."""
    repository, steps = build(tmp_path / "models", "embedded", sources_folder=sources), Steps()
    manifest = json.loads((repository / MANIFEST).read_text())
    manifest["models"]["red"]["packages"]["numpy"] = "1.0"
    (repository / MANIFEST).write_text(json.dumps(manifest))
    build(repository, "embedded", progress=steps, sources_folder=sources)
    assert steps.exported == {"red"}


def test_a_finished_repository_serves_without_the_packages_of_its_export(sources: Path, tmp_path: Path) -> None:
    """A package that is not installed (any more) asks for no new export."""
    repository, steps = build(tmp_path / "models", "embedded", sources_folder=sources), Steps()
    declaration = sources / "red" / "model.toml"
    declaration.write_text(declaration.read_text().replace('["numpy"]', '["numpy", "no-such-package"]'))
    manifest = json.loads((repository / MANIFEST).read_text())
    from embedded.model_sources import chosen

    (red,) = chosen(["red"], sources)
    manifest["models"]["red"] |= {
        "packages": {**manifest["models"]["red"]["packages"], "no-such-package": "3.1"},
        "export_fingerprint": red.export_fingerprint,
        "serving_fingerprint": red.serving_fingerprint("embedded"),
    }
    (repository / MANIFEST).write_text(json.dumps(manifest))
    build(repository, "embedded", progress=steps, sources_folder=sources)
    assert steps == []


def test_a_damaged_graph_is_exported_again(sources: Path, tmp_path: Path) -> None:
    """A file that was cut short is noticed by its size."""
    repository, steps = build(tmp_path / "models", "embedded", sources_folder=sources), Steps()
    (repository / "red" / "1" / "model.onnx").write_bytes(b"graph")
    build(repository, "embedded", progress=steps, sources_folder=sources)
    assert steps.exported == {"red"}
    assert (repository / "red" / "1" / "model.onnx").read_bytes() == b"graph of red"


def test_models_that_are_there_stay_when_one_more_is_asked_for(sources: Path, tmp_path: Path) -> None:
    """Building one model adds it; it takes none away and exports no other."""
    repository, steps = build(tmp_path / "models", "embedded", ["red"], sources_folder=sources), Steps()
    assert set(read_manifest(repository)["models"]) == {"red"}
    build(repository, "embedded", ["blue"], steps, sources_folder=sources)
    assert steps.exported == {"blue"}
    assert set(read_manifest(repository)["models"]) == {"red", "blue"}
    assert (repository / "red" / "1" / "model.onnx").is_file()


def test_a_failed_export_says_why_and_leaves_the_old_repository(sources: Path, tmp_path: Path) -> None:
    """The last line of the export is in the sentence, nothing half-built stays, and what served still serves."""
    repository = build(tmp_path / "models", "embedded", sources_folder=sources)
    before = files_of(repository)
    (sources / "red" / "export.py").write_text("import sys\nprint('differs by 0.3')\nsys.exit(1)")
    with pytest.raises(ModelRepositoryError, match=r"The export of red ended with code 1: differs by 0\.3"):
        build(repository, "embedded", sources_folder=sources)
    assert files_of(repository) == before
    assert {path.name for path in tmp_path.iterdir()} == {"sources", "models", ".models.lock"}


def test_a_missing_package_is_named_with_the_way_to_get_it(sources: Path, tmp_path: Path) -> None:
    """Before anything runs, the sentence names the packages and the extra."""
    declaration = sources / "red" / "model.toml"
    declaration.write_text(declaration.read_text().replace('["numpy"]', '["numpy", "no-such-package"]'))
    with pytest.raises(ModelRepositoryError) as error:
        build(tmp_path / "models", "embedded", sources_folder=sources)
    assert "no-such-package" in str(error.value)
    assert "pip install 'content-signals[models]'" in str(error.value)


def test_an_unknown_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """It says which models there are."""
    with pytest.raises(ModelRepositoryError, match=r"There is no model 'tags'; there are .*image_tags"):
        build(tmp_path / "models", "embedded", ["tags"])
    assert not (tmp_path / "models").exists()


def test_the_parent_never_imports_torch() -> None:
    """A person who only looks whether models are there does not wait for torch, numpy or protobuf."""
    code = "import sys, embedded.model_repository; print({'torch', 'numpy', 'onnx', 'google.protobuf'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
