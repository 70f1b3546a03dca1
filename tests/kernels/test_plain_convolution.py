"""The three products of a convolution, on arrays."""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from minivision.kernels import door
from minivision.kernels.plain import convolution as kernel
from minivision.kernels.plain.convolution import convolve, input_gradient, weight_gradient
from minivision.kernels.windows import Geometry
from tests.strategies import ODD_CONVOLUTIONS, convolutions


def products(case):
    x, weight, _ = case.arrays()
    geometry = Geometry(case.kernel, case.stride, case.padding, case.dilation)
    y = convolve(x, weight, None, geometry, case.groups)
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    dx = input_gradient(dy, weight, x.shape, geometry, case.groups)
    dw = weight_gradient(dy, x, weight.shape, geometry, case.groups)
    return x, weight, y, dy, dx, dw


def assert_adjoint(case):
    """y is linear in x and in weight, so both gradients give back ⟨y, dy⟩."""
    x, weight, y, dy, dx, dw = products(case)
    inner = (y * dy).sum()
    assert (dx.shape, dw.shape) == (x.shape, weight.shape)
    assert inner == pytest.approx((x * dx).sum(), rel=1e-9, abs=1e-9)
    assert inner == pytest.approx((weight * dw).sum(), rel=1e-9, abs=1e-9)


@given(case=convolutions())
def test_both_gradients_are_adjoints_of_the_convolution(case):
    assert_adjoint(case)


@pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)
def test_both_gradients_are_adjoints_in_odd_geometries(case):
    assert_adjoint(case)


@pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)
def test_images_do_not_see_one_another(case, monkeypatch):
    """One image a slice is the plainest form of all."""
    whole = products(case)
    monkeypatch.setattr(kernel, "MAX_COLUMN_BYTES", 1)
    for one, other in zip(whole, products(case), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_what_leaves_is_the_callers_own():
    x, weight, y, dy, dx, dw = products(ODD_CONVOLUTIONS["1x1 image"])
    for result in (y, dx, dw):
        assert not any(np.may_share_memory(result, array) for array in (x, weight, dy))


def test_a_slice_of_the_batch_has_as_many_images_as_its_columns_allow(monkeypatch):
    """2 channels, 3x3 taps, 4x5 places: 360 numbers of 4 bytes an image."""
    geometry = Geometry((3, 3))
    x, dy = np.zeros((7, 2, 6, 7), np.float32), np.zeros((7, 5, 4, 5), np.float32)
    for limit, images in ((1440, 1), (2879, 1), (2880, 2), (4320, 3), (10**9, 7), (5, 1)):
        monkeypatch.setattr(kernel, "MAX_COLUMN_BYTES", limit)
        expected = [slice(i, i + images) for i in range(0, 7, images)]
        starts = [part.start for part in kernel._slices(x, geometry)]
        assert starts == [part.start for part in expected]
        assert starts == [part.start for part in kernel._slices(dy, geometry, channels=2)]


@pytest.mark.parametrize("limit", [1, 2000, 10**9])
@pytest.mark.parametrize("name", ["two groups", "1x1 image", "dilated over the border"])
def test_a_batch_worked_through_in_slices_gives_the_same_numbers(monkeypatch, name, limit):
    case = ODD_CONVOLUTIONS[name]._replace(N=7)

    def step():
        leaves = [Tensor(a, requires_grad=True) for a in case.arrays()]
        with door.off():
            y = F.conv2d(*leaves, **case.settings)
        dy = np.random.default_rng(5).normal(size=y.shape)
        y.backward(dy)
        return [y.data, *[leaf.grad for leaf in leaves]]

    whole = step()
    monkeypatch.setattr(kernel, "MAX_COLUMN_BYTES", limit)
    columns = []
    real = kernel.im2col
    monkeypatch.setattr(kernel, "im2col", lambda *args: columns.append(real(*args)) or columns[-1])
    for one, other in zip(whole, step(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)
    assert sum(part.nbytes for part in columns) > 0
    # One image is the least that a slice can hold.
    assert all(part.nbytes <= limit or part.shape[1] <= whole[0][0, 0].size for part in columns)
    assert len(columns) == {1: 14, 10**9: 2}.get(limit, len(columns))  # forward and backward
