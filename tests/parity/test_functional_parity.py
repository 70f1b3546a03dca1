"""The same numbers as PyTorch, in float64, for every function that PyTorch has too.

Dropout is not here: the two draw different masks. Values agree within 1e-10 and gradients within
1e-8, relative to the largest entry.
"""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor, functional
from minivision import functional as F
from minivision.analysis.gradient_cases import (
    CASES,
    all_different,
    away_from_zero,
    broadcast_pair,
    shape,
    some_axes,
)
from tests.strategies import ODD_CONVOLUTIONS, ODD_POOLINGS, convolutions, poolings, seeds

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.parity


def both(ours, theirs, inputs, seed=0):
    """Value and gradients of the same random dy, from minivision and from PyTorch."""
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = ours(*leaves)
    dy = np.random.default_rng(seed).normal(size=y.shape)
    y.backward(dy)
    their_leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    their_y = theirs(*their_leaves)
    their_y.backward(torch.tensor(dy))
    mine = [y.data, *[leaf.grad for leaf in leaves]]
    return mine, [their_y.detach().numpy(), *[leaf.grad.numpy() for leaf in their_leaves]]


def assert_agree(ours, theirs, inputs, seed=0):
    mine, yours = both(ours, theirs, inputs, seed)
    for i, (a, b) in enumerate(zip(mine, yours, strict=True)):
        assert a.shape == b.shape
        largest = np.abs(b).max(initial=0)
        tolerance = 1e-10 if i == 0 else 1e-8
        assert np.abs(a - b).max(initial=0) <= tolerance * max(largest, 1e-30)


# ── elementwise, reductions, shapes, products, softmax ───────────────────────────────────────


def two(ours, theirs):
    def draw(rng):
        a, b = broadcast_pair(rng)
        return ours, theirs, [away_from_zero(rng, a), rng.uniform(0.5, 2, b)]

    return draw


def one(ours, theirs):
    def draw(rng):
        return ours, theirs, [rng.uniform(0.5, 2, shape(rng)) * (1 if ours is F.log else -1)]

    return draw


def power(rng):
    p = float(rng.choice([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0]))
    return lambda x: F.power(x, p), lambda x: x**p, [rng.uniform(0.5, 2, shape(rng))]


def reduction(ours, theirs):
    """With ties for the maximum: ours is shared equally, as in torch.amax."""

    def draw(rng):
        x = rng.integers(0, 4, shape(rng)).astype(float)
        axis, keepdims = some_axes(rng, x.ndim), bool(rng.random() < 0.5)
        axes = tuple(range(x.ndim)) if axis is None else axis
        return (
            lambda x: ours(x, axis=axis, keepdims=keepdims),
            lambda x: theirs(x, dim=axes, keepdim=keepdims),
            [x],
        )

    return draw


def reshape(rng):
    x = rng.normal(size=shape(rng, 2, 4))
    new = (*x.shape[::-1][:-1], -1)
    return lambda x: F.reshape(x, new), lambda x: x.reshape(new), [x]


def flatten(rng):
    x = rng.normal(size=shape(rng, 2, 4))
    start = int(rng.integers(0, x.ndim))
    return lambda x: F.flatten(x, start), lambda x: torch.flatten(x, start), [x]


def transpose(rng):
    x = rng.normal(size=shape(rng, 2, 4))
    axes = tuple(int(i) for i in rng.permutation(x.ndim))
    return lambda x: F.transpose(x, axes), lambda x: x.permute(axes), [x]


def getitem(rng):
    x = rng.normal(size=(4, 5, 3))
    rows = rng.integers(-4, 4, 6)
    mask = rng.random((4, 5)) < 0.5
    indices = [1, -1, slice(None, None, 2), (slice(1, 4), 2), (..., 0), (None, 2), rows,
               (rows, slice(1, 3)), (slice(None), rows % 5), mask]  # fmt: skip
    index = indices[rng.integers(0, len(indices))]
    return lambda x: F.getitem(x, index), lambda x: x[index], [x]


def matmul(rng):
    _, inputs = CASES["matmul"](rng)
    return F.matmul, torch.matmul, inputs


def linear(rng):
    N, I, O = (int(n) for n in rng.permutation(np.arange(1, 7))[:3])
    return F.linear, TF.linear, [rng.normal(size=s) for s in ((N, I), (O, I), (O,))]


def softmax(ours, theirs):
    def draw(rng):
        x = 3 * rng.normal(size=shape(rng, 1, 3))
        axis, T = int(rng.integers(-x.ndim, x.ndim)), float(rng.uniform(0.5, 3))
        return (
            lambda x: ours(x, axis=axis, temperature=T),
            lambda x: theirs(x / T, dim=axis),
            [x],
        )

    return draw


def cross_entropy(rng):
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    hard, soft = rng.integers(0, K, N), rng.dirichlet(np.ones(K), N)
    targets = hard if rng.random() < 0.5 else soft
    return (
        lambda z: F.cross_entropy(z, targets),
        lambda z: TF.cross_entropy(z, torch.tensor(targets)),
        [3 * rng.normal(size=(N, K))],
    )


PAIRS = {
    "add": two(F.add, torch.add),
    "subtract": two(F.subtract, torch.subtract),
    "multiply": two(F.multiply, torch.multiply),
    "divide": two(F.divide, torch.divide),
    "negative": one(F.negative, torch.negative),
    "power": power,
    "exp": one(F.exp, torch.exp),
    "log": one(F.log, torch.log),
    "sum": reduction(F.sum, torch.sum),
    "mean": reduction(F.mean, torch.mean),
    "max": reduction(F.max, torch.amax),
    "reshape": reshape,
    "flatten": flatten,
    "transpose": transpose,
    "getitem": getitem,
    "relu": lambda rng: (F.relu, torch.relu, [rng.integers(-2, 3, shape(rng)).astype(float)]),
    "tanh": lambda rng: (F.tanh, torch.tanh, [all_different(rng, shape(rng))]),
    "matmul": matmul,
    "linear": linear,
    "softmax": softmax(F.softmax, torch.softmax),
    "log_softmax": softmax(F.log_softmax, torch.log_softmax),
    "cross_entropy": cross_entropy,
}
IN_GEOMETRIES_OF_THEIR_OWN = {"conv2d", "max_pool2d", "avg_pool2d"}
DIFFERENT = {"dropout"}


def test_every_function_that_pytorch_has_is_compared():
    assert set(PAIRS) | IN_GEOMETRIES_OF_THEIR_OWN | DIFFERENT == set(functional.__all__)


@pytest.mark.parametrize("name", PAIRS)
@given(seed=seeds)
def test_functions_agree_with_pytorch(name, seed):
    assert_agree(*PAIRS[name](np.random.default_rng(seed)), seed)


# ── convolution and pooling ──────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("case", ODD_CONVOLUTIONS.values(), ids=ODD_CONVOLUTIONS)
def test_conv2d_agrees_with_pytorch_in_odd_geometries(case):
    assert_convolutions_agree(case)


def assert_poolings_agree(case):
    rng = np.random.default_rng(case.seed)
    x = case.array()
    ties = rng.integers(0, 3, x.shape).astype(float)
    for ours, theirs, inputs in [
        (F.avg_pool2d, TF.avg_pool2d, x),
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
