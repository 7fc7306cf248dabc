import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from embedded.errors import EmbeddedError
from embedded.process import ServerProcess, log_tail

ROOT = Path(__file__).resolve().parents[2]
READY = "import sys, time, subprocess; print('up', flush=True)\n"
FOREVER = READY + "time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
CHILD = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
WITH_CHILD = READY + CHILD + "print(child.pid, flush=True); time.sleep(600)"


def server(folder: Path, code: str, grace_seconds: float = 5.0, leftovers: str = "") -> ServerProcess:
    return ServerProcess("The test server", [sys.executable, "-c", code], os.environ, folder / "log", grace_seconds, leftovers)


def said_up(process: ServerProcess) -> Callable[[], bool]:
    return lambda: "up" in log_tail(process.log)


def gone(pid: int, within_seconds: float = 10.0) -> bool:
    """Whether a process ends in time; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_start_and_stop(tmp_path: Path) -> None:
    """A server is started with its output in its log, and stopped by SIGTERM; stopping again does nothing."""
    process = server(tmp_path, FOREVER)
    process.stop()
    process.start()
    process.wait_until(said_up(process), 20)
    pid = process.pid
    assert process.running
    assert pid is not None
    assert psutil.pid_exists(pid)
    process.stop()
    process.stop()
    assert not process.running
    assert gone(pid, 0.5)


def test_restart(tmp_path: Path) -> None:
    """It can be started again after stop() and after kill(), with its log continued."""
    process = server(tmp_path, FOREVER)
    for end in (process.stop, process.kill, process.kill):
        process.start()
        process.wait_until(said_up(process), 20)
        end()
        assert process.pid is None
    process.kill()


def test_stubborn(tmp_path: Path) -> None:
    """One that ignores SIGTERM is killed after the grace period."""
    process = server(tmp_path, STUBBORN, grace_seconds=0.5)
    process.start()
    process.wait_until(said_up(process), 20)
    began = time.monotonic()
    process.stop()
    assert 0.4 < time.monotonic() - began < 5


def test_death_while_starting(tmp_path: Path) -> None:
    """One that dies is noticed at once, and the sentence shows the end of its log."""
    process = server(tmp_path, "import sys; sys.exit('no such model')")
    process.start()
    began = time.monotonic()
    with pytest.raises(
        EmbeddedError, match=r"(?s)The test server ended while it started; its log is .*/log and ends so:\nno such model"
    ):
        process.wait_until(lambda: False, 60)
    assert time.monotonic() - began < 10


def test_never_ready(tmp_path: Path) -> None:
    """One that does not become ready in time is ended, and the sentence says so."""
    process = server(tmp_path, FOREVER)
    process.start()
    with pytest.raises(EmbeddedError, match="The test server was not ready within 1 s"):
        process.wait_until(lambda: False, 1)
    assert not process.running


def test_no_such_program(tmp_path: Path) -> None:
    """A program that is not there is said to be so."""
    process = ServerProcess("The test server", [tmp_path / "nothing"], os.environ, tmp_path / "log")
    with pytest.raises(EmbeddedError, match=r"(?s)could not be started.*No such file"):
        process.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_children_go_with_it(tmp_path: Path, how: str) -> None:
    """The server's own children end with it, and its leftovers are removed."""
    (tmp_path / "region_1").write_text("")
    (tmp_path / "other").write_text("")
    process = server(tmp_path, WITH_CHILD, leftovers=str(tmp_path / "region_*"))
    process.start()
    process.wait_until(lambda: len(log_tail(process.log).split()) == 2, 20)
    child = int(log_tail(process.log).split()[1])
    getattr(process, how)()
    assert gone(child)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "other"]


def test_owner_killed(tmp_path: Path) -> None:
    """When the process that started it is killed with SIGKILL, server and children end and leftovers are removed, although the
    server was started from a thread, and although a forked child of the owner lives on with all its pipes."""
    (tmp_path / "region_1").write_text("")
    code = f"""
import os, sys, threading, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_process
process = test_process.server(Path({str(tmp_path)!r}), test_process.WITH_CHILD, leftovers={str(tmp_path / "region_*")!r})
starting = threading.Thread(target=process.start)
starting.start()
starting.join()
process.wait_until(lambda: len(test_process.log_tail(process.log).split()) == 2, 20)
bystander = os.fork()
if bystander:
    print(process.pid, bystander, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        pid, bystander = map(int, owner.stdout.readline().split())
        child = int(log_tail(tmp_path / "log").split()[1])
        owner.kill()
        try:
            assert gone(pid)
            assert gone(child)
            assert not (tmp_path / "region_1").exists()
            assert psutil.pid_exists(bystander)
        finally:
            os.kill(bystander, signal.SIGKILL)


def test_guardian_killed(tmp_path: Path) -> None:
    """When the guardian itself is killed the server ends all the same."""
    process = server(tmp_path, FOREVER)
    process.start()
    process.wait_until(said_up(process), 20)
    pid = process.pid
    assert pid is not None
    guardian = psutil.Process(pid).parent()
    assert guardian is not None
    guardian.kill()
    assert gone(pid)
    assert not process.running
    process.stop()


def test_log_tail(tmp_path: Path) -> None:
    """The tail is the last lines; a log that is empty or not there is said to be empty."""
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(100)))
    assert log_tail(tmp_path / "log", 2) == "line 98\nline 99"
    assert log_tail(tmp_path / "none") == "(empty)"
