"""Free ports of this machine's loopback address."""

import http.client
import random
import socket
import threading
from pathlib import Path

__all__ = ["LOOPBACK", "answers", "free_ports"]

LOOPBACK = "127.0.0.1"
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 20000

_given: set[int] = set()
_lock = threading.Lock()


def free_ports(count: int) -> list[int]:
    """Distinct ports nobody listens on, none of which this process was given before.

    They lie below the range from which the system takes the local ports of outgoing connections, where there is room: else a
    client that tries again and again to reach a server while it restarts can be given the server's own port, connect to itself,
    and keep the server from coming back.
    """
    below = range(LOWEST_PORT, first_ephemeral_port())
    with _lock:
        candidates = random.sample(below, len(below)) if len(below) >= 1000 else []
        ports: list[int] = []
        for candidate in (*candidates, *[0] * 100 * count):
            port = bindable(candidate)
            if port is not None and port not in _given:
                _given.add(port)
                ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError(f"no {count} free ports were found on {LOOPBACK}")


def answers(port: int, path: str, timeout_seconds: float = 2.0) -> bool:
    """Whether an HTTP server on this port says 200 to a GET of this path; no proxy of the environment is asked."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            return answer.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def first_ephemeral_port() -> int:
    try:
        return int(EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return 32768


def bindable(port: int) -> int | None:
    """The port if it can be bound (0: one the system picks), else None."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
