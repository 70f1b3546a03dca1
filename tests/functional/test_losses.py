"""Cross-entropy, the mean surprise, for hard and soft targets; and the other losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from tests import oracles
from tests.strategies import seeds


@given(N=st.integers(1, 5), K=st.integers(1, 6), seed=seeds)
def test_cross_entropy_equals_loops(N, K, seed):
    rng = np.random.default_rng(seed)
    logits, labels = 2 * rng.normal(size=(N, K)), rng.integers(0, K, N)
    soft = rng.dirichlet(np.ones(K), N)
    for targets in (labels, soft):
        expected = oracles.cross_entropy(logits, targets)
        assert F.cross_entropy(logits, targets).item() == pytest.approx(
            expected, rel=1e-12, abs=1e-14
        )


@given(N=st.integers(1, 5), seed=seeds)
def test_cross_entropy_is_minus_log_softmax_at_the_label(N, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(N, 4)), rng.integers(0, 4, N)
    picked = F.softmax(logits)[np.arange(N), labels]
    assert F.cross_entropy(logits, labels).item() == pytest.approx(
        -F.log(picked).mean().item(), rel=1e-12
    )


def test_cross_entropy_and_its_gradient_by_hand():
    logits = Tensor(np.log([[1.0, 3.0], [1.0, 1.0]]), requires_grad=True)
    loss = F.cross_entropy(logits, [1, 0])
    loss.backward(np.array(8.0))
    assert loss.item() == pytest.approx((np.log(4 / 3) + np.log(2)) / 2)
    np.testing.assert_allclose(logits.grad, [[1, -1], [-2, 2]], rtol=1e-14)


@given(N=st.integers(1, 5), seed=seeds)
def test_cross_entropy_of_hard_targets_equals_that_of_one_hot_targets(N, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, N)
    a, b = (Tensor(rng.normal(size=(N, 4)), requires_grad=True) for _ in range(2))
    b.data[...] = a.data
    hard, soft = F.cross_entropy(a, labels), F.cross_entropy(b, np.eye(4)[labels])
    hard.backward()
    soft.backward()
    assert hard.item() == soft.item()
    np.testing.assert_array_equal(a.grad, b.grad)


@given(N=st.integers(1, 5), seed=seeds)
def test_cross_entropy_gradient_is_softmax_minus_target(N, seed):
    rng = np.random.default_rng(seed)
    logits = Tensor(rng.normal(size=(N, 4)), requires_grad=True)
    p = rng.dirichlet(np.ones(4), N)
    F.cross_entropy(logits, p).backward()
    np.testing.assert_allclose(logits.grad, (F.softmax(logits.data).data - p) / N, atol=1e-15)
    np.testing.assert_allclose(logits.grad.sum(axis=1), 0, atol=1e-15)


def test_cross_entropy_of_equal_logits_is_log_k():
    assert F.cross_entropy(np.zeros((3, 10)), [0, 5, 9]).item() == pytest.approx(np.log(10))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_large_logits_is_exact(dtype):
    logits = Tensor(np.array([[1e4, -1e4], [1e4, -1e4]], dtype), requires_grad=True)
    loss = F.cross_entropy(logits, [0, 1])
    loss.backward()
    assert loss.item() == 1e4
    assert loss.dtype == dtype
    assert logits.grad.tolist() == [[0, 0], [0.5, -0.5]]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8])
def test_cross_entropy_takes_labels_of_every_integer_dtype(dtype):
    logits = np.eye(3)
    assert F.cross_entropy(logits, np.array([0, 1, 2], dtype)).item() == pytest.approx(
        F.cross_entropy(logits, [0, 1, 2]).item()
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_cross_entropy_converts_soft_targets_to_the_dtype_of_the_logits(dtype):
    targets = np.array([[0.25, 0.75]], dtype)
    for logits in (np.zeros((1, 2), np.float32), np.zeros((1, 2))):
        assert F.cross_entropy(logits, targets).dtype == logits.dtype


def test_cross_entropy_takes_targets_as_tensors_without_a_gradient():
    p = Tensor(np.array([[0.25, 0.75]]))
    assert F.cross_entropy(np.zeros((1, 2)), p).item() == pytest.approx(np.log(2))


@pytest.mark.parametrize("targets", [np.array([0, 1]), np.eye(2)], ids=["labels", "soft"])
def test_cross_entropy_copies_its_targets(targets):
    logits, targets = Tensor(np.zeros((2, 2)), requires_grad=True), targets.copy()
    loss = F.cross_entropy(logits, targets)
    targets[...] = targets[::-1].copy()
    loss.backward()
    assert logits.grad.tolist() == [[-0.25, 0.25], [0.25, -0.25]]


def test_cross_entropy_ignores_a_masked_class():
    logits = np.array([[0.0, 0.0, -np.inf]])
    with np.errstate(invalid="ignore"):
        assert F.cross_entropy(logits, [0]).item() == pytest.approx(np.log(2))


# ── settings of the loss ─────────────────────────────────────────────────────────────────────


def test_cross_entropy_with_label_smoothing_by_hand():
    """q = (1/4, 3/4); a fifth of the target is spread over both classes: p = (1/10, 9/10)."""
    logits = Tensor(np.log([[1.0, 3.0]]), requires_grad=True)
    loss = F.cross_entropy(logits, [1], label_smoothing=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(0.1 * np.log(4) + 0.9 * np.log(4 / 3), rel=1e-14)
    np.testing.assert_allclose(logits.grad, [[0.15, -0.15]], rtol=1e-14)


def test_cross_entropy_with_label_smoothing_1_ignores_the_labels():
    logits = np.random.default_rng(0).normal(size=(3, 4))
    smoothed = F.cross_entropy(logits, [0, 1, 2], label_smoothing=1.0).item()
    assert smoothed == pytest.approx(F.cross_entropy(logits, np.full((3, 4), 0.25)).item())


def test_cross_entropy_with_class_weights_divides_by_the_weights_of_the_targets():
    logits = Tensor(np.log([[1.0, 3.0], [1.0, 1.0]]), requires_grad=True)
    weight = np.array([3.0, 1.0])
    loss = F.cross_entropy(logits, [1, 0], weight)
    loss.backward()
    assert loss.item() == pytest.approx((1 * np.log(4 / 3) + 3 * np.log(2)) / 4, rel=1e-14)
    np.testing.assert_allclose(logits.grad, [[1 / 16, -1 / 16], [-3 / 8, 3 / 8]], rtol=1e-14)


@given(N=st.integers(2, 5), ignored=st.sampled_from([-100, -1, 2]), seed=seeds)
def test_cross_entropy_treats_an_ignored_row_as_missing(N, ignored, seed):
    rng = np.random.default_rng(seed)
    logits = Tensor(rng.normal(size=(N, 4)), requires_grad=True)
    labels = np.where(np.arange(N) == 1, ignored, rng.choice([0, 1, 3], N))
    loss = F.cross_entropy(logits, labels, ignore_index=ignored, label_smoothing=0.1)
    loss.backward()
    others = np.arange(N) != 1
    rest = F.cross_entropy(logits.data[others], labels[others], label_smoothing=0.1)
    assert loss.item() == pytest.approx(rest.item(), rel=1e-12)
    assert not logits.grad[1].any()


LOSSES = {
    "cross_entropy": lambda z, **settings: F.cross_entropy(z, [0, 2, 1], **settings),
    "nll_loss": lambda z, **settings: F.nll_loss(z, [0, 2, 1], **settings),
    "mse_loss": lambda z, **settings: F.mse_loss(z, np.ones((3, 4)), **settings),
    "kl_divergence": lambda z, **settings: F.kl_divergence(
        -abs(z), np.full((3, 4), 0.25), **settings
    ),
}
losses = pytest.mark.parametrize("name", LOSSES)


@losses
@given(seed=seeds)
def test_losses_with_mean_and_sum_reduce_the_losses_of_the_rows(name, seed):
    z = np.random.default_rng(seed).normal(size=(3, 4))
    each = LOSSES[name](z, reduction="none").data
    assert each.shape == ((3, 4) if name == "mse_loss" else (3,))
    assert LOSSES[name](z, reduction="sum").item() == pytest.approx(each.sum(), rel=1e-12)
    assert LOSSES[name](z).item() == pytest.approx(each.mean(), rel=1e-12)


@given(N=st.integers(1, 5), seed=seeds)
def test_nll_loss_of_log_softmax_equals_cross_entropy(N, seed):
    rng = np.random.default_rng(seed)
    a, labels = Tensor(rng.normal(size=(N, 4)), requires_grad=True), rng.integers(0, 4, N)
    b = Tensor(a.data, requires_grad=True)
    one, other = F.nll_loss(F.log_softmax(a), labels), F.cross_entropy(b, labels)
    one.backward()
    other.backward()
    assert one.item() == pytest.approx(other.item(), rel=1e-13)
    np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-15)


def test_nll_loss_takes_the_settings_of_cross_entropy():
    logits, labels = np.random.default_rng(0).normal(size=(4, 3)), [0, 2, 1, 2]
    for settings in ({"weight": np.array([1.0, 2.0, 5.0])}, {"ignore_index": 2}):
        found = F.nll_loss(F.log_softmax(logits), labels, **settings).item()
        expected = F.cross_entropy(logits, labels, **settings).item()
        assert found == pytest.approx(expected, rel=1e-13)
        assert found != pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-2)


def test_mse_loss_by_hand():
    x = Tensor(np.array([[1.0, 5.0]]), requires_grad=True)
    t = Tensor(np.array([[3.0, 2.0]]), requires_grad=True)
    loss = F.mse_loss(x, t)
    loss.backward(np.array(10.0))
    assert loss.item() == (4 + 9) / 2
    assert x.grad.tolist() == [[-20, 30]]
    assert t.grad.tolist() == [[20, -30]]
