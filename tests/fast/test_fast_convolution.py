"""The fast convolution against its page, in tiles so small that every border case occurs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision.fast import choice
from minivision.fast import convolution as fast
from minivision.windows import Window
from tests.fast.cuts import Cuts, cut_into, cuts, on_its_page
from tests.strategies import (
    ODD_CONVOLUTIONS,
    Convolution,
    convolutions_of_stacked_rows,
    memory_orders,
)

# Vertical dilation is left to the page.
ODD = {
    name: case._replace(N=max(1, case.N), dilation=(1, case.dilation[1]))
    for name, case in ODD_CONVOLUTIONS.items()
} | {
    "tiles outside of the image": Convolution(2, 1, 2, (2, 1), (2, 2), (1, 1), (5, 6)),
    "only border": Convolution(1, 2, 2, (1, 1), (1, 1), (2, 2), (1, 1)),
    "an image narrower than the kernel": Convolution(3, 2, 1, (2, 1), (3, 4), (1, 1), (1, 2)),
    "stride larger than the padded kernel": Convolution(5, 1, 2, (9, 7), (1, 2), (5, 4), (3, 1)),
    "many channels in groups": Convolution(4, 16, 5, (6, 5), (3, 3), padding=(1, 1), groups=2),
    "AlexNet's first": Convolution(2, 3, 4, (31, 27), (11, 11), (4, 4)),
    "wide taps": Convolution(2, 2, 2, (3, 9), (2, 3), (1, 2), (1, 4), (1, 3)),
}  # fmt: skip
odd = pytest.mark.parametrize("case", ODD.values(), ids=ODD)
ALL_FORMS = [
    Cuts(height=1, width=1),
    Cuts(height=2, width=3, flip=True, by_kernel_rows=True),
    Cuts(height=3, width=2, flip=True, workers=2),
    Cuts(height=100, width=100, by_kernel_rows=True, workers=3),
    Cuts(height=2, columns=True, flip=True, workers=2),
]


def y_dx_and_dw(kernel, arrays, dy, case):
    x, weight, bias = arrays
    geometry = Window(case.kernel, case.stride, case.padding, case.dilation)
    y = kernel.convolve(x, weight, bias, geometry, case.groups)
    dx, dw = kernel.gradients(dy, x, weight, geometry, case.groups, True, True)
    return {"y": y, "dx": dx, "dw": dw}


def on_the_page(arrays, dy, case):
    page = on_its_page(F.conv2d, arrays, dy, **case.settings)
    return dict(zip(("y", "dx", "dw"), page, strict=False))


def upstream(case, dtype=np.float64):
    OH, OW = Window(case.kernel, case.stride, case.padding, case.dilation).output_size(*case.size)
    shape = (case.N, case.filters * case.groups, OH, OW)
    return np.random.default_rng(case.seed + 1).normal(size=shape).astype(dtype)


def assert_equals_page(case, cuts=None):
    """Within 10⁻¹² in float64 and 2·10⁻⁶ in float32, relative to the sum of the terms' sizes."""
    arrays, dy = case.arrays(), upstream(case)
    expected = on_the_page(arrays, dy, case)
    with cut_into(cuts):
        found = y_dx_and_dw(fast, arrays, dy, case)
        singles, single_dy = [a.astype("f4") for a in arrays], dy.astype("f4")
        single = y_dx_and_dw(fast, singles, single_dy, case)
    doubles = [a.astype("f8") for a in singles], single_dy.astype("f8")
    rounded = on_the_page(*doubles, case)
    sizes = on_the_page([abs(a) for a in arrays], abs(dy), case)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_allclose(
            found[name], array, rtol=0, atol=1e-12 * (1 + sizes[name].max()), err_msg=name
        )
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(
            single[name], rounded[name], rtol=0, atol=2e-6 * (1 + sizes[name].max()), err_msg=name
        )


@given(case=convolutions_of_stacked_rows(), cuts=cuts)
def test_fast_conv2d_with_tiles_of_any_size_equals_its_page(case, cuts):
    assert_equals_page(case, cuts)


@odd
@pytest.mark.parametrize("cuts", ALL_FORMS, ids=str)
def test_fast_conv2d_with_tiles_equals_its_page_in_odd_geometries(case, cuts):
    assert_equals_page(case, cuts)


@odd
def test_fast_conv2d_without_tiles_equals_its_page(case):
    assert_equals_page(case)


