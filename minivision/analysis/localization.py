"""Where does a classifier see the object? A box around its evidence, and how well it fits.

A network trained only on what is in its images, never where, can still localize: its class
activation map is cut off at a threshold, and a box is drawn around the rest. How well that box
overlaps the true one shows whether the evidence is on the whole object, on a part of it, or next to
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

    Pixels that reach `share` of the way from the map's smallest value to its largest count. Of
    their connected parts (pixels that share a side or a corner) the largest is taken, and
    its box is x0, y0, x1, y1, with x1 and y1 excluded. A map that is the same everywhere shows
    nothing and gives the whole image.

    A share of the maximum would not do, because maps may be negative; the authors' code also
    subtracts the minimum. A small share gives large boxes. (Zhou et al. 2016, §3.2: share 0.2.)

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
    """Intersection over union of boxes, pair by pair: (N, 4), (N, 4) -> (N,).

    The area that two boxes share, divided by the area that they cover together: 1 if they are the
    same, 0 if they do not overlap. A found box usually counts as correct from 0.5 up.

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
