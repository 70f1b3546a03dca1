"""Matrix products against three loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision import functional as F
from tests import oracles
from tests.strategies import seeds


@given(
    N=st.integers(0, 4), I=st.integers(1, 5), O=st.integers(1, 5), bias=st.booleans(), seed=seeds
)
def test_linear_equals_loops(N, I, O, bias, seed):
    rng = np.random.default_rng(seed)
    x, weight, b = rng.normal(size=(N, I)), rng.normal(size=(O, I)), rng.normal(size=O)
    b = b if bias else None
    np.testing.assert_allclose(
        F.linear(x, weight, b).data, oracles.linear(x, weight, b), rtol=1e-12, atol=1e-13
    )


def test_linear_by_hand():
    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
    weight = Tensor(np.array([[5.0, 6.0]]), requires_grad=True)
    bias = Tensor(np.array([7.0]), requires_grad=True)
    y = F.linear(x, weight, bias)
    y.backward(np.array([[1.0], [10.0]]))
    assert y.data.tolist() == [[24], [46]]
    assert x.grad.tolist() == [[5, 6], [50, 60]]
    assert weight.grad.tolist() == [[31, 42]]
    assert bias.grad.tolist() == [11]


def test_linear_of_an_empty_batch_has_gradients_of_0():
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    weight, bias = (
        Tensor(np.ones((2, 3)), requires_grad=True),
        Tensor(np.ones(2), requires_grad=True),
    )
    F.linear(x, weight, bias).backward(np.zeros((0, 2)))
    assert x.grad.shape == (0, 3)
    assert weight.grad.tolist() == [[0] * 3] * 2
    assert bias.grad.tolist() == [0, 0]


@given(R=st.integers(1, 4), M=st.integers(1, 5), S=st.integers(1, 4), seed=seeds)
def test_matmul_equals_loops(R, M, S, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(R, M)), rng.normal(size=(M, S))
    expected = oracles.matmul(a, b)
    np.testing.assert_allclose(F.matmul(a, b).data, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(F.matmul(a[0], b).data, expected[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(F.matmul(a, b[:, 0]).data, expected[:, 0], rtol=1e-12, atol=1e-13)
    stack = F.matmul(np.stack([a, 2 * a]), b).data
    np.testing.assert_allclose(stack, [expected, 2 * expected], rtol=1e-12, atol=1e-13)


@given(seed=seeds)
def test_matmul_is_linear_in_each_factor(seed):
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=(3, 4))
    np.testing.assert_allclose(
        F.matmul(2 * a + c, b).data, 2 * F.matmul(a, b).data + F.matmul(c, b).data, atol=1e-12
    )
