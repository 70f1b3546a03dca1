"""conv2d against seven loops, and the laws of convolution."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from minivision.fast import choice
from minivision.fast import convolution as fast
from minivision.fast import off as fast_off
from minivision.functional import convolution as page
from minivision.gradcheck import gradcheck
from minivision.windows import Window
from tests import oracles
from tests.fast.cuts import on_its_page
from tests.strategies import ODD_CONVOLUTIONS, Convolution, convolutions

pytestmark = pytest.mark.usefixtures("every_kernel")
odd = pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)


def assert_equals_loops(case):
    x, weight, bias = case.arrays()
    for b in (bias, None):
        y = F.conv2d(x, weight, b, **case.settings)
        expected = oracles.conv2d(x, weight, b, **case.settings)
        assert y.shape == expected.shape
        np.testing.assert_allclose(y.data, expected, rtol=1e-11, atol=1e-11)


@given(case=convolutions())
def test_conv2d_equals_its_definition(case):
    assert_equals_loops(case)


@odd
def test_conv2d_equals_its_definition_in_odd_geometries(case):
    assert_equals_loops(case)


@given(case=convolutions(least_batch=1))
def test_conv2d_gradients_are_adjoint(case):
    """Along random directions in all inputs at once; pixels that no window covers are allowed."""
    x, weight, bias = case.arrays()
    gradcheck(
        lambda b: F.conv2d(x, weight, b, **case.settings),
        [bias],
        rng=np.random.default_rng(case.seed),
    )
    assert_gradients_are_adjoint(case)


@odd
def test_conv2d_gradients_are_adjoint_in_odd_geometries(case):
    assert_gradients_are_adjoint(case)


def assert_gradients_are_adjoint(case):
    """conv2d is linear in x and in weight, so ⟨conv(v), dy⟩ = ⟨v, dx⟩ is the whole gradient."""
    x, weight, bias = case.arrays()
    leaves = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = F.conv2d(*leaves, **case.settings)
    rng = np.random.default_rng(case.seed + 1)
    dy = rng.normal(size=y.shape)
    y.backward(dy)
    for _ in range(3):
        v, w = rng.normal(size=x.shape), rng.normal(size=weight.shape)
        along_x = (F.conv2d(v, weight, **case.settings).data * dy).sum()
        along_weight = (F.conv2d(x, w, **case.settings).data * dy).sum()
        scale = 1 + np.abs(dy).sum()
        assert along_x == pytest.approx((v * leaves[0].grad).sum(), abs=1e-12 * scale)
        assert along_weight == pytest.approx((w * leaves[1].grad).sum(), abs=1e-12 * scale)
    np.testing.assert_allclose(leaves[2].grad, dy.sum(axis=(0, 2, 3)), rtol=1e-12, atol=1e-12)


def test_conv2d_by_hand_finds_an_edge():
    x = Tensor(np.array([[[[0.0, 0, 1, 1]]]]), requires_grad=True)
    weight = Tensor(np.array([[[[-1.0, 1.0]]]]), requires_grad=True)
    bias = Tensor(np.array([0.5]), requires_grad=True)
    y = F.conv2d(x, weight, bias)
    y.backward(np.array([[[[1.0, 10.0, 100.0]]]]))
    assert y.data.tolist() == [[[[0.5, 1.5, 0.5]]]]
    assert x.grad.tolist() == [[[[-1, -9, -90, 100]]]]
    assert weight.grad.tolist() == [[[[100, 110]]]]
    assert bias.grad.tolist() == [111]


def test_conv2d_does_not_flip_the_kernel():
    image = np.zeros((1, 1, 3, 3))
    image[0, 0, 1, 1] = 1
    weight = np.arange(9.0).reshape(1, 1, 3, 3)
    assert (
        F.conv2d(image, weight, padding=1).data[0, 0].tolist() == weight[0, 0, ::-1, ::-1].tolist()
    )


@given(case=convolutions(least_batch=1))
def test_conv2d_is_linear_in_image_and_weights(case):
    x, weight, _ = case.arrays()
    x2, weight2, _ = case._replace(seed=case.seed + 1).arrays()

    def conv(x, weight):
        return F.conv2d(x, weight, **case.settings).data

    np.testing.assert_allclose(
        conv(2 * x + x2, weight), 2 * conv(x, weight) + conv(x2, weight), atol=1e-11
    )
    np.testing.assert_allclose(
        conv(x, 2 * weight + weight2), 2 * conv(x, weight) + conv(x, weight2), atol=1e-11
    )


@given(case=convolutions(least_batch=1))
def test_conv2d_of_a_shifted_image_is_shifted(case):
    """Shifted by one stride, all outputs move by one position; the first row and column are new."""
    case = case._replace(padding=(0, 0), size=tuple(7 + 2 * k for k in case.kernel))
    x, weight, bias = case.arrays()
    SH, SW = case.stride
    shifted = x[:, :, SH:, SW:]
    y = F.conv2d(x, weight, bias, **case.settings).data
    y_shifted = F.conv2d(shifted, weight, bias, **case.settings).data
    np.testing.assert_allclose(y_shifted, y[:, :, 1:, 1:], rtol=1e-11, atol=1e-11)


@given(case=convolutions(least_batch=1))
def test_conv2d_treats_groups_as_independent_convolutions(case):
    x, weight, bias = case.arrays()
    settings = {**case.settings, "groups": 1}
    parts = zip(*[np.split(a, case.groups, axis) for a, axis in ((x, 1), (weight, 0), (bias, 0))],
                strict=True)  # fmt: skip
    expected = np.concatenate([F.conv2d(*part, **settings).data for part in parts], axis=1)
    np.testing.assert_allclose(
        F.conv2d(x, weight, bias, **case.settings).data, expected, atol=1e-11
    )


@given(case=convolutions(least_batch=1))
def test_conv2d_padding_is_a_border_of_zeros(case):
    x, weight, bias = case.arrays()
    PH, PW = case.padding
    padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    np.testing.assert_allclose(
        F.conv2d(x, weight, bias, **case.settings).data,
        F.conv2d(padded, weight, bias, **{**case.settings, "padding": 0}).data,
        atol=1e-11,
    )


@given(case=convolutions(least_batch=1))
def test_conv2d_as_large_as_its_image_is_a_linear_layer(case):
    case = case._replace(size=case.kernel, padding=(0, 0), dilation=(1, 1), groups=1)
    x, weight, bias = case.arrays()
    flat = F.linear(x.reshape(case.N, -1), weight.reshape(len(weight), -1), bias)
    y = F.conv2d(x, weight, bias, stride=case.stride)
    np.testing.assert_allclose(y.data[:, :, 0, 0], flat.data, rtol=1e-11, atol=1e-11)


def test_conv2d_of_1x1_is_one_linear_layer_for_all_pixels():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(6, 3, 1, 1))
    pixels = x.transpose(0, 2, 3, 1).reshape(-1, 3)
    expected = F.linear(pixels, weight[:, :, 0, 0]).data.reshape(2, 4, 5, 6).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(F.conv2d(x, weight).data, expected, rtol=1e-12)


def test_conv2d_uses_one_number_for_both_directions():
    case = ODD_CONVOLUTIONS["two groups"]
    x, weight, bias = case.arrays()
    for settings in ({"stride": 2}, {"padding": 1}, {"dilation": 2}):
        ((name, n),) = settings.items()
        one = F.conv2d(x, weight[..., :2, :2], bias, groups=2, **settings)
        two = F.conv2d(x, weight[..., :2, :2], bias, groups=2, **{name: (n, n)})
        np.testing.assert_array_equal(one.data, two.data)


@pytest.mark.parametrize("flip", [True, False], ids=["flipped kernels", "the way back"])
def test_conv2d_computes_only_the_gradients_that_are_needed(monkeypatch, flip):
    """The images of the first layer need no gradient, and theirs would be the most expensive."""
    called = []
    parts = {
        "dx": [(page, "col2im"), (fast, "adjoint_work"), (fast, "convolution_work")],
        "dw": [(page, "im2col"), (fast, "weight_work")],
    }
    for gradient, functions in parts.items():
        for kernel, name in functions:
            real = getattr(kernel, name)
            monkeypatch.setattr(
                kernel,
                name,
                lambda *a, gradient=gradient, real=real: called.append(gradient) or real(*a),
            )
    monkeypatch.setattr(choice, "flip_kernels", lambda geometry, **_: flip)
    arrays = ODD_CONVOLUTIONS["two groups"].arrays()
    for wanted, expected in [
        ((False, True, True), ["dw"]),
        ((True, False, False), ["dx"]),
        ((False, False, True), []),
        ((True, True, False), ["dw", "dx"]),
    ]:
        x, weight, bias = [Tensor(a, requires_grad=w) for a, w in zip(arrays, wanted, strict=True)]
        loss = F.conv2d(x, weight, bias, groups=2).sum()
        called.clear()  # the forward pass calls them too
        loss.backward()
        # The page computes a gradient once for each of the two groups.
        assert sorted(called) in (expected, sorted(2 * expected))


# ── on the page, a large batch is split so that its columns stay small ───────────────────────


def test_conv2d_page_splits_the_batch_into_parts_whose_columns_fit(monkeypatch):
    """2 channels, 3x3 taps, 4x5 positions: 360 numbers of 4 bytes per image."""
    x, window = np.zeros((7, 2, 6, 7), np.float32), Window((3, 3))
    for limit, images in ((1440, 1), (2879, 1), (2880, 2), (4320, 3), (10**9, 7), (5, 1)):
        monkeypatch.setattr(page, "MAX_COLUMN_BYTES", limit)
        starts = [part.start for part, _, _ in page._parts(x, 5, window, 1)]
        assert starts == list(range(0, 7, images))


def test_conv2d_page_gives_each_group_its_channels_and_filters():
    parts = page._parts(np.zeros((1, 4, 6, 7)), 6, Window((3, 3)), groups=2)
    shares = [(channels, filters) for _, channels, filters in parts]
    assert shares == [(slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6))]


@pytest.mark.parametrize("limit", [1, 2000, 10**9])
@pytest.mark.parametrize("name", ["two groups", "1x1 image", "dilated over the border"])
def test_conv2d_gives_the_same_numbers_if_the_batch_is_split(monkeypatch, name, limit):
    case = ODD_CONVOLUTIONS[name]._replace(N=7)
    y = F.conv2d(*case.arrays()[:2], **case.settings)
    dy = np.random.default_rng(5).normal(size=y.shape)
    whole = on_its_page(F.conv2d, case.arrays(), dy, **case.settings)
    monkeypatch.setattr(page, "MAX_COLUMN_BYTES", limit)
    columns, real = [], page.im2col
    monkeypatch.setattr(page, "im2col", lambda *args: columns.append(real(*args)) or columns[-1])
    cut = on_its_page(F.conv2d, case.arrays(), dy, **case.settings)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)
    assert sum(part.nbytes for part in columns) > 0
    # A part holds at least one image.
    assert all(part.nbytes <= limit or part.shape[1] <= whole[0][0, 0].size for part in columns)
    # Once per image, or once for all, per group, in the forward and in the backward pass.
    assert len(columns) == {1: 14 * case.groups, 10**9: 2 * case.groups}.get(limit, len(columns))


@odd
def test_conv2d_treats_images_independently(case, monkeypatch):
    """One image at a time is the simplest form of all."""
    y = F.conv2d(*case.arrays()[:2], **case.settings)
    dy = np.random.default_rng(case.seed).normal(size=y.shape)
    whole = on_its_page(F.conv2d, case.arrays(), dy, **case.settings)
    monkeypatch.setattr(page, "MAX_COLUMN_BYTES", 1)
    cut = on_its_page(F.conv2d, case.arrays(), dy, **case.settings)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_conv2d_results_share_no_memory_with_its_inputs():
    arrays = ODD_CONVOLUTIONS["1x1 image"].arrays()
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = F.conv2d(*leaves)
    dy = np.ones(y.shape)
    y.backward(dy)
    for result in (y.data, *[leaf.grad for leaf in leaves]):
        assert not any(np.may_share_memory(result, array) for array in (*arrays, dy))


def test_conv2d_page_holds_one_matrix_of_columns_at_a_time():
    """A matrix of columns is nine times the image; the largest peak is a little more than one."""
    x, weight, _ = Convolution(4, 8, 8, (24, 24), (3, 3), padding=(1, 1)).arrays()
    leaves = [Tensor(a, requires_grad=True) for a in (x, weight)]
    with fast_off():
        y = F.conv2d(*leaves, padding=1)
        dy = np.ones_like(y.data)
        tracemalloc.start()
        try:
            y.backward(dy)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert 9 * x.nbytes < peak < 14 * x.nbytes
