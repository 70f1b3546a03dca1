"""Where does a classifier say that the object is? A box around its evidence, and how well it fits.

A network that was told what is in its images, and never where, can still be asked: its class
activation map is cut off at a threshold, and a box is drawn around what is left. How well that box
meets the true one tells whether the evidence lies on the whole object, on a part of it, or beside
it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from minivision.backend import Array, to_host
from minivision.functional.inputs import sizes


def boxes_around_evidence(maps: Array, share: float = 0.2) -> np.ndarray:
    """A box around the strongest part of each map: maps (N, H, W) -> boxes int64 (N, 4).

    What reaches `share` of the way from the map's smallest value to its largest counts; of its
    connected parts (neighbours by a side or a corner) the one with the most pixels is taken, and
    its box is x0, y0, x1, y1, the ends not included. A map that is the same everywhere shows
    nothing and gives the whole image.

    A maximum alone cannot serve, for maps may be negative; the authors' code subtracts the
    smallest value as well. A small share gives large boxes. (Zhou et al. 2016, §3.2: share 0.2.)

    >>> heat = np.zeros((1, 5, 6))
    >>> heat[0, 1:3, 2:6] = 1
    >>> boxes_around_evidence(heat)
    array([[2, 1, 6, 3]])
    """
    N, _, _ = sizes("boxes_around_evidence", "maps", maps, "N H W")
    if not 0 < share <= 1:
        raise ValueError(f"boxes_around_evidence: share is {share}; expected above 0, at most 1")
    boxes = np.empty((N, 4), np.int64)
    for n, heat in enumerate(to_host(maps).astype(np.float64)):
        low, high = heat.min(), heat.max()
        if not np.isfinite(low + high):
            raise ValueError(f"boxes_around_evidence: maps[{n}] has a value that is not finite")
        strong = heat - low >= share * (high - low)
        _, _, found, _ = cv2.connectedComponentsWithStats(strong.astype(np.uint8))
        x, y, width, height, _ = found[1 + found[1:, cv2.CC_STAT_AREA].argmax()]  # 0 is the ground
        boxes[n] = x, y, x + width, y + height
    return boxes


def box_overlap(boxes: Any, others: Any) -> np.ndarray:
    """What two boxes share over what they cover together, pair by pair: (N, 4), (N, 4) -> (N,).

    1 where they are the same, 0 where they do not meet; "intersection over union". A found box
    usually counts as right from 0.5 on.

    >>> box_overlap([[0, 0, 2, 2]], [[1, 0, 3, 2]])  # 2 pixels of 6
    array([0.33333333])
    """
    boxes, others = (
        checked_boxes("box_overlap", name, value)
        for name, value in (("boxes", boxes), ("others", others))
    )
    if len(boxes) != len(others):
        raise ValueError(f"box_overlap: {len(boxes)} boxes came with {len(others)} others")
    starts = np.maximum(boxes[:, :2], others[:, :2])
    ends = np.minimum(boxes[:, 2:], others[:, 2:])
    shared = np.maximum(ends - starts, 0).prod(axis=1)
    return shared / (area_of(boxes) + area_of(others) - shared)


def area_of(boxes: np.ndarray) -> np.ndarray:
    """Width times height: boxes (N, 4) -> (N,)."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def checked_boxes(where: str, name: str, boxes: Any) -> np.ndarray:
    """Boxes (N, 4) that have an inside; ValueError for others."""
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
