"""Where each output pixel samples the image, and the value it gets: bilinear interpolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from tests import oracles
from tests.strategies import seeds

sizes = st.integers(1, 5)
images = st.tuples(st.integers(0, 3), sizes, sizes, sizes)
corners = pytest.mark.parametrize("align_corners", [False, True])
IDENTITY = np.array([[[1.0, 0, 0], [0, 1, 0]]])


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(size=images, align_corners=st.booleans(), seed=seeds)
def test_affine_grid_equals_its_definition(size, align_corners, seed):
    theta = normal(seed, size[0], 2, 3)
    np.testing.assert_allclose(
        F.affine_grid(theta, size, align_corners).data,
        oracles.affine_grid(theta, size, align_corners),
        rtol=1e-12,
        atol=1e-13,
    )


@given(shape=images, out=st.tuples(sizes, sizes), align_corners=st.booleans(), seed=seeds)
def test_grid_sample_equals_its_definition(shape, out, align_corners, seed):
    x, grid = normal(seed, *shape), 1.5 * normal(seed + 1, shape[0], *out, 2)
    np.testing.assert_allclose(
        F.grid_sample(x, grid, align_corners).data,
        oracles.grid_sample(x, grid, align_corners),
        rtol=1e-11,
        atol=1e-12,
    )


def warped(x, theta, align_corners, size=None):
    return F.grid_sample(
        x, F.affine_grid(theta, size or x.shape, align_corners), align_corners
    ).data


@corners
def test_grid_sample_with_the_identity_changes_nothing(align_corners):
    x = normal(0, 1, 3, 4, 5)
    np.testing.assert_allclose(warped(x, IDENTITY, align_corners), x, rtol=0, atol=1e-14)


@corners
def test_grid_sample_with_minus_x_mirrors_and_with_minus_both_rotates_by_180_degrees(align_corners):
    x = normal(0, 1, 3, 4, 5)
    mirrored = warped(x, IDENTITY * [[-1], [1]], align_corners)
    np.testing.assert_allclose(mirrored, x[..., ::-1], rtol=0, atol=1e-13)
    turned = warped(x, -IDENTITY, align_corners)
    np.testing.assert_allclose(turned, x[..., ::-1, ::-1], rtol=0, atol=1e-13)


def test_grid_sample_shifts_the_image_by_whole_pixels_and_fills_with_zeros():
    """The grid runs over 2 units and 5 columns, so one column is 2/5 of a unit."""
    x = normal(0, 1, 2, 4, 5)
    y = warped(x, IDENTITY + np.array([[0, 0, 2 / 5], [0, 0, 0]]), align_corners=False)
    np.testing.assert_allclose(y[..., :-1], x[..., 1:], rtol=0, atol=1e-13)
    np.testing.assert_allclose(y[..., -1], 0, atol=1e-13)


def test_affine_grid_puts_the_corners_at_pixel_centres_or_at_the_edges_of_the_image():
    size = (1, 1, 2, 4)
    row = F.affine_grid(IDENTITY, size, align_corners=True).data[0, 0]
    np.testing.assert_allclose(row, [[-1, -1], [-1 / 3, -1], [1 / 3, -1], [1, -1]], rtol=1e-14)
    row = F.affine_grid(IDENTITY, size, align_corners=False).data[0, 0]
    np.testing.assert_allclose(row, [[-0.75, -0.5], [-0.25, -0.5], [0.25, -0.5], [0.75, -0.5]])


def test_grid_sample_halfway_between_four_pixels_by_hand():
    x = Tensor(np.array([[[[1.0, 3.0], [5.0, 11.0]]]]), requires_grad=True)
    grid = Tensor(np.zeros((1, 1, 1, 2)), requires_grad=True)
    y = F.grid_sample(x, grid, align_corners=True)
    y.backward(np.array([[[[8.0]]]]))
    assert y.item() == 5
    assert x.grad.tolist() == [[[[2, 2], [2, 2]]]]
    # To the right the value grows by (3 + 11 - 1 - 5) / 2 = 4 per pixel, and a pixel is 2 units.
    assert grid.grad.ravel().tolist() == [8 * 4 / 2, 8 * 6 / 2]


def test_grid_sample_far_outside_is_0_and_has_gradient_0():
    x = Tensor(normal(0, 1, 2, 3, 4), requires_grad=True)
    grid = Tensor(np.full((1, 1, 2, 2), 1e30), requires_grad=True)
    y = F.grid_sample(x, grid)
    y.backward(np.ones(y.shape))
    assert not y.data.any()
    assert not x.grad.any()
    assert not grid.grad.any()


def test_grid_sample_adds_the_gradients_of_a_pixel_sampled_twice():
    x = Tensor(np.ones((1, 1, 1, 1)), requires_grad=True)
    F.grid_sample(x, np.zeros((1, 1, 2, 2))).backward(np.array([[[[1.0, 10.0]]]]))
    assert x.grad.item() == 11
