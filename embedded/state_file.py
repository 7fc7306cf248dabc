"""What is written down about the stack that `signals up` keeps running: one JSON file, replaced as a whole at each change."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from embedded.cache import cache_folder

__all__ = ["Identity", "RunningServer", "RunningStack", "forget", "identity", "read", "stack_folder", "write"]


@dataclass(frozen=True)
class Identity:
    """A process for good: ids are used again, ids with start times (seconds since 1970) are not."""

    pid: int
    created: float

    @property
    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 0.02 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True)
class RunningServer:
    """One server: state as in stack.State; address for clients; its process while it is up."""

    name: str
    state: str
    address: str
    process: Identity | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        """Whether the process that was ready is still the one that runs."""
        return self.process is not None and self.process.alive


@dataclass(frozen=True)
class RunningStack:
    """The whole: its supervisor's process, when it was started (ISO 8601, UTC), how clients find it, where data and logs lie.

    failure: the sentence with which its start ended, or None.
    """

    supervisor: Identity
    started_at: str
    directory: Path
    environment: dict[str, str]
    servers: list[RunningServer] = field(default_factory=list)
    failure: str | None = None

    @property
    def ready(self) -> bool:
        """Whether all servers came up; they may have died since."""
        return bool(self.servers) and all(server.state == "ready" for server in self.servers)


def identity(pid: int) -> Identity:
    """Of a process that lives. Raises psutil.NoSuchProcess."""
    return Identity(pid, psutil.Process(pid).create_time())


def stack_folder() -> Path:
    """Where data, logs and the state file of the stack lie: one stack per cache folder."""
    return cache_folder() / "up"


def write(stack: RunningStack) -> None:
    """Replaces what was written."""
    file = state_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(asdict(stack), default=str, indent=1))
    unfinished.replace(file)


def read() -> RunningStack | None:
    """What is written, true or not any more; None if nothing is."""
    try:
        fields = json.loads(state_file().read_text())
    except FileNotFoundError:
        return None
    servers = [RunningServer(**(server | {"process": identity_of(server["process"])})) for server in fields["servers"]]
    return RunningStack(
        **(fields | {"supervisor": Identity(**fields["supervisor"]), "directory": Path(fields["directory"]), "servers": servers})
    )


def forget() -> None:
    """Removes the file."""
    state_file().unlink(missing_ok=True)


def state_file() -> Path:
    return stack_folder() / "state.json"


def identity_of(fields: dict[str, Any] | None) -> Identity | None:
    return Identity(**fields) if fields else None
