"""Figures as a table on the screen, a JSON file and a line of history."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Round", "report"]

RESULTS = Path(__file__).parent / "results"
HISTORY = RESULTS / "README.md"

Round = Mapping[str, float]
"""What one round measured, by name."""


def report(
    name: str,
    ours: str,
    ceiling: str,
    cpu: str,
    rounds: Sequence[Round],
    others_percent: float,
    conditions: Mapping[str, Any],
    console: Console,
) -> None:
    """Prints the table, writes results/NAME.json and adds a line to results/README.md.

    ours, ceiling: the two sides; of each there is SIDE_per_second, whose ratio is the figure, and SIDE_{cpu}, CPU time for one,
    whose ratio stays what it is when other programs take part of a core.
    """
    ratios = [measured[f"{ours}_per_second"] / measured[f"{ceiling}_per_second"] for measured in rounds]
    cpu_ratios = [measured[f"{ceiling}_{cpu}"] / measured[f"{ours}_{cpu}"] for measured in rounds]
    console.print(drawn(rounds, ratios, cpu_ratios))
    machine = f"{os.cpu_count()} cores, no GPU; other programs used {others_percent:.0f} % of them"
    console.print(f"{name}: {ours} ÷ {ceiling} = {spread(ratios)}; by CPU time {spread(cpu_ratios)}; {machine}", soft_wrap=True)
    today = datetime.now(UTC).date().isoformat()
    command = " ".join(["python -m", f"bench.{name}", *sys.argv[1:]])
    result = {
        "command": command,
        "date": today,
        "machine": machine,
        "ratio_median": round(median(ratios), 4),
        "cpu_ratio_median": round(median(cpu_ratios), 4),
        "rounds": [{key: round(value, 3) for key, value in measured.items()} for measured in rounds],
        **conditions,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    each = " | ".join(f"{median(measured[f'{side}_per_second'] for measured in rounds):,.1f}" for side in (ours, ceiling))
    with HISTORY.open("a") as history:
        history.write(f"| {today} | `{command}` | {each} | {spread(ratios)} | {spread(cpu_ratios)} | {machine} |\n")


def drawn(rounds: Sequence[Round], ratios: Sequence[float], cpu_ratios: Sequence[float]) -> Table:
    """A row for each thing that was measured, a column for each round."""
    table = Table("", *(f"round {number}" for number in range(1, len(rounds) + 1)))
    for key in rounds[0]:
        table.add_row(key.replace("_", " "), *(f"{measured[key]:,.2f}" for measured in rounds))
    table.add_section()
    table.add_row("ratio", *(f"{ratio:.3f}" for ratio in ratios))
    table.add_row("ratio by CPU time", *(f"{ratio:.3f}" for ratio in cpu_ratios))
    return table


def spread(ratios: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
