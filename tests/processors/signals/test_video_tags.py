"""Tags of shots out of tags of frames."""

import numpy as np
import pytest

from processors.errors import ModelError, Reason
from processors.signal import Window
from processors.signals.image_tags import SIGNAL as IMAGE_TAGS
from processors.signals.imagenet import classes
from processors.signals.video_tags import SIGNAL
from schemas.records import Findings, Segment

SHOTS = {"video.shots": Findings(segments=(Segment(start_ms=0, end_ms=900), Segment(start_ms=900, end_ms=2000, score=0.9)))}


def probabilities(**of_class):
    row = np.full(1000, 1e-5, np.float32)
    for index, score in of_class.items():
        row[int(index[1:])] = score
    return row


def partial(rows, times_ms):
    tensors = {"image": np.zeros((len(rows), 224, 224, 3), np.uint8), "times_ms": np.array(times_ms)}
    return SIGNAL.interpret({"probabilities": np.stack(rows)}, Window(tensors, times_ms[0], times_ms[-1] + 40))


def labels(segment):
    return [(label.name, round(label.score, 2)) for label in segment.labels]


def test_a_shot_has_the_mean_of_its_frames():
    """Frames count to the shot they are shown in, and a class must reach 0.1 on the mean."""
    partials = [
        partial([probabilities(c3=0.8, c5=0.3), probabilities(c3=0.4, c7=0.15)], [0, 500]),
        partial([probabilities(c9=0.9)], [900]),
    ]
    first, second = SIGNAL.reduce(partials, SHOTS).segments
    name = dict(enumerate(name for _, name in classes()))
    assert labels(first) == [(name[3], 0.6), (name[5], 0.15)]
    assert labels(second) == [(name[9], 0.9)]
    assert (second.start_ms, second.end_ms, second.score) == (900, 2000, None)


def test_labels_are_those_of_pictures():
    """Scheme and names are the same as of image.tags, so that both can be searched as one."""
    (first, _) = SIGNAL.reduce([partial([probabilities(c3=0.8)], [0])], SHOTS).segments
    assert (first.labels[0].scheme, first.labels[0].id) == ("imagenet-1k", classes()[3][0])
    assert SIGNAL.model is IMAGE_TAGS.model


def test_a_shot_too_short_for_a_sample_has_no_labels():
    """No frame looked at, nothing said."""
    _, second = SIGNAL.reduce([partial([probabilities(c3=0.8)], [0])], SHOTS).segments
    assert second.labels == ()


def test_what_is_kept_of_a_frame_is_small():
    """Three hours of frames half a second apart keep less than 2 MB."""
    kept = partial([probabilities(c3=0.8)] * 8, list(range(8)))
    assert sum(array.nbytes for array in (kept.times_ms, kept.classes, kept.scores)) == 8 * 88


@pytest.mark.parametrize("answer", [{}, {"probabilities": np.zeros((1, 1000))}, {"probabilities": np.zeros((2, 999))}])
def test_nonsense_is_refused(answer):
    """An answer without a row of a thousand for each frame is the model's error."""
    with pytest.raises(ModelError) as caught:
        SIGNAL.interpret(answer, Window({"image": np.zeros((2, 224, 224, 3), np.uint8), "times_ms": np.array([0, 500])}, 0, 540))
    assert caught.value.reason is Reason.BAD_OUTPUT
