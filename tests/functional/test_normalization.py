"""Local response normalization and batch normalization: reference values, loops and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from minivision.functional.normalization import RunningStatistics
from tests import oracles
from tests.refusals import refused
from tests.strategies import seeds

pytestmark = pytest.mark.usefixtures("every_kernel")

sizes = st.integers(1, 6)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


# ── local response normalization ─────────────────────────────────────────────────────────────

ONE_TO_SEVEN = np.arange(1.0, 8.0).reshape(1, 7, 1, 1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.594292, 1.187871, 1.780140, 2.370419, 2.958055, 3.550857, 4.145138]),
        ({"alpha": 1.0}, [0.125, 0.148651, 0.144616, 0.134654, 0.124862, 0.157668, 0.203322]),
        (
            {"alpha": 1.0, "k": 1.0, "alpha_over_size": True},
            [0.367420, 0.464736, 0.465302, 0.439536, 0.410773, 0.518114, 0.666503],
        ),
    ],
    ids=["the paper's constants", "alpha 1", "alpha over the size, as Caffe and PyTorch"],
)
def test_local_response_norm_of_seven_channels_has_the_reference_values(settings, expected):
    y = F.local_response_norm(ONE_TO_SEVEN, **settings).data.ravel()
    np.testing.assert_allclose(y, expected, rtol=0, atol=5e-7)


@given(
    N=st.integers(0, 3), C=st.integers(1, 8), H=sizes, W=sizes,
    size=st.sampled_from([1, 3, 5, 7]), alpha=st.floats(0.5, 2), beta=st.floats(0.3, 1.5),
    k=st.floats(0.5, 2), seed=seeds,
)  # fmt: skip
def test_local_response_norm_equals_its_definition(N, C, H, W, size, alpha, beta, k, seed):
    x = normal(seed, N, C, H, W)
    y = F.local_response_norm(x, size, alpha, beta, k).data
    np.testing.assert_allclose(y, oracles.local_response_norm(x, size, alpha, beta, k), rtol=1e-12)


def test_local_response_norm_with_alpha_0_divides_by_a_constant():
    y = F.local_response_norm(ONE_TO_SEVEN, alpha=0.0, beta=0.5, k=4.0)
    np.testing.assert_allclose(y.data, ONE_TO_SEVEN / 2, rtol=1e-12)


def test_local_response_norm_with_a_small_alpha_hides_a_wrong_window():
    """With the paper's α, a window that is one channel too short hardly changes the result."""

    def off_by_one(alpha):
        y = F.local_response_norm(ONE_TO_SEVEN, alpha=alpha).data.ravel()
        a = ONE_TO_SEVEN.ravel()
        energies = np.array([(a[max(0, c - 2) : min(7, c + 2)] ** 2).sum() for c in range(7)])
        return abs(a / (2 + alpha * energies) ** 0.75 - y).max() / abs(y).max()

    assert off_by_one(1e-4) < 1e-2
    assert off_by_one(1.0) > 0.2


def test_local_response_norm_multiplies_small_activations_by_k_to_the_minus_beta():
    y = F.local_response_norm(np.full((1, 3, 1, 1), 1e-6)).data
    np.testing.assert_allclose(y / 1e-6, 2**-0.75, rtol=1e-12)
    np.testing.assert_allclose(y / 1e-6, 0.5946, atol=5e-5)


@given(C=st.integers(1, 8), size=st.sampled_from([1, 3, 5]), seed=seeds)
def test_local_response_norm_of_reversed_channels_is_reversed(C, size, seed):
    x = normal(seed, 2, C, 3, 2)
    y = F.local_response_norm(x, size, 1.0).data
    np.testing.assert_allclose(
        F.local_response_norm(x[:, ::-1], size, 1.0).data[:, ::-1], y, rtol=1e-13
    )


@given(C=st.integers(1, 5), seed=seeds)
def test_local_response_norm_with_alpha_over_size_divides_alpha_by_size(C, seed):
    x = normal(seed, 2, C, 3, 2)
    one = F.local_response_norm(x, 5, alpha=5.0, alpha_over_size=True).data
    np.testing.assert_array_equal(one, F.local_response_norm(x, 5, alpha=1.0).data)


# ── batch normalization ──────────────────────────────────────────────────────────────────────

feature_or_map = st.one_of(
    st.tuples(st.integers(2, 5), sizes), st.tuples(st.integers(2, 4), sizes, sizes, sizes)
)


def statistics(C, seed=None):
    """Those of a new layer; random ones if a seed is given."""
    if seed is None:
        return RunningStatistics(np.zeros(C), np.ones(C), np.array(0))
    rng = np.random.default_rng(seed)
    return RunningStatistics(rng.normal(size=C), rng.uniform(0.5, 2, C), np.array(7))


