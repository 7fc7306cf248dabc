"""The house is in order: what modules offer, how long they are, what a light verb loads."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "processors", "streams", "cli", "embedded")
NOT_IMPORTED = {"embedded.samples.make_samples"}
"""Runs as a script, and needs packages that the rest does not."""

MOST_LINES = 400


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(file): file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))}
BENCHES = {module_name(file): file for file in sorted((ROOT / "bench").rglob("*.py"))}
WITH_CODE = [name for name, file in FILES.items() if file.read_text(encoding="utf-8").strip()]
each_module = pytest.mark.parametrize("name", WITH_CODE)


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def offered(name: str) -> list[str]:
    """The names in a module's __all__, as it is written."""
    found = [
        ast.literal_eval(node.value)
        for node in tree_of(FILES[name]).body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ]
    assert len(found) == 1, f"{name} must have one __all__"
    return list(found[0])


def defined(name: str) -> set[str]:
    """What stands at the top of a module: classes, functions, values, and what it imports by name."""
    names = set()
    for node in tree_of(FILES[name]).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.ImportFrom():
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.Assign():
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=value)):
                names.add(value)
    return names


def taken() -> Iterator[tuple[str, str, str]]:
    """(who, from which of our modules, which name) of each import in our code and the benchmarks."""
    for who, file in (FILES | BENCHES).items():
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.ImportFrom) and node.module in FILES:
                yield from ((who, node.module, alias.name) for alias in node.names)


@each_module
def test_what_is_offered_is_defined(name: str) -> None:
    """__all__ has no name twice, none that is private, and only what stands at the top of the module."""
    names = offered(name)
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("_")]
    assert set(names) <= defined(name)


def test_what_others_take_is_offered() -> None:
    """No module reaches for a name that another does not offer."""
    unlisted = {
        f"{who} takes {name} from {module}, which does not list it in __all__"
        for who, module, name in taken()
        if f"{module}.{name}" not in FILES and name not in offered(module)
    }
    assert sorted(unlisted) == []


@pytest.mark.parametrize("name", [name for name in WITH_CODE if name not in NOT_IMPORTED])
def test_what_is_offered_is_there(name: str) -> None:
    """Every module can be imported, and has each name that it offers."""
    module = import_module(name)
    assert [wanted for wanted in offered(name) if not hasattr(module, wanted)] == []


@each_module
def test_modules_say_what_they_are_and_stay_short(name: str) -> None:
    """A docstring at the top, and no more than 400 lines."""
    assert ast.get_docstring(tree_of(FILES[name]))
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@each_module
def test_what_is_offered_says_what_it_does(name: str) -> None:
    """Each class and function of __all__ has a docstring; the one-verb methods of Protocols need none."""
    for node in tree_of(FILES[name]).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name in offered(name):
            assert ast.get_docstring(node), node.name


def test_no_module_has_a_vague_name() -> None:
    """A name that fits anything says nothing."""
    vague = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
    assert {name.rpartition(".")[2] for name in FILES} & vague == set()


HEAVY = ("faust", "mode", "tritonclient", "confluent_kafka", "aiohttp", "obstore", "torch", "onnxruntime", "av")


def test_light_verbs_load_no_clients() -> None:
    """What only talks of the catalogue, and all help, waits for no server's client, no container format and no model."""
    verbs = [["--help"], ["list"], ["list", "--json"], ["show", "audio.loudness"], ["worker", "--help"], ["publish", "--help"]]
    code = (
        "import sys; from cli.main import signals\n"
        f"for words in {verbs!r}: signals(words, standalone_mode=False)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "audio.loudness" in ran.stdout
    assert ran.stderr.split() == []
