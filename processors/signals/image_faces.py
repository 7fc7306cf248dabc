"""image.faces: where faces are in a picture, with eyes, nose and corners of the mouth. Where, not whose.

The model is CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019): a face is a peak
of the heatmap, at a quarter of the picture's size; its box and landmarks stand in the other maps at the same cell.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from processors.errors import ModelError, Reason
from processors.features.image import FacePixels
from processors.signal import Shape, Signal, Tensors, Window
from processors.signals.checks import one_row, require_between
from processors.signals.models import FACES
from schemas.records import Findings, MediaKind, Point, Region

__all__ = ["SIGNAL", "decode_faces", "without_overlaps"]

LEAST_SCORE = 0.5
MOST_OVERLAP = 0.3
MOST_CANDIDATES = 1000
_STRIDE_PX = 4
_LARGEST_LOG_SCALE = 10.0  # e^10 cells: far beyond any picture, and finite

Floats = NDArray[np.float32]


def decode_faces(heatmap: Floats, scale: Floats, offset: Floats, landmarks: Floats) -> tuple[Floats, Floats, Floats]:
    """The candidates of CenterFace's four maps, best first, before overlapping ones are dropped.

    heatmap (1, h, w) in [0, 1]; scale (2, h, w): log of height and width in cells; offset (2, h, w): y and x of the centre in the
    cell, from its middle; landmarks (10, h, w): y and x of five points in parts of the box, from its corner. A cell is 4 × 4 px.
    Returns boxes (n, 4) as left, top, right, bottom in px, points (n, 5, 2) as x, y in px, scores (n,); n <= 1000.
    """
    rows, columns = np.nonzero(heatmap[0] >= LEAST_SCORE)
    best = np.argsort(-heatmap[0, rows, columns], kind="stable")[:MOST_CANDIDATES]
    rows, columns = rows[best], columns[best]
    height, width = np.exp(np.minimum(scale[:, rows, columns], _LARGEST_LOG_SCALE)) * _STRIDE_PX
    top = (rows + offset[0, rows, columns] + 0.5) * _STRIDE_PX - height / 2
    left = (columns + offset[1, rows, columns] + 0.5) * _STRIDE_PX - width / 2
    boxes = np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)
    parts = landmarks[:, rows, columns].reshape(5, 2, -1)
    points = np.stack([parts[:, 1] * width + left, parts[:, 0] * height + top], axis=-1)
    return boxes, points.transpose(1, 0, 2).astype(np.float32), heatmap[0, rows, columns]


def without_overlaps(boxes: Floats, most_overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: the indices of boxes that overlap no better one by more than most_overlap (area of the
    intersection ÷ area of the union). boxes (n, 4): left, top, right, bottom, best first.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    left = np.arange(len(boxes))
    while left.size:
        best, others = left[0], left[1:]
        kept.append(int(best))
        corners = np.maximum(boxes[best, :2], boxes[others, :2]), np.minimum(boxes[best, 2:], boxes[others, 2:])
        shared = np.clip(corners[1] - corners[0], 0, None).prod(axis=1)
        left = others[shared <= most_overlap * (areas[best] + areas[others] - shared)]
    return np.array(kept, dtype=np.intp)


def _interpret(answer: Tensors, window: Window) -> tuple[Region, ...]:
    height_px, width_px = window.tensors["image"].shape[1:3]
    cells = (height_px // _STRIDE_PX, width_px // _STRIDE_PX)
    maps = [
        one_row(answer, name, (depth, *cells)) for name, depth in (("heatmap", 1), ("scale", 2), ("offset", 2), ("landmarks", 10))
    ]
    require_between("heatmap", maps[0], 0.0, 1.0)
    boxes, points, scores = decode_faces(*maps)
    size = np.array([width_px, height_px], dtype=np.float32)
    clipped = np.clip(boxes / np.tile(size, 2), 0.0, 1.0)
    kept = without_overlaps(clipped, MOST_OVERLAP)
    return tuple(_region(clipped[i], np.clip(points[i] / size, 0.0, 1.0), float(scores[i])) for i in kept)


def _region(box: Floats, points: Floats, score: float) -> Region:
    left, top, right, bottom = box.tolist()
    if not (left < right and top < bottom):
        raise ModelError(Reason.BAD_OUTPUT, f"A face must lie in the picture; the model's has the box {box.tolist()}")
    return Region(
        left=left,
        top=top,
        width=right - left,
        height=bottom - top,
        score=min(score, 1.0),
        landmarks=tuple(Point(x=x, y=y) for x, y in points.tolist()),
    )


def _reduce(partials: Sequence[tuple[Region, ...]], upstream: Mapping[str, Findings]) -> Findings:
    (faces,) = partials
    return Findings(regions=faces)


SIGNAL = Signal(
    name="image.faces",
    owner="media-understanding",
    meaning="Where faces are in a picture, with five landmarks each: eyes, nose and corners of the mouth. It does not say whose.",
    applies_to=frozenset({MediaKind.IMAGE}),
    shapes=(Shape.REGIONS,),
    feature=FacePixels(longest_side_px=640),
    model=FACES,
    interpret=_interpret,
    reduce=_reduce,
    parameters={"least_score": LEAST_SCORE, "most_overlap": MOST_OVERLAP, "most_candidates": MOST_CANDIDATES},
)