@pytest.mark.parametrize("tile_bytes", [0, 1, 3000])
@pytest.mark.parametrize("product_width", [0, 500, 10**6])
@pytest.mark.parametrize("narrow_product", [0, 10**6], ids=["stacked rows", "columns"])
def test_fast_conv2d_equals_its_page_for_a_cache_of_any_size(
    monkeypatch, tile_bytes, product_width, narrow_product
):
    monkeypatch.setattr(choice, "TILE_BYTES", tile_bytes)
    monkeypatch.setattr(choice, "PRODUCT_WIDTH", product_width)
    monkeypatch.setattr(choice, "FEW_PLACES", 0)
    monkeypatch.setattr(choice, "NARROW_PRODUCT", narrow_product)
    for name in ("many channels in groups", "AlexNet's first", "tiles outside of the image"):
        assert_equals_page(ODD[name])


@given(
    case=convolutions_of_stacked_rows(),
    filters=st.integers(1, 2000),
    channels=st.integers(1, 2000),
    N=st.integers(1, 5000),
)
def test_tile_has_at_least_one_row_and_at_most_all_columns(case, filters, channels, N):
    geometry = Window(case.kernel, case.stride, case.padding, case.dilation)
    OW = geometry.output_size(*case.size)[1]
    shape = (case.groups, filters, channels * case.kernel[0] * case.kernel[1])
    height, width = choice.tile(shape, geometry, OW, N, 4)
    assert height >= 1
    assert 1 <= width <= OW
    assert choice.adjoint_rows(4 * channels * N) >= 1
    assert choice.gradient_rows(4 * channels * N, 4 * channels * filters, geometry) >= 1


def test_stack_rows_is_called_once_per_tile_in_these_tests():
    """Three groups of 3x4 positions in tiles of one position: 36 stacks of one row and column."""
    case = Convolution(2, 1, 1, (5, 6), (3, 3), groups=3)
    stacks = []
    with cut_into(Cuts(1, 1)), pytest.MonkeyPatch.context() as patch:
        real = fast.stack_rows
        patch.setattr(
            fast, "stack_rows", lambda *args: stacks.append(real(*args).shape) or real(*args)
        )
        y_dx_and_dw(fast, case.arrays(), upstream(case), case)
    assert stacks == [(3, 1, 3, 1, 2)] * 36


@pytest.mark.parametrize(("flip", "form"), [(True, "convolution_work"), (False, "adjoint_work")])
def test_fast_conv2d_is_tested_with_both_forms_of_the_image_gradient(monkeypatch, flip, form):
    case, called = ODD["many channels in groups"], []
    arrays, dy = case.arrays(), upstream(case)
    geometry = Window(case.kernel, case.stride, case.padding)
    for name in ("convolution_work", "adjoint_work", "weight_work"):
        real = getattr(fast, name)
        monkeypatch.setattr(
            fast, name, lambda *a, name=name, real=real: called.append(name) or real(*a)
        )
    with cut_into(Cuts(flip=flip)):
        fast.gradients(dy, *arrays[:2], geometry, case.groups, True, False)
    assert called == [form]


@pytest.mark.parametrize("cuts", ALL_FORMS, ids=str)
def test_fast_conv2d_takes_images_and_weights_in_any_memory_order(cuts):
    """Results have the batch innermost, and the gradient of the weights is in C order."""
    case = ODD["two groups"]
    x, weight, bias = case.arrays()
    dy = upstream(case)
    expected = on_the_page((x, weight, bias), dy, case)
    for a, w, d in zip(*[memory_orders(array).values() for array in (x, weight, dy)], strict=True):
        with cut_into(cuts):
            found = y_dx_and_dw(fast, (a, w, bias), d, case)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-12)
        for name in ("y", "dx"):
            assert found[name].transpose(1, 2, 3, 0).flags.c_contiguous
        assert found["dw"].flags.c_contiguous


@pytest.mark.parametrize("cuts", ALL_FORMS, ids=str)
def test_fast_conv2d_changes_none_of_its_inputs(cuts):
    case = ODD["many channels in groups"]
    arrays, dy = case.arrays(), upstream(case)
    for array in (*arrays, dy):
        array.flags.writeable = False
    with cut_into(cuts):
        y_dx_and_dw(fast, arrays, dy, case)


def test_fast_conv2d_returns_none_for_a_gradient_that_is_not_needed():
    case = ODD["two groups"]
    x, weight, _ = case.arrays()
    geometry = Window(case.kernel, case.stride, case.padding, case.dilation)
    for want_dx in (True, False):
        for want_dw in (True, False):
            pair = fast.gradients(upstream(case), x, weight, geometry, 2, want_dx, want_dw)
            assert [gradient is not None for gradient in pair] == [want_dx, want_dw]
