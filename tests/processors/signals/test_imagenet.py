"""The label table, and how the best of it are chosen."""

import importlib.util
import re
import runpy

import numpy as np
import pytest

from processors.signals.imagenet import classes, top_labels


def test_names_are_torchvisions() -> None:
    """The thousand names stand in the order in which every ImageNet model answers."""
    package = importlib.util.find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the models extra is not installed")
    meta = runpy.run_path(
        f"{package.submodule_search_locations[0]}/models/_meta.py"
    )  # alone: importing the package takes seconds
    assert [name for _, name in classes()] == meta["_IMAGENET_CATEGORIES"]


def test_ids_are_wordnets() -> None:
    """A thousand different synsets in rising order, as ILSVRC numbers its classes; ten of them checked by name."""
    ids = [identifier for identifier, _ in classes()]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"n\d{8}", identifier) for identifier in ids)
    assert {identifier: dict(classes())[identifier] for identifier in KNOWN} == KNOWN


KNOWN = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def test_the_best_come_first_down_to_the_least() -> None:
    """Labels fall by score and end at `most` or below `least`."""
    probabilities = np.zeros(1000, dtype=np.float32)
    probabilities[[967, 504, 1, 2]] = (0.6, 0.2, 0.1, 0.05)
    labels = top_labels(probabilities, most=3, least=0.1)
    assert [(label.id, label.name, round(label.score, 6)) for label in labels] == [
        ("n07920052", "espresso", 0.6),
        ("n03063599", "coffee mug", 0.2),
        ("n01443537", "goldfish", 0.1),
    ]
    assert {(label.scheme, label.scheme_version) for label in labels} == {("imagenet-1k", "ilsvrc2012")}
    assert len(top_labels(probabilities, most=2, least=0.0)) == 2
    assert top_labels(probabilities, least=0.7) == ()


def test_another_number_of_classes_is_refused() -> None:
    """Labels of a model with other classes would all be wrong."""
    with pytest.raises(ValueError, match="1000 classes"):
        top_labels(np.zeros(1001))
