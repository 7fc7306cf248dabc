"""Loudness of a finished file, measured by a tool that this project does not use: the ffmpeg program and its loudnorm filter.

That filter measures with libebur128's code, not with the `ebur128` filter that the worker's decoder runs.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MeasuredLoudness", "measure"]


@dataclass(frozen=True, slots=True)
class MeasuredLoudness:
    """Integrated loudness in LUFS, range in LU, true peak in dBTP, and the tool with its version."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float
    tool: str


def measure(path: Path) -> MeasuredLoudness:
    """Measures the first sound stream of a file."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-map", "0:a:0"]
    command += ["-af", "loudnorm=print_format=json", "-f", "null", "-"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    values = json.loads(report[report.rindex("{") : report.rindex("}") + 1])
    return MeasuredLoudness(float(values["input_i"]), float(values["input_lra"]), float(values["input_tp"]), _tool())


def _tool() -> str:
    first_line = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    return f"loudnorm of ffmpeg {first_line.split()[2]}"
