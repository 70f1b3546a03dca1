"""The pooling kernels on arrays: running maximum, peeled gradient, sum of views."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.kernels.plain import pooling
from minivision.kernels.windows import Geometry
from tests import oracles
from tests.strategies import ODD_POOLINGS, memory_orders, poolings, seeds


def geometry_of(case):
    return Geometry(case.kernel, case.stride, case.padding)


@given(case=poolings())
def test_kernels_equal_loops(case):
    x = case.array()
    arguments = case.kernel, case.stride, case.padding
    y = pooling.max_pool(x, geometry_of(case))
    np.testing.assert_array_equal(y, oracles.max_pool2d(x, *arguments))
    np.testing.assert_allclose(
        pooling.average_pool(x, geometry_of(case)), oracles.avg_pool2d(x, *arguments), atol=1e-13
    )
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    np.testing.assert_allclose(
        pooling.max_pool_gradient(dy, x, y, geometry_of(case)),
        oracles.max_pool2d_gradient(dy, x, *arguments),
        atol=1e-13,
    )


@given(case=poolings())
def test_averaging_and_its_gradient_are_adjoint(case):
    x = case.array()
    y = pooling.average_pool(x, geometry_of(case))
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    dx = pooling.average_pool_gradient(dy, x.shape, geometry_of(case))
    assert (y * dy).sum() == pytest.approx((x * dx).sum(), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("case", ODD_POOLINGS.values(), ids=ODD_POOLINGS)
def test_nothing_that_came_in_is_changed_whatever_its_memory(case):
    for x in memory_orders(case.array()).values():
        before = x.copy()
        y = pooling.max_pool(x, geometry_of(case))
        pooling.average_pool(x, geometry_of(case))
        dy = np.ones(y.shape)
        for array in (x, y, dy):
            array.flags.writeable = False
        pooling.max_pool_gradient(dy, x, y, geometry_of(case))
        pooling.average_pool_gradient(dy, x.shape, geometry_of(case))
        np.testing.assert_array_equal(x, before)


@given(n=st.integers(1, 12), parts=st.integers(1, 12))
def test_adaptive_windows_cover_every_pixel_and_mirror_one_another(n, parts):
    bounds = pooling.adaptive_bounds(n, parts)
    assert len(bounds) == parts
    assert {pixel for start, end in bounds for pixel in range(start, end)} == set(range(n))
    assert [(n - end, n - start) for start, end in bounds[::-1]] == bounds


@given(H=st.integers(1, 6), W=st.integers(1, 6), OH=st.integers(1, 6), OW=st.integers(1, 6),
       seed=seeds)  # fmt: skip
def test_adaptive_averaging_and_its_gradient_are_adjoint(H, W, OH, OW, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(2, 3, H, W)), rng.normal(size=(2, 3, OH, OW))
    y = pooling.adaptive_average_pool(x, (OH, OW))
    dx = pooling.adaptive_average_pool_gradient(dy, x.shape)
    assert (y * dy).sum() == pytest.approx((x * dx).sum(), rel=1e-10, abs=1e-11)
