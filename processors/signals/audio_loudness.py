"""audio.loudness: how loud a sound is by EBU R 128, measured on the CPU, without a model."""

from collections.abc import Mapping, Sequence

import numpy as np

from processors.features.audio import LoudnessMeasures
from processors.signal import Shape, Signal, Tensors, Window
from schemas.records import Findings, Measure, MediaKind

__all__ = ["SIGNAL"]

UNITS = {"integrated": "LUFS", "range": "LU", "short_term_max": "LUFS", "true_peak": "dB[TP]"}
"""EBU Tech 3341 and 3342. dB[TP]: decibels relative to full scale, of the true peak (ITU-R BS.1770-5, annex 2)."""

TENSORS = {
    "integrated": "integrated_lufs",
    "range": "range_lu",
    "short_term_max": "short_term_max_lufs",
    "true_peak": "true_peak_dbtp",
}


def _interpret(answer: Tensors, window: Window) -> tuple[Measure, ...]:
    """A number that does not exist (silence, or too short) is left out."""
    values = {name: float(answer[tensor][0]) for name, tensor in TENSORS.items()}
    return tuple(Measure(name=name, value=value, unit=UNITS[name]) for name, value in values.items() if not np.isnan(value))


def _reduce(partials: Sequence[tuple[Measure, ...]], upstream: Mapping[str, Findings]) -> Findings:
    (measures,) = partials
    return Findings(measures=measures)


SIGNAL = Signal(
    name="audio.loudness",
    owner="media-understanding",
    meaning="Loudness by EBU R 128: integrated, loudness range, greatest short-term loudness and true peak; none for silence.",
    applies_to=frozenset({MediaKind.AUDIO, MediaKind.VIDEO}),
    shapes=(Shape.MEASURES,),
    feature=LoudnessMeasures(),
    interpret=_interpret,
    reduce=_reduce,
)
