"""Runs one server and ends it when the process that wanted it is gone, even if that one was killed with SIGKILL.

    python -I -S guardian.py GRACE_SECONDS LEFTOVERS COMMAND…

Standard input is a pipe that nobody writes to: its end says that the owner has closed it or is dead. Then the server gets
SIGTERM, and after GRACE_SECONDS its whole process group SIGKILL. Files that match LEFTOVERS are removed at the end (a path whose
last part is a glob; empty for none). The server's process id is written to standard output; its own output to standard error. If
this process is killed itself, the system kills the server. Exit code: the server's, or 128 + the signal that ended it.

A program of its own with nothing but the standard library: it has one thread, so that the kernel's parent-death signal, which
is tied to a thread, is reliable here, and it costs 10 MB and 30 ms.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["main"]

PR_SET_PDEATHSIG = 1  # prctl(2)
LOOK_SECONDS = 0.25


def main(grace_seconds: float, leftovers: str, command: list[str]) -> int:
    """Runs the command until it ends or nobody wants it any more; returns its exit code."""
    asked_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: asked_to_end.append(number))
    owner = os.getppid()
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0, preexec_fn=die_with_parent(os.getpid())
    )
    try:
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), f"{server.pid}\n".encode())
        while server.poll() is None and not asked_to_end and os.getppid() == owner and not owner_is_gone():
            pass
        end(server, grace_seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        if leftovers:
            for file in Path(leftovers).parent.glob(Path(leftovers).name):
                file.unlink(missing_ok=True)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def die_with_parent(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the server: asks the kernel for SIGKILL at its parent's death."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def ask() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def owner_is_gone() -> bool:
    """Whether standard input has ended; waits for that for a short while."""
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], LOOK_SECONDS)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1024)


def end(server: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    """SIGTERM, then SIGKILL after the grace period."""
    server.terminate()
    try:
        server.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
