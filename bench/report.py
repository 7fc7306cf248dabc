"""Figures as a table on the screen, a JSON file and a line of history."""

import json
import os
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
    rounds: Sequence[Round],
    others_percent: float,
    conditions: Mapping[str, Any],
    console: Console,
) -> None:
    """Prints the table, writes results/NAME.json and adds a line to results/README.md. The figure is `ours` ÷ `ceiling`."""
    ratios = [measured[ours] / measured[ceiling] for measured in rounds]
    table = Table("round", *(key.replace("_", " ") for key in rounds[0]), "ratio")
    for number, (measured, ratio) in enumerate(zip(rounds, ratios, strict=True), 1):
        table.add_row(str(number), *(f"{value:,.2f}" for value in measured.values()), f"{ratio:.3f}")
    console.print(table)
    machine = f"{os.cpu_count()} cores, no GPU; other programs used {others_percent:.0f} % of them"
    console.print(f"{name}: {ours} ÷ {ceiling} = {median(ratios):.3f} (median of {len(ratios)} rounds; {machine})")
    today = datetime.now(UTC).date().isoformat()
    command = f"python -m bench.{name}"
    result = {
        "command": command,
        "date": today,
        "machine": machine,
        "ratio_median": round(median(ratios), 4),
        "rounds": [
            {key: round(value, 3) for key, value in m.items()} | {"ratio": round(r, 4)}
            for m, r in zip(rounds, ratios, strict=True)
        ],
        **conditions,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    low, high = min(ratios), max(ratios)
    figures = f"{median(measured[ours] for measured in rounds):,.0f} | {median(measured[ceiling] for measured in rounds):,.0f}"
    with HISTORY.open("a") as history:
        history.write(f"| {today} | `{command}` | {figures} | **{median(ratios):.3f}** ({low:.3f} to {high:.3f}) | {machine} |\n")
