"""Sum, mean and max against loops; what is shared where several are largest."""

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
}
reductions = pytest.mark.parametrize(("function", "summary"), REDUCTIONS.values(), ids=REDUCTIONS)


@reductions
@given(seed=seeds, keepdims=st.booleans())
def test_reductions_equal_loops(function, summary, seed, keepdims):
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
def test_no_axes_reduce_nothing(function, summary):
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = function(x, axis=())
    np.testing.assert_array_equal(y.data, x.data)
    y.backward(np.full((2, 3), 5.0))
    assert x.grad.tolist() == [[5] * 3] * 2


@reductions
def test_numbers_without_axes_can_be_reduced(function, summary):
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


def test_max_shares_its_gradient_equally_where_several_are_largest():
    x = Tensor(np.array([[1.0, 7.0, 7.0, 7.0], [5.0, 2.0, 0.0, 1.0]]), requires_grad=True)
    F.max(x, axis=1).backward(np.array([6.0, 10.0]))
    assert x.grad.tolist() == [[0, 2, 2, 2], [10, 0, 0, 0]]


def test_mean_divides_by_the_entries_that_were_averaged():
    x = Tensor(np.ones((2, 3, 5)), requires_grad=True)
    F.mean(x, axis=(0, 2)).backward(np.array([10.0, 20.0, 30.0]))
    assert x.grad[:, :, 0].tolist() == [[1, 2, 3], [1, 2, 3]]


@reductions
@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, -2), (0, 5)])
def test_a_bad_axis_is_named(function, summary, axis):
    name = function.__name__
    with pytest.raises(
        ValueError, match=rf"^{name}: axis is .*; expected different axes from -2 to 1"
    ):
        function(np.ones((2, 3)), axis=axis)


@reductions
@pytest.mark.parametrize("axis", ["x", 1.0, (0, None)])
def test_an_axis_that_is_no_integer_is_named(function, summary, axis):
    with pytest.raises(TypeError, match=rf"^{function.__name__}: axis is .*; expected an integer"):
        function(np.ones((2, 3)), axis=axis)


@pytest.mark.parametrize(("function", "what"), [(F.mean, "average"), (F.max, "largest entry")])
def test_there_is_no_mean_and_no_maximum_of_nothing(function, what):
    x = np.ones((2, 0))
    with pytest.raises(ValueError, match=rf"^{function.__name__}: x has shape \(2, 0\); .*{what}"):
        function(x, axis=1)
    assert function(x, axis=0).shape == (0,)


def test_the_sum_of_nothing_is_zero():
    assert F.sum(np.ones((2, 0)), axis=1).data.tolist() == [0, 0]
