"""Activations at 0, at infinity, and wherever else they might go wrong."""

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


ROOT = F.sqrt  # its gradient is infinite at 0
OF_THE_ROOT = {
    "relu": (lambda x: ROOT(F.relu(x)), [0, 0.25]),
    "leaky_relu": (lambda x: ROOT(F.leaky_relu(x + 1)), [np.inf, 0.5 / 5**0.5]),
    "clip": (lambda x: ROOT(F.clip(x, 0, 9)), [0, 0.25]),
    "maximum": (lambda x: ROOT(F.maximum(x, 0)), [0, 0.25]),
    "minimum": (lambda x: ROOT(-F.minimum(-x, 0)), [0, 0.25]),
    "where": (lambda x: ROOT(F.where(x.data > 0, x, 0)), [0, 0.25]),
    "max_pool2d": (
        lambda x: ROOT(F.max_pool2d(F.pad(-x * x, [(0, 0), (1, 0)])[None, None], (1, 3))),
        [0, 0],
    ),
}


@pytest.mark.parametrize(("function", "gradient"), OF_THE_ROOT.values(), ids=OF_THE_ROOT)
def test_functional_gradients_of_unchosen_entries_are_0_even_if_dy_is_infinite(function, gradient):
    """∞·0 is NaN, so an entry that was not chosen must get 0, not dy times 0."""
    x = Tensor(np.array([[-1.0, 4.0]]), requires_grad=True)
    with np.errstate(divide="ignore"):
        function(x).sum().backward()
    np.testing.assert_allclose(x.grad[0], gradient, rtol=1e-15)


def test_relu_passes_nan_and_its_gradient_on():
    x = Tensor(np.array([np.nan, -np.nan, np.inf, -np.inf]), requires_grad=True)
    y = F.relu(x)
    y.backward(np.array([1.0, 10.0, np.inf, -np.inf]))
    np.testing.assert_array_equal(y.data, [np.nan, np.nan, np.inf, 0])
    np.testing.assert_array_equal(x.grad, [1, 10, np.inf, 0])


@pytest.mark.parametrize("x", [-20.0, -80.0, 0.0, 3.0, 500.0])
def test_sigmoid_keeps_its_digits_in_float32(x):
    """2.06e-9 at -20: 1 + tanh(x/2) would be 0, and its logarithm -∞."""
    e = math.exp(-abs(x))
    expected = (e if x < 0 else 1) / (1 + e)
    assert F.sigmoid(np.float32([x])).item() == pytest.approx(expected, rel=3e-7)


@given(seed=seeds)
def test_relu_and_tanh_equal_loops(seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    for place in np.ndindex(x.shape):
        value = float(x[place])
        assert F.relu(x).data[place] == max(value, 0)
        assert F.tanh(x).data[place] == pytest.approx(math.tanh(value), rel=1e-14)


@given(seed=seeds)
def test_relu_is_idempotent_and_positively_homogeneous(seed):
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


def test_tanh_has_slope_1_at_0_and_0_far_out():
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
def test_leaky_relu_is_between_relu_and_the_identity(seed):
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


def test_scaled_tanh_maps_1_to_1_and_saturates_at_its_amplitude():
    """LeCun et al. chose 1.7159 and 2/3 so that f(±1) = ±1, within 3 millionths."""
    y = F.scaled_tanh(np.array([-1.0, 0.0, 1.0, 50.0])).data
    np.testing.assert_allclose(y, [-1, 0, 1, 1.7159], rtol=0, atol=3e-6)
    assert y[2] == pytest.approx(1.7159 * math.tanh(2 / 3), rel=1e-15)


def test_scaled_tanh_has_the_slope_of_its_formula():
    x = Tensor(np.array([0.0, 50.0]), requires_grad=True)
    F.scaled_tanh(x).backward(np.array([3.0, 3.0]))
    np.testing.assert_allclose(x.grad, [3 * 1.7159 * 2 / 3, 0], atol=1e-15)
