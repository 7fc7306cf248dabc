"""image.faces finds the boxes that are drawn into the model's maps."""

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.errors import ModelError, Reason
from processors.signal import Tensors, Window
from processors.signals.image_faces import SIGNAL, decode_faces, without_overlaps
from schemas.records import Findings, Region

WIDTH_PX, HEIGHT_PX = 320, 256
Maps = dict[str, NDArray[np.float32]]
Box = tuple[float, float, float, float]
PARTS = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]


def empty() -> Maps:
    depths = {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}
    return {name: np.zeros((1, depth, HEIGHT_PX // 4, WIDTH_PX // 4), dtype=np.float32) for name, depth in depths.items()}


def draw(maps: Maps, box: Box, peak: float, spread: float = 2.0) -> Maps:
    """A face as CenterFace is trained to see it: a gaussian around its centre, the box and the points in each cell."""
    left, top, width, height = box
    x, y = (left + width / 2) / 4, (top + height / 2) / 4
    rows, columns = np.mgrid[0 : HEIGHT_PX // 4, 0 : WIDTH_PX // 4]
    heat = peak * np.exp(-((rows - int(y)) ** 2 + (columns - int(x)) ** 2) / (2 * spread**2))
    here = heat > maps["heatmap"][0, 0]
    maps["heatmap"][0, 0][here] = heat[here]
    maps["scale"][0][:, here] = np.log([[height / 4], [width / 4]])
    maps["offset"][0][:, here] = [(y - rows - 0.5)[here], (x - columns - 0.5)[here]]
    maps["landmarks"][0][:, here] = np.array([[part for x_part, y_part in PARTS for part in (y_part, x_part)]]).T
    return maps


def findings(maps: Tensors) -> Findings:
    window = Window({"image": np.zeros((1, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)})
    return SIGNAL.reduce([SIGNAL.interpret(maps, window)], {})


def box_px(region: Region) -> list[float]:
    scaled = (region.left * WIDTH_PX, region.top * HEIGHT_PX, region.width * WIDTH_PX, region.height * HEIGHT_PX)
    return [round(side, 2) for side in scaled]


def test_a_gaussian_becomes_its_box() -> None:
    """One peak gives one region with its box, points and score, in fractions of the picture."""
    (face,) = findings(draw(empty(), (100, 60, 48, 64), peak=0.9)).regions
    assert box_px(face) == [100, 60, 48, 64]
    assert face.score == pytest.approx(0.9, abs=1e-6)
    points = [(round(point.x * WIDTH_PX, 2), round(point.y * HEIGHT_PX, 2)) for point in face.landmarks]
    assert points == [(round(100 + 48 * x, 2), round(60 + 64 * y, 2)) for x, y in PARTS]


def test_several_faces_come_best_first() -> None:
    """Faces apart are all found, each once."""
    maps = draw(draw(empty(), (20, 20, 40, 40), peak=0.7), (200, 100, 60, 80), peak=0.95)
    assert [box_px(face) for face in findings(maps).regions] == [[200, 100, 60, 80], [20, 20, 40, 40]]


def test_weak_peaks_are_no_faces() -> None:
    """Below the threshold nothing is found, and that is a finding: no regions."""
    assert findings(draw(empty(), (100, 60, 48, 64), peak=0.49)) == Findings()


def test_boxes_are_clipped_to_the_picture() -> None:
    """A face over the edge is cut there, and so are its points."""
    (face,) = findings(draw(empty(), (-20, -16, 60, 48), peak=0.8)).regions
    assert box_px(face) == [0, 0, 40, 32]
    assert all(0.0 <= part <= 1.0 for point in face.landmarks for part in (point.x, point.y))


def test_a_map_that_is_hot_everywhere_stays_cheap() -> None:
    """However many cells light up, a bounded number of candidates is looked at."""
    maps = empty()
    maps["heatmap"][:] = 0.9
    boxes, points, scores = decode_faces(*(maps[name][0] for name in ("heatmap", "scale", "offset", "landmarks")))
    assert boxes.shape == (1000, 4)
    assert points.shape == (1000, 5, 2)
    assert scores.shape == (1000,)


def test_overlap_is_area_shared_by_area_covered() -> None:
    """Of boxes that overlap by more than the limit the better stays; at the limit both do."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [5, 0, 15, 10], [20, 0, 30, 10]], dtype=np.float32)
    assert without_overlaps(boxes, 0.3).tolist() == [0, 3]  # overlaps 0.5, 1/3 and 0
    assert without_overlaps(boxes, 0.4).tolist() == [0, 2, 3]
    assert without_overlaps(boxes, 0.5).tolist() == [0, 1, 2, 3]
    assert without_overlaps(boxes[:0], 0.3).tolist() == []


def test_suppression_equals_the_textbook() -> None:
    """The vectorised suppression keeps what a plain double loop keeps."""
    random = np.random.default_rng(3)
    corners = random.uniform(0, 100, (200, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (200, 2))], axis=1).astype(np.float32)

    def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
        return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))

    kept: list[int] = []
    for index, box in enumerate(boxes):
        if all(overlap(boxes[better], box) <= 0.3 for better in kept):
            kept.append(index)
    assert without_overlaps(boxes, 0.3).tolist() == kept


def broken(name: str, value: float | None) -> Maps:
    maps = draw(empty(), (100, 60, 48, 64), peak=0.9)
    if value is None:
        maps[name] = maps[name][..., :-1]
    else:
        maps[name][..., 25, 31] = value
    return maps


@pytest.mark.parametrize(
    "maps",
    [
        broken("heatmap", np.nan),
        broken("heatmap", 7.0),
        broken("scale", np.inf),
        broken("scale", None),
        broken("landmarks", None),
        broken("offset", 1e6),
    ],
)
def test_nonsense_is_refused(maps: Maps) -> None:
    """Maps that are no numbers, of another size, or point outside the picture do not become signals."""
    with pytest.raises(ModelError) as caught:
        findings(maps)
    assert caught.value.reason is Reason.BAD_OUTPUT
