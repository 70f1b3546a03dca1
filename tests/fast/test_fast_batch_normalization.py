"""Batch normalization by rows of channels, against its page."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import fast
from minivision import functional as F
from minivision.fast import choice, door
from minivision.fast.memory import memory_order
from minivision.functional.normalization import RunningStatistics
from minivision.tensor import Tensor
from tests.fast.cuts import Cuts, cut_into, on_its_page
from tests.strategies import memory_orders, seeds

sizes = st.integers(1, 6)
shapes = st.one_of(
    st.tuples(st.integers(2, 5), sizes), st.tuples(st.integers(2, 4), sizes, sizes, sizes)
)
EPS = 1e-3


def channels_outermost(x):
    """x (N, C, …) in the memory order of activations: C, …, N."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


def normalized(x, dy, gamma, beta, given):
    """y, the three gradients and the statistics."""
    y, backward, statistics = fast.batch_norm(x, gamma, beta, EPS, given, (True, True, True))
    return y, *backward(dy), *statistics


def on_the_page(x, dy, gamma, beta, given):
    """The same from the page; with momentum 1, its running statistics are those of the batch."""
    in_training, C = given is None, len(gamma)
    mean, var = (np.zeros(C), np.ones(C)) if in_training else given
    running = RunningStatistics(mean, var, np.array(0))
    found = on_its_page(F.batch_norm, [x, gamma, beta], dy, running, in_training, 1.0, EPS)
    m = x.size // C
    return *found, mean, var * (m - 1) / m if in_training else var


@given(shape=shapes, width=st.integers(1, 40), in_training=st.booleans(), seed=seeds)
def test_fast_batch_norm_equals_its_page_for_any_number_of_channels_at_once(
    shape, width, in_training, seed
):
    rng = np.random.default_rng(seed)
    C = shape[1]
    x, dy = channels_outermost(rng.normal(3, 2, shape)), rng.normal(size=shape)
    gamma, beta = rng.normal(size=(2, C))
    given = None if in_training else (rng.normal(size=C), rng.uniform(0.5, 2, C))
    expected = on_the_page(x, dy, gamma, beta, given)
    with cut_into(Cuts(width=width)):
        for d in memory_orders(dy).values():
            found = normalized(x, d, gamma, beta, given)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)
                assert one.shape == other.shape
            for like_x in found[:2]:
                assert like_x.transpose(memory_order(x)).flags.c_contiguous


def test_fast_batch_norm_keeps_its_digits_in_float32_for_a_large_mean():
    """60,000 values per channel around 100: a variance from Σ x² would lose four digits."""
    x = channels_outermost(np.random.default_rng(0).normal(100, 0.1, (60, 2, 40, 25)))
    x = x.astype(np.float32)
    gamma, beta = np.ones(2, np.float32), np.zeros(2, np.float32)
    *_, (mean, var) = fast.batch_norm(x, gamma, beta, 0.0, None, (True, True, True))
    exact = x.astype(np.float64)
    assert mean.dtype == var.dtype == np.float32
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(axis=(0, 2, 3)), rtol=1e-5)


def test_fast_batch_norm_changes_none_of_its_inputs():
    rng = np.random.default_rng(0)
    x, dy = (channels_outermost(a) for a in rng.normal(size=(2, 3, 4, 2, 2)))
    gamma, beta, mean = rng.normal(size=(3, 4))
    var = np.ones(4)
    for array in (x, dy, gamma, beta, mean, var):
        array.flags.writeable = False
    normalized(x, dy, gamma, beta, None)
    normalized(x, dy, gamma, beta, (mean, var))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2), (1, 3, 2, 2)])
def test_use_channel_rows_holds_only_for_channels_outermost_in_memory(shape):
    x = np.zeros(shape)
    with door.on():
        assert choice.use_channel_rows(channels_outermost(x))
        assert choice.use_channel_rows(np.ascontiguousarray(x)) == (shape[0] == 1)
        assert not choice.use_channel_rows(channels_outermost(np.zeros((4, 6, *shape[2:])))[:, ::2])
    with door.off():
        assert not choice.use_channel_rows(channels_outermost(x))


@pytest.mark.parametrize("door_of", [door.off, door.on])
def test_batch_norm_gradient_belongs_to_the_statistics_of_its_forward_pass(door_of):
    """The running statistics change; the gradient belongs to those that y was computed with."""
    running = RunningStatistics(np.zeros(1), np.array([3.0]), np.array(0))
    x = Tensor(np.array([[12.0], [8.0]]), requires_grad=True)
    with door_of():
        y = F.batch_norm(x, np.array([6.0]), None, running, training=False, eps=1.0)
        F.batch_norm(np.array([[100.0], [-100.0]]), running=running)
    y.backward(np.array([[1.0], [10.0]]))
    assert running.var[0] > 100
    assert x.grad.tolist() == [[3], [30]]
