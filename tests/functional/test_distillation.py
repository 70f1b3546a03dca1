"""Divergences between distributions: a table worked out by hand, and the laws behind it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from tests import oracles
from tests.strategies import seeds

STUDENT, TEACHER = np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 0.0]])

# T: KL(p‖q), T²·KL, CE(p, q), H(p), KL(q‖p), (q - p)/T, where p is the teacher and q the student.
TABLE = {
    1: (1.36400569, 1.36400569, 2.07787145, 0.71386576, 1.75706797,
        [-0.61535394, -0.01476799, 0.63012193]),
    2: (0.43976097, 1.75904390, 1.39256854, 0.95280756, 0.49725780,
        [-0.18011283, -0.01215154, 0.19226437]),
    4: (0.12262231, 1.96195691, 1.17793362, 1.05531132, 0.12939492,
        [-0.04748469, -0.00486459, 0.05234928]),
}  # fmt: skip
temperatures = pytest.mark.parametrize("T", TABLE)
batches = {"N": st.integers(1, 4), "K": st.integers(2, 6), "T": st.floats(0.5, 10), "seed": seeds}


def draw(N, K, seed):
    """The student's logits and the teacher's."""
    return 2 * np.random.default_rng(seed).normal(size=(2, N, K))


@temperatures
def test_distillation_loss_equals_the_table_of_one_student_and_one_teacher(T):
    kl, scaled, ce, entropy, reverse, gradient = TABLE[T]
    p, q = F.softmax(TEACHER, temperature=T).data, F.softmax(STUDENT, temperature=T).data
    log_q = Tensor(np.log(q), requires_grad=True)
    assert F.kl_divergence(log_q, p).item() == pytest.approx(kl, abs=5e-9)
    assert F.kl_divergence(np.log(p), q).item() == pytest.approx(reverse, abs=5e-9)
    assert F.cross_entropy(STUDENT / T, p).item() == pytest.approx(ce, abs=5e-9)
    assert F.entropy(TEACHER / T).item() == pytest.approx(entropy, abs=5e-9)
    student = Tensor(STUDENT, requires_grad=True)
    loss = F.distillation_loss(student, TEACHER, T)
    loss.backward()
    assert loss.item() == pytest.approx(scaled, abs=5e-9)
    np.testing.assert_allclose(student.grad[0] / T**2, gradient, rtol=0, atol=5e-9)


def test_softmax_of_2_1_0_at_two_temperatures():
    z = np.array([2.0, 1.0, 0.0])
    for T, expected in [(1, [0.66524096, 0.24472847, 0.09003057]),
                        (5, [0.40175958, 0.32893292, 0.26930750])]:  # fmt: skip
        np.testing.assert_allclose(F.softmax(z, temperature=T).data, expected, rtol=0, atol=5e-9)


@given(**batches)
def test_kl_divergence_and_distillation_loss_equal_loops(N, K, T, seed):
    student, teacher = draw(N, K, seed)
    kl = 0.0
    for z, v in zip(student, teacher, strict=True):
        q, p = oracles.softmax(z, T), oracles.softmax(v, T)
        kl += sum(p_k * math.log(p_k / q_k) for p_k, q_k in zip(p, q, strict=True)) / N
    log_q, p = F.log_softmax(student, temperature=T), F.softmax(teacher, temperature=T)
    assert F.kl_divergence(log_q, p).item() == pytest.approx(kl, rel=1e-9, abs=1e-13)
    assert F.distillation_loss(student, teacher, T).item() == pytest.approx(
        T**2 * kl, rel=1e-9, abs=1e-11
    )


@given(**batches)
def test_kl_divergence_is_cross_entropy_minus_entropy(N, K, T, seed):
    student, teacher = draw(N, K, seed)
    p = F.softmax(teacher, temperature=T).data
    a, b, c = [Tensor(student, requires_grad=True) for _ in range(3)]
    divergence = F.kl_divergence(F.log_softmax(a, temperature=T), p)
    surprise = F.cross_entropy(b / T, p)
    distilled = F.distillation_loss(c, teacher, T)
    difference = surprise.item() - F.entropy(teacher / T).item()
    assert divergence.item() == pytest.approx(difference, abs=1e-12)
    for loss in (divergence, surprise, distilled):
        loss.backward()
    q = F.softmax(student, temperature=T).data
    np.testing.assert_allclose(a.grad, (q - p) / T / N, rtol=0, atol=1e-14)
    np.testing.assert_allclose(b.grad, (q - p) / T / N, rtol=0, atol=1e-14)
    np.testing.assert_allclose(c.grad, (q - p) * T / N, rtol=0, atol=1e-13)


@given(**batches)
def test_distillation_loss_is_positive_and_0_only_between_equals(N, K, T, seed):
    student, teacher = draw(N, K, seed)
    assert F.distillation_loss(student, teacher, T).item() > 0
    z = Tensor(teacher + 3.0, requires_grad=True)  # shifting all logits makes no difference
    loss = F.distillation_loss(z, teacher, T)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(z.grad, 0, atol=1e-13)


@given(N=st.integers(1, 4), K=st.integers(2, 6), seed=seeds)
def test_distillation_loss_matches_logits_at_a_high_temperature(N, K, seed):
    """Hinton et al. 2015, eq. 4: T²·∂KL/∂z → (z - v) / (K·N) for centred logits."""
    student, teacher = np.random.default_rng(seed).uniform(-0.005, 0.005, (2, N, K))
    teacher[:, 0] += (
        0.03  # the two never agree; the logits are small, so that z/T is as if T were 10⁵
    )
    z = Tensor(student, requires_grad=True)
    F.distillation_loss(z, teacher, 1000).backward()
    centred = [a - a.mean(axis=1, keepdims=True) for a in (student, teacher)]
    expected = (centred[0] - centred[1]) / (K * N)
    assert abs(z.grad - expected).max() < 1e-4 * abs(expected).max()


def test_distillation_loss_keeps_the_size_of_its_gradient_as_the_temperature_changes():
    norms = []
    for T in (1, 2, 4, 20):
        z = Tensor(STUDENT, requires_grad=True)
        F.distillation_loss(z, TEACHER, T).backward()
        norms.append(np.linalg.norm(z.grad))
    assert max(norms) < 1.5 * min(norms)
    assert norms[0] / (norms[3] / 20**2) > 200  # without T² it would shrink like 1/T²


def test_kl_divergence_averages_over_the_batch_and_not_over_the_classes():
    """The most common bug in distillation: with K = 100 the loss would be 100 times too small."""
    p, log_q = np.full((2, 100), 0.01), np.log(np.full((2, 100), 0.01))
    log_q[:, :50] -= math.log(2)
    assert F.kl_divergence(log_q, p).item() == pytest.approx(0.5 * math.log(2), rel=1e-12)
    assert F.kl_divergence(log_q, p, reduction="sum").item() == pytest.approx(math.log(2))
    assert F.kl_divergence(log_q, p, reduction="none").shape == (2,)


def test_kl_divergence_is_unchanged_by_a_class_of_probability_0():
    with np.errstate(divide="ignore"):
        log_q = Tensor(np.log(np.array([[0.0, 0.5, 0.5]])), requires_grad=True)
    loss = F.kl_divergence(log_q, np.array([[0.0, 1.0, 0.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert log_q.grad.tolist() == [[0, -1, 0]]


def test_cross_entropy_with_the_networks_own_soft_labels_has_gradient_0():
    """CE(p, q) is smallest at q = p: its gradient q - p is 0. Hard labels do teach something."""
    logits = Tensor(draw(4, 5, 0)[0], requires_grad=True)
    F.cross_entropy(logits, F.softmax(logits).detach()).backward()
    assert abs(logits.grad).max() < 1e-16
    logits.grad = None
    F.cross_entropy(logits, logits.data.argmax(axis=1)).backward()
    assert abs(logits.grad).max() > 1e-2


# ── entropy ──────────────────────────────────────────────────────────────────────────────────


@given(N=st.integers(1, 4), K=st.integers(1, 6), seed=seeds)
def test_entropy_equals_loops_and_is_between_0_and_log_k(N, K, seed):
    logits, _ = draw(N, K, seed)
    rows = [oracles.softmax(row) for row in logits]
    expected = -sum(q * math.log(q) for row in rows for q in row) / N
    found = F.entropy(logits).item()
    assert found == pytest.approx(expected, rel=1e-11, abs=1e-14)
    assert -1e-15 <= found <= math.log(K) + 1e-14


def test_entropy_is_0_if_certain_and_log_k_if_uniform():
    assert F.entropy(np.array([[1e4, 0.0, -1e4]])).item() == 0
    flat = Tensor(np.full((2, 5), 7.0), requires_grad=True)
    H = F.entropy(flat)
    H.backward()
    assert H.item() == pytest.approx(math.log(5), rel=1e-15)
    np.testing.assert_allclose(flat.grad, 0, atol=1e-16)  # the maximum


def test_entropy_and_distillation_loss_ignore_a_masked_class():
    masked = np.array([[0.0, 1.0, -np.inf]])
    two = masked[:, :2]
    with np.errstate(invalid="ignore"):
        z = Tensor(masked, requires_grad=True)
        F.entropy(z).backward()
        assert F.entropy(masked).item() == pytest.approx(F.entropy(two).item())
        assert np.isfinite(z.grad).all()
        z = Tensor(masked, requires_grad=True)
        loss = F.distillation_loss(z, np.array([[2.0, 0.0, -np.inf]]), 2.0)
        loss.backward()
        assert loss.item() == pytest.approx(
            F.distillation_loss(two, np.array([[2.0, 0.0]]), 2.0).item()
        )
        assert np.isfinite(z.grad).all()
