"""Float32 logits of ±10,000, far beyond the range of exp: results stay finite and right."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F

UP, DOWN = np.float32([[1e4, 0.0, -1e4]]), np.float32([[-1e4, 0.0, 1e4]])
FIRST, LAST = np.float32([[1, 0, 0]]), np.float32([[0, 0, 1]])

# function of the logits UP: its value, and its gradient under ones.
EXAMPLES = {
    "softmax": (F.softmax, [[1, 0, 0]], [[0, 0, 0]]),
    "log_softmax": (F.log_softmax, [[0, -1e4, -2e4]], [[-2, 1, 1]]),
    "logsumexp": (lambda z: F.logsumexp(z, axis=1), [1e4], [[1, 0, 0]]),
    "entropy": (F.entropy, 0, [[0, 0, 0]]),
    "cross_entropy, right": (lambda z: F.cross_entropy(z, [0]), 0, [[0, 0, 0]]),
    "cross_entropy, wrong": (lambda z: F.cross_entropy(z, [2]), 2e4, [[1, 0, -1]]),
    "cross_entropy, soft": (
        lambda z: F.cross_entropy(z, np.float32([[0.5, 0.5, 0]])), 5e3, [[0.5, -0.5, 0]]
    ),
    "cross_entropy, smoothed": (
        lambda z: F.cross_entropy(z, [0], label_smoothing=0.75), 7.5e3, [[0.5, -0.25, -0.25]]
    ),
    "cross_entropy, weighted": (
        lambda z: F.cross_entropy(z, [2], np.float32([1, 2, 4]), reduction="sum"),
        8e4, [[4, 0, -4]],
    ),
    "nll_loss of log_softmax": (lambda z: F.nll_loss(F.log_softmax(z), [1]), 1e4, [[1, -1, 0]]),
    "kl_divergence of log_softmax": (
        lambda z: F.kl_divergence(F.log_softmax(z), LAST), 2e4, [[1, 0, -1]]
    ),
    "distillation_loss": (lambda z: F.distillation_loss(z, DOWN, 1.0), 2e4, [[1, 0, -1]]),
    "distillation_loss at T=4": (lambda z: F.distillation_loss(z, DOWN, 4.0), 8e4, [[4, 0, -4]]),
    "distillation_loss of the same": (lambda z: F.distillation_loss(z, UP), 0, [[0, 0, 0]]),
    "sigmoid": (F.sigmoid, [[1, 0.5, 0]], [[0, 0.25, 0]]),
    "tanh": (F.tanh, [[1, 0, -1]], [[0, 1, 0]]),
    "scaled_tanh": (F.scaled_tanh, [[1.7159, 0, -1.7159]], [[0, 1.7159 * 2 / 3, 0]]),
}  # fmt: skip


@pytest.mark.parametrize(("function", "value", "gradient"), EXAMPLES.values(), ids=EXAMPLES)
def test_functional_results_of_large_float32_logits_are_finite_and_right(function, value, gradient):
    z = Tensor(UP, requires_grad=True)
    y = function(z)
    y.backward(np.ones(y.shape, np.float32))
    assert y.dtype == z.grad.dtype == np.float32
    np.testing.assert_allclose(y.data, value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(z.grad, gradient, rtol=1e-6, atol=1e-6)
