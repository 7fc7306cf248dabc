"""text.language names the likely languages, or says that it does not know."""

import numpy as np
import pytest

from processors.media import Text
from processors.signal import Window
from processors.signals.text_language import SIGNAL
from schemas.records import Label


def labels(codes: list[str], scores: list[float]) -> list[tuple[str, float]]:
    tensors = {"codes": np.array([codes]), "scores": np.array([scores], dtype=np.float32)}
    found = SIGNAL.reduce([SIGNAL.interpret(tensors, Window(tensors))], {})
    assert {(label.scheme, label.scheme_version) for label in found.labels} == {("bcp47", "2025")}
    return [(label.id, round(label.score, 3)) for label in found.labels]


def test_likely_languages_are_kept() -> None:
    """The best and every other that is likely enough, best first."""
    assert labels(["de", "nl", "en"], [0.7, 0.2, 0.05]) == [("de", 0.7), ("nl", 0.2)]


def test_an_unlikely_best_is_undetermined() -> None:
    """Below one half the language is `und`, and its score is what the best lacks."""
    assert labels(["de", "nl", "en"], [0.4, 0.3, 0.2]) == [("und", 0.6)]
    assert labels(["de"], [0.5]) == [("de", 0.5)]


@pytest.mark.parametrize(
    ("text", "language"),
    [("Straßen werden im Winter nicht geräumt.", "de"), ("Les rues ne sont pas déneigées en hiver.", "fr")],
)
def test_a_sentence_through_feature_and_signal(text: str, language: str) -> None:
    """From text to label without a model server."""
    stream = SIGNAL.feature.start()
    (window,) = [*stream.push(Text(text)), *stream.finish()]
    best: Label = SIGNAL.reduce([SIGNAL.interpret(window.tensors, window)], {}).labels[0]
    assert (best.id, SIGNAL.model) == (language, None)
