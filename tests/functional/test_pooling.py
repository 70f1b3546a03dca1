"""Pooling against loops; which pixel gets the gradient if several are largest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from minivision.functional.average_pooling import even_slices
from minivision.gradcheck import gradcheck
from tests import oracles
from tests.strategies import ODD_POOLINGS, poolings, seeds

pytestmark = pytest.mark.usefixtures("every_kernel")

POOLS = {
    "max_pool2d": (F.max_pool2d, oracles.max_pool2d),
    "avg_pool2d": (F.avg_pool2d, oracles.avg_pool2d),
}
pools = pytest.mark.parametrize(("function", "loops"), POOLS.values(), ids=POOLS)
odd = pytest.mark.parametrize("case", ODD_POOLINGS.values(), ids=ODD_POOLINGS)


def assert_equals_loops(function, loops, case):
    x = case.array()
    y, expected = function(x, **case.settings), loops(x, case.kernel, case.stride, case.padding)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-13)


@pools
@given(case=poolings())
def test_pooling_equals_its_definition(function, loops, case):
    assert_equals_loops(function, loops, case)


@pools
@odd
def test_pooling_equals_its_definition_in_odd_geometries(function, loops, case):
    assert_equals_loops(function, loops, case)


@pools
@given(case=poolings(least_batch=1))
def test_pooling_gradients_pass_gradcheck(function, loops, case):
    rng = np.random.default_rng(case.seed)
    gradcheck(lambda x: function(x, **case.settings), [case.array()], rng=rng)


def max_pool_and_gradient(x, dy, case):
    leaf = Tensor(x, requires_grad=True)
    F.max_pool2d(leaf, **case.settings).backward(dy)
    return leaf.grad


@given(case=poolings())
def test_max_pool2d_gives_the_gradient_to_the_first_of_equal_maxima(case):
    """Only three different values, so that most windows have ties."""
    rng = np.random.default_rng(case.seed)
    x = rng.integers(0, 3, case.array().shape).astype(float)
    dy = rng.normal(size=F.max_pool2d(x, **case.settings).shape)
    expected = oracles.max_pool2d_gradient(dy, x, case.kernel, case.stride, case.padding)
    np.testing.assert_allclose(max_pool_and_gradient(x, dy, case), expected, atol=1e-13)


@given(case=poolings())
def test_max_pool2d_passes_all_of_its_gradient_on(case):
    x = case.array()
    y = F.max_pool2d(x, **case.settings)
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    dx = max_pool_and_gradient(x, dy, case)
    np.testing.assert_allclose(dx.sum(axis=(2, 3)), dy.sum(axis=(2, 3)), atol=1e-12)


@given(case=poolings(least_batch=1))
def test_avg_pool2d_and_its_gradient_are_adjoint(case):
    x = Tensor(case.array(), requires_grad=True)
    y = F.avg_pool2d(x, **case.settings)
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    y.backward(dy)
    assert (y.data * dy).sum() == pytest.approx((x.data * x.grad).sum(), rel=1e-9, abs=1e-11)


def test_max_pool2d_by_hand():
    x = Tensor(np.array([[[[1.0, 5.0, 2.0], [5.0, 4.0, 9.0]]]]), requires_grad=True)
    y = F.max_pool2d(x, 2, stride=1)
    y.backward(np.array([[[[10.0, 20.0]]]]))
    assert y.data.tolist() == [[[[5, 9]]]]
    assert x.grad.tolist() == [[[[0, 10, 0], [0, 0, 20]]]]


def test_max_pool2d_adds_the_gradients_of_a_pixel_that_is_the_maximum_twice():
    x = Tensor(np.array([[[[1.0, 7.0, 2.0]]]]), requires_grad=True)
    F.max_pool2d(x, (1, 2), stride=1).backward(np.array([[[[10.0, 20.0]]]]))
    assert x.grad.tolist() == [[[[0, 30, 0]]]]


def test_pooling_counts_the_border_in_the_mean_and_never_as_the_maximum():
    x = -np.ones((1, 1, 2, 3))
    assert F.max_pool2d(x, 2, padding=1).data.max() == -1
    assert F.avg_pool2d(x, 2, padding=1).data[0, 0].tolist() == [[-0.25, -0.5], [-0.25, -0.5]]


def test_avg_pool2d_with_count_include_pad_false_leaves_the_border_out():
    x = Tensor(np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]), requires_grad=True)
    y = F.avg_pool2d(x, 2, padding=1, count_include_pad=False)
    y.backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    assert y.data[0, 0].tolist() == [[1, 2.5], [4, 5.5]]  # of one pixel, and of two
    assert x.grad[0, 0].tolist() == [[1, 5, 5], [100, 500, 500]]


@pytest.mark.parametrize("padding", [0, 1])
def test_max_pool2d_gives_the_gradient_to_nan_and_to_minus_infinity(padding):
    x = np.full((1, 1, 3, 3), -np.inf)
    x[0, 0, 2, 2] = np.nan
    leaf = Tensor(x, requires_grad=True)
    y = F.max_pool2d(leaf, 3, padding=padding)  # with a border: 2x2 pixels of -∞
    y.backward(np.full(y.shape, 7.0))
    assert leaf.grad.sum() == 7
    assert leaf.grad[0, 0, 0, 0] == (7 if padding else 0)
    assert leaf.grad[0, 0, 2, 2] == (0 if padding else 7)


def test_max_pool2d_distinguishes_an_infinite_pixel_from_the_border():
    x = Tensor(np.array([[[[np.inf, 0.0]]]]), requires_grad=True)
    y = F.max_pool2d(x, (1, 2), 1, (0, 1))  # the windows: (border, ∞), (∞, 0), (0, border)
    y.backward(np.array([[[[1.0, 10.0, 100.0]]]]))
    assert y.data.tolist() == [[[[np.inf, np.inf, 0]]]]
    assert x.grad.tolist() == [[[[11, 100]]]]


@pools
def test_pooling_stride_defaults_to_the_kernel_size(function, loops):
    x = ODD_POOLINGS["overlapping"].array()
    np.testing.assert_array_equal(function(x, (3, 2)).data, function(x, (3, 2), (3, 2)).data)
    assert function(x, 2).shape == (2, 1, 3, 3)


@pools
def test_pooling_a_constant_image_changes_nothing(function, loops):
    x = np.full((2, 3, 6, 4), 1.25)
    assert (function(x, 2).data == 1.25).all()


@pools
def test_pooling_with_windows_of_one_pixel_copies(function, loops):
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    y = function(x, 1).data
    np.testing.assert_array_equal(y, x)
    assert not np.may_share_memory(y, x)


# ── adaptive pooling ─────────────────────────────────────────────────────────────────────────

sizes = st.integers(1, 7)


@given(N=st.integers(0, 2), C=st.integers(1, 2), H=sizes, W=sizes, OH=sizes, OW=sizes, seed=seeds)
def test_adaptive_avg_pool2d_equals_its_definition(N, C, H, W, OH, OW, seed):
    x = np.random.default_rng(seed).normal(size=(N, C, H, W))
    np.testing.assert_allclose(
        F.adaptive_avg_pool2d(x, (OH, OW)).data,
        oracles.adaptive_avg_pool2d(x, (OH, OW)),
        rtol=1e-12,
        atol=1e-13,
    )


def test_adaptive_avg_pool2d_of_seven_pixels_in_three_windows_by_hand():
    """Rows 0 to 2, 2 to 4 and 4 to 6: neighbours share a pixel, which gets both gradients."""
    x = Tensor(np.arange(7.0).reshape(1, 1, 7, 1), requires_grad=True)
    y = F.adaptive_avg_pool2d(x, (3, 1))
    y.backward(np.array([3.0, 30.0, 300.0]).reshape(1, 1, 3, 1))
    assert y.data.ravel().tolist() == [1, 3, 5]
    assert x.grad.ravel().tolist() == [1, 1, 11, 10, 110, 100, 100]


@given(C=st.integers(1, 3), H=sizes, W=sizes, seed=seeds)
def test_adaptive_avg_pool2d_to_one_pixel_is_the_mean_and_to_the_same_size_the_identity(
    C, H, W, seed
):
    x = np.random.default_rng(seed).normal(size=(2, C, H, W))
    whole = F.adaptive_avg_pool2d(x, 1).data
    np.testing.assert_allclose(whole[:, :, 0, 0], x.mean(axis=(2, 3)), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(F.adaptive_avg_pool2d(x, (H, W)).data, x)


@given(OH=st.integers(1, 3), OW=st.integers(1, 3), KH=st.integers(1, 3), KW=st.integers(1, 3))
def test_adaptive_avg_pool2d_is_avg_pool2d_if_the_size_divides(OH, OW, KH, KW):
    x = np.random.default_rng(0).normal(size=(2, 3, OH * KH, OW * KW))
    np.testing.assert_allclose(
        F.adaptive_avg_pool2d(x, (OH, OW)).data, F.avg_pool2d(x, (KH, KW)).data, atol=1e-14
    )


@given(n=st.integers(1, 12), parts=st.integers(1, 12))
def test_even_slices_cover_every_pixel_symmetrically(n, parts):
    bounds = [(cut.start, cut.stop) for cut in even_slices(n, parts)]
    assert len(bounds) == parts
    assert {pixel for start, end in bounds for pixel in range(start, end)} == set(range(n))
    assert [(n - end, n - start) for start, end in bounds[::-1]] == bounds
