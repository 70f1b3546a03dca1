"""Vertical flips and quarter turns: every pixel in its new place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import RandomHorizontalFlip, RandomVerticalFlip, Rotate90
from tests.strategies import seeds

sides = st.integers(1, 9)
channels = st.sampled_from([1, 3, 4])


def random_image(H, W, C, seed):
    image = np.random.default_rng(seed).integers(0, 256, (H, W, C), dtype=np.uint8)
    image.flags.writeable = False
    return image


@given(sides, sides, channels, seeds)
def test_a_vertical_flip_mirrors_the_rows_and_two_give_the_image_back(H, W, C, seed):
    image, rng = random_image(H, W, C, seed), np.random.default_rng(seed)
    flip = RandomVerticalFlip(1.0)
    once = flip(image, rng)
    for y in range(H):
        np.testing.assert_array_equal(once[y], image[H - 1 - y])
    np.testing.assert_array_equal(flip(once, rng), image)
    np.testing.assert_array_equal(RandomVerticalFlip(0.0)(image, rng), image)


def test_a_flip_happens_as_often_as_p_says():
    rng = np.random.default_rng(0)
    flips = sum(RandomVerticalFlip(0.25).draw((4, 4), rng).scale_y == -1 for _ in range(4000))
    assert abs(flips / 4000 - 0.25) < 0.03  # more than four standard errors


@given(sides, sides, channels, st.integers(-5, 9), seeds)
def test_quarter_turns_are_counter_clockwise_and_sides_change_places(H, W, C, turns, seed):
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
def test_four_turns_in_all_give_image_points_and_boxes_back(H, W, turns, seed):
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
def test_two_flips_are_a_turn_by_180_degrees(H, W, seed):
    image, rng = random_image(H, W, 1, seed), np.random.default_rng(0)
    both = RandomVerticalFlip(1.0)(RandomHorizontalFlip(1.0)(image, rng), rng)
    np.testing.assert_array_equal(both, Rotate90(2)(image))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RandomVerticalFlip(1.5), "RandomVerticalFlip: p is 1.5; expected a number"),
        (lambda: Rotate90(0.5), "Rotate90: turns is 0.5; expected a whole number of quarter turns"),
        (lambda: Rotate90("left"), "Rotate90: turns is a str"),
        (lambda: RandomVerticalFlip()(np.zeros((2, 2, 1), np.uint8)), "RandomVerticalFlip: no rng"),
        (lambda: Rotate90()(np.zeros((2, 2), np.uint8)), r"Rotate90: image has shape \(2, 2\)"),
        (lambda: Rotate90()(np.zeros((0, 2, 1), np.uint8)), "with at least one pixel"),
    ],
)
def test_wrong_arguments_raise_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
