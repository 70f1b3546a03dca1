"""Windows are views, and every tap selects the pixels of its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.windows import Window, with_border, without_border
from tests import oracles
from tests.strategies import convolutions


def geometry_of(case):
    return Window(case.kernel, case.stride, case.padding, case.dilation)


@given(
    n=st.integers(1, 30),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 7),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 3),
)
def test_window_output_size_is_how_often_the_window_fits(n, kernel, stride, padding, dilation):
    geometry = Window(*[(value, 1) for value in (kernel, stride)], (padding, 0), (dilation, 1))
    assert max(0, geometry.output_size(n, 1)[0]) == oracles.output_size(
        n, kernel, stride, padding, dilation
    )
    turned = Window(*[pair[::-1] for pair in geometry])
    assert turned.output_size(1, n) == geometry.output_size(n, 1)[::-1]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (227, 11, 4, 0, 55),
        (55, 3, 2, 0, 27),
        (28, 5, 1, 2, 28),
        (14, 5, 1, 0, 10),
        (224, 7, 2, 3, 112),
    ],
)
def test_window_output_sizes_are_those_printed_in_papers(size, kernel, stride, padding, expected):
    geometry = Window((kernel, 1), (stride, 1), (padding, 0))
    assert geometry.output_size(size, 9) == (expected, 9)


@given(case=convolutions())
def test_window_taps_are_views_of_the_right_pixels(case):
    x, _, _ = case.arrays()
    geometry = geometry_of(case)
    padded = with_border(x, geometry.padding)
    OH, OW = geometry.output_size(*case.size)
    views = geometry.taps(padded)
    assert len(views) == np.prod(case.kernel)
    for (i, j), view in zip(np.ndindex(case.kernel), views, strict=True):
        assert view.shape == (*x.shape[:2], OH, OW)
        assert np.may_share_memory(view, padded) or x.size == 0
        for row, column in np.ndindex(OH, OW):
            np.testing.assert_array_equal(
                view[:, :, row, column],
                padded[
                    :, :,
                    row * case.stride[0] + i * case.dilation[0],
                    column * case.stride[1] + j * case.dilation[1],
                ],
            )  # fmt: skip


@given(case=convolutions(), value=st.sampled_from([0.0, 7.0, -np.inf]))
def test_with_border_adds_what_without_border_removes(case, value):
    x, _, _ = case.arrays()
    PH, PW = case.padding
    padded = with_border(x, case.padding, value)
    expected = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=value)
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(without_border(padded, case.padding), x)
