"""Which shapes broadcast, and that unbroadcast is the adjoint of broadcasting."""

import itertools

import numpy as np
import pytest
from hypothesis import given

from minivision.analysis.gradient_cases.draws import broadcast_pair
from minivision.functional.arithmetic import unbroadcast
from minivision.functional.inputs import broadcasts
from tests.strategies import seeds


@given(seed=seeds)
def test_unbroadcast_is_the_adjoint_of_broadcast(seed):
    rng = np.random.default_rng(seed)
    one, other = broadcast_pair(rng)
    x = rng.normal(size=one)
    wide = np.broadcast_to(x, np.broadcast_shapes(one, other))
    dy = rng.normal(size=wide.shape)
    dx = unbroadcast(dy, one)
    assert dx.shape == one
    assert (wide * dy).sum() == pytest.approx((x * dx).sum(), rel=1e-11, abs=1e-11)


def test_broadcasts_agrees_with_numpy_for_all_small_shapes():
    shapes = [shape for n in range(4) for shape in itertools.product((0, 1, 2, 3), repeat=n)]
    for one, other in itertools.product(shapes, repeat=2):
        try:
            np.broadcast(np.empty(one), np.empty(other))
            expected = True
        except ValueError:
            expected = False
        assert broadcasts(one, other) is expected


def test_unbroadcast_returns_dy_itself_if_nothing_was_repeated():
    dy = np.ones((2, 3))
    assert unbroadcast(dy, (2, 3)) is dy


@pytest.mark.parametrize(
    ("dy", "shape"), [((0, 3), (1, 3)), ((0, 3), (3,)), ((2, 0), (1, 1)), ((3,), ())]
)
def test_unbroadcast_of_an_empty_array_is_0_and_to_a_number_is_the_sum(dy, shape):
    dx = unbroadcast(np.ones(dy), shape)
    assert dx.shape == shape
    assert (dx == (3 if shape == () else 0)).all()


def test_unbroadcast_sums_a_stretched_axis_behind_an_axis_of_size_1():
    dy = np.arange(15.0).reshape(3, 1, 5)
    summed = unbroadcast(dy, (3, 1, 1))
    np.testing.assert_array_equal(summed, dy.sum(axis=2, keepdims=True))
    summed = unbroadcast(dy.reshape(1, 3, 1, 5), (1, 1, 5))
    np.testing.assert_array_equal(summed, dy.sum(axis=0).reshape(1, 1, 5))
