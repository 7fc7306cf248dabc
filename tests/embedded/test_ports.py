import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from embedded.ports import LOOPBACK, answers, first_ephemeral_port, free_ports


def test_distinct_and_free() -> None:
    """Ports are never given twice, and each can be listened on."""
    ports = [*free_ports(3), *free_ports(4), *free_ports(1)]
    assert len(set(ports)) == 8
    for port in ports:
        with socket.create_server((LOOPBACK, port)):
            pass


def test_no_port_of_outgoing_connections() -> None:
    """Where the system leaves room, no port is one that it gives to outgoing connections."""
    if first_ephemeral_port() >= 21000:
        assert max(free_ports(20)) < first_ephemeral_port()


def test_taken_ports_are_not_given() -> None:
    """A port somebody listens on is passed over."""
    with socket.create_server((LOOPBACK, 0)) as server:
        assert server.getsockname()[1] not in free_ports(20)


def test_answers() -> None:
    """An HTTP server answers where it says 200, not where it says another code, nor where nobody listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ready" else 503)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    (nobody,) = free_ports(1)
    with HTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert answers(server.server_port, "/ready")
        assert not answers(server.server_port, "/other")
        server.shutdown()
    assert not answers(nobody, "/ready", timeout_seconds=0.5)
