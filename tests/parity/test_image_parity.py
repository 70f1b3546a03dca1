"""The functions on images, against PyTorch: drawn geometries, and the odd ones by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from minivision.functional.normalization import RunningStatistics
from tests.parity.agreement import assert_agree
from tests.strategies import ODD_CONVOLUTIONS, ODD_POOLINGS, convolutions, poolings, seeds

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.parity

COMPARED = {
    "conv2d", "unfold", "fold", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d",
    "local_response_norm", "batch_norm", "affine_grid", "grid_sample",
}  # fmt: skip

odd_convolutions = pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)
sizes = st.integers(1, 6)
images = st.tuples(st.integers(1, 3), sizes, sizes, sizes)  # N, C, H, W, one pixel among them


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


# ── windows ──────────────────────────────────────────────────────────────────────────────────


def assert_convolutions_agree(case):
    arrays = case.arrays()
    for inputs in (arrays, arrays[:2]):
        assert_agree(
            lambda *inputs: F.conv2d(*inputs, **case.settings),
            lambda *inputs: TF.conv2d(*inputs, **case.settings),
            inputs,
            case.seed,
        )


@given(case=convolutions())
def test_conv2d_agrees_with_pytorch(case):
    assert_convolutions_agree(case)


@odd_convolutions
def test_conv2d_agrees_with_pytorch_in_odd_geometries(case):
    assert_convolutions_agree(case)


@pytest.mark.parametrize(
    ("kernel", "dilation"), [((3, 3), 1), ((1, 5), (1, 2)), ((2, 3), (2, 1)), ((4, 1), (2, 3))]
)
def test_conv2d_with_same_padding_agrees_with_pytorch_and_keeps_the_size(kernel, dilation):
    inputs = [normal(0, 2, 2, 6, 5), normal(1, 4, 1, *kernel), normal(2, 4)]
    settings = {"padding": "same", "dilation": dilation, "groups": 2}
    assert F.conv2d(*inputs, **settings).shape == (2, 4, 6, 5)
    assert_agree(
        lambda *inputs: F.conv2d(*inputs, **settings),
        lambda *inputs: TF.conv2d(*inputs, **settings),
        inputs,
    )


def assert_unfold_and_fold_agree(case):
    x, _, _ = case.arrays()
    windows = {**case.settings}
    del windows["groups"]
    assert_agree(
        lambda x: F.unfold(x, case.kernel, **windows),
        lambda x: TF.unfold(x, case.kernel, **windows),
        [x],
        case.seed,
    )
    columns = normal(case.seed, *F.unfold(x, case.kernel, **windows).shape)
    assert_agree(
        lambda columns: F.fold(columns, case.size, case.kernel, **windows),
        lambda columns: TF.fold(columns, case.size, case.kernel, **windows),
        [columns],
        case.seed,
    )


@given(case=convolutions())
def test_unfold_and_fold_agree_with_pytorch(case):
    assert_unfold_and_fold_agree(case)


@odd_convolutions
def test_unfold_and_fold_agree_with_pytorch_in_odd_geometries(case):
    assert_unfold_and_fold_agree(case)


def test_functional_takes_its_arguments_in_pytorchs_order():
    """kernel_size, dilation, padding, stride: another order than conv2d's."""
    x = normal(0, 2, 3, 9, 8)
    assert_agree(
        lambda x: F.unfold(x, (3, 2), 2, (1, 0), 3),
        lambda x: TF.unfold(x, (3, 2), 2, (1, 0), 3),
        [x],
    )


# ── pooling ──────────────────────────────────────────────────────────────────────────────────


def assert_poolings_agree(case):
    rng = np.random.default_rng(case.seed)
    x = case.array()
    ties = rng.integers(0, 3, x.shape).astype(float)
    for ours, theirs, inputs in [
        (F.avg_pool2d, TF.avg_pool2d, x),
        (
            lambda x, **settings: F.avg_pool2d(x, **settings, count_include_pad=False),
            lambda x, **settings: TF.avg_pool2d(x, **settings, count_include_pad=False),
            x,
        ),
        (F.max_pool2d, TF.max_pool2d, x),
        (F.max_pool2d, TF.max_pool2d, ties),  # the first of equal maxima wins
    ]:
        assert_agree(
            lambda x, ours=ours: ours(x, **case.settings),
            lambda x, theirs=theirs: theirs(x, **case.settings),
            [inputs],
            case.seed,
        )


@given(case=poolings())
def test_pooling_agrees_with_pytorch(case):
    assert_poolings_agree(case)


@pytest.mark.parametrize("case", ODD_POOLINGS.values(), ids=ODD_POOLINGS)
def test_pooling_agrees_with_pytorch_in_odd_geometries(case):
    assert_poolings_agree(case)


@given(shape=images, size=st.tuples(sizes, sizes), seed=seeds)
def test_adaptive_avg_pool2d_agrees_with_pytorch(shape, size, seed):
    """Also where the result is larger than the image."""
    assert_agree(
        lambda x: F.adaptive_avg_pool2d(x, size),
        lambda x: TF.adaptive_avg_pool2d(x, size),
        [normal(seed, *shape)],
        seed,
    )


