"""text.embedding: a text as a vector; texts of like meaning have vectors of like direction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.errors import ModelError, Reason
from processors.features.text import Tokens
from processors.signal import Shape, Signal, Tensors, Window
from processors.signals.checks import one_row, require_unit_length
from processors.signals.models import TEXT_EMBEDDING
from processors.vectors import pack
from schemas.records import Findings, MediaKind

__all__ = ["SIGNAL"]


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """embedding: float32 (384,), of length 1; of a stretch of token_count tokens."""

    embedding: NDArray[np.float32]
    token_count: int


def _interpret(answer: Tensors, window: Window) -> _Stretch:
    embedding = one_row(answer, "sentence_embedding", (384,))
    require_unit_length("sentence_embedding", embedding)
    return _Stretch(embedding, int(window.tensors["token_count"][0]))


def _reduce(partials: Sequence[_Stretch], upstream: Mapping[str, Findings]) -> Findings:
    """The mean over the stretches, each weighing as much as it has tokens, brought back to length 1."""
    mean = np.average([part.embedding for part in partials], axis=0, weights=[part.token_count for part in partials])
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise ModelError(
            Reason.BAD_OUTPUT, f"The embeddings of the {len(partials)} stretches cancel out, so the text has no direction"
        )
    return Findings(vector=pack((mean / length).astype(np.float32)))


SIGNAL = Signal(
    name="text.embedding",
    owner="text-understanding",
    meaning="A text as a direction in 384 dimensions: the cosine of two says how close their meanings are. Made for English.",
    applies_to=frozenset({MediaKind.TEXT}),
    shapes=(Shape.VECTOR,),
    feature=Tokens(window_tokens=256),
    model=TEXT_EMBEDDING,
    interpret=_interpret,
    reduce=_reduce,
)