def test_batch_norm_updates_its_running_statistics_by_hand():
    """One channel. Batch 1, 3: mean 2, variance 1, unbiased 2. Batch 0, 6: 3, 9 and 18."""
    running = statistics(1)
    y = F.batch_norm(np.array([[1.0], [3.0]]), running=running, momentum=0.1, eps=3.0)
    assert y.data.tolist() == [[-0.5], [0.5]]
    assert running.mean[0] == pytest.approx(0.1 * 2, rel=1e-15)
    assert running.var[0] == pytest.approx(0.9 * 1 + 0.1 * 2, rel=1e-15)
    assert running.num_batches_tracked == 1
    y = F.batch_norm(np.array([[0.0], [6.0]]), running=running, momentum=0.1, eps=7.0)
    assert y.data.tolist() == [[-0.75], [0.75]]
    assert running.mean[0] == pytest.approx(0.9 * 0.2 + 0.1 * 3, rel=1e-15)
    assert running.var[0] == pytest.approx(0.9 * 1.1 + 0.1 * 18, rel=1e-15)
    assert running.num_batches_tracked == 2


def test_batch_norm_in_evaluation_uses_and_keeps_its_running_statistics():
    running = RunningStatistics(np.array([10.0]), np.array([3.0]), np.array(5))
    x = Tensor(np.array([[12.0], [8.0]]), requires_grad=True)
    weight, bias = Tensor(np.array([6.0])), Tensor(np.array([100.0]))
    y = F.batch_norm(x, weight, bias, running, training=False, eps=1.0)
    y.backward(np.array([[1.0], [10.0]]))
    assert y.data.tolist() == [[106], [94]]
    assert x.grad.tolist() == [[3], [30]]
    assert [s.tolist() for s in running] == [[10], [3], 5]


@given(shape=feature_or_map, eps=st.floats(1e-6, 1), seed=seeds)
def test_batch_norm_equals_its_definition(shape, eps, seed):
    x, weight, bias = normal(seed, *shape), normal(seed + 1, shape[1]), normal(seed + 2, shape[1])
    running = statistics(shape[1])
    y = F.batch_norm(x, weight, bias, running, momentum=1.0, eps=eps).data
    expected, means, variances = oracles.batch_norm(x, weight, bias, eps)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(running.mean, means, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(running.var, variances, rtol=1e-12, atol=1e-13)


@given(shape=feature_or_map, seed=seeds)
def test_batch_norm_gives_every_channel_mean_0_and_variance_1(shape, seed):
    x = 10 + 3 * normal(seed, *shape)
    eps = 1e-12
    y = np.moveaxis(F.batch_norm(x, eps=eps).data, 1, 0).reshape(shape[1], -1)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-6)


@given(shape=feature_or_map, factor=st.floats(0.5, 3), shift=st.floats(-5, 5), seed=seeds)
def test_batch_norm_is_invariant_to_scale_and_shift(shape, factor, shift, seed):
    x = normal(seed, *shape)
    np.testing.assert_allclose(
        F.batch_norm(factor * x + shift, eps=factor**2 * 1e-3).data,
        F.batch_norm(x, eps=1e-3).data,
        rtol=1e-9,
        atol=1e-10,
    )


@given(shape=feature_or_map, eps=st.floats(1e-3, 1), seed=seeds)
def test_batch_norm_gradient_is_orthogonal_to_a_shift_and_nearly_so_to_x(shape, eps, seed):
    """Σ dx = 0 and Σ dx·x̂ = ε / (σ² + ε)^1.5 · Σ dy·x̂ for every channel."""
    x = Tensor(normal(seed, *shape), requires_grad=True)
    dy = normal(seed + 1, *shape)
    y = F.batch_norm(x, eps=eps)
    y.backward(dy)
    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(x.grad.sum(axis=axes), 0, atol=1e-10)
    passed = eps / (x.data.var(axis=axes) + eps) ** 1.5
    np.testing.assert_allclose(
        (x.grad * y.data).sum(axis=axes), passed * (dy * y.data).sum(axis=axes), atol=1e-10
    )


@given(shape=feature_or_map, seed=seeds)
def test_batch_norm_in_evaluation_treats_examples_independently(shape, seed):
    x, running = normal(seed, *shape), statistics(shape[1], seed)
    y = F.batch_norm(x, running=running, training=False).data
    one = F.batch_norm(x[:1], running=running, training=False).data
    np.testing.assert_array_equal(y[:1], one)
    assert F.batch_norm(x[:0], running=running, training=False).shape == (0, *shape[1:])


def test_batch_norm_without_weight_and_bias_uses_1_and_0():
    x = normal(0, 4, 3, 2, 5)
    np.testing.assert_array_equal(
        F.batch_norm(x).data, F.batch_norm(x, np.ones(3), np.zeros(3)).data
    )


def test_batch_norm_keeps_its_running_statistics_if_it_raises():
    running = statistics(3)
    with refused(ValueError, "batch_norm: x", "(1, 3)"):
        F.batch_norm(np.ones((1, 3)), running=running)
    assert [s.tolist() for s in running] == [[0, 0, 0], [1, 1, 1], 0]
