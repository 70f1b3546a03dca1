"""Work in blocks: every entry once, corresponding entries together, in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.fast.blocks import as_rows, in_blocks
from tests.fast.cuts import Cuts, cut_into
from tests.strategies import memory_orders

ORDERS = list(memory_orders(np.zeros((2, 3, 4, 5))))
WITHOUT_GAPS = ["C", "Fortran", "batch innermost"]


def numbered(shape):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


@given(
    size=st.one_of(st.sampled_from([0, 1, 7, 8, 9, 15, 16, 17]), st.integers(0, 60)),
    block=st.integers(1, 20),
    workers=st.integers(1, 3),
)
def test_in_blocks_passes_every_entry_once_in_blocks_of_the_given_size(size, block, workers):
    places, times, lengths = np.arange(size), np.zeros(size, int), []

    def work(places, times):
        lengths.append(len(places))
        times += 1 + places  # corresponding entries are passed together

    with cut_into(Cuts(width=block, workers=workers)):
        in_blocks(work, places, times)
    assert times.tolist() == [1 + i for i in range(size)]
    assert sorted(lengths) == sorted([min(block, size - i) for i in range(0, size, block)] or [0])


@pytest.mark.parametrize("name", WITHOUT_GAPS)
def test_in_blocks_splits_arrays_of_equal_memory_layout(name):
    x, y = (memory_orders(numbered((2, 3, 4, 5)) + shift)[name] for shift in (0, 1000))
    seen = []
    with cut_into(Cuts(width=7)):
        in_blocks(lambda x, y: seen.append(x.shape) or np.subtract(y, x, out=y), x, y)
    assert seen == [(7,)] * 17 + [(1,)]
    assert (y == 1000).all()


@pytest.mark.parametrize("one", ORDERS)
@pytest.mark.parametrize("other", ORDERS)
def test_in_blocks_passes_arrays_of_different_layout_whole(one, other):
    x, y = memory_orders(numbered((2, 3, 4, 5)))[one], memory_orders(np.zeros((2, 3, 4, 5)))[other]
    seen = []

    def work(x, y):
        seen.append(x.shape)
        y += x

    with cut_into(Cuts(width=7)):
        in_blocks(work, x, y)
    np.testing.assert_array_equal(y, numbered((2, 3, 4, 5)))
    alike = one == other and one in WITHOUT_GAPS
    assert (as_rows(x, y) is not None) == alike
    assert (seen == [(2, 3, 4, 5)]) == (not alike)


def test_in_blocks_passes_all_arrays_whole_if_one_has_gaps():
    x, y, z = numbered((4, 6)), numbered((4, 6)), numbered((4, 12))[:, ::2]
    assert as_rows(x, y) is not None
    assert as_rows(x, y, z) is None


def test_in_blocks_takes_a_number_and_an_empty_array():
    number, empty = np.array(3.0), np.zeros((2, 0, 3))
    for array in (number, empty):
        in_blocks(lambda x: np.multiply(x, 2, out=x), array)
    assert number == 6


def test_as_rows_returns_views():
    x = memory_orders(numbered((2, 3, 4, 5)))["batch innermost"]
    (row,) = as_rows(x)
    assert np.shares_memory(row, x)
    assert row.tolist() == x.transpose(1, 2, 3, 0).ravel().tolist()


def test_in_blocks_passes_arrays_of_another_library_whole():
    class Other:
        size = 10**6

    seen = []
    other = Other()
    in_blocks(seen.append, other)
    assert seen == [other]
