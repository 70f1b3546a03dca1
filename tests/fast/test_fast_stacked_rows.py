"""Stacked rows: what they contain, and that unstacking is the adjoint."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.fast.stacked_rows import (
    covered,
    cut,
    stack_rows,
    taps,
    unstack_rows,
    windows_of,
)
from minivision.functional.convolution import im2col
from minivision.windows import Window
from tests.strategies import convolutions_of_stacked_rows


def whole_numbers(seed, *shape):
    """Whole numbers, whose sums are exact."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


@st.composite
def part_of(draw, n):
    """A range within 0 to n, not empty."""
    start = draw(st.integers(0, n - 1))
    return range(start, draw(st.integers(start + 1, n)))


@st.composite
def tiles(draw):
    """x (C, H, W, N), a geometry, and a tile: some output rows and columns."""
    case = draw(convolutions_of_stacked_rows())
    geometry = Window(case.kernel, case.stride, case.padding, case.dilation)
    x = whole_numbers(case.seed, case.channels, *case.size, case.N)
    OH, OW = geometry.output_size(*case.size)
    return x, geometry, draw(part_of(OH)), draw(part_of(OW))


# ── stacking ─────────────────────────────────────────────────────────────────────────────────


@given(tile=tiles())
def test_stack_rows_equals_its_definition(tile):
    x, geometry, rows, columns = tile
    C, H, W, N = x.shape
    lines = covered(geometry, rows)
    stacked = stack_rows(x, geometry, lines, columns)
    assert stacked.shape == (len(lines), C, geometry.kernel[1], len(columns), N)
    for h, c, j, w in np.ndindex(stacked.shape[:4]):
        row = lines[h]
        column = (
            columns[w] * geometry.stride[1] + j * geometry.dilation[1] - geometry.padding[1]
        )  # fmt: skip
        inside = 0 <= row < H and 0 <= column < W
        assert stacked[h, c, j, w].tolist() == (x[c, row, column].tolist() if inside else [0] * N)


@given(tile=tiles(), step=st.integers(1, 3))
def test_stack_rows_with_channels_outermost_holds_the_same_numbers(tile, step):
    """Also for every second or third image row, as the gradient of the weights needs them."""
    x, geometry, rows, columns = tile
    lines = covered(geometry, rows)[::step]
    stacked = stack_rows(x, geometry, lines, columns)
    other = stack_rows(x, geometry, lines, columns, rows_first=False)
    assert other.flags.c_contiguous
    np.testing.assert_array_equal(other, stacked.transpose(1, 2, 0, 3, 4))


@given(tile=tiles())
def test_windows_of_are_the_columns_of_im2col_in_another_order(tile):
    x, geometry, rows, columns = tile
    C, H, W, N = x.shape
    KH, KW = geometry.kernel
    OH, OW = geometry.output_size(H, W)
    stacked = stack_rows(x, geometry, covered(geometry, rows), columns)
    windows = windows_of(stacked, geometry, len(rows))
    plain = im2col(x.transpose(3, 0, 1, 2), geometry).reshape(C, KH, KW, N, OH, OW)
    plain = plain[..., rows.start : rows.stop, columns.start : columns.stop]
    plain = plain.transpose(4, 1, 0, 2, 5, 3).reshape(len(rows), KH * C * KW, len(columns) * N)
    np.testing.assert_array_equal(windows, plain)
    assert np.shares_memory(windows, stacked)  # a view, so that nothing is copied KH times


def test_windows_of_two_channels_by_hand():
    """Stride 1, kernel 2x2: the second row of windows begins one stacked row later."""
    x = np.array([[[1.0, 2], [3, 4], [5, 6]], [[10, 20], [30, 40], [50, 60]]])[..., None]
    geometry = Window(kernel=(2, 2))
    stacked = stack_rows(x, geometry, range(3), range(1))
    assert stacked[:, :, :, 0, 0].tolist() == [
        [[1, 2], [10, 20]],
        [[3, 4], [30, 40]],
        [[5, 6], [50, 60]],
    ]
    assert windows_of(stacked, geometry, 2)[:, :, 0].tolist() == [
        [1, 2, 10, 20, 3, 4, 30, 40],
        [3, 4, 30, 40, 5, 6, 50, 60],
    ]


