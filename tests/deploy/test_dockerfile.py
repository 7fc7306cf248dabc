"""The image of the worker: what goes in, and what must not."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import click

from cli.main import signals
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [
    line.partition(" ")[::2]
    for line in DOCKERFILE.replace("\\\n", " ").splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def last_stage() -> list[tuple[str, str]]:
    start = max(index for index, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM")
    return INSTRUCTIONS[start:]


def test_instructions_are_known() -> None:
    """A misspelt instruction does not wait for the first build to be found."""
    assert INSTRUCTIONS[0][0] == "FROM"
    assert {word for word, _ in INSTRUCTIONS} <= {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "ENTRYPOINT", "CMD"}


def test_what_is_copied_is_there() -> None:
    """Every COPY from the checkout names files and folders that are in it; COPY --from names a stage."""
    stages = {match[1] for _, rest in INSTRUCTIONS if (match := re.fullmatch(r"\S+ AS (\S+)", rest))}
    for word, rest in INSTRUCTIONS:
        if word != "COPY":
            continue
        options = [part for part in rest.split() if part.startswith("--")]
        *sources, _ = [part for part in rest.split() if not part.startswith("--")]
        if options:
            assert all(option.removeprefix("--from=") in stages for option in options)
        else:
            assert all((ROOT / source).exists() for source in sources), rest


def test_every_package_of_ours_is_copied() -> None:
    """The wheel that is built in the image has all packages, and what building it reads."""
    copied = {part for word, rest in INSTRUCTIONS if word == "COPY" and "--from" not in rest for part in rest.split()[:-1]}
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert {"pyproject.toml", PROJECT["project"]["readme"], "requirements-worker.lock"} <= copied


def test_the_worker_is_not_root() -> None:
    """The last stage makes a user with a number and changes to it before the entry point."""
    words = [word for word, _ in last_stage()]
    (user,) = [rest for word, rest in last_stage() if word == "USER"]
    assert user not in ("root", "0")
    assert re.search(rf"useradd .*--uid [1-9][0-9]{{3,}} {user}\b", DOCKERFILE)
    assert words.index("USER") < words.index("ENTRYPOINT")


def test_dependencies_come_by_hash() -> None:
    """What is installed from an index is in the lock, with its hash; our own wheel brings nothing along."""
    installs = [command for _, rest in INSTRUCTIONS for command in rest.split("&&") if "uv pip install" in command]
    assert len(installs) == 2
    assert "--require-hashes -r requirements-worker.lock" in installs[0]
    assert "--no-deps ." in installs[1]


def test_the_entry_point_is_the_command_line() -> None:
    """ENTRYPOINT is the script of pyproject.toml, and CMD a verb of it."""
    (entry_point,) = [json.loads(rest) for word, rest in last_stage() if word == "ENTRYPOINT"]
    (command,) = [json.loads(rest) for word, rest in last_stage() if word == "CMD"]
    assert entry_point[0] in PROJECT["project"]["scripts"]
    assert signals.get_command(click.Context(signals), command[0]) is not None


def test_settings_are_settings() -> None:
    """Each SIGNALS_* name in it is one that the worker reads."""
    names = {f"SIGNALS_{name.upper()}" for name in Settings.model_fields}
    given = {part.partition("=")[0] for word, rest in INSTRUCTIONS if word == "ENV" for part in shlex.split(rest)}
    assert {name for name in given if name.startswith("SIGNALS_")} <= names
    assert set(re.findall(r"SIGNALS_[A-Z0-9_]+", DOCKERFILE)) <= names


def test_python_is_one_that_the_project_supports() -> None:
    """Both stages use the same image of Python, which is neither older nor newer than pyproject.toml allows."""
    images = {rest.split()[0] for word, rest in INSTRUCTIONS if word == "FROM"}
    (image,) = images
    version = re.fullmatch(r"python:([0-9.]+)-slim", image)
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]


def test_uv_is_the_same_as_in_the_makefile() -> None:
    """One version of the installer, wherever it installs."""
    in_makefile = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert in_makefile
    assert re.findall(r"uv==(\S+)", DOCKERFILE) == [in_makefile[1]]
