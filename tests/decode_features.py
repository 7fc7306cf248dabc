"""Features for the decode pool's tests: each does one thing to the process that it runs in. Importable there by this name."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from processors.errors import ContentError, Reason
from processors.media import Characters, Text
from processors.signal import Window


@dataclass(frozen=True)
class Scripted:
    """Runs the script that the text is: words with an optional argument, e.g. "rows:3 pid". `tag` tells equal features apart."""

    tag: str = ""

    @property
    def view(self) -> Characters:
        return Characters()

    def start(self) -> "ScriptedStream":
        return ScriptedStream(self.tag)


@dataclass
class ScriptedStream:
    tag: str

    def push(self, piece: Any) -> Iterator[Window]:
        assert isinstance(piece, Text)
        for word in piece.value.split():
            action, _, argument = word.partition(":")
            yield from ACTIONS[action](argument)

    def finish(self) -> Iterator[Window]:
        yield from ()


def number(value: int) -> Window:
    return Window({"number": np.array([[value]], np.int64)})


def rows(argument: str) -> Iterator[Window]:
    for index in range(int(argument)):
        yield number(index)


def noted(argument: str) -> Iterator[Window]:
    """Endless windows; writes the count of those made into the file."""
    made = 0
    while True:
        made += 1
        Path(argument).write_text(str(made))
        yield number(made)


def large(argument: str) -> Iterator[Window]:
    yield Window({"large": np.arange(int(argument), dtype=np.uint8)[np.newaxis], "tail": np.array([1.5], np.float64)}, 10, 20)


def crash(argument: str) -> Iterator[Window]:
    if argument == "exit":
        os._exit(7)
    if argument == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, argument))
    yield from ()


def once(argument: str) -> Iterator[Window]:
    """Dies the first time, and not again as long as the file lies there."""
    flag = Path(argument)
    if not flag.exists():
        flag.touch()
        os._exit(7)
    yield from ()


def hang(argument: str) -> Iterator[Window]:
    time.sleep(float(argument))
    yield from ()


def bomb(argument: str) -> Iterator[Window]:
    held = [np.empty(64 * 1024**2, np.uint8) for _ in range(int(argument))]
    yield number(len(held))


def fail(argument: str) -> Iterator[Window]:
    yield from ()
    raise ContentError(Reason.EMPTY_CONTENT, "nothing in it") if argument == "content" else KeyError("no such thing as größe")


def objects(argument: str) -> Iterator[Window]:
    yield Window({"words": np.array([b"a"], dtype=object)})


def pid(argument: str) -> Iterator[Window]:
    yield number(os.getpid())


def place(argument: str) -> Iterator[Window]:
    """What surrounds the process: open files, environment, loaded modules, limits, as lines of text."""
    open_files = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    modules = [name for name in ("torch", "faust", "confluent_kafka", "asyncio") if name in sys.modules]
    lines = [
        f"files {' '.join(sorted(open_files))}",
        f"environment {' '.join(sorted(os.environ))}",
        f"modules {' '.join(modules)}",
    ]
    lines += [f"cwd {Path('/proc/self/cwd').readlink()}", f"entries {len(list(Path('/proc/self/cwd').iterdir()))}"]
    yield Window({"text": np.frombuffer("\n".join(lines).encode(), np.uint8)})


def fragile(argument: str) -> Iterator[Window]:
    """Three windows, a death the first time, and two more."""
    yield from rows("3")
    yield from once(argument)
    yield number(3)
    yield number(4)


ACTIONS = {
    action.__name__: action for action in (rows, noted, large, crash, once, hang, bomb, fail, objects, pid, place, fragile)
}
