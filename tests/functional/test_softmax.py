"""Softmax gives probabilities for any logits; the effect of the temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from tests import oracles
from tests.strategies import seeds

both = pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
temperatures = st.floats(0.1, 10)


@given(K=st.integers(1, 6), T=temperatures, seed=seeds)
def test_softmax_and_log_softmax_equal_loops(K, T, seed):
    z = np.random.default_rng(seed).normal(size=(3, K))
    expected = [oracles.softmax(row, T) for row in z]
    np.testing.assert_allclose(F.softmax(z, temperature=T).data, expected, rtol=1e-11)
    y = F.log_softmax(z, temperature=T).data
    np.testing.assert_allclose(y, np.log(expected), rtol=1e-10, atol=1e-12)


def test_softmax_by_hand():
    z = Tensor(np.log([1.0, 2.0, 5.0]), requires_grad=True)
    q = F.softmax(z)
    q.backward(np.array([8.0, 0.0, 0.0]))
    np.testing.assert_allclose(q.data, [1 / 8, 2 / 8, 5 / 8], rtol=1e-15)
    np.testing.assert_allclose(z.grad, [7 / 8, -2 / 8, -5 / 8], rtol=1e-14)


@given(axis=st.integers(-3, 2), T=temperatures, seed=seeds)
def test_softmax_is_positive_and_sums_to_1_along_the_axis(axis, T, seed):
    z = 5 * np.random.default_rng(seed).normal(size=(2, 3, 4))
    q = F.softmax(z, axis=axis, temperature=T).data
    assert (q > 0).all()
    np.testing.assert_allclose(q.sum(axis=axis), 1, rtol=1e-13)
    y = F.log_softmax(z, axis=axis, temperature=T).data
    np.testing.assert_allclose(np.exp(y), q, rtol=1e-12)


@both
@given(shift=st.floats(-1e3, 1e3), seed=seeds)
def test_softmax_is_invariant_to_a_shift_of_all_logits(function, shift, seed):
    z = np.random.default_rng(seed).normal(size=(2, 5))
    np.testing.assert_allclose(function(z + shift).data, function(z).data, rtol=1e-9, atol=1e-9)


@both
@given(seed=seeds)
def test_softmax_gradient_sums_to_0(function, seed):
    """Shifting all logits changes nothing, so Σ dz = 0."""
    rng = np.random.default_rng(seed)
    z = Tensor(rng.normal(size=(2, 5)), requires_grad=True)
    function(z).backward(rng.normal(size=(2, 5)))
    np.testing.assert_allclose(z.grad.sum(axis=1), 0, atol=1e-13)


@both
@given(T=temperatures, seed=seeds)
def test_softmax_divides_the_logits_by_the_temperature(function, T, seed):
    z = np.random.default_rng(seed).normal(size=(2, 5))
    np.testing.assert_allclose(
        function(z, temperature=T).data, function(z / T).data, rtol=1e-11, atol=1e-12
    )


def test_softmax_is_smoothed_by_high_temperatures_and_sharpened_by_low_ones():
    z = np.array([2.0, 1.0, 0.0])
    np.testing.assert_allclose(F.softmax(z / 1000, temperature=1000).data, 1 / 3, rtol=1e-5)
    np.testing.assert_allclose(F.softmax(z, temperature=1e-3).data, [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("size", [1e4, 1e37])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_large_logits_neither_overflows_nor_warns(size, dtype):
    z = Tensor(np.array([[size, 0.0, -size / 2]], dtype), requires_grad=True)
    q, y = F.softmax(z), F.log_softmax(z)
    assert q.data.tolist() == [[1, 0, 0]]
    assert np.isfinite(y.data).all()
    assert y.data[0, 0] == 0
    y.backward(np.ones((1, 3), dtype))
    assert np.isfinite(z.grad).all()


@both
def test_softmax_of_an_empty_batch_is_empty(function):
    assert function(np.ones((0, 3))).shape == (0, 3)
