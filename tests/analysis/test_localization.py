"""Boxes around evidence and their overlap, against loops over pixels."""

import numpy as np
import pytest

from minivision.analysis.localization import box_overlap, boxes_around_evidence
from minivision.datasets import ShapeDataset


def box_by_hand(heat, share):
    """Fill from pixel to pixel; keep the largest part; look for its first and last row, column."""
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
def test_a_box_lies_around_the_largest_connected_part_of_the_evidence(share):
    rng, several = np.random.default_rng(0), 0
    for _ in range(40):
        heat = rng.normal(size=(7, 9)) ** 3  # values below and above zero, in several parts
        expected, parts = box_by_hand(heat, share)
        if parts[-1:] == parts[-2:-1]:
            continue  # two largest parts: either may be taken
        several += len(parts) > 1
        assert boxes_around_evidence(heat[None], share)[0].tolist() == expected
    assert share < 0.5 or several > 5


def test_pixels_that_meet_at_a_corner_belong_together():
    assert boxes_around_evidence(np.eye(4)[None], 0.5).tolist() == [[0, 0, 4, 4]]


def test_a_box_does_not_depend_on_the_maps_scale_and_offset():
    heat = np.random.default_rng(1).normal(size=(5, 8, 8))
    assert (boxes_around_evidence(heat) == boxes_around_evidence(3 * heat - 100)).all()


def test_a_higher_threshold_never_gives_a_larger_box_of_a_single_hill():
    y, x = np.mgrid[:12, :10]
    heat = np.exp(-((x - 4) ** 2 + (y - 7) ** 2) / 8)[None]
    areas = []
    for share in (0.1, 0.3, 0.5, 0.9):
        ((x0, y0, x1, y1),) = boxes_around_evidence(heat, share)
        areas.append((x1 - x0) * (y1 - y0))
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > areas[-1]


def test_evidence_that_is_the_same_everywhere_gives_the_whole_image():
    assert boxes_around_evidence(np.full((1, 4, 6), -2.0)).tolist() == [[0, 0, 6, 4]]


def test_the_box_of_a_drawn_shape_is_the_dataset_s_box():
    data = ShapeDataset(5, background=(0.0, 0.0), brightness=(1.0, 1.0), clutter=(0, 0))
    found = boxes_around_evidence(data.images.max(axis=3), 1 / 255)
    # A pixel that a shape covers by less than half a grey level is in its box, and black.
    assert (abs(found - data.boxes) <= 1).all()
    assert (box_overlap(found, data.boxes) > 0.85).all()


def test_the_overlap_of_boxes_is_what_counting_their_pixels_gives():
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


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: boxes_around_evidence(np.zeros((4, 4))), "maps"),
        (lambda: boxes_around_evidence(np.zeros((1, 4, 4)), 0.0), "share is 0.0"),
        (lambda: boxes_around_evidence(np.zeros((1, 4, 4)), 1.5), "share is 1.5"),
        (lambda: boxes_around_evidence(np.full((1, 4, 4), np.nan)), r"maps\[0\] has a value"),
        (lambda: box_overlap([0, 0, 1, 1], [[0, 0, 1, 1]]), r"boxes has shape \(4,\)"),
        (lambda: box_overlap([[0, 0, 1, 1]], [[0, 0, 1, 1]] * 2), "1 boxes came with 2 others"),
        (lambda: box_overlap([[0, 0, 1, 1]], [[3, 0, 3, 1]]), r"others\[0\] is \[3 0 3 1\]"),
    ],
)
def test_what_cannot_be_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
