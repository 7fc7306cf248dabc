"""The process that owns the stack of `signals up`: detached, ended by SIGTERM, writes down what it does (state_file.py).

    python -m embedded.supervisor REPOSITORY [MODEL…]

It prints its process id and has no terminal after that. The servers do not outlive it (process.py).
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from embedded import state_file
from embedded.errors import EmbeddedError
from embedded.stack import Stack, State
from embedded.state_file import RunningServer, RunningStack

__all__ = ["Supervisor", "main"]


class Supervisor:
    """Runs a stack until it is told to end; after a failed start the state file says why."""

    def __init__(self, repository: Path, models: Sequence[str] | None) -> None:
        self.directory = state_file.stack_folder()
        self.stack = Stack(self.directory, repository, models, report=self.note)
        self.states = dict.fromkeys(self.stack.servers, State.STOPPED)
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def run(self) -> None:
        self.write()
        try:
            with self.stack:
                threading.Event().wait()
        except EmbeddedError as error:
            self.write(str(error))
        except SystemExit:
            state_file.forget()
            raise

    def note(self, name: str, state: State) -> None:
        self.states[name] = state
        self.write()

    def write(self, failure: str | None = None) -> None:
        supervisor = state_file.identity(os.getpid())
        state_file.write(
            RunningStack(supervisor, self.started_at, self.directory, self.stack.environment(), self.servers(), failure)
        )

    def servers(self) -> list[RunningServer]:
        addresses = {"kafka": self.stack.kafka.brokers, "registry": self.stack.registry.url, "triton": self.stack.triton.grpc_url}
        found = []
        for name, server in self.stack.servers.items():
            pid = server.pid if self.states[name] is State.READY else None
            found.append(RunningServer(name, self.states[name], addresses[name], state_file.identity(pid) if pid else None))
        return found


def end_once(number: int, frame: FrameType | None) -> None:
    """Leaves the main thread's waiting, through the stack's own end; further signals do not disturb it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def detach() -> None:
    """Goes on in a child that nobody waits for; tells its process id, then lets go of the pipe it was told through."""
    if os.fork():
        os._exit(0)
    print(os.getpid(), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def main(arguments: list[str]) -> None:
    """Runs the servers until SIGTERM. arguments: the model repository, then the models to load, none for all."""
    detach()
    signal.signal(signal.SIGTERM, end_once)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    repository, *models = arguments
    Supervisor(Path(repository), models or None).run()


if __name__ == "__main__":
    main(sys.argv[1:])
