import hashlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedded.downloads import APICURIO, KAFKA, LOCKS_FOLDER, Artifact, fetch, fetch_artifacts, missing, read_lock
from embedded.errors import EmbeddedError
from embedded.ports import LOOPBACK, free_ports

CONTENTS = {f"org/example/part{n}/1.0/part{n}-1.0.jar": bytes([n]) * (n * 100_003) for n in range(1, 8)}
ARTIFACTS = [Artifact(hashlib.sha256(content).hexdigest(), len(content), path) for path, content in CONTENTS.items()]


@dataclass
class Repository:
    """A Maven repository on loopback that remembers requests (path, range) and can be told to misbehave."""

    contents: dict[str, bytes]
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut_after_bytes: int | None = None
    failures_left: int = 0
    knows_ranges: bool = True
    url: str = ""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    state = Repository(dict(CONTENTS))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, asked = self.path.removeprefix("/maven/"), self.headers["Range"]
            state.requests.append((path, asked))
            if state.failures_left:
                state.failures_left -= 1
                return self.send_error(503)
            content = state.contents.get(path)
            if content is None:
                return self.send_error(404)
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.knows_ranges else 0
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            self.wfile.write(content[begin:] if state.cut_after_bytes is None else content[begin : begin + state.cut_after_bytes])
            return None

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setenv("SIGNALS_CACHE_DIR", str(tmp_path / "cache"))
    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        state.url = f"http://{LOOPBACK}:{server.server_port}/maven"
        monkeypatch.setenv("SIGNALS_MAVEN_URL", state.url + "/")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state
        server.shutdown()


def silent(done: int, total: int, name: str) -> None:
    """A progress callback for those who do not look."""


@pytest.mark.parametrize("lock", [KAFKA, APICURIO])
def test_locks_are_whole(lock: str) -> None:
    """Each line of a lock is a SHA-256, a size and a relative path, none twice, and no address."""
    artifacts = read_lock(lock)
    assert len({artifact.path for artifact in artifacts}) == len(artifacts) >= 1
    for artifact in artifacts:
        assert re.fullmatch("[0-9a-f]{64}", artifact.sha256)
        assert artifact.size_bytes > 1000
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+", artifact.path)
        assert ".." not in artifact.path
    assert "://" not in (LOCKS_FOLDER / f"{lock}.lock").read_text()


def test_fetches_all(repository: Repository) -> None:
    """All files arrive with the right content, in the lock's order, and progress ends at the total."""
    told: list[tuple[int, int, str]] = []
    files = fetch_artifacts(ARTIFACTS, lambda *report: told.append(report))
    assert [file.read_bytes() for file in files] == list(CONTENTS.values())
    total = sum(map(len, CONTENTS.values()))
    assert told[-1][:2] == (total, total)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {name for _, _, name in told} == {artifact.name for artifact in ARTIFACTS}


def test_nothing_to_do(repository: Repository) -> None:
    """A second call asks the repository nothing."""
    fetch_artifacts(ARTIFACTS, silent)
    repository.requests.clear()
    fetch_artifacts(ARTIFACTS, lambda done, total, name: pytest.fail("progress although nothing is missing"))
    assert repository.requests == []
    assert missing(ARTIFACTS) == []


def test_goes_on_where_it_stopped(repository: Repository) -> None:
    """Of a file that was interrupted only the rest is asked for."""
    artifact = ARTIFACTS[-1]
    artifact.part.parent.mkdir(parents=True)
    artifact.part.write_bytes(CONTENTS[artifact.path][:1234])
    (file,) = fetch_artifacts([artifact], silent)
    assert file.read_bytes() == CONTENTS[artifact.path]
    assert repository.requests == [(artifact.path, "bytes=1234-")]


def test_starts_over_where_ranges_are_unknown(repository: Repository) -> None:
    """A server that sends the whole file instead of a range is understood."""
    repository.knows_ranges = False
    artifact = ARTIFACTS[0]
    artifact.part.parent.mkdir(parents=True)
    artifact.part.write_bytes(b"beginning")
    (file,) = fetch_artifacts([artifact], silent)
    assert file.read_bytes() == CONTENTS[artifact.path]


def test_cut_connections_are_taken_up(repository: Repository) -> None:
    """A connection that breaks in the middle is tried again, from the middle."""
    artifact = ARTIFACTS[0]
    repository.cut_after_bytes = artifact.size_bytes // 2 + 1
    (file,) = fetch_artifacts([artifact], silent)
    assert file.read_bytes() == CONTENTS[artifact.path]
    assert [asked for _, asked in repository.requests] == [None, f"bytes={artifact.size_bytes // 2 + 1}-"]


def test_passing_failures_are_tried_again(repository: Repository) -> None:
    """A 503 is not the end."""
    repository.failures_left = 1
    fetch_artifacts(ARTIFACTS[:1], silent)
    assert len(repository.requests) == 2


def test_wrong_content(repository: Repository) -> None:
    """A file with another checksum is refused by name, nothing of it stays, and the next try is free to succeed."""
    artifact = replace(ARTIFACTS[0], sha256="0" * 64)
    with pytest.raises(EmbeddedError, match=r"part1-1\.0\.jar from .* is not the file that is pinned.*SIGNALS_MAVEN_URL"):
        fetch_artifacts([artifact], silent)
    assert not artifact.file.exists()
    assert not artifact.part.exists()
    fetch_artifacts(ARTIFACTS[:1], silent)


def test_unknown_file(repository: Repository) -> None:
    """A repository without the file is named with its answer."""
    del repository.contents[ARTIFACTS[0].path]
    with pytest.raises(EmbeddedError, match=r"answered 404 .* for org/example/part1/1\.0/part1-1\.0\.jar; set SIGNALS_MAVEN_URL"):
        fetch_artifacts(ARTIFACTS, silent)


def test_no_network(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, the sentence names file, address and what to look at."""
    (nobody,) = free_ports(1)
    monkeypatch.setenv("SIGNALS_MAVEN_URL", f"http://{LOOPBACK}:{nobody}")
    with pytest.raises(
        EmbeddedError, match=rf"part1-1\.0\.jar could not be fetched from http://{LOOPBACK}:{nobody} .*check the network"
    ):
        fetch_artifacts(ARTIFACTS[:1], silent)


def test_two_at_once(repository: Repository) -> None:
    """Two that fetch the same at the same time ask for each file once."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: fetch_artifacts(ARTIFACTS, silent), range(2))
    assert first == second
    assert sorted(path for path, _ in repository.requests) == sorted(CONTENTS)


def test_unpinned_address(repository: Repository) -> None:
    """A mirror that lacks Kafka is told so with its own address: the variable is what counts."""
    with pytest.raises(EmbeddedError, match=re.escape(repository.url)):
        fetch(KAFKA)
