"""text.embedding joins the stretches of a text into one direction."""

import numpy as np
import pytest

from processors.errors import ModelError, Reason
from processors.signal import Window
from processors.signals.text_embedding import SIGNAL
from processors.vectors import unpack


def partial(axis: int, token_count: int, sign: float = 1.0) -> object:
    embedding = np.zeros((1, 384), dtype=np.float32)
    embedding[0, axis] = sign
    window = Window({"input_ids": np.zeros((1, token_count + 2), dtype=np.int64), "token_count": np.array([token_count])})
    return SIGNAL.interpret({"sentence_embedding": embedding}, window)


def test_one_stretch_is_the_models_answer() -> None:
    """A short text's vector is what the model says."""
    vector = SIGNAL.reduce([partial(3, 10)], {}).vector
    assert vector is not None
    assert (vector.dim, vector.normalized) == (384, True)
    assert unpack(vector)[3] == 1.0


def test_stretches_weigh_by_their_tokens() -> None:
    """The mean leans to the longer stretch, and has length 1."""
    vector = SIGNAL.reduce([partial(0, 30), partial(1, 40)], {}).vector
    assert vector is not None
    assert unpack(vector)[:3].tolist() == pytest.approx([0.6, 0.8, 0.0], abs=1e-6)


def test_stretches_that_cancel_out_have_no_direction() -> None:
    """Nothing is divided by zero."""
    with pytest.raises(ModelError, match="cancel out"):
        SIGNAL.reduce([partial(0, 5), partial(0, 5, sign=-1.0)], {})


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_nonsense_is_refused(value: float) -> None:
    """An embedding of another length, or that is no number, does not become a signal."""
    window = Window({"token_count": np.array([1])})
    with pytest.raises(ModelError) as caught:
        SIGNAL.interpret({"sentence_embedding": np.full((1, 384), value, dtype=np.float32)}, window)
    assert caught.value.reason is Reason.BAD_OUTPUT
