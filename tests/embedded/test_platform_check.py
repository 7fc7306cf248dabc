import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from embedded import platform_check
from embedded.platform_check import Machine, libpython_folder, this_machine, unsupported_reason

GOOD = Machine(system="Linux", processor="x86_64", glibc=(2, 36), python=(3, 11), shared_libpython=True)


@pytest.mark.parametrize(
    "machine", [GOOD, replace(GOOD, glibc=(2, 35)), replace(GOOD, glibc=(3, 0)), replace(GOOD, python=(3, 12))]
)
def test_supported(machine: Machine) -> None:
    """Linux on x86-64 with a new enough glibc and a right Python with a shared library will do."""
    assert unsupported_reason(machine) is None


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(GOOD, system="Darwin", glibc=None), ["Linux", "Darwin"]),
        (replace(GOOD, processor="aarch64"), ["x86-64", "aarch64"]),
        (replace(GOOD, glibc=(2, 31)), ["glibc 2.35", "glibc 2.31"]),
        (replace(GOOD, glibc=None), ["glibc 2.35", "another C library"]),
        (replace(GOOD, python=(3, 13)), ["3.11 or 3.12", "3.13"]),
        (replace(GOOD, python=(3, 10)), ["3.11 or 3.12", "3.10"]),
        (replace(GOOD, shared_libpython=False), ["libpython3.11.so.1.0", "apt install libpython3.11"]),
    ],
)
def test_unsupported(machine: Machine, words: list[str]) -> None:
    """Each reason is one sentence with what is needed, what was found, and how to use other servers."""
    reason = unsupported_reason(machine)
    assert reason is not None
    assert "\n" not in reason
    for word in (*words, "SIGNALS_KAFKA_BROKERS", "SIGNALS_REGISTRY_URL", "SIGNALS_TRITON_URLS"):
        assert word in reason


def test_script_agrees() -> None:
    """Run as a program without site-packages, it exits with 0 exactly where the machine is supported, and says why where not."""
    script = Path(platform_check.__file__)
    result = subprocess.run([sys.executable, "-S", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.strip()) == ((1, reason) if (reason := unsupported_reason()) else (0, ""))


def test_this_machine_is_told_truly() -> None:
    """The folder of libpython, where one is found, holds the library of this very Python."""
    machine = this_machine()
    assert machine.python == sys.version_info[:2]
    folder = libpython_folder()
    if folder is not None:
        assert machine.shared_libpython
        assert (folder / f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0").exists()
