"""text.language: the language a text is written in."""

from collections.abc import Mapping, Sequence

from processors.features.text import Languages
from processors.signal import Shape, Signal, Tensors, Window
from schemas.records import Findings, Label, MediaKind

__all__ = ["SIGNAL"]

SCHEME = "bcp47"
SCHEME_VERSION = "2025"
LEAST_BEST_SCORE = 0.5
LEAST_SCORE = 0.1


def _label(code: str, score: float) -> Label:
    return Label(scheme=SCHEME, scheme_version=SCHEME_VERSION, id=code, score=score)


def _interpret(answer: Tensors, window: Window) -> tuple[Label, ...]:
    scored = list(zip(answer["codes"][0].tolist(), answer["scores"][0].tolist(), strict=True))
    best = max(score for _, score in scored)
    if best < LEAST_BEST_SCORE:
        return (_label("und", 1.0 - best),)
    return tuple(_label(code, score) for code, score in scored if score >= LEAST_SCORE)


def _reduce(partials: Sequence[tuple[Label, ...]], upstream: Mapping[str, Findings]) -> Findings:
    (labels,) = partials
    return Findings(labels=labels)


SIGNAL = Signal(
    name="text.language",
    owner="text-understanding",
    meaning="The language a text is written in, as a BCP 47 code, and others that are likely; `und` if none is.",
    applies_to=frozenset({MediaKind.TEXT}),
    shapes=(Shape.LABELS,),
    feature=Languages(most=3),
    interpret=_interpret,
    reduce=_reduce,
    parameters={"least_best_score": LEAST_BEST_SCORE, "least_score": LEAST_SCORE},
)
