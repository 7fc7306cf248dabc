"""Fetches the servers' files named in a lock: in parallel, resumable, each checked by size and SHA-256.

A lock is a text file in embedded/locks with a line `sha256 size path` per file; the path is that of the Maven repository layout.
SIGNALS_MAVEN_URL names a mirror; without it Maven Central is used, at the address the package maven-artifact knows.
"""

import hashlib
import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from embedded.cache import cache_folder, exclusive
from embedded.errors import EmbeddedError

__all__ = ["APICURIO", "KAFKA", "Artifact", "Progress", "fetch", "missing", "read_lock"]

LOCKS_FOLDER = Path(__file__).parent / "locks"
KAFKA = "kafka-4.3.1"
APICURIO = "apicurio-3.3.3"

THREADS = 6
ATTEMPTS = 4
CHUNK_BYTES = 1 << 18
SILENCE_SECONDS = 30.0

Progress = Callable[[int, int, str], None]
"""Called with (bytes done, bytes in all, name of the file that moved); from several threads, one at a time."""


@dataclass(frozen=True)
class Artifact:
    """One line of a lock. path: POSIX, relative, in the layout of a Maven repository; size_bytes and sha256 of its content."""

    sha256: str
    size_bytes: int
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def file(self) -> Path:
        """Where it lies once fetched."""
        return cache_folder() / "maven" / self.path

    @property
    def part(self) -> Path:
        return self.file.with_name(self.name + ".part")


def read_lock(name: str) -> list[Artifact]:
    """The files of a lock, such as KAFKA or APICURIO, in its order."""
    lines = (LOCKS_FOLDER / f"{name}.lock").read_text().splitlines()
    return [Artifact(sha256, int(size), path) for sha256, size, path in (line.split() for line in lines if line)]


