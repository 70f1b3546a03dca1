"""The pooling kernels on arrays: running maximum, peeled gradient, sum of views."""

import numpy as np
import pytest
from hypothesis import given

from minivision.kernels import pooling
from minivision.kernels.windows import Geometry
from tests import oracles
from tests.strategies import ODD_POOLINGS, memory_orders, poolings


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
