"""ReLU and tanh at the places that matter."""

import math

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from tests.strategies import seeds


def test_relu_by_hand_with_gradient_zero_at_zero():
    x = Tensor(np.array([-2.0, -0.0, 0.0, 0.5, 3.0]), requires_grad=True)
    y = F.relu(x)
    y.backward(np.array([10.0, 20.0, 30.0, 40.0, 50.0]))
    assert y.data.tolist() == [0, 0, 0, 0.5, 3]
    assert x.grad.tolist() == [0, 0, 0, 40, 50]


@given(seed=seeds)
def test_activations_equal_loops(seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    for place in np.ndindex(x.shape):
        value = float(x[place])
        assert F.relu(x).data[place] == max(value, 0)
        assert F.tanh(x).data[place] == pytest.approx(math.tanh(value), rel=1e-14)


@given(seed=seeds)
def test_relu_does_nothing_the_second_time_and_scales_with_positive_factors(seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    once = F.relu(x)
    np.testing.assert_array_equal(F.relu(once).data, once.data)
    np.testing.assert_array_equal(F.relu(4 * x).data, 4 * once.data)
    np.testing.assert_array_equal(once.data - F.relu(-x).data, x)


@given(seed=seeds)
def test_tanh_is_odd_and_stays_within_one(seed):
    x = 100 * np.random.default_rng(seed).normal(size=(3, 4))
    np.testing.assert_array_equal(F.tanh(-x).data, -F.tanh(x).data)
    assert (abs(F.tanh(x).data) <= 1).all()


def test_the_slope_of_tanh_by_hand():
    x = Tensor(np.array([0.0, 50.0]), requires_grad=True)
    F.tanh(x).backward(np.array([7.0, 7.0]))
    assert x.grad.tolist() == [7, 0]
