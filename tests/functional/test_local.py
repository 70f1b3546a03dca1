"""Windows as columns, columns back to windows, and filters that are not shared."""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from tests import oracles
from tests.strategies import ODD_CONVOLUTIONS, convolutions

odd = pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)


def windows_of(case):
    return {"stride": case.stride, "padding": case.padding, "dilation": case.dilation}


def assert_unfold_and_fold_equal_loops(case):
    x, _, _ = case.arrays()
    columns = F.unfold(x, case.kernel, **windows_of(case)).data
    np.testing.assert_array_equal(columns, oracles.unfold(x, case.kernel, **windows_of(case)))
    numbers = np.random.default_rng(case.seed).normal(size=columns.shape)
    np.testing.assert_allclose(
        F.fold(numbers, case.size, case.kernel, **windows_of(case)).data,
        oracles.fold(numbers, case.size, case.kernel, **windows_of(case)),
        rtol=1e-12,
        atol=1e-13,
    )


@given(case=convolutions())
def test_unfold_and_fold_equal_loops(case):
    assert_unfold_and_fold_equal_loops(case)


@odd
def test_unfold_and_fold_equal_loops_in_odd_geometries(case):
    assert_unfold_and_fold_equal_loops(case)


@given(case=convolutions(least_batch=1))
def test_unfold_times_the_weight_matrix_is_a_convolution(case):
    case = case._replace(groups=1)
    x, weight, _ = case.arrays()
    y = F.conv2d(x, weight, **case.settings)
    matrix = weight.reshape(len(weight), -1)
    product = F.matmul(matrix, F.unfold(x, case.kernel, **windows_of(case)))
    np.testing.assert_allclose(product.data.reshape(y.shape), y.data, rtol=1e-11, atol=1e-11)


@given(case=convolutions(least_batch=1))
def test_fold_after_unfold_counts_the_windows_of_each_pixel(case):
    """The adjoint is not the inverse: a pixel in three windows is added three times."""
    x, _, _ = case.arrays()

    def there_and_back(x):
        columns = F.unfold(x, case.kernel, **windows_of(case))
        return F.fold(columns, case.size, case.kernel, **windows_of(case)).data

    np.testing.assert_allclose(there_and_back(x), there_and_back(np.ones(x.shape)) * x, atol=1e-12)


def test_fold_undoes_unfold_if_the_windows_do_not_overlap():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6))
    columns = F.unfold(x, (2, 3), stride=(2, 3))
    np.testing.assert_array_equal(F.fold(columns, (4, 6), (2, 3), stride=(2, 3)).data, x)


# ── filters that are not shared ──────────────────────────────────────────────────────────────


def unshared(case, seed=1):
    """weight (OH, OW, F, C, KH, KW) and bias (F, OH, OW) for a convolution's geometry."""
    x, weight, bias = case.arrays()
    _, F_, OH, OW = F.conv2d(x, weight, bias, **case.settings).shape
    rng = np.random.default_rng(seed)
    return x, rng.normal(size=(OH, OW, *weight.shape)), rng.normal(size=(F_, OH, OW))


def plain(case):
    return case._replace(groups=1, dilation=(1, 1))


def assert_equals_loops(case):
    x, weight, bias = unshared(case)
    for b in (bias, None):
        y = F.locally_connected2d(x, weight, b, case.stride, case.padding)
        expected = oracles.locally_connected2d(x, weight, b, case.stride, case.padding)
        assert y.shape == expected.shape
        np.testing.assert_allclose(y.data, expected, rtol=1e-11, atol=1e-12)


@given(case=convolutions())
def test_locally_connected2d_equals_its_definition(case):
    assert_equals_loops(plain(case))


@odd
def test_locally_connected2d_equals_its_definition_in_odd_geometries(case):
    assert_equals_loops(plain(case))


@given(case=convolutions(least_batch=1))
def test_locally_connected2d_with_equal_filters_is_a_convolution(case):
    case = plain(case)
    x, weight, bias = case.arrays()
    y = F.conv2d(x, weight, **case.settings)
    OH, OW = y.shape[2:]
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    shared = [Tensor(a, requires_grad=True) for a in (x, weight)]
    everywhere = np.broadcast_to(weight, (OH, OW, *weight.shape)).copy()
    own = [Tensor(a, requires_grad=True) for a in (x, everywhere)]
    y = F.conv2d(*shared, **case.settings)
    z = F.locally_connected2d(*own, None, case.stride, case.padding)
    np.testing.assert_allclose(z.data, y.data, rtol=1e-11, atol=1e-11)
    y.backward(dy)
    z.backward(dy)
    np.testing.assert_allclose(own[0].grad, shared[0].grad, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(own[1].grad.sum(axis=(0, 1)), shared[1].grad, atol=1e-11)


def test_locally_connected2d_of_two_positions_by_hand():
    x = Tensor(np.array([[[[2.0, 3.0]]]]), requires_grad=True)
    weight = Tensor(np.array([10.0, 100.0]).reshape(1, 2, 1, 1, 1, 1), requires_grad=True)
    bias = Tensor(np.array([[[0.5, 0.25]]]), requires_grad=True)
    y = F.locally_connected2d(x, weight, bias)
    y.backward(np.array([[[[1.0, 7.0]]]]))
    assert y.data.tolist() == [[[[20.5, 300.25]]]]
    assert x.grad.tolist() == [[[[10, 700]]]]
    assert weight.grad.ravel().tolist() == [2, 21]
    assert bias.grad.tolist() == [[[1, 7]]]
