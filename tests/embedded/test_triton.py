import itertools
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from embedded.triton import assemble_backend, load_failure
from embedded.triton_leftovers import PATTERN, SHM_FOLDER, STUB, region_prefix, remove_abandoned, remove_leftovers

VERSIONS = "at least one version must be available under the version policy of model 'bare'"
LINES = [
    (
        "E1124 19:19:55.1 32 lifecycle.cc:654] \"failed to load 'tags' version 1: Internal: ValueError: no weights\\n\\nAt:\"",
        "tags: Internal: ValueError: no weights",
    ),
    (
        "E1124 19:21:13.1 7 repository.cc:1415] \"failed to poll model 'nowhere': model not found in any model repository.\"",
        "nowhere: model not found in any model repository",
    ),
    (
        "E1124 19:21:14.5 7 \"Poll failed for model directory 'typo': failed to read text proto from /r/config\"",
        "typo: failed to read text proto from /r/config",
    ),
    (f"E1124 19:21:15.9 8 repository.cc:724] \"failed to load model 'bare': {VERSIONS}\"", f"bare: {VERSIONS}"),
]


@pytest.mark.parametrize(("line", "told"), LINES)
def test_load_failure(tmp_path: Path, line: str, told: str) -> None:
    """The model and Triton's first line of the reason are taken from its log."""
    log = tmp_path / "triton.log"
    log.write_text(f"I1124 something else\n{line}\nerror: creating server: Internal - failed to load all models\n")
    assert str(load_failure(log, 0)) == f"Triton could not load {told}; its log is {log}"


def test_all_failures_of_this_start(tmp_path: Path) -> None:
    """All models that failed are named, but not those of an earlier start in the same log."""
    log = tmp_path / "triton.log"
    log.write_text("\n".join(line for line, _ in LINES))
    began = log.read_text().index("E1124 19:21:14")
    error = str(load_failure(log, began))
    assert "typo" in error
    assert "bare" in error
    assert "tags" not in error
    assert "nowhere" not in error


def test_no_failure(tmp_path: Path) -> None:
    """A log without failures, and no log at all, name no model."""
    log = tmp_path / "triton.log"
    assert load_failure(log, 0) is None
    log.write_text("I1124 19:19:56.7 32 model_lifecycle.cc:624] \"successfully unloaded 'adder' version 1\"\n")
    assert load_failure(log, 0) is None


def test_backend_is_put_together(tmp_path: Path) -> None:
    """The backend's folder holds the shared library, the module of utilities and the stub of the asked Python, executable."""
    wheel = tmp_path / "wheel"
    for file in (
        "backends/python/libtriton_python.so",
        "backends/python/triton_python_backend_utils.py",
        f"python_backend_stubs/3.12/{STUB}",
    ):
        (wheel / file).parent.mkdir(parents=True, exist_ok=True)
        (wheel / file).write_text(file)
    assemble_backend(wheel, "3.12", tmp_path / "backends")
    assert sorted(file.name for file in (tmp_path / "backends/python").iterdir()) == sorted(
        ["libtriton_python.so", "triton_python_backend_utils.py", STUB]
    )
    assert os.access(tmp_path / "backends/python" / STUB, os.X_OK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backends", "wheel"]


def test_prefixes_name_the_process() -> None:
    """Prefixes are new each time and tell whose they are."""
    first, second = region_prefix(), region_prefix()
    assert first != second
    for prefix in (first, second):
        found = PATTERN.fullmatch(prefix)
        assert found is not None
        assert int(found["pid"]) == os.getpid()


def test_abandoned_regions_and_stubs_go(tmp_path: Path) -> None:
    """What a dead process left is ended and removed; what belongs to a living one stays, and so does what is not ours."""
    dead_pid = next(pid for pid in itertools.count(4_000_000) if not psutil.pid_exists(pid))
    abandoned, ours, foreign = f"content_signals_{dead_pid}_170000000000_0_", region_prefix(), "other_region_of_a_test_"
    stub = tmp_path / STUB
    stub.symlink_to(sys.executable)
    regions = [SHM_FOLDER / f"{prefix}{os.getpid()}" for prefix in (abandoned, ours, foreign)]
    sleepers = [subprocess.Popen([stub, "-c", "import time; time.sleep(600)", region.name]) for region in regions]
    try:
        for region in regions:
            region.write_bytes(b"")
        remove_abandoned()
        assert [region.exists() for region in regions] == [False, True, True]
        assert sleepers[0].wait(10) == -9
        assert [sleeper.poll() for sleeper in sleepers[1:]] == [None, None]
        remove_leftovers(ours)
        assert [region.exists() for region in regions] == [False, False, True]
        assert sleepers[1].wait(10) == -9
    finally:
        for region in regions:
            region.unlink(missing_ok=True)
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
