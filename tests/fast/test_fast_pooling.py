"""Fast max pooling against its page and loops: which pixel is the maximum, for any tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision.fast import choice
from minivision.fast import pooling as fast
from minivision.windows import Window
from tests import oracles
from tests.fast.cuts import Cuts, cut_into, cuts, on_its_page
from tests.strategies import ODD_POOLINGS, Pooling, memory_orders, poolings

ODD = {name: case._replace(N=max(1, case.N)) for name, case in ODD_POOLINGS.items()} | {
    "AlexNet's": Pooling(3, 5, (13, 11), (3, 3), (2, 2)),
    "a row of windows": Pooling(2, 3, (1, 9), (1, 3), (1, 1)),
    "a column of windows": Pooling(2, 3, (9, 1), (4, 1), (3, 1)),
    "a border in every window": Pooling(4, 1, (2, 3), (4, 4), (1, 2), (2, 2)),
}  # fmt: skip
odd = pytest.mark.parametrize("case", ODD.values(), ids=ODD)

IMAGES = {
    "all different": lambda rng, shape: rng.permutation(np.prod(shape)).reshape(shape),
    "many ties": lambda rng, shape: rng.integers(0, 3, shape),
    "all equal": lambda rng, shape: np.full(shape, -2.0),
    "much -∞": lambda rng, shape: rng.choice([-np.inf, -1.0, 0.0], shape, p=[0.7, 0.2, 0.1]),
    "all -∞": lambda rng, shape: np.full(shape, -np.inf),
}


def pooled(kernel, x, dy, geometry):
    y = kernel.max_pool(x, geometry)
    return y, kernel.max_pool_gradient(dy, x, y, geometry)


def on_the_page(case, x, dy):
    return on_its_page(F.max_pool2d, [x], dy, **case.settings)


def numbers(case, image, dtype=np.float64):
    """x, and a dy of whole numbers, whose sums are exact in any order."""
    rng = np.random.default_rng(case.seed)
    x = IMAGES[image](rng, case.array().shape).astype(dtype)
    geometry = Window(case.kernel, case.stride, case.padding)
    dy = rng.integers(-9, 10, (*x.shape[:2], *geometry.output_size(*case.size))).astype(dtype)
    return x, dy, geometry


def assert_equals_page(case, image, cuts):
    for dtype in (np.float64, np.float32):
        x, dy, geometry = numbers(case, image, dtype)
        expected = on_the_page(case, x, dy)
        with cut_into(cuts):
            found = pooled(fast, x, dy, geometry)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == dtype
            np.testing.assert_array_equal(one, other)


@given(case=poolings(least_batch=1), cuts=cuts, image=st.sampled_from(list(IMAGES)))
def test_fast_max_pool2d_with_tiles_of_any_size_equals_its_page(case, cuts, image):
    assert_equals_page(case, image, cuts)


@odd
@pytest.mark.parametrize("cuts", [None, Cuts(1, 1), Cuts(2, 3), Cuts(3, 2, workers=3)], ids=str)
def test_fast_max_pool2d_with_tiles_equals_its_page_in_odd_geometries(case, cuts):
    for image in IMAGES:
        assert_equals_page(case, image, cuts)


@given(case=poolings(least_batch=1), cuts=cuts)
def test_fast_max_pool2d_gives_the_gradient_to_the_first_maximum_in_reading_order(case, cuts):
    """Against loops, which use neither maxima of rows nor tiles."""
    x, dy, geometry = numbers(case, "many ties")
    with cut_into(cuts):
        y, dx = pooled(fast, x, dy, geometry)
    settings = (case.kernel, case.stride, case.padding)
    np.testing.assert_array_equal(y, oracles.max_pool2d(x, *settings))
    np.testing.assert_array_equal(dx, oracles.max_pool2d_gradient(dy, x, *settings))


def test_fast_max_pool2d_with_ties_by_hand():
    """The maxima are at (0, 2), (1, 0) and (1, 1): the first row counts, not the first column."""
    x = np.array([[[[1.0, 2, 5], [5, 5, 4], [0, 0, 0]]]])
    dy = np.array([[[[7.0]]]])
    y, dx = pooled(fast, x, dy, Window((3, 3)))
    assert y.tolist() == [[[[5]]]]
    assert dx.tolist() == [[[[0, 0, 7], [0, 0, 0], [0, 0, 0]]]]


@odd
@pytest.mark.parametrize("bytes_per_line", [1, 100, 10**5, 10**9])
def test_pooling_tile_has_at_least_one_channel_and_one_row(case, bytes_per_line):
    geometry = Window(case.kernel, case.stride, case.padding)
    OH, _ = geometry.output_size(*case.size)
    depth, height = choice.pooling_tile(geometry, OH, bytes_per_line)
    assert min(depth, height) >= 1


@given(data=st.data())
def test_fast_max_pool2d_takes_images_in_any_memory_order_and_does_not_change_them(data):
    case = data.draw(st.sampled_from(list(ODD.values())))
    x, dy, geometry = numbers(case, "many ties")
    expected = on_the_page(case, x, dy)
    for a, d in zip(memory_orders(x).values(), memory_orders(dy).values(), strict=True):
        a.flags.writeable = d.flags.writeable = False
        found = pooled(fast, a, d, geometry)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
