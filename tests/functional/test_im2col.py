"""Columns against loops, and the law that makes col2im the gradient of im2col."""

import numpy as np
import pytest
from hypothesis import given

from minivision.functional.convolution import col2im, im2col
from minivision.windows import Window
from tests import oracles
from tests.strategies import ODD_CONVOLUTIONS, convolutions, memory_orders


def geometry_of(case):
    return Window(case.kernel, case.stride, case.padding, case.dilation)


def assert_equals_loops(case):
    x, _, _ = case.arrays()
    columns = im2col(x, geometry_of(case))
    expected = oracles.im2col(x, case.kernel, case.stride, case.padding, case.dilation)
    np.testing.assert_array_equal(columns, expected)


@given(case=convolutions())
def test_im2col_equals_its_definition(case):
    assert_equals_loops(case)


@pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)
def test_im2col_equals_its_definition_in_odd_geometries(case):
    assert_equals_loops(case)


@given(case=convolutions())
def test_im2col_and_col2im_are_adjoint(case):
    """⟨im2col(x), c⟩ = ⟨x, col2im(c)⟩"""
    x, _, _ = case.arrays()
    geometry = geometry_of(case)
    columns = im2col(x, geometry)
    c = np.random.default_rng(case.seed).normal(size=columns.shape)
    back = col2im(c, x.shape, geometry)
    assert back.shape == x.shape
    assert (columns * c).sum() == pytest.approx((x * back).sum(), rel=1e-10, abs=1e-10)


@given(case=convolutions(least_batch=1))
def test_col2im_of_ones_counts_the_windows_that_contain_each_pixel(case):
    x, _, _ = case.arrays()
    geometry = geometry_of(case)
    counts = col2im(np.ones_like(im2col(x, geometry)), x.shape, geometry)
    expected = np.zeros(case.size)
    for _, _, taps in oracles.positions(
        *case.size, case.kernel, case.stride, case.padding, case.dilation
    ):
        for _, _, row, column in taps:
            if 0 <= row < case.size[0] and 0 <= column < case.size[1]:
                expected[row, column] += 1
    np.testing.assert_array_equal(counts, np.broadcast_to(expected, x.shape))


def test_im2col_takes_images_in_any_memory_order_and_does_not_change_them():
    case = ODD_CONVOLUTIONS["dilated over the border"]
    x, _, _ = case.arrays()
    expected = im2col(x, geometry_of(case))
    for array in memory_orders(x).values():
        array.flags.writeable = False
        np.testing.assert_array_equal(im2col(array, geometry_of(case)), expected)
