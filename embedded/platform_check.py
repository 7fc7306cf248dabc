"""Whether this machine can run the embedded Triton, and where its shared libpython lies.

The server of the nvidia-pytriton wheel is built for Linux x86-64 with glibc 2.35 or newer; its Python backend loads libpython at
run time. Imports only the standard library, so that `python embedded/platform_check.py` can be run before anything is installed:
it prints the reason and exits with 1 where it cannot. For the same reason older Pythons must be able to parse it.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "libpython_folder", "this_machine", "unsupported_reason"]

LOWEST_GLIBC = (2, 35)
PYTHONS = ((3, 11), (3, 12))
INSTEAD = "to use servers that run already, set SIGNALS_KAFKA_BROKERS, SIGNALS_REGISTRY_URL and SIGNALS_TRITON_URLS."


@dataclass(frozen=True)
class Machine:
    """What counts: system and processor as `uname` names them; versions of glibc (None: another C library) and of Python."""

    system: str
    processor: str
    glibc: tuple[int, ...] | None
    python: tuple[int, int]
    shared_libpython: bool


def this_machine() -> Machine:
    """The machine and the interpreter that run this."""
    name, version = platform.libc_ver()
    glibc = tuple(int(part) for part in version.split(".")[:2]) if name == "glibc" else None
    return Machine(platform.system(), platform.machine(), glibc, sys.version_info[:2], has_shared_libpython())


def unsupported_reason(machine: Machine | None = None) -> str | None:
    """One sentence that says why the embedded Triton cannot run here and what to do; None if it can."""
    machine = machine or this_machine()
    python = ".".join(map(str, machine.python))
    if machine.system != "Linux":
        return f"The embedded servers need Linux, this is {machine.system}; {INSTEAD}"
    if machine.processor not in ("x86_64", "AMD64"):
        return f"The embedded Triton is built for x86-64, this machine is {machine.processor}; {INSTEAD}"
    if machine.glibc is None or machine.glibc < LOWEST_GLIBC:
        found = "another C library" if machine.glibc is None else "glibc " + ".".join(map(str, machine.glibc))
        return f"The embedded Triton needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04, RHEL 10), this is {found}; {INSTEAD}"
    if machine.python not in PYTHONS:
        return f"The embedded Triton needs Python 3.11 or 3.12, this is {python}; use one of them, or, {INSTEAD}"
    if not machine.shared_libpython:
        return (
            f"The embedded Triton needs the shared library libpython{python}.so.1.0, which this Python lacks; install it "
            f"(Debian, Ubuntu: apt install libpython{python}), or use a Python built with --enable-shared, or, {INSTEAD}"
        )
    return None


def libpython_folder() -> Path | None:
    """The folder of this interpreter's shared libpython; None if it is none of the usual ones."""
    here = [sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib"]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    folders = [Path(folder) for folder in here if folder]
    folders += [folder / multiarch for folder in folders if multiarch]
    return next((folder for folder in folders if (folder / libpython_name()).exists()), None)


def has_shared_libpython() -> bool:
    """Whether it lies in a usual folder or the system's loader knows it."""
    if libpython_folder() is not None:
        return True
    try:
        ctypes.CDLL(libpython_name())
    except OSError:
        return False
    return True


def libpython_name() -> str:
    return f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"


if __name__ == "__main__":
    sys.exit(unsupported_reason())
