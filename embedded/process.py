"""A server as a child process: its log, its readiness, its end; it never outlives the process that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from embedded.errors import EmbeddedError

__all__ = ["ServerProcess", "log_tail"]

GUARDIAN = Path(__file__).with_name("guardian.py")
LOG_TAIL_LINES = 20


class ServerProcess:
    """One server under a guardian (see guardian.py) that ends it when this process ends, even by SIGKILL.

    name: for sentences. command, environment: of the server; the environment replaces ours. log: its output is appended to
    this file. grace_seconds: from SIGTERM to SIGKILL. leftovers: a glob of files removed after its end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        log: Path,
        grace_seconds: float = 10.0,
        leftovers: str = "",
    ) -> None:
        self.name = name
        self.log = log
        self.pid: int | None = None
        self._command = [sys.executable, "-I", "-S", str(GUARDIAN), str(grace_seconds), leftovers, *map(str, command)]
        self._environment = dict(environment)
        self._grace_seconds = grace_seconds
        self._guardian: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether it was started and neither it nor its guardian has ended."""
        return self._guardian is not None and self._guardian.poll() is None

    def start(self) -> None:
        """Starts it; does not wait until it is ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._guardian = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._guardian.stdout is not None
        with self._guardian.stdout as answer:
            line = answer.readline()
        if not line:
            self.stop()
            raise self._failed("could not be started")
        self.pid = int(line)

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float, poll_seconds: float = 0.1) -> None:
        """Returns when `ready` says so. Raises EmbeddedError with the end of the log if it dies or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.running:
                self.stop()
                raise self._failed("ended while it started")
            if time.monotonic() > deadline:
                self.stop()
                raise self._failed(f"was not ready within {timeout_seconds:.0f} s")
            time.sleep(poll_seconds)

    def stop(self) -> None:
        """Asks it to end, insists after the grace period, and returns when it is gone; nothing happens if it already is."""
        with self._stopping:
            if self._guardian is None:
                return
            if self._guardian.stdin is not None:
                self._guardian.stdin.close()
            try:
                self._guardian.wait(self._grace_seconds + 5)
            except subprocess.TimeoutExpired:
                self.kill()
            self.pid = None

    def kill(self) -> None:
        """Ends it and its own children with SIGKILL, as a crash would, and returns when it is gone."""
        if self._guardian is None:
            return
        if self.running and self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._guardian.wait()
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()
        self.pid = None

    def _failed(self, what: str) -> EmbeddedError:
        return EmbeddedError(f"{self.name} {what}; its log is {self.log} and ends so:\n{log_tail(self.log)}")


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log file, or a word that it is empty."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
