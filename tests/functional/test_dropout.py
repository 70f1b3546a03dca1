"""Dropout: what is kept, how it is scaled, and that the mask depends only on the generator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.functional.dropout import LEVELS
from tests.strategies import memory_orders, seeds


def rng(seed=0):
    return np.random.default_rng(seed)


@given(p=st.floats(0.01, 0.99), seed=seeds)
def test_dropout_scales_survivors_and_masks_the_gradient_alike(p, seed):
    array = rng(seed).normal(size=(20, 30))
    x = Tensor(array, requires_grad=True)
    y = F.dropout(x, p, rng=rng(seed))
    kept = y.data != 0
    scale = LEVELS / (LEVELS - round(p * LEVELS))
    assert scale == pytest.approx(1 / (1 - p), rel=1e-2)
    np.testing.assert_allclose(y.data[kept], array[kept] * scale, rtol=1e-15)
    dy = rng(seed + 1).normal(size=x.shape)
    y.backward(dy)
    np.testing.assert_allclose(x.grad, np.where(kept, dy * scale, 0), rtol=1e-15)


class EveryNumberOnce(np.random.Generator):
    """Stands in for a generator that draws each of the 65,536 numbers once."""

    def bytes(self, length):
        assert length == 2 * LEVELS
        return np.arange(LEVELS, dtype="<u2").tobytes()


@pytest.mark.parametrize("p", [1 / LEVELS, 0.25, 0.3, 1 - 1 / LEVELS])
def test_dropout_drops_exactly_the_fraction_p_and_keeps_the_sum(p):
    y = F.dropout(np.ones(LEVELS), p, rng=EveryNumberOnce(np.random.PCG64(0))).data
    assert (y == 0).sum() == round(p * LEVELS)
    assert y.sum() == pytest.approx(LEVELS, rel=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_expected_value(p):
    n = 200_000
    y = F.dropout(np.ones(n), p, rng=rng()).data
    deviation = np.sqrt(p / (1 - p) / n)  # standard deviation of the mean of n such numbers
    assert abs(y.mean() - 1) < 5 * deviation
    assert abs((y == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / n)


def test_dropout_draws_the_same_mask_from_the_same_generator_state():
    x = np.ones((5, 7))
    one, two = F.dropout(x, rng=rng(3)), F.dropout(x, rng=rng(3))
    np.testing.assert_array_equal(one.data, two.data)
    generator = rng(3)
    F.dropout(x, rng=generator)
    assert (F.dropout(x, rng=generator).data != one.data).any()


def test_dropout_mask_does_not_depend_on_the_memory_order():
    orders = memory_orders(np.ones((3, 4, 5, 2)))
    masks = [F.dropout(x, rng=rng(1)).data for x in orders.values()]
    for mask in masks:
        np.testing.assert_array_equal(mask, masks[0])


def test_dropout_mask_does_not_depend_on_the_dtype():
    x = np.ones((5, 7))
    single, double = F.dropout(np.float32(x), rng=rng(1)), F.dropout(x, rng=rng(1))
    np.testing.assert_array_equal(single.data == 0, double.data == 0)


def test_dropout_in_evaluation_and_at_p_0_draws_nothing():
    x = Tensor(np.ones(3), requires_grad=True)
    assert F.dropout(x, 0.5, training=False, rng=None) is x
    assert F.dropout(x, 0.0, rng=None) is x


@pytest.mark.parametrize("function", [F.dropout, F.drop_path])
def test_dropout_without_a_generator_uses_the_shared_one(function):
    x = np.ones((50, 2))
    with manual_seed(4):
        drawn = function(x).data
    np.testing.assert_array_equal(drawn, function(x, rng=rng(4)).data)


def test_dropout_can_drop_almost_everything():
    y = F.dropout(np.ones(1000), 1 - 1e-9, rng=rng()).data
    assert np.isfinite(y).all()


# ── whole examples ───────────────────────────────────────────────────────────────────────────


@given(p=st.floats(0.1, 0.9), seed=seeds)
def test_drop_path_drops_whole_examples_and_masks_the_gradient_alike(p, seed):
    array = rng(seed).uniform(1, 2, (40, 3, 2))
    x = Tensor(array, requires_grad=True)
    y = F.drop_path(x, p, rng=rng(seed))
    scale = LEVELS / (LEVELS - round(p * LEVELS))
    factors = y.data / array
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1], (40, 3, 2)), rtol=1e-14)
    kept = factors[:, 0, 0] > 0
    np.testing.assert_allclose(factors[kept], scale, rtol=1e-14)
    dy = rng(seed + 1).normal(size=x.shape)
    y.backward(dy)
    np.testing.assert_allclose(x.grad[kept], dy[kept] * scale, rtol=1e-14)
    assert not x.grad[~kept].any()


@pytest.mark.parametrize("p", [1 / LEVELS, 0.25, 1 - 1 / LEVELS])
def test_drop_path_drops_exactly_the_fraction_p_of_the_examples(p):
    y = F.drop_path(np.ones((LEVELS, 1, 2)), p, rng=EveryNumberOnce(np.random.PCG64(0))).data
    assert (y[:, 0, 0] == 0).sum() == round(p * LEVELS)
    assert y.sum() == pytest.approx(2 * LEVELS, rel=1e-12)


def test_drop_path_of_a_residual_branch_leaves_the_identity():
    x = rng().normal(size=(50, 3))
    y = (Tensor(x) + F.drop_path(10 * x, 0.5, rng=rng())).data
    unchanged = (y == x).all(axis=1)
    assert 0 < unchanged.sum() < 50
    np.testing.assert_allclose(y[~unchanged], x[~unchanged] * (1 + 10 * 2), rtol=1e-13)


def test_drop_path_in_evaluation_and_at_p_zero_does_nothing():
    x = Tensor(np.ones((3, 2)), requires_grad=True)
    assert F.drop_path(x, 0.5, training=False, rng=None) is x
    assert F.drop_path(x, 0.0, rng=None) is x