# ── unstacking ───────────────────────────────────────────────────────────────────────────────


@given(tile=tiles(), data=st.data())
def test_unstack_rows_is_the_adjoint_of_stack_rows(tile, data):
    """⟨stack(x), s⟩ = ⟨x, unstack(s)⟩, exactly, for image rows that exist."""
    x, geometry, _, columns = tile
    lines = data.draw(part_of(x.shape[1]))
    stacked = stack_rows(x, geometry, lines, columns)
    s = whole_numbers(1, *stacked.shape)
    dx = np.zeros_like(x)
    unstack_rows(s, dx, geometry, lines, columns)
    assert (stacked * s).sum() == (x * dx).sum()
    outside = np.ones(x.shape[1], bool)
    outside[lines.start : lines.stop] = False
    assert (dx[:, outside] == 0).all()


def test_unstack_rows_adds_to_what_is_there():
    geometry = Window(kernel=(1, 3), padding=(0, 1))
    dx = np.full((1, 1, 4, 1), 100.0)
    unstack_rows(np.ones((1, 1, 3, 4, 1)), dx, geometry, range(1), range(4))
    assert dx.ravel().tolist() == [102, 103, 103, 102]


# ── the small helpers ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("geometry", "rows", "lines"),
    [
        (Window((3, 3)), range(0, 4), range(0, 6)),
        (Window((3, 3)), range(2, 3), range(2, 5)),
        (Window((3, 3), padding=(1, 1)), range(0, 2), range(-1, 3)),
        (Window((11, 11), stride=(4, 4)), range(1, 3), range(4, 19)),
        (Window((1, 1), stride=(3, 3)), range(0, 3), range(0, 7)),
    ],
)
def test_covered_image_rows_by_hand(geometry, rows, lines):
    assert covered(geometry, rows) == lines


def test_taps_of_each_kernel_column_by_hand():
    """Four pixels, a border of one, and the four positions of a kernel of three columns.

    The left column covers nothing at the first position and pixels 0, 1, 2 at the others.
    """
    geometry = Window(kernel=(1, 3), padding=(0, 1))
    assert list(taps(geometry, range(4), 4)) == [
        (0, slice(1, 4), slice(0, 3, 1)),
        (1, slice(0, 4), slice(0, 4, 1)),
        (2, slice(0, 3), slice(1, 4, 1)),
    ]


def test_taps_count_positions_from_the_first_column_of_the_tile():
    geometry = Window(kernel=(1, 2), stride=(1, 2))
    places = [
        (j, list(range(10))[met], list(range(8))[pixels])
        for j, met, pixels in taps(geometry, range(2, 4), 8)
    ]
    assert places == [(0, [0, 1], [4, 6]), (1, [0, 1], [5, 7])]


def test_taps_of_a_tile_in_the_border_cover_no_pixel():
    geometry = Window(kernel=(1, 1), padding=(0, 3))
    for columns in (range(0, 3), range(5, 8)):  # pixels 0 and 1 are covered at positions 3 and 4
        ((_, met, pixels),) = taps(geometry, columns, 2)
        assert len(range(3)[met]) == len(range(2)[pixels]) == 0


@given(n=st.integers(0, 40), size=st.integers(0, 12))
def test_cut_covers_everything_once_in_few_and_even_parts(n, size):
    parts = cut(n, size)
    assert [i for part in parts for i in part] == list(range(n))
    assert len(parts) == -(-n // max(size, 1))  # a size of 0 counts as 1
    assert all(1 <= len(part) <= max(size, 1) for part in parts)
    assert n == 0 or max(map(len, parts)) - min(map(len, parts)) <= 1
