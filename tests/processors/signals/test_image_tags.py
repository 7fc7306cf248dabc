"""image.tags reads labels and embedding out of the model's answer."""

import numpy as np
import pytest

from processors.errors import ModelError, Reason
from processors.signal import Tensors, Window
from processors.signals.image_tags import SIGNAL
from processors.vectors import unpack
from schemas.records import Findings


def answer(probabilities: np.ndarray | None = None, embedding: np.ndarray | None = None) -> Tensors:  # type: ignore[type-arg]
    unit = np.zeros((1, 1280), dtype=np.float32)
    unit[0, 7] = 1.0
    spread = np.full((1, 1000), 0.1 / 999, dtype=np.float32)
    spread[0, 967] = 0.9
    return {
        "probabilities": spread if probabilities is None else probabilities,
        "embedding": unit if embedding is None else embedding,
    }


def findings(tensors: Tensors) -> Findings:
    return SIGNAL.reduce([SIGNAL.interpret(tensors, Window({"image": np.zeros((1, 224, 224, 3), dtype=np.uint8)}))], {})


def test_labels_and_vector() -> None:
    """The class above the least score becomes the label, the embedding the vector."""
    found = findings(answer())
    assert [(label.name, round(label.score, 3)) for label in found.labels] == [("espresso", 0.9)]
    assert found.vector is not None
    assert (found.vector.dim, found.vector.normalized) == (1280, True)
    assert unpack(found.vector)[7] == 1.0


@pytest.mark.parametrize(
    "tensors",
    [
        answer(probabilities=np.full((1, 1000), 2.0, dtype=np.float32)),
        answer(probabilities=np.full((1, 1000), np.nan, dtype=np.float32)),
        answer(probabilities=np.zeros((1, 999), dtype=np.float32)),
        answer(embedding=np.ones((1, 1280), dtype=np.float32)),
        answer(embedding=np.full((1, 1280), np.inf, dtype=np.float32)),
    ],
)
def test_nonsense_is_refused(tensors: Tensors) -> None:
    """Probabilities beyond one, embeddings of another length, and what is not a number do not become signals."""
    with pytest.raises(ModelError) as caught:
        findings(tensors)
    assert caught.value.reason is Reason.BAD_OUTPUT
