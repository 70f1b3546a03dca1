"""Flips and quarter turns: every pixel in its new position."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import RandomHorizontalFlip, RandomVerticalFlip, Rotate90
from tests.strategies import seeds
from tests.transforms.examples import channels, random_image, sides

flips = pytest.mark.parametrize(
    ("Flip", "axis"), [(RandomHorizontalFlip, 1), (RandomVerticalFlip, 0)]
)


@flips
@given(sides, sides, channels, seeds)
def test_flips_mirror_an_axis_and_two_restore_the_image(Flip, axis, H, W, C, seed):
    image, rng = random_image(H, W, C, seed), np.random.default_rng(seed)
    once = Flip(1.0)(image, rng)
    for i in range(image.shape[axis]):
        np.testing.assert_array_equal(once.take(i, axis), image.take(-1 - i, axis))
    np.testing.assert_array_equal(Flip(1.0)(once, rng), image)
    np.testing.assert_array_equal(Flip(0.0)(image, rng), image)


@flips
def test_flips_happen_as_often_as_p_says(Flip, axis):
    rng = np.random.default_rng(0)
    drawn = [Flip(0.25).draw((4, 4), rng) for _ in range(4000)]
    mirrored = np.mean([(d.scale_y if axis == 0 else d.scale_x) == -1 for d in drawn])
    assert abs(mirrored - 0.25) < 0.03  # more than four standard errors


@given(sides, sides, channels, st.integers(-5, 9), seeds)
def test_rotate90_turns_counter_clockwise_and_swaps_the_sides(H, W, C, turns, seed):
    image = random_image(H, W, C, seed)
    expected = image
    for _ in range(turns % 4):
        h, w, _ = expected.shape
        turned = np.empty((w, h, C), np.uint8)
        for y in range(h):
            for x in range(w):
                turned[w - 1 - x, y] = expected[y, x]  # what was on the right is on top
        expected = turned
    result = Rotate90(turns)(image)
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(result, np.rot90(image, turns))
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, image)


@given(sides, sides, st.integers(-2, 5), seeds)
def test_rotate90_by_four_turns_in_all_restores_image_points_and_boxes(H, W, turns, seed):
    there, back = Rotate90(turns), Rotate90(4 - turns)
    drawn = there.draw((H, W))
    again = back.draw(drawn.size)
    image = random_image(H, W, 3, seed)
    np.testing.assert_array_equal(back.apply(there.apply(image, drawn), again), image)
    points = np.random.default_rng(seed).uniform(-1, 9, (4, 2))
    moved = there.apply_points(points, drawn)
    np.testing.assert_allclose(back.apply_points(moved, again), points, atol=1e-12)
    boxes = np.array([[0.0, 0, W, H]])
    moved = there.apply_boxes(boxes, drawn)
    assert moved.tolist() == [[0, 0, *drawn.size[::-1]]]
    assert back.apply_boxes(moved, again).tolist() == boxes.tolist()


@given(sides, sides, seeds)
def test_rotate90_by_two_turns_equals_two_flips(H, W, seed):
    image, rng = random_image(H, W, 1, seed), np.random.default_rng(0)
    both = RandomVerticalFlip(1.0)(RandomHorizontalFlip(1.0)(image, rng), rng)
    np.testing.assert_array_equal(both, Rotate90(2)(image))
