"""`signals up`, `down`, `status`: a stack that stays when the command and its terminal are gone."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from embedded import state_file
from embedded.cache import exclusive
from embedded.downloads import APICURIO, KAFKA, Progress, fetch
from embedded.errors import EmbeddedError
from embedded.platform_check import unsupported_reason
from embedded.process import log_tail
from embedded.stack import Report, State
from embedded.state_file import Identity, RunningServer, RunningStack

__all__ = ["Status", "down", "status", "up"]

STOP_SECONDS = 40.0
START_SECONDS = 240.0
LOOK_SECONDS = 0.1
PACKAGE_PARENT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Status:
    """The stack that runs, if one does."""

    stack: RunningStack | None

    @property
    def servers(self) -> list[RunningServer]:
        """Name, state, address and whether it is alive, of each; empty if no stack runs."""
        return self.stack.servers if self.stack else []

    def as_json(self) -> dict[str, Any]:
        """For programs; without a stack only {"running": false, "servers": []}."""
        if self.stack is None:
            return {"running": False, "servers": []}
        return {
            "running": True,
            "ready": self.stack.ready,
            "started_at": self.stack.started_at,
            "directory": str(self.stack.directory),
            "environment": self.stack.environment,
            "servers": [
                {"name": server.name, "state": server.state, "alive": server.alive, "address": server.address, "pid": server.pid}
                for server in self.servers
            ],
        }


def up(
    repository: Path,
    models: Sequence[str] | None = None,
    keep_data: bool = False,
    report: Report = lambda name, state: None,
    download_progress: Progress = lambda done, total, name: None,
) -> RunningStack:
    """The running stack of this machine's cache folder; starts it if there is none and returns when all is ready.

    One that runs is returned as it is, whatever its repository; one of which a server has died is ended and started anew.
    keep_data: a start finds the topics of the last time, else Kafka begins empty; schemas are gone in any case.
    Raises EmbeddedError if it cannot be started; then nothing is left running.
    """
    reason = unsupported_reason()
    if reason:
        raise EmbeddedError(reason)
    for lock in (KAFKA, APICURIO):
        fetch(lock, download_progress)
    folder = state_file.stack_folder()
    with exclusive(folder / "up.lock"):
        running = running_stack()
        if running is not None and running.ready and all(server.alive for server in running.servers):
            return running
        if running is not None:
            end(running.supervisor)
        clear(folder, keep_data)
        return wait_until_ready(spawn(repository.absolute(), models or [], folder), report)


def down() -> bool:
    """Ends the stack and returns when it is gone; False if none ran."""
    running = running_stack()
    if running is None:
        return False
    end(running.supervisor)
    state_file.forget()
    return True


def status() -> Status:
    """What runs here, ready or about to be, with each server alive or not. What a stack wrote that was killed is not believed."""
    return Status(running_stack())


def running_stack() -> RunningStack | None:
    found = state_file.read()
    return found if found is not None and found.supervisor.alive else None


def clear(folder: Path, keep_data: bool) -> None:
    """Removes what a stack left whose supervisor is gone: servers about to end, logs, and data unless they are wanted."""
    found = state_file.read()
    for server in found.servers if found else []:
        if server.process:
            end(server.process)
    state_file.forget()
    for log in folder.glob("*/*.log"):
        log.unlink()
    (folder / "supervisor.log").unlink(missing_ok=True)
    if not keep_data:
        shutil.rmtree(folder / "kafka", ignore_errors=True)


def spawn(repository: Path, models: Sequence[str], folder: Path) -> Identity:
    """Starts the supervisor in a session of its own, detached from us."""
    command = [sys.executable, "-m", "embedded.supervisor", str(repository), *models]
    with (folder / "supervisor.log").open("ab") as log:
        begun = subprocess.run(
            command,
            cwd=PACKAGE_PARENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            check=False,
        )
    try:
        return state_file.identity(int(begun.stdout))
    except (ValueError, psutil.NoSuchProcess) as error:
        raise gone(folder) from error


def wait_until_ready(supervisor: Identity, report: Report) -> RunningStack:
    """Follows what the supervisor writes down, and tells it; ends the supervisor if we are interrupted."""
    told: dict[str, str] = {}
    deadline = time.monotonic() + START_SECONDS
    try:
        while time.monotonic() < deadline:
            alive = supervisor.alive
            found = state_file.read()
            for server in found.servers if found else []:
                if told.get(server.name, State.STOPPED) != server.state:
                    report(server.name, State(server.state))
                    told[server.name] = server.state
            if found and found.ready:
                return found
            if not alive:
                raise EmbeddedError(found.failure) if found and found.failure else gone(state_file.stack_folder())
            time.sleep(LOOK_SECONDS)
        raise EmbeddedError(
            f"The servers were not ready within {START_SECONDS:.0f} s; their logs are in {state_file.stack_folder()}."
        )
    except BaseException:
        end(supervisor)
        state_file.forget()
        raise


def end(supervisor: Identity) -> None:
    """SIGTERM, and SIGKILL where that does not help: the servers end with their supervisor either way."""
    if not supervisor.alive:
        return
    process = psutil.Process(supervisor.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def gone(folder: Path) -> EmbeddedError:
    log = folder / "supervisor.log"
    return EmbeddedError(f"The process that runs the servers ended at once; its log is {log} and ends so:\n{log_tail(log)}")
