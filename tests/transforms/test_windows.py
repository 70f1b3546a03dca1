"""Centre crops and random resized crops: which pixels they show, and where points go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import CenterCrop, RandomResizedCrop, Resize
from tests.strategies import seeds
from tests.transforms.examples import random_image, sides


@given(H=sides, W=sides, below=st.integers(0, 5), right=st.integers(0, 5), seed=seeds)
def test_center_crop_leaves_an_odd_remainder_below_and_right(H, W, below, right, seed):
    image = random_image(H + below, W + right, seed=seed)
    middle = CenterCrop((H, W))(image)
    top, left = below // 2, right // 2
    np.testing.assert_array_equal(middle, image[top : top + H, left : left + W])
    assert not np.shares_memory(middle, image)


@given(H=sides, W=sides, OH=sides, OW=sides, seed=seeds)
def test_random_resized_crop_resizes_a_window_of_the_image(H, W, OH, OW, seed):
    image = random_image(H, W, seed=seed)
    transform = RandomResizedCrop((OH, OW))
    drawn = transform.draw((H, W), np.random.default_rng(seed))
    # Where the corners of the result come from, on the borders between pixels.
    x = (np.array([-0.5, OW - 0.5]) - drawn.shift_x) / drawn.scale_x + 0.5
    y = (np.array([-0.5, OH - 0.5]) - drawn.shift_y) / drawn.scale_y + 0.5
    corners = np.concatenate([x, y])
    np.testing.assert_allclose(corners, corners.round(), atol=1e-9)
    left, right, top, bottom = corners.round().astype(int)
    assert 0 <= left < right <= W
    assert 0 <= top < bottom <= H
    expected = Resize((OH, OW))(image[top:bottom, left:right])
    np.testing.assert_array_equal(transform.apply(image, drawn), expected)


def test_random_resized_crop_draws_uniform_areas_and_shapes():
    transform, rng = RandomResizedCrop((10, 10), (0.2, 0.4), (0.5, 2.0)), np.random.default_rng(0)
    drawn = [transform.draw((400, 400), rng) for _ in range(4_000)]
    height, width = (np.array([10 / getattr(d, f"scale_{axis}") for d in drawn]) for axis in "yx")
    areas, shapes = height * width / 400**2, np.log2(width / height)
    assert areas.mean() == pytest.approx(0.3, abs=0.005)
    assert (areas.min(), areas.max()) == pytest.approx((0.2, 0.4), abs=0.01)
    assert shapes.mean() == pytest.approx(0, abs=0.05)
    assert np.histogram(shapes, 4, (-1, 1))[0] == pytest.approx(1_000, abs=130)
    tops = np.array([0.5 - (d.shift_y + 0.5) / d.scale_y for d in drawn])
    assert (tops / (400 - height)).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("size", "window"), [((2, 90), (2, 3)), ((90, 2), (3, 2))])
def test_random_resized_crop_takes_the_largest_central_window_if_none_fits(size, window):
    transform = RandomResizedCrop((6, 6), scale=(1.0, 1.0))
    drawn = transform.draw(size, np.random.default_rng(0))
    assert (6 / drawn.scale_y, 6 / drawn.scale_x) == pytest.approx(window)
    H, W = size
    middle = transform.apply_points(np.array([[(W - 1) / 2, (H - 1) / 2]]), drawn)
    assert abs(middle - 2.5).max() <= 1.0  # half a pixel of the image, for an odd rest


def test_random_resized_crop_moves_points_with_the_pixels_they_mark():
    for seed in range(40):
        image = np.zeros((20, 30, 1), np.uint8)
        image[8:12, 13:17] = 255
        transform = RandomResizedCrop((40, 40), scale=(0.5, 1.0))
        drawn = transform.draw((20, 30), np.random.default_rng(seed))
        result = transform.apply(image, drawn)[:, :, 0].astype(float)
        y, x = np.indices(result.shape)
        if result[0].any() or result[-1].any() or result[:, 0].any() or result[:, -1].any():
            continue  # cut through
        centre = np.array([(x * result).sum(), (y * result).sum()]) / result.sum()
        assert abs(transform.apply_points(np.array([[14.5, 9.5]]), drawn)[0] - centre).max() < 0.3
