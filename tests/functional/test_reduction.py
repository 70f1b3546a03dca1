"""Sum, mean, variance and extremes against loops; ties share the gradient."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.gradient_cases.draws import shape, some_axes
from tests import oracles
from tests.strategies import seeds

REDUCTIONS = {
    "sum": (F.sum, lambda values: sum(values)),
    "mean": (F.mean, lambda values: sum(values) / len(values)),
    "max": (F.max, lambda values: max(values)),
    "min": (F.min, lambda values: min(values)),
    "logsumexp": (F.logsumexp, lambda values: math.log(sum(map(math.exp, values)))),
}
ALL = [F.sum, F.mean, F.var, F.max, F.min, F.logsumexp]
reductions = pytest.mark.parametrize(("function", "summary"), REDUCTIONS.values(), ids=REDUCTIONS)


@reductions
@given(seed=seeds, keepdims=st.booleans())
def test_reduction_equals_loops(function, summary, seed, keepdims):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape(rng, 1, 3))
    axis = some_axes(rng, x.ndim)
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = {i % x.ndim for i in axes}
    expected = oracles.reduce_over(x, axes, summary)
    if not keepdims:
        expected = expected.reshape([n for i, n in enumerate(x.shape) if i not in axes])
    y = function(x, axis=axis, keepdims=keepdims)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-13)


@reductions
def test_reduction_over_no_axes_changes_nothing(function, summary):
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = function(x, axis=())
    np.testing.assert_array_equal(y.data, x.data)
    y.backward(np.full((2, 3), 5.0))
    assert x.grad.tolist() == [[5] * 3] * 2


@reductions
def test_reduction_of_a_number_is_the_number(function, summary):
    x = Tensor(np.array(4.0), requires_grad=True)
    y = function(x)
    y.backward(np.array(3.0))
    assert (y.item(), x.grad.item()) == (4, 3)


def test_sum_and_its_gradient_are_adjoint():
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(3, 4, 2)), requires_grad=True)
    dy = rng.normal(size=(3, 2))
    y = F.sum(x, axis=1)
    y.backward(dy)
    assert (y.data * dy).sum() == pytest.approx((x.data * x.grad).sum(), rel=1e-13)


def test_max_shares_its_gradient_equally_among_ties():
    x = Tensor(np.array([[1.0, 7.0, 7.0, 7.0], [5.0, 2.0, 0.0, 1.0]]), requires_grad=True)
    F.max(x, axis=1).backward(np.array([6.0, 10.0]))
    assert x.grad.tolist() == [[0, 2, 2, 2], [10, 0, 0, 0]]


def test_mean_gradient_is_divided_by_the_number_of_entries():
    x = Tensor(np.ones((2, 3, 5)), requires_grad=True)
    F.mean(x, axis=(0, 2)).backward(np.array([10.0, 20.0, 30.0]))
    assert x.grad[:, :, 0].tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize("function", ALL)
def test_reduction_of_an_empty_array_over_another_axis_is_empty(function):
    assert function(np.ones((2, 0)), axis=0).shape == (0,)


def test_sum_over_an_empty_axis_is_zero():
    assert F.sum(np.ones((2, 0)), axis=1).data.tolist() == [0, 0]


@pytest.mark.parametrize("function", ALL)
def test_reduction_keeps_its_axes_if_asked_to(function):
    x = np.ones((2, 3))
    assert function(x, axis=1, keepdims=True).shape == (2, 1)
    assert function(x, axis=(0, 1), keepdims=True).shape == (1, 1)
    assert function(x, axis=-1).shape == (2,)


# ── variance and log-sum-exp ─────────────────────────────────────────────────────────────────


@given(n=st.integers(2, 6), correction=st.integers(0, 1), seed=seeds)
def test_var_equals_loops(n, correction, seed):
    x = np.random.default_rng(seed).normal(size=(3, n))
    y = F.var(x, axis=1, correction=correction).data
    for row, found in zip(x.tolist(), y, strict=True):
        mean = sum(row) / n
        expected = sum((value - mean) ** 2 for value in row) / (n - correction)
        assert found == pytest.approx(expected, rel=1e-12)


def test_var_by_hand():
    x = Tensor(np.array([1.0, 3.0, 8.0]), requires_grad=True)
    y = F.var(x)
    y.backward(np.array(10.0))
    assert y.item() == (9 + 1 + 16) / 2
    assert x.grad.tolist() == [-30, -10, 40]
    assert F.var(x, correction=0).item() == pytest.approx(26 / 3)


def test_var_of_one_number_is_zero_without_correction():
    assert F.var(np.ones((2, 1)), axis=1, correction=0).data.tolist() == [0, 0]


@given(seed=seeds)
def test_min_is_minus_the_max_of_minus_x(seed):
    x = np.random.default_rng(seed).integers(0, 4, (3, 4)).astype(float)
    a, b = Tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    dy = np.random.default_rng(seed).normal(size=3)
    one, other = F.min(a, axis=1), -F.max(-b, axis=1)
    np.testing.assert_array_equal(one.data, other.data)
    one.backward(dy)
    other.backward(dy)
    np.testing.assert_array_equal(a.grad, b.grad)


@given(shift=st.floats(-1e3, 1e3), seed=seeds)
def test_logsumexp_is_above_the_maximum_and_moves_with_a_shift(shift, seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    y = F.logsumexp(x, axis=1).data
    assert (y > x.max(axis=1)).all()
    assert (y <= x.max(axis=1) + np.log(4)).all()
    np.testing.assert_allclose(F.logsumexp(x + shift, axis=1).data, y + shift, atol=1e-11)


def test_logsumexp_gradient_is_softmax():
    x = Tensor(np.random.default_rng(0).normal(size=(3, 4)), requires_grad=True)
    F.logsumexp(x, axis=1).backward(np.array([1.0, 2.0, 3.0]))
    expected = F.softmax(x.data).data * [[1], [2], [3]]
    np.testing.assert_allclose(x.grad, expected, rtol=1e-14)
