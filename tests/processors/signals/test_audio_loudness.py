"""Loudness readings as measures."""

from processors.features.audio import LoudnessMeasures
from processors.media import LoudnessReading
from processors.signals.audio_loudness import SIGNAL
from schemas.records import Measure


def measures(reading):
    (window,) = LoudnessMeasures().start().push(reading)
    return SIGNAL.reduce([SIGNAL.interpret(window.tensors, window)], {}).measures


def test_each_number_has_its_name_and_unit():
    """Integrated and short-term loudness in LUFS, range in LU, true peak in dB above full scale."""
    assert measures(LoudnessReading(-23.0, 5.5, -20.25, -1.5, 1000)) == (
        Measure(name="integrated", value=-23.0, unit="LUFS"),
        Measure(name="range", value=5.5, unit="LU"),
        Measure(name="short_term_max", value=-20.25, unit="LUFS"),
        Measure(name="true_peak", value=-1.5, unit="dB[TP]"),
    )


def test_what_does_not_exist_is_left_out():
    """Silence has no measure at all; a short sound has some."""
    assert measures(LoudnessReading(None, None, None, None, 1000)) == ()
    assert [measure.name for measure in measures(LoudnessReading(-23.0, None, None, -3.0, 900))] == ["integrated", "true_peak"]


def test_no_model_is_asked():
    """The window is its own answer."""
    assert SIGNAL.model is None