def missing(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Those not fetched yet. A file bears its name only after its checksum was right, so its size is enough to look at."""
    return [artifact for artifact in artifacts if size_of(artifact.file) != artifact.size_bytes]


def fetch(lock: str, progress: Progress = lambda done, total, name: None) -> list[Path]:
    """Fetches what is missing of a lock (KAFKA, APICURIO) and returns all its files, in its order.

    Several processes may call this at once: one fetches, the others wait for it. What was interrupted goes on where it stopped.
    Raises EmbeddedError when the repository cannot be reached or a file is not what the lock says.
    """
    return fetch_artifacts(read_lock(lock), progress)


def fetch_artifacts(artifacts: Sequence[Artifact], progress: Progress) -> list[Path]:
    if missing(artifacts):
        lock_file = cache_folder() / "maven" / ".lock"
        with exclusive(lock_file, lambda: Tally(artifacts, progress).add(0, "another process fetches")):
            fetch_missing(missing(artifacts), Tally(artifacts, progress))
    return [artifact.file for artifact in artifacts]


class Tally:
    """Bytes on disk of a set of files, told to the progress callback as they grow."""

    def __init__(self, artifacts: Sequence[Artifact], progress: Progress) -> None:
        self.total = sum(artifact.size_bytes for artifact in artifacts)
        self.done = sum(size_of(artifact.file) or size_of(artifact.part) for artifact in artifacts)
        self.progress = progress
        self.lock = threading.Lock()

    def add(self, size_bytes: int, name: str) -> None:
        with self.lock:
            self.done += size_bytes
            self.progress(self.done, self.total, name)


def fetch_missing(artifacts: Sequence[Artifact], tally: Tally) -> None:
    """Fetches with some threads, the largest first; the first failure, or Ctrl-C, ends all of them."""
    base, context, ended = repository_url(), tls_context(), threading.Event()
    largest_first = sorted(artifacts, key=lambda artifact: -artifact.size_bytes)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            tasks = [pool.submit(Download(artifact, base, context, tally, ended).run) for artifact in largest_first]
            for task in as_completed(tasks):
                task.result()
        finally:
            ended.set()
            pool.shutdown(cancel_futures=True)


def repository_url() -> str:
    """The mirror of SIGNALS_MAVEN_URL, else Maven Central; without a slash at the end."""
    mirror = os.environ.get("SIGNALS_MAVEN_URL")
    if mirror:
        return mirror.rstrip("/")
    from maven_artifact import Downloader

    return str(Downloader().resolver.base)


def tls_context() -> ssl.SSLContext:
    """The system's certificates and certifi's beside them: a slim container has none of its own."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


@dataclass(frozen=True)
class Download:
    """The fetching of one file, with its attempts."""

    artifact: Artifact
    base: str
    context: ssl.SSLContext
    tally: Tally
    ended: threading.Event

    def run(self) -> None:
        self.artifact.file.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self.receive()
                break
            except urllib.error.HTTPError as error:
                error.close()
                passing = error.code >= 500 or error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
                if not passing or attempt == ATTEMPTS:
                    raise self.refused(error) from error
                if error.code < 500:
                    self.forget_part()
            except (OSError, http.client.HTTPException) as error:
                if attempt == ATTEMPTS:
                    raise self.unreachable(error) from error
            self.ended.wait(0.25 * 2**attempt)
        if not self.ended.is_set():
            self.accept()

    def receive(self) -> None:
        """Appends to the partial file what it lacks; starts over where the server does not know ranges."""
        have = size_of(self.artifact.part)
        if have >= self.artifact.size_bytes:
            return
        request = urllib.request.Request(f"{self.base}/{self.artifact.path}")  # noqa: S310 — the scheme is the user's own choice
        if have:
            request.add_header("Range", f"bytes={have}-")
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS, context=self.context) as answer:  # noqa: S310
            if have and answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                self.forget_part()
            with self.artifact.part.open("ab") as file:
                while (chunk := answer.read1(CHUNK_BYTES)) and not self.ended.is_set():
                    file.write(chunk)
                    self.tally.add(len(chunk), self.artifact.name)
        if size_of(self.artifact.part) < self.artifact.size_bytes and not self.ended.is_set():
            raise http.client.IncompleteRead(b"", self.artifact.size_bytes - size_of(self.artifact.part))

    def accept(self) -> None:
        """Gives the file its name if its size and checksum are those of the lock; else removes it."""
        with self.artifact.part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.artifact.sha256 or size_of(self.artifact.part) != self.artifact.size_bytes:
            size = size_of(self.artifact.part)
            self.forget_part()
            raise EmbeddedError(
                f"{self.artifact.name} from {self.base} is not the file that is pinned: {size} bytes with SHA-256 {found[:12]}… "
                f"instead of {self.artifact.size_bytes} with {self.artifact.sha256[:12]}…; it was removed. Try again; if that "
                "does not help, set SIGNALS_MAVEN_URL to a mirror you trust."
            )
        self.artifact.part.replace(self.artifact.file)

    def forget_part(self) -> None:
        self.tally.add(-size_of(self.artifact.part), self.artifact.name)
        self.artifact.part.unlink(missing_ok=True)

    def refused(self, error: urllib.error.HTTPError) -> EmbeddedError:
        return EmbeddedError(
            f"{self.base} answered {error.code} {error.reason} for {self.artifact.path}; "
            "set SIGNALS_MAVEN_URL to a Maven repository that has it, or unset it to use Maven Central."
        )

    def unreachable(self, error: Exception) -> EmbeddedError:
        reason = getattr(error, "reason", None) or error
        return EmbeddedError(
            f"{self.artifact.name} could not be fetched from {self.base} ({reason}); check the network, and HTTPS_PROXY if there "
            "is a proxy, or set SIGNALS_MAVEN_URL to a mirror. What has been fetched is kept, the next try goes on from there."
        )


def size_of(file: Path) -> int:
    """Bytes of a file, 0 if it is not there."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
