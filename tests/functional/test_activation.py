"""Activations at the places that matter."""

import math

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from tests.strategies import seeds

pytestmark = pytest.mark.usefixtures("every_kernel")


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


def test_leaky_relu_by_hand_with_the_small_slope_at_zero():
    x = Tensor(np.array([-2.0, 0.0, 3.0]), requires_grad=True)
    y = F.leaky_relu(x, negative_slope=0.1)
    y.backward(np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(y.data, [-0.2, 0, 3], rtol=1e-15)
    np.testing.assert_allclose(x.grad, [1, 2, 30], rtol=1e-15)


@given(seed=seeds)
def test_leaky_relu_lies_between_relu_and_the_identity(seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    np.testing.assert_array_equal(F.leaky_relu(x, 0.0).data, F.relu(x).data)
    np.testing.assert_array_equal(F.leaky_relu(x, 1.0).data, x)
    np.testing.assert_allclose(F.leaky_relu(x).data, F.relu(x).data - 0.01 * F.relu(-x).data)


@given(seed=seeds)
def test_sigmoid_equals_its_definition_and_softmax_of_two(seed):
    x = 3 * np.random.default_rng(seed).normal(size=(3, 4))
    y = F.sigmoid(x).data
    for place in np.ndindex(x.shape):
        assert y[place] == pytest.approx(1 / (1 + math.exp(-x[place])), rel=1e-10)
    np.testing.assert_allclose(y + F.sigmoid(-x).data, 1, rtol=1e-15)
    np.testing.assert_allclose(
        y, F.softmax(np.stack([x, np.zeros_like(x)], axis=-1)).data[..., 0], rtol=1e-10
    )


def test_the_scaled_tanh_passes_close_to_1_1_and_saturates_at_its_amplitude():
    """LeCun et al. chose 1.7159 and 2/3 so that f(±1) = ±1, within 3 millionths."""
    y = F.scaled_tanh(np.array([-1.0, 0.0, 1.0, 50.0])).data
    np.testing.assert_allclose(y, [-1, 0, 1, 1.7159], rtol=0, atol=3e-6)
    assert y[2] == pytest.approx(1.7159 * math.tanh(2 / 3), rel=1e-15)


def test_the_slope_of_the_scaled_tanh_by_hand():
    x = Tensor(np.array([0.0, 50.0]), requires_grad=True)
    F.scaled_tanh(x).backward(np.array([3.0, 3.0]))
    np.testing.assert_allclose(x.grad, [3 * 1.7159 * 2 / 3, 0], atol=1e-15)
