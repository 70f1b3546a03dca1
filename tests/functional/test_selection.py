"""Maximum, minimum, where and clip: which entry is chosen, and what happens at a tie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.gradient_cases.draws import broadcast_pair
from tests.strategies import seeds

EXTREMES = {"maximum": (F.maximum, max), "minimum": (F.minimum, min)}
extremes = pytest.mark.parametrize(("function", "of_two"), EXTREMES.values(), ids=EXTREMES)


def row(*numbers):
    return Tensor(np.array(numbers, float), requires_grad=True)


@pytest.mark.parametrize(
    ("function", "value", "da", "db"),
    [
        (F.maximum, [4, 5, 2], [0, 20, 15], [10, 0, 15]),
        (F.minimum, [1, 3, 2], [10, 0, 15], [0, 20, 15]),
    ],
    ids=["maximum", "minimum"],
)
def test_maximum_and_minimum_halve_the_gradient_at_a_tie(function, value, da, db):
    a, b = row(1, 5, 2), row(4, 3, 2)
    y = function(a, b)
    y.backward(np.array([10.0, 20.0, 30.0]))
    assert (y.data.tolist(), a.grad.tolist(), b.grad.tolist()) == (value, da, db)


@extremes
@given(seed=seeds)
def test_maximum_and_minimum_equal_loops_over_the_broadcast_entries(function, of_two, seed):
    rng = np.random.default_rng(seed)
    a, b = [rng.integers(0, 4, shape).astype(float) for shape in broadcast_pair(rng)]
    y = function(a, b).data
    wide_a, wide_b = np.broadcast_arrays(a, b)
    for place in np.ndindex(y.shape):
        assert y[place] == of_two(wide_a[place], wide_b[place])


@extremes
@given(seed=seeds)
def test_maximum_and_minimum_pass_all_of_the_gradient_on(function, of_two, seed):
    rng = np.random.default_rng(seed)
    a, b = [Tensor(rng.integers(0, 3, (3, 4)).astype(float), requires_grad=True) for _ in "ab"]
    dy = rng.normal(size=(3, 4))
    function(a, b).backward(dy)
    np.testing.assert_allclose(a.grad + b.grad, dy, rtol=1e-15)


@given(seed=seeds)
def test_maximum_and_minimum_add_up_to_both_inputs(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(F.maximum(a, b).data + F.minimum(a, b).data, a + b)
    np.testing.assert_array_equal(F.maximum(a, 0.0).data, F.relu(a).data)


def test_where_passes_the_gradient_to_the_chosen_input():
    a, b = row(1, 2, 3), row(4, 5, 6)
    y = F.where(np.array([True, False, True]), a, b)
    y.backward(np.array([10.0, 20.0, 30.0]))
    assert y.data.tolist() == [1, 5, 3]
    assert a.grad.tolist() == [10, 0, 30]
    assert b.grad.tolist() == [0, 20, 0]


def test_where_broadcasts_both_inputs_to_a_wider_condition():
    a, b = row(1), Tensor(np.array(5.0), requires_grad=True)
    y = F.where(np.array([[True, False], [False, False]]), a, b)
    y.backward(np.array([[1.0, 10.0], [100.0, 1000.0]]))
    assert y.data.tolist() == [[1, 5], [5, 5]]
    assert a.grad.tolist() == [1]
    assert b.grad == 1110


def test_where_ignores_infinity_and_nan_in_the_input_that_was_not_chosen():
    x = row(-1, 4)
    y = F.where(x.data > 0, x, np.array([np.nan, np.inf]))
    y.backward(np.ones(2))
    assert np.isnan(y.data[0])
    assert y.data[1] == 4
    assert x.grad.tolist() == [0, 1]


def test_clip_passes_the_gradient_between_the_bounds_and_on_them():
    x = row(-2, -1, 0, 1, 2)
    y = F.clip(x, -1, 1)
    y.backward(np.full(5, 7.0))
    assert y.data.tolist() == [-1, -1, 0, 1, 1]
    assert x.grad.tolist() == [0, 7, 7, 7, 0]


@given(low=st.floats(-2, 0), high=st.floats(0, 2), seed=seeds)
def test_clip_is_a_maximum_and_a_minimum(low, high, seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    np.testing.assert_array_equal(
        F.clip(x, low, high).data, F.minimum(F.maximum(x, low), high).data
    )
    np.testing.assert_array_equal(F.clip(x, low=low).data, F.maximum(x, low).data)
    np.testing.assert_array_equal(F.clip(x, high=high).data, F.minimum(x, high).data)


def test_where_copies_its_condition():
    a, condition = Tensor(np.zeros(2), requires_grad=True), np.array([True, False])
    y = F.where(condition, a, 1.0)
    condition[...] = False
    y.sum().backward()
    assert a.grad.tolist() == [1, 0]
