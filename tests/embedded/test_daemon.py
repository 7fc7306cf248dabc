import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from embedded import daemon, state_file
from embedded.state_file import Identity, RunningServer, RunningStack, identity

DEAD = Identity(pid=os.getpid(), created=1.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALS_CACHE_DIR", str(tmp_path))


def stack(supervisor: Identity, state: str = "ready") -> RunningStack:
    servers = [
        RunningServer("kafka", state, "127.0.0.1:1", identity(os.getpid())),
        RunningServer("registry", state, "http://127.0.0.1:2", DEAD),
        RunningServer("triton", state, "127.0.0.1:3"),
    ]
    environment = {"SIGNALS_KAFKA_BROKERS": "127.0.0.1:1"}
    return RunningStack(supervisor, "2026-01-01T00:00:00+00:00", state_file.stack_folder(), environment, servers)


def test_nothing_runs() -> None:
    """Without a state file nothing runs, and there is nothing to end."""
    assert daemon.status().servers == []
    assert daemon.status().as_json() == {"running": False, "servers": []}
    assert daemon.down() is False


def test_written_and_read() -> None:
    """What is written down is read as it was."""
    written = stack(identity(os.getpid()))
    state_file.write(written)
    assert state_file.read() == written
    assert written.ready
    assert not replace(written, servers=[]).ready
    assert not stack(DEAD, "starting").ready


def test_each_server_alive_or_not() -> None:
    """A server is alive if the very process that was ready still runs: not one that took over its id."""
    state_file.write(stack(identity(os.getpid())))
    assert [server.alive for server in daemon.status().servers] == [True, False, False]
    as_json = daemon.status().as_json()
    assert as_json["running"]
    assert [server["alive"] for server in as_json["servers"]] == [True, False, False]


def test_stale_state_is_not_believed() -> None:
    """A state whose supervisor is gone, though another process has its id now, is none, and nothing is ended for it."""
    state_file.write(stack(DEAD))
    assert daemon.status().servers == []
    assert daemon.down() is False


def test_down_ends_the_right_process() -> None:
    """down() ends the supervisor that is written down and forgets it."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as supervisor:
        state_file.write(stack(identity(supervisor.pid)))
        assert daemon.down() is True
        assert not state_file.state_file().exists()
        assert daemon.down() is False


def test_a_zombie_is_not_alive() -> None:
    """A process that ended and waits to be reaped does not count."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        found = identity(process.pid)
        assert found.alive
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not found.alive
