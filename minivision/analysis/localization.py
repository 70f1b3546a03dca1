"""Where does a classifier see the object? A box around the evidence, and how well the box fits.

A network that was trained only on what its images show, never on where, can still localize objects:
threshold the class activation map, and draw a box around the largest region that remains. How much
this box overlaps the true one shows whether the evidence comes from the whole object, from a part
of it, or from the surroundings.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from minivision.backend import Array, to_host
from minivision.functional.inputs import sizes


def boxes_around_evidence(maps: Array, share: float = 0.2) -> np.ndarray:
    """Draw a box around the strongest evidence in each map: maps (N, H, W) -> boxes int64 (N, 4).

    Each map is thresholded at minimum + share · (maximum - minimum). The box x0, y0, x1, y1, with
    x1 and y1 excluded, encloses the largest connected component of the pixels that reach this
    threshold (pixels are connected if they share a side or a corner). If all values of a map are
    the same, there is no evidence, and the box is the whole image.

    A fraction of the maximum alone would not work as a threshold, because maps may be negative;
    the authors' code also subtracts the minimum. The smaller the share, the larger the boxes. (Zhou
    et al. 2016, §3.2, use 0.2.)

    >>> heat = np.zeros((1, 5, 6))
    >>> heat[0, 1:3, 2:6] = 1
    >>> boxes_around_evidence(heat)
    array([[2, 1, 6, 3]])
    """
    N, _, _ = sizes("boxes_around_evidence", "maps", maps, "N H W")
    if not 0 < share <= 1:
        raise ValueError(
            f"boxes_around_evidence: share is {share}; expected a number above 0, at most 1"
        )
    boxes = np.empty((N, 4), np.int64)
    for n, heat in enumerate(to_host(maps).astype(np.float64)):
        low, high = heat.min(), heat.max()
        if not np.isfinite(low + high):
            raise ValueError(f"boxes_around_evidence: maps[{n}] contains NaN or infinity")
        strong = heat - low >= share * (high - low)
        _, _, found, _ = cv2.connectedComponentsWithStats(strong.astype(np.uint8))
        x, y, width, height, _ = found[1 + found[1:, cv2.CC_STAT_AREA].argmax()]  # 0: background
        boxes[n] = x, y, x + width, y + height
    return boxes


def box_overlap(boxes: Any, others: Any) -> np.ndarray:
    """Intersection over union of pairs of boxes: (N, 4), (N, 4) -> (N,).

    This is the area that two boxes share, divided by the area that they cover together: 1 if they
    are the same, 0 if they do not overlap. A predicted box usually counts as correct if its
    intersection over union with the true box is at least 0.5.

    >>> box_overlap([[0, 0, 2, 2]], [[1, 0, 3, 2]])  # 2 pixels of 6
    array([0.33333333])
    """
    boxes, others = (
        checked_boxes("box_overlap", name, value)
        for name, value in (("boxes", boxes), ("others", others))
    )
    if len(boxes) != len(others):
        raise ValueError(f"box_overlap: {len(boxes)} boxes but {len(others)} others")
    starts = np.maximum(boxes[:, :2], others[:, :2])
    ends = np.minimum(boxes[:, 2:], others[:, 2:])
    shared = np.maximum(ends - starts, 0).prod(axis=1)
    return shared / (area_of(boxes) + area_of(others) - shared)


def area_of(boxes: np.ndarray) -> np.ndarray:
    """Width times height: boxes (N, 4) -> (N,)."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def checked_boxes(where: str, name: str, boxes: Any) -> np.ndarray:
    """Check boxes (N, 4): each must have a positive area, otherwise ValueError."""
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{where}: {name} has shape {boxes.shape}; expected (N, 4)")
    empty = np.flatnonzero(~(boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if empty.size:
        raise ValueError(
            f"{where}: {name}[{empty[0]}] is {boxes[empty[0]]}; expected x0, y0, x1, y1 with "
            "x0 < x1 and y0 < y1"
        )
    return boxes
