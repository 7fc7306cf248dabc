import subprocess
import sys
import threading
from pathlib import Path

import pytest

from embedded.cache import cache_folder, exclusive
from embedded.errors import EmbeddedError


def test_moved_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGNALS_CACHE_DIR moves the cache, and the folder is made."""
    monkeypatch.setenv("SIGNALS_CACHE_DIR", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    assert cache_folder().is_dir()


def test_by_convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the cache lies where the platform keeps caches."""
    monkeypatch.delenv("SIGNALS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "content-signals"


def test_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be made is named, with the variable that moves it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIGNALS_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(EmbeddedError, match=r"file/cache cannot be made .*SIGNALS_CACHE_DIR"):
        cache_folder()


def test_one_at_a_time(tmp_path: Path) -> None:
    """A lock that is held keeps another thread waiting, which is told so, until it is given back."""
    waited = threading.Event()
    entered = threading.Event()

    def second() -> None:
        with exclusive(tmp_path / "lock", waited.set, poll_seconds=0.01):
            entered.set()

    thread = threading.Thread(target=second)
    with exclusive(tmp_path / "lock"):
        thread.start()
        assert waited.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_given_back_by_death(tmp_path: Path) -> None:
    """The lock of a process that was killed is free."""
    code = f"""
import os, pathlib
from embedded.cache import exclusive
with exclusive(pathlib.Path({str(tmp_path / "lock")!r})):
    os.kill(os.getpid(), 9)
"""
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == -9
    with exclusive(tmp_path / "lock", lambda: pytest.fail("the lock was still held")):
        pass
