"""Boxes around evidence and their overlap, against loops over pixels."""

import numpy as np
import pytest

from minivision.analysis.localization import box_overlap, boxes_around_evidence
from minivision.datasets import ShapeDataset


def box_by_hand(heat, share):
    """Flood-fill the parts, keep the largest, and find its first and last rows and columns."""
    H, W = heat.shape
    strong = heat >= heat.min() + share * (heat.max() - heat.min())
    seen, parts = set(), []
    for start in zip(*np.nonzero(strong), strict=True):
        if start in seen:
            continue
        part, waiting = [], [start]
        seen.add(start)
        while waiting:
            y, x = waiting.pop()
            part.append((y, x))
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    near = (y + dy, x + dx)
                    inside = 0 <= near[0] < H and 0 <= near[1] < W
                    if inside and strong[near] and near not in seen:
                        seen.add(near)
                        waiting.append(near)
        parts.append(part)
    rows, columns = zip(*max(parts, key=len), strict=True)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1], sorted(map(len, parts))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_boxes_around_evidence_enclose_the_largest_connected_part(share):
    rng, several = np.random.default_rng(0), 0
    for _ in range(40):
        heat = rng.normal(size=(7, 9)) ** 3  # values below and above zero, in several parts
        expected, parts = box_by_hand(heat, share)
        if parts[-1:] == parts[-2:-1]:
            continue  # two largest parts: either may be taken
        several += len(parts) > 1
        assert boxes_around_evidence(heat[None], share)[0].tolist() == expected
    assert share < 0.5 or several > 5


def test_boxes_around_evidence_connect_pixels_that_share_a_corner():
    assert boxes_around_evidence(np.eye(4)[None], 0.5).tolist() == [[0, 0, 4, 4]]


def test_boxes_around_evidence_do_not_depend_on_the_scale_and_offset_of_the_map():
    heat = np.random.default_rng(1).normal(size=(5, 8, 8))
    assert (boxes_around_evidence(heat) == boxes_around_evidence(3 * heat - 100)).all()


def test_boxes_around_evidence_shrink_as_the_threshold_rises():
    y, x = np.mgrid[:12, :10]
    heat = np.exp(-((x - 4) ** 2 + (y - 7) ** 2) / 8)[None]
    areas = []
    for share in (0.1, 0.3, 0.5, 0.9):
        ((x0, y0, x1, y1),) = boxes_around_evidence(heat, share)
        areas.append((x1 - x0) * (y1 - y0))
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > areas[-1]


def test_boxes_around_evidence_of_a_constant_map_are_the_whole_image():
    assert boxes_around_evidence(np.full((1, 4, 6), -2.0)).tolist() == [[0, 0, 6, 4]]


def test_boxes_around_evidence_of_drawn_shapes_are_the_boxes_of_the_dataset():
    data = ShapeDataset(5, background=(0.0, 0.0), brightness=(1.0, 1.0), clutter=(0, 0))
    found = boxes_around_evidence(data.images.max(axis=3), 1 / 255)
    # A pixel that a shape covers by less than half a grey level is in its box, and black.
    assert (abs(found - data.boxes) <= 1).all()
    assert (box_overlap(found, data.boxes) > 0.85).all()


def test_box_overlap_equals_counting_pixels():
    rng = np.random.default_rng(2)
    starts = rng.integers(0, 4, (60, 2))
    boxes = np.concatenate([starts, starts + rng.integers(1, 6, (60, 2))], axis=1)
    first, second = boxes[:30], boxes[30:]
    expected = []
    for a, b in zip(first, second, strict=True):
        one, two = (
            {(x, y) for x in range(x0, x1) for y in range(y0, y1)} for x0, y0, x1, y1 in (a, b)
        )
        expected.append(len(one & two) / len(one | two))
    assert 0 in expected
    assert max(expected) > 0.4
    np.testing.assert_allclose(box_overlap(first, second), expected)
    np.testing.assert_allclose(box_overlap(second, first), expected)
    assert (box_overlap(first, first) == 1).all()
