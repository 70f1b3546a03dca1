"""ReLU, local response normalization and the products of linear layers, against their pages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import fast
from minivision import functional as F
from minivision.fast import choice
from minivision.fast.memory import memory_order
from tests import oracles
from tests.fast.cuts import Cuts, cut_into, cuts, on_its_page
from tests.strategies import memory_orders, seeds

sizes = st.integers(1, 6)


# ── ReLU ─────────────────────────────────────────────────────────────────────────────────────


def relu_and_gradient(x, dy):
    y, backward = fast.relu(x)
    return y, *backward(dy)


def whole_numbers(rng, shape, dtype=np.float64):
    """Only a few different numbers, so that many are 0."""
    return rng.integers(-2, 3, shape).astype(dtype)


@given(N=sizes, C=sizes, H=sizes, W=sizes, cuts=cuts, seed=seeds)
def test_fast_relu_equals_its_page_in_any_memory_order(N, C, H, W, cuts, seed):
    rng = np.random.default_rng(seed)
    x, dy = whole_numbers(rng, (N, C, H, W)), rng.normal(size=(N, C, H, W))
    expected = on_its_page(F.relu, [x], dy)
    with cut_into(cuts):
        for a in memory_orders(x).values():
            for d in memory_orders(dy).values():
                found = relu_and_gradient(a, d)
                for one, other in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(one, other)
                    assert one.transpose(memory_order(a)).flags.c_contiguous  # as x lies


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cuts", [None, Cuts(width=3)], ids=["one block", "blocks of 3"])
def test_fast_relu_gradient_is_0_at_0(dtype, cuts):
    x, dy = np.array([-1.0, -0.0, 0.0, 2.0], dtype), np.array([1.0, 10.0, 100.0, 1000.0], dtype)
    with cut_into(cuts):
        y, dx = relu_and_gradient(x, dy)
    assert y.dtype == dx.dtype == dtype
    assert y.tolist() == [0, 0, 0, 2]
    assert dx.tolist() == [0, 0, 0, 1000]


@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1), (1, 5), (4, 5)])
def test_fast_relu_of_a_broadcast_array_equals_its_page(shape):
    """A broadcast array repeats each entry of x, or of dy."""
    rng = np.random.default_rng(0)
    x = np.broadcast_to(whole_numbers(rng, shape), (3, 4, 5))
    dy = np.broadcast_to(whole_numbers(rng, shape), (3, 4, 5))
    expected = on_its_page(F.relu, [x], dy)
    with cut_into(Cuts(width=4)):
        for one, other in zip(relu_and_gradient(x, dy), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_fast_relu_changes_none_of_its_inputs():
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 5))
    y, backward = fast.relu(x)
    for array in (x, dy, y):
        array.flags.writeable = False
    with cut_into(Cuts(width=4)):
        relu_and_gradient(x, dy)
        backward(dy)


@pytest.mark.parametrize("extra", [-1, 0, 1, choice.BLOCK])
def test_fast_relu_equals_its_page_near_the_size_of_a_block(extra):
    rng = np.random.default_rng(0)
    x, dy = whole_numbers(rng, (2, choice.BLOCK + extra), np.float32)
    expected = on_its_page(F.relu, [x], dy)
    for one, other in zip(relu_and_gradient(x, dy), expected, strict=True):
        np.testing.assert_array_equal(one, other)


# ── local response normalization ─────────────────────────────────────────────────────────────


def lrn_and_gradient(x, dy, *settings):
    y, backward = fast.local_response_norm(x, *settings)
    return y, *backward(dy)


@given(
    N=st.integers(1, 5), C=st.integers(1, 8), H=sizes, W=sizes, cuts=cuts,
    size=st.sampled_from([1, 3, 5, 7, 19]), alpha=st.floats(0.5, 2),
    beta=st.one_of(st.just(0.75), st.floats(0.3, 1.5)), k=st.floats(0.5, 2), seed=seeds,
)  # fmt: skip
def test_fast_local_response_norm_equals_its_page_for_any_number_of_pixels_at_once(
    N, C, H, W, cuts, size, alpha, beta, k, seed
):
    """Even if the window is wider than the number of channels."""
    x, dy = np.random.default_rng(seed).normal(size=(2, N, C, H, W))
    settings = (size, alpha, beta, k)
    expected = on_its_page(F.local_response_norm, [x], dy, *settings)
    with cut_into(cuts._replace(width=cuts.width * C)):  # this many pixels at once
        double = lrn_and_gradient(x, dy, *settings)
        single = lrn_and_gradient(x.astype("f4"), dy.astype("f4"), *settings)
    for right, one, other in zip(expected, double, single, strict=True):
        np.testing.assert_allclose(one, right, rtol=1e-12, atol=1e-12)
        assert other.dtype == np.float32
        np.testing.assert_allclose(other, right, rtol=0, atol=3e-6 * (1 + abs(right).max()))


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0])
def test_fast_local_response_norm_equals_its_definition_in_any_memory_order(beta):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 3, 4, 2, 5))
    y = oracles.local_response_norm(x, 3, 1.0, beta, 2.0)
    _, dx = on_its_page(F.local_response_norm, [x], dy, 3, 1.0, beta, 2.0)
    for a, d in zip(memory_orders(x).values(), memory_orders(dy).values(), strict=True):
        a.flags.writeable = d.flags.writeable = False
        found = lrn_and_gradient(a, d, 3, 1.0, beta, 2.0)
        np.testing.assert_allclose(found[0], y, rtol=1e-12)
        np.testing.assert_allclose(found[1], dx, rtol=1e-12, atol=1e-13)


def test_fast_local_response_norm_of_three_channels_by_hand():
    """s = 2 + squares of the neighbours: 7, 16 and 15; β = 1 divides by them."""
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    y, _ = fast.local_response_norm(x, 3, 1.0, 1.0, 2.0)
    np.testing.assert_allclose(y.ravel(), [1 / 7, 2 / 16, 3 / 15], rtol=1e-15)


# ── matrix products ──────────────────────────────────────────────────────────────────────────


@given(
    R=st.integers(0, 9), M=st.integers(0, 9), S=st.integers(0, 9),
    workers=st.integers(1, 5), seed=seeds,
)  # fmt: skip
def test_products_shared_by_rows_or_columns_equal_loops(R, M, S, workers, seed):
    """Even by more workers than there are rows and columns."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(R, M)), rng.normal(size=(M, S))
    expected = oracles.matmul(a, b)
    with cut_into(Cuts(workers=workers)):
        for one, other in zip(memory_orders(a).values(), memory_orders(b).values(), strict=True):
            y = fast.products.multiply(one, other)
            np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_products_in_float32_stay_in_float32(workers):
    a, b = np.random.default_rng(0).normal(size=(2, 30, 30))
    with cut_into(Cuts(workers=workers)):
        y = fast.products.multiply(a.astype("f4"), b.astype("f4"))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, a @ b, rtol=0, atol=1e-5)
