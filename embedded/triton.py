"""NVIDIA Triton on this machine: the server of the nvidia-pytriton wheel with its Python backend."""

import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from embedded.cache import cache_folder, exclusive
from embedded.errors import EmbeddedError
from embedded.platform_check import libpython_folder, unsupported_reason
from embedded.ports import LOOPBACK, answers, free_ports
from embedded.process import ServerProcess
from embedded.triton_leftovers import SHM_FOLDER, region_prefix, remove_abandoned, remove_leftovers

__all__ = ["Triton"]

READY_SECONDS = 180.0
EXIT_SECONDS = 5
LOAD_FAILURE = re.compile(
    r"(?:failed to (?:load|poll)(?: model)?|Poll failed for model directory) '(?P<model>[^']+)'(?: version \d+)?: "
    r'(?P<reason>[^\n"\\]*)'
)


class Triton:
    """A server whose log lies in `directory`, with models of a repository.

    repository: a Triton model repository. ports: gRPC, HTTP, metrics; None for free ones. models: those to load, None for all.
    """

    def __init__(
        self, repository: Path, directory: Path, ports: tuple[int, int, int] | None = None, models: Sequence[str] | None = None
    ) -> None:
        self.repository = repository
        self.directory = directory
        self.models = list(models) if models is not None else ["*"]
        self.log = directory / "triton.log"
        self._grpc_port, self._http_port, self._metrics_port = ports or free_ports(3)
        self._region_prefix = region_prefix()
        self._process: ServerProcess | None = None

    @property
    def grpc_url(self) -> str:
        """host:port, as tritonclient.grpc wants it."""
        return f"{LOOPBACK}:{self._grpc_port}"

    @property
    def http_url(self) -> str:
        """Base URL of the HTTP API."""
        return f"http://{LOOPBACK}:{self._http_port}"

    @property
    def metrics_url(self) -> str:
        """URL of the Prometheus metrics."""
        return f"http://{LOOPBACK}:{self._metrics_port}/metrics"

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs; each model has a process of its own below it."""
        return self._process.pid if self._process and self._process.running else None

    def start(self) -> None:
        """Starts the server and returns when every model is ready; nothing happens if it runs.

        Raises EmbeddedError that names the model and the log's reason if one cannot be loaded, or why this machine cannot run it.
        """
        if self.pid is not None:
            return
        reason = unsupported_reason()
        if reason:
            raise EmbeddedError(reason)
        remove_abandoned()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        began = self.log.stat().st_size if self.log.exists() else 0
        leftovers = str(SHM_FOLDER / f"{self._region_prefix}*")
        self._process = ServerProcess("Triton", self._command(), self._environment(), self.log, EXIT_SECONDS + 5, leftovers)
        self._process.start()
        try:
            self._process.wait_until(lambda: answers(self._http_port, "/v2/health/ready"), READY_SECONDS)
        except EmbeddedError as error:
            raise load_failure(self.log, began) or error from error

    def stop(self) -> None:
        """Ends it: requests in flight have EXIT_SECONDS to finish."""
        if self._process:
            self._process.stop()
            remove_leftovers(self._region_prefix)

    def kill(self) -> None:
        """Ends it and the processes of its models as a crash would (SIGKILL)."""
        if self._process:
            self._process.kill()
            remove_leftovers(self._region_prefix)

    def _command(self) -> list[str | Path]:
        return [
            wheel_folder() / "bin" / "tritonserver",
            f"--model-repository={self.repository}",
            f"--backend-directory={backends()}",
            f"--backend-config=python,shm-region-prefix-name={self._region_prefix}",
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in self.models),
            *(f"--{service}-address={LOOPBACK}" for service in ("grpc", "http", "metrics")),
            f"--grpc-port={self._grpc_port}",
            f"--http-port={self._http_port}",
            f"--metrics-port={self._metrics_port}",
            f"--exit-timeout-secs={EXIT_SECONDS}",
            "--strict-readiness=false",
            "--log-verbose=0",
        ]

    def _environment(self) -> dict[str, str]:
        """The backend's processes find our Python through PATH, and libraries through LD_LIBRARY_PATH."""
        folders = [site_packages() / "nvidia_pytriton.libs", libpython_folder(), os.environ.get("LD_LIBRARY_PATH")]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return os.environ | {
            "LD_LIBRARY_PATH": os.pathsep.join(str(folder) for folder in folders if folder),
            "PATH": path,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }


def load_failure(log: Path, began: int) -> EmbeddedError | None:
    """The models that the log, from byte `began` on, says could not be loaded, each with its reason; None if there are none."""
    text = log.read_bytes()[began:].decode(errors="replace") if log.exists() else ""
    reasons: dict[str, str] = {}
    for found in LOAD_FAILURE.finditer(text):
        reasons.setdefault(found["model"], found["reason"].strip(" .") or "see the log")
    if not reasons:
        return None
    told = "; ".join(f"{model}: {reason}" for model, reason in reasons.items())
    return EmbeddedError(f"Triton could not load {told}; its log is {log}")


def site_packages() -> Path:
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "Triton's server is not installed; install content-signals with its extra: pip install 'content-signals[embedded]'."
        )
    return Path(spec.origin).parent.parent


def wheel_folder() -> Path:
    return site_packages() / "pytriton" / "tritonserver"


def backends() -> Path:
    """A folder with the Python backend for this Python, put together in the cache at the first call: whole or not at all."""
    python = sysconfig.get_python_version()
    folder = cache_folder() / "triton" / f"backends-{version('nvidia-pytriton')}-python{python}"
    if not folder.exists():
        with exclusive(folder.with_suffix(".lock")):
            if not folder.exists():
                assemble_backend(wheel_folder(), python, folder)
    return folder


def assemble_backend(wheel: Path, python: str, folder: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        shutil.copytree(wheel / "backends" / "python", unfinished / "python")
        stub = shutil.copy2(wheel / "python_backend_stubs" / python / "triton_python_backend_stub", unfinished / "python")
        Path(stub).chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
