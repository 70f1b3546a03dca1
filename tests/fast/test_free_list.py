"""A block of memory is reused once nothing refers to it any more, and not before."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.fast import free_list as module
from minivision.fast import memory
from minivision.fast.free_list import ALIGNMENT, SMALLEST, FreeList, free_list
from minivision.fast.memory import BATCH_INNERMOST, empty, empty_like

SIZE = 2**20
FLOAT = np.zeros(1, np.float32)
SHAPE = (64, 16, 16, 16)  # in float32 of SIZE bytes


@pytest.fixture(autouse=True)
def _fresh_list():
    """The free list is empty at first, and restored after each test."""
    limit = free_list.limit
    free_list.clear()
    yield
    free_list.limit = limit
    free_list.clear()


def address(array):
    return array.__array_interface__["data"][0]


def blocks_held():
    return sum(len(same_size) for same_size in free_list.blocks.values())


# ── when a block is free ─────────────────────────────────────────────────────────────────────


def test_free_list_reuses_the_memory_of_a_freed_array():
    first = empty(SHAPE, FLOAT)
    place = address(first)
    del first
    for shape, like in ((SHAPE, FLOAT), ((SIZE // 8,), np.zeros(1)), ((SIZE,), np.zeros(1, "u1"))):
        assert address(empty(shape, like)) == place
    assert blocks_held() == 1


VIEWS = {
    "the array": lambda x: x,
    "a view": lambda x: x.view(),
    "another shape": lambda x: x.reshape(-1),
    "a transpose": lambda x: x.transpose(3, 1, 0, 2),
    "a slice": lambda x: x[5:7, ::3],
    "a row": lambda x: x[1],
    "one number as an array": lambda x: x[1, 1, 1, 1, ...],
    "an empty slice": lambda x: x[:0],
    "another dtype": lambda x: x.view(np.uint8),
    "a broadcast": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "a view of a view": lambda x: x[5:].T[:, 3:].swapaxes(0, 1),
    "a memoryview": lambda x: memoryview(x),
    "part of a memoryview": lambda x: memoryview(x.reshape(-1))[3:5],
    "an array of a memoryview": lambda x: np.asarray(memoryview(x)[5:]),
    "an array that shares its buffer": lambda x: np.frombuffer(x, np.uint8),
    "strides of one's own": lambda x: np.lib.stride_tricks.as_strided(x, (3, 3), (4, 4)),
    "inside of a list": lambda x: [[x[2]]],
    "inside of a function": lambda x: lambda: x.sum(),
}


@pytest.mark.parametrize("view", VIEWS)
def test_free_list_reuses_a_block_only_after_its_last_view_is_gone(view):
    array = empty(SHAPE, FLOAT)
    place = address(array)
    kept = VIEWS[view](array)
    del array
    others = [empty(SHAPE, FLOAT) for _ in range(3)]
    assert place not in map(address, others)
    del kept
    assert address(empty(SHAPE, FLOAT)) == place
    assert blocks_held() == 4


def test_free_list_block_is_not_held_by_a_copy():
    array = empty(SHAPE, FLOAT)
    place, copy = address(array), array.copy()
    del array
    assert address(empty(SHAPE, FLOAT)) == place
    assert not np.shares_memory(copy, empty(SHAPE, FLOAT))


def test_free_list_returns_the_block_used_last():
    """It may still be in the cache."""
    arrays = [empty(SHAPE, FLOAT) for _ in range(3)]
    places = [address(array) for array in arrays]
    arrays.pop(1)
    again = empty(SHAPE, FLOAT)
    assert address(again) == places[1]
    del again
    arrays.clear()
    assert address(empty(SHAPE, FLOAT)) == places[1]


def test_free_list_reuses_only_blocks_of_exactly_the_same_size():
    first = empty(SHAPE, FLOAT)
    place = address(first)
    del first
    for entries in (SIZE // 4 - 1, SIZE // 4 + 1, SIZE // 8):
        assert address(empty((entries,), FLOAT)) != place


@given(data=st.data())
def test_free_list_never_gives_two_live_arrays_the_same_memory(data):
    """Arrays are requested; some are kept, whole or as a view, and some are freed."""
    sizes = st.sampled_from([SMALLEST // 4, SMALLEST // 4 + 16, SMALLEST // 2])
    views = st.sampled_from([lambda x: x, lambda x: x[7:99], lambda x: x[::-3].reshape(-1, 1)])
    alive, number = [], 0
    for _ in range(data.draw(st.integers(1, 40), label="steps")):
        if alive and data.draw(st.booleans(), label="let one go"):
            alive.pop(data.draw(st.integers(0, len(alive) - 1), label="which"))
        else:
            array = empty((data.draw(sizes, label="entries"),), FLOAT)
            number += 1
            array[...] = number
            alive.append((data.draw(views, label="kept as")(array), number))
            del array
    for i, (array, number) in enumerate(alive):
        assert (array == number).all()
        assert not any(np.may_share_memory(array, other) for other, _ in alive[:i])


def test_free_list_supplies_all_memory_of_a_training_step_from_the_second_on():
    def step():
        x = empty(SHAPE, FLOAT)
        y = empty_like(x)
        x[...] = 1
        y[...] = x
        columns = empty((2, *SHAPE), FLOAT)
        columns[...] = 1
        return columns[0] + y, {address(a) for a in (x, y, columns)}

    places = [step()[1] for _ in range(4)]
    assert places[0] == places[1] == places[2] == places[3]
    assert blocks_held() == 3
    assert free_list.held == 4 * SIZE


# ── the arrays ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8", "c16"])
@pytest.mark.parametrize("order", [None, BATCH_INNERMOST, (3, 2, 1, 0)], ids=str)
def test_empty_starts_at_a_cache_line_and_has_the_given_shape(dtype, order):
    arrays = [empty((64 + i, 16, 16, 16), np.zeros(1, dtype), order) for i in range(5)]
    for i, array in enumerate(arrays):
        assert array.shape == (64 + i, 16, 16, 16)
        assert array.dtype == dtype
        assert array.transpose(order or range(4)).flags.c_contiguous
        assert array.flags.writeable
        assert address(array) % ALIGNMENT == 0
        array[...] = i  # to its last entry
    assert all((array == i).all() for i, array in enumerate(arrays))


@pytest.mark.parametrize(("size", "kept"), [(SMALLEST - 4, 0), (SMALLEST, 1), (0, 0)])
def test_empty_leaves_small_arrays_to_the_allocator(size, kept):
    array = empty((size // 4,), FLOAT)
    assert array.nbytes == size
    assert blocks_held() == kept


def test_empty_like_a_small_array_is_not_a_view_of_it():
    x = empty((3, 4), FLOAT)
    assert not np.shares_memory(empty_like(x), x)


# ── how much is kept ─────────────────────────────────────────────────────────────────────────


def test_free_list_holds_no_more_than_its_limit():
    blocks = FreeList()
    blocks.limit = 3 * SIZE
    taken = [blocks.take(SIZE) for _ in range(5)]
    assert len({id(block) for block in taken}) == 5
    assert blocks.held == 3 * SIZE
    assert sum(map(len, blocks.blocks.values())) == 3


def test_free_list_drops_free_blocks_of_other_sizes_and_keeps_used_ones():
    blocks = FreeList()
    blocks.limit = 3 * SIZE
    used, free = blocks.take(SIZE), blocks.take(SIZE)
    del free
    large = blocks.take(2 * SIZE)
    assert {size: len(same_size) for size, same_size in blocks.blocks.items()} == {
        SIZE: 1,
        2 * SIZE: 1,
    }
    assert blocks.blocks[SIZE][0] is used
    assert blocks.blocks[2 * SIZE][0] is large
    assert blocks.held == 3 * SIZE


@given(data=st.data())
def test_free_list_counts_the_bytes_it_holds(data):
    blocks = FreeList()
    blocks.limit, taken = 10_000, []
    for _ in range(data.draw(st.integers(1, 40))):
        if taken and data.draw(st.booleans()):
            taken.pop(data.draw(st.integers(0, len(taken) - 1)))
        else:
            size = data.draw(st.sampled_from([1000, 2500, 4000, 20_000]))
            taken.append(blocks.take(size))
            assert size <= taken[-1].nbytes <= size + ALIGNMENT
        assert len({id(block) for block in taken}) == len(taken)
        held = sum(size * len(same_size) for size, same_size in blocks.blocks.items())
        assert blocks.held == held <= blocks.limit


def test_clear_drops_every_block_and_no_array():
    array = empty(SHAPE, FLOAT)
    array[...] = 7
    place = address(array)
    free_list.clear()
    assert (free_list.held, free_list.blocks) == (0, {})
    others = [empty(SHAPE, FLOAT) for _ in range(2)]
    assert place not in map(address, others)
    assert (array == 7).all()
    del array
    assert blocks_held() == 2  # the earlier block is not taken back


def test_free_list_with_limit_0_keeps_no_block():
    blocks = FreeList()
    blocks.limit = 0
    for _ in range(3):
        blocks.take(SIZE)
        assert (blocks.held, blocks.blocks) == (0, {})


def test_free_list_keeps_nothing_if_reference_counts_are_not_exact(monkeypatch):
    """As in an interpreter that counts references differently, or not at all."""
    for count in (lambda block: 1, lambda block: 10**6):
        monkeypatch.setattr(module.sys, "getrefcount", count)
        blocks = FreeList()
        assert blocks.limit == 0
        block = blocks.take(SIZE)
        assert blocks.take(SIZE) is not block
        assert blocks.blocks == {}


def test_free_list_finds_exact_reference_counts_here():
    assert FreeList().limit > 0


# ── threads ──────────────────────────────────────────────────────────────────────────────────


def in_a_thread(function):
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


def test_free_list_is_separate_for_each_thread():
    first = empty(SHAPE, FLOAT)
    place = address(first)
    del first
    assert in_a_thread(lambda: address(empty(SHAPE, FLOAT))) != place
    assert in_a_thread(blocks_held) == 0
    assert address(empty(SHAPE, FLOAT)) == place


def test_free_list_array_outlives_its_thread():
    def make():
        array = empty(SHAPE, FLOAT)
        array[...] = 5
        return array

    array = in_a_thread(make)
    others = [in_a_thread(make) for _ in range(3)]
    assert (array == 5).all()
    assert not any(np.shares_memory(array, other) for other in others)


def test_free_list_reuses_a_block_whose_last_view_another_thread_drops():
    array = empty(SHAPE, FLOAT)
    place, views = address(array), [array[1:]]
    del array
    in_a_thread(views.clear)
    assert address(empty(SHAPE, FLOAT)) == place


def test_empty_of_another_librarys_array_comes_from_that_library(monkeypatch):
    class Library:
        def empty(self, shape, dtype):
            return ("another library's", shape, dtype)

    class Other:
        dtype = np.dtype("f4")

    monkeypatch.setattr(memory, "array_module", lambda array: Library())
    assert empty(SHAPE, Other()) == ("another library's", SHAPE, np.dtype("f4"))
    assert blocks_held() == 0
