"""Arrays in a chosen memory order hold the same numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given

from minivision.fast.memory import BATCH_INNERMOST, batch_innermost, empty, memory_order
from tests.strategies import memory_orders, seeds


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_empty_has_the_given_memory_order(order):
    x = empty((2, 3, 4, 5), np.zeros(1, np.float32), order)
    assert x.shape == (2, 3, 4, 5)
    assert x.dtype == np.float32
    assert x.transpose(order).flags.c_contiguous
    assert memory_order(x) == order


def test_empty_is_in_c_order_by_default():
    assert empty((2, 3), np.zeros(1)).flags.c_contiguous


@given(seed=seeds)
def test_batch_innermost_changes_the_memory_and_not_the_numbers(seed):
    x = np.random.default_rng(seed).normal(size=(2, 3, 4, 5))
    for order, array in memory_orders(x).items():
        y = batch_innermost(array)
        np.testing.assert_array_equal(y, x)
        assert y.transpose(BATCH_INNERMOST).flags.c_contiguous
        assert (y is array) == (order == "batch innermost")


def test_batch_innermost_copies_nothing_for_one_image_in_c_order():
    x = np.zeros((1, 3, 4, 5))
    assert batch_innermost(x) is x
