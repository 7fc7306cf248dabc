"""A model's answer is believed only if it is what the model promises."""

import numpy as np
import pytest

from processors.errors import ModelError, Reason
from processors.signals.checks import one_row, require_between, require_unit_length


def test_the_row_comes_out() -> None:
    """A finite answer of the right shape passes as it is."""
    assert one_row({"a": np.ones((1, 2, 7))}, "a", (2, None)).shape == (2, 7)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "no a, only nothing"),
        ({"b": np.ones((1, 2))}, "no a, only b"),
        ({"a": np.ones((2, 2))}, r"shape \(1, \*\(2,\)\), not \(2, 2\)"),
        ({"a": np.ones((1, 3))}, r"not \(1, 3\)"),
        ({"a": np.ones((1, 2, 1))}, r"not \(1, 2, 1\)"),
        ({"a": np.array([[1.0, np.nan]])}, "1 numbers that are infinite or none"),
        ({"a": np.array([[np.inf, -np.inf]])}, "2 numbers"),
    ],
)
def test_other_answers_are_refused(answer: dict[str, np.ndarray], said: str) -> None:  # type: ignore[type-arg]
    """What is missing, misshapen or not finite is BAD_OUTPUT, with the fact in the sentence."""
    with pytest.raises(ModelError, match=said) as caught:
        one_row(answer, "a", (2,))
    assert caught.value.reason is Reason.BAD_OUTPUT


def test_ranges_and_lengths() -> None:
    """Rounding passes; real violations do not."""
    require_between("p", np.array([-0.001, 1.001]), 0.0, 1.0)
    require_between("p", np.array([]), 0.0, 1.0)
    require_unit_length("v", np.array([0.6, 0.8001]))
    with pytest.raises(ModelError, match=r"in \[0.0, 1.0\], and is in \[0.0, 3.0\]"):
        require_between("p", np.array([0.0, 3.0]), 0.0, 1.0)
    with pytest.raises(ModelError, match="has 5"):
        require_unit_length("v", np.array([3.0, 4.0]))
