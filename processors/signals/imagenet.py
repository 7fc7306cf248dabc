"""The thousand classes of ImageNet (ILSVRC 2012) as labels: scheme "imagenet-1k", id the WordNet 3.0 synset ("n07920052")."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.records import Label

__all__ = ["SCHEME", "SCHEME_VERSION", "classes", "top_labels"]

SCHEME = "imagenet-1k"
SCHEME_VERSION = "ilsvrc2012"
_LABELS_FILE = Path(__file__).parent / "labels" / "imagenet_1k.txt"


@cache
def classes() -> tuple[tuple[str, str], ...]:
    """(WordNet id, English name) of each class, in the order of a model's outputs."""
    lines = _LABELS_FILE.read_text(encoding="utf-8").splitlines()
    return tuple((identifier, name) for identifier, _, name in (line.partition("\t") for line in lines))


def top_labels(probabilities: NDArray[Any], most: int = 5, least: float = 0.1) -> tuple[Label, ...]:
    """The `most` likeliest classes whose score is at least `least`, best first.

    probabilities: float (1000,), each in [0, 1]. Raises ValueError on another shape.
    """
    names = classes()
    if probabilities.shape != (len(names),):
        raise ValueError(f"ImageNet has {len(names)} classes; the probabilities have the shape {probabilities.shape}")
    best = np.argsort(-probabilities, kind="stable")[:most]
    return tuple(_label(names[index], float(probabilities[index])) for index in best if probabilities[index] >= least)


def _label(of: tuple[str, str], score: float) -> Label:
    identifier, name = of
    return Label(scheme=SCHEME, scheme_version=SCHEME_VERSION, id=identifier, name=name, score=min(max(score, 0.0), 1.0))
