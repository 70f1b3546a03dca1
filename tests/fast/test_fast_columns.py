"""Columns in one copy: the view of all windows against loops, and how its rows are distributed."""

import numpy as np
import pytest

from minivision.fast import choice, columns
from minivision.windows import Window


def image(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_fast_columns_equal_the_windows_that_loops_find():
    """Two groups of two channels; stride, padding and dilation differ along the two axes."""
    geometry = Window((2, 3), (3, 2), (1, 2), (2, 1))
    x = image(2, 2, 7, 6, 3)  # (G, C, H, W, N)
    OH, OW = geometry.output_size(7, 6)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2), (0, 0)))
    windows = columns.windows_of_all(x, geometry, (OH, OW))
    assert windows.shape == (2, 2, 2, 3, OH, OW, 3)
    for i in range(2):
        for j in range(3):
            for r in range(OH):
                for s in range(OW):
                    expected = padded[:, :, 3 * r + 2 * i, 2 * s + j]
                    np.testing.assert_array_equal(windows[:, :, i, j, r, s], expected)


def test_fast_columns_are_a_view_if_there_is_no_padding():
    x = image(1, 2, 5, 5, 2)
    assert np.shares_memory(x, columns.windows_of_all(x, Window((3, 3)), (3, 3)))


@pytest.fixture
def work_of():
    """(maps, work): what `columns_work` does for this many workers, on 7 output rows of NaN."""

    def make(workers):
        maps = np.full((1, 3, 7, 5, 2), np.nan)
        weight = image(3, 2, 2, 2, seed=1)
        work = columns.columns_work(
            image(1, 2, 8, 6, 2), weight, None, maps, Window((2, 2)), workers
        )
        return maps, work

    return make


def test_columns_work_gives_each_worker_its_own_share(work_of):
    maps, work = work_of(2)
    work(0)
    filled = np.isfinite(maps).all(axis=(1, 3, 4))  # (group, row)
    assert 3 <= filled.sum() <= 4
    work(1)
    assert np.isfinite(maps).all()
    once, alone = work_of(1)
    alone(0)
    np.testing.assert_allclose(maps, once, rtol=1e-12)


def test_columns_work_makes_columns_of_as_many_rows_as_fit(work_of, monkeypatch):
    monkeypatch.setattr(choice, "column_rows", lambda bytes_per_row: 3)
    heights, real = [], columns.empty

    def noted(shape, like):
        heights.append(shape[3])
        return real(shape, like)

    monkeypatch.setattr(columns, "empty", noted)
    _, work = work_of(1)
    heights.clear()
    work(0)
    assert heights == [2, 2, 3]
