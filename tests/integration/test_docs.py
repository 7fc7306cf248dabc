"""What the documents show is what happens: their blocks marked `run` are run, in order, as one session in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

from embedded.cache import cache_folder

BLOCK = re.compile(r"^```(sh|python) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHARED = ("maven", "java", "unpacked", "models", "triton")


def script_of(page: Path) -> str:
    """The page's blocks as one bash script; Python blocks become here-documents."""
    parts = ["set -euo pipefail"]
    for language, text in BLOCK.findall(page.read_text()):
        parts.append(text if language == "sh" else f"{sys.executable} - <<'PYTHON'\n{text}PYTHON")
    return "\n".join(parts)


@pytest.fixture
def own_cache(models: Path, tmp_path: Path) -> Path:
    """A cache folder with the same downloads and models, and no `signals up` of anybody's in it."""
    for name in SHARED:
        if (cache_folder() / name).exists():
            (tmp_path / name).symlink_to(cache_folder() / name)
    return tmp_path


@pytest.mark.timeout(300)
def test_the_readme_runs(own_cache: Path) -> None:
    """up, worker, publish, tail, a plain consumer, down: as the README shows them."""
    script = script_of(ROOT / "README.md").replace(". .venv/bin/activate\n", "")
    assert script.count("signals ") >= 5
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALS_")}
    environment |= {"SIGNALS_CACHE_DIR": str(own_cache), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "image.faces" in done.stdout
        assert "('espresso', 0.9" in done.stdout
    finally:
        subprocess.run([sys.executable, "-m", "cli.main", "down"], cwd=ROOT, env=environment, capture_output=True, check=False)


def test_the_readme_names_what_exists() -> None:
    """Its two commands are targets of the Makefile; files it links to are there; its signals are the catalogue's."""
    from processors.catalogue import SIGNALS

    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) == {"demo", "test"} <= targets
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (ROOT / link).exists(), link
    assert re.findall(r"^\| `([a-z.]+)` \|", text, re.MULTILINE) == [signal.name for signal in SIGNALS]