# ── normalisation ────────────────────────────────────────────────────────────────────────────


@given(
    shape=images, size=st.sampled_from([1, 3, 5, 7, 9]), alpha=st.floats(0.1, 2),
    beta=st.floats(0.3, 1.5), k=st.floats(0.5, 2), seed=seeds,
)  # fmt: skip
def test_local_response_norm_with_alpha_over_size_agrees_with_pytorch(
    shape, size, alpha, beta, k, seed
):
    x = normal(seed, *shape)
    assert_agree(
        lambda x: F.local_response_norm(x, size, alpha, beta, k, alpha_over_size=True),
        lambda x: TF.local_response_norm(x, size, alpha, beta, k),
        [x],
        seed,
    )
    assert_agree(
        lambda x: F.local_response_norm(x, size, alpha, beta, k),
        lambda x: TF.local_response_norm(x, size, size * alpha, beta, k),
        [x],
        seed,
    )


@given(
    shape=st.one_of(
        st.tuples(st.integers(2, 5), sizes), st.tuples(st.integers(2, 4), sizes, sizes, sizes)
    ),
    training=st.booleans(), affine=st.booleans(), momentum=st.floats(0, 1), seed=seeds,
)  # fmt: skip
def test_batch_norm_and_its_running_statistics_agree_with_pytorch(
    shape, training, affine, momentum, seed
):
    rng = np.random.default_rng(seed)
    C = shape[1]
    mean, var = rng.normal(size=C), rng.uniform(0.5, 2, C)
    ours = RunningStatistics(mean.copy(), var.copy(), np.array(0))
    theirs = torch.tensor(mean), torch.tensor(var)
    inputs = [rng.normal(size=shape), rng.uniform(0.5, 2, C), rng.normal(size=C)]
    assert_agree(
        lambda *inputs: F.batch_norm(
            *inputs, running=ours, training=training, momentum=momentum, eps=1e-3
        ),
        lambda *inputs: TF.batch_norm(
            inputs[0], *theirs, *inputs[1:], training=training, momentum=momentum, eps=1e-3
        ),
        inputs if affine else inputs[:1],
        seed,
    )
    np.testing.assert_allclose(ours.mean, theirs[0].numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ours.var, theirs[1].numpy(), rtol=1e-12, atol=1e-14)
    assert ours.num_batches_tracked == training


# ── warps ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior has changed")
@given(shape=images, align_corners=st.booleans(), seed=seeds)
def test_affine_grid_agrees_with_pytorch(shape, align_corners, seed):
    assert_agree(
        lambda theta: F.affine_grid(theta, shape, align_corners),
        lambda theta: TF.affine_grid(theta, shape, align_corners),
        [normal(seed, shape[0], 2, 3)],
        seed,
    )


@given(shape=images, out=st.tuples(sizes, sizes), align_corners=st.booleans(), seed=seeds)
def test_grid_sample_agrees_with_pytorch(shape, out, align_corners, seed):
    """Inside, across the border and outside."""
    grid = 1.5 * normal(seed + 1, shape[0], *out, 2)
    assert_agree(
        lambda x, grid: F.grid_sample(x, grid, align_corners),
        lambda x, grid: TF.grid_sample(x, grid, align_corners=align_corners),
        [normal(seed, *shape), grid],
        seed,
    )


@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample_of_an_affine_grid_agrees_with_pytorch(align_corners):
    """The two together, as a spatial transformer uses them."""
    shape = (2, 3, 5, 7)
    assert_agree(
        lambda x, theta: F.grid_sample(
            x, F.affine_grid(theta, shape, align_corners), align_corners
        ),
        lambda x, theta: TF.grid_sample(
            x, TF.affine_grid(theta, shape, align_corners), align_corners=align_corners
        ),
        [normal(0, *shape), np.eye(2, 3) + 0.3 * normal(1, 2, 2, 3)],
    )


def test_functional_agrees_with_pytorch_on_an_empty_batch():
    x = np.zeros((0, 3, 5, 4))
    for ours, theirs in [
        (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), lambda x: TF.adaptive_avg_pool2d(x, (2, 3))),
        (
            lambda x: F.local_response_norm(x, 3, 1.0, 0.75, 1.0, True),
            lambda x: TF.local_response_norm(x, 3, 1.0),
        ),
    ]:
        assert_agree(ours, theirs, [x])


def test_grid_sample_gradients_do_not_need_each_other():
    """A gradient that is computed alone equals the one computed together with the other."""
    x, grid = normal(0, 2, 3, 4, 5), normal(1, 2, 3, 2, 2)
    together = [Tensor(x, requires_grad=True), Tensor(grid, requires_grad=True)]
    dy = normal(2, 2, 3, 3, 2)
    F.grid_sample(*together).backward(dy)
    for wanted in range(2):
        alone = [Tensor(a, requires_grad=i == wanted) for i, a in enumerate((x, grid))]
        F.grid_sample(*alone).backward(dy)
        np.testing.assert_array_equal(alone[wanted].grad, together[wanted].grad)
        assert alone[1 - wanted].grad is None
