"""The same numbers as PyTorch, in float64, for every function that PyTorch has too.

Here are the functions on arrays of any shape; images and losses have files of their own.
"""

import numpy as np
import pytest
from hypothesis import given

from minivision import functional
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES
from minivision.analysis.gradient_cases.draws import (
    all_different,
    away_from_zero,
    broadcast_pair,
    shape,
    some_axes,
)
from tests.parity import test_image_parity, test_loss_parity
from tests.parity.agreement import assert_agree
from tests.strategies import seeds

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.parity


def two(ours, theirs):
    def draw(rng):
        a, b = broadcast_pair(rng)
        return ours, theirs, [away_from_zero(rng, a), rng.uniform(0.5, 2, b)]

    return draw


def one(ours, theirs):
    def draw(rng):
        sign = 1 if ours in (F.log, F.sqrt) else -1
        return ours, theirs, [sign * rng.uniform(0.5, 2, shape(rng))]

    return draw


def few_numbers(ours, theirs):
    """Small integers: ties, zeros and bounds are hit, and both must choose alike there."""

    def draw(rng):
        return ours, theirs, [rng.integers(-2, 3, shape(rng)).astype(float)]

    return draw


def two_of_few_numbers(ours, theirs):
    def draw(rng):
        return ours, theirs, [rng.integers(0, 3, s).astype(float) for s in broadcast_pair(rng)]

    return draw


def where(rng):
    a, b = broadcast_pair(rng)
    condition = rng.random(np.broadcast_shapes(a, b)) < 0.5
    return (
        lambda a, b: F.where(condition, a, b),
        lambda a, b: torch.where(torch.tensor(condition), a, b),
        [rng.normal(size=a), rng.normal(size=b)],
    )


def clip(rng):
    low, high = [(None, 1), (-1, None), (-1, 1)][rng.integers(0, 3)]
    x = rng.integers(-2, 3, shape(rng)).astype(float)
    return lambda x: F.clip(x, low, high), lambda x: torch.clamp(x, low, high), [x]


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


def var(rng):
    x = rng.normal(size=shape(rng))
    axis, correction = some_axes(rng, x.ndim), int(rng.integers(0, 2))
    axes = tuple(range(x.ndim)) if axis is None else axis
    return (
        lambda x: F.var(x, axis, correction=correction),
        lambda x: torch.var(x, dim=axes, correction=correction),
        [x],
    )


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


def concatenate(rng):
    _, inputs = CASES["concatenate"](rng)
    shapes = [part.shape for part in inputs]
    alike = [i for i, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) == 1]
    (axis,) = set(range(inputs[0].ndim)) - set(alike) or {0}
    return (
        lambda *parts: F.concatenate(parts, axis),
        lambda *parts: torch.concatenate(parts, axis),
        inputs,
    )


def stack(rng):
    one, count = shape(rng, 1, 3), int(rng.integers(1, 4))
    axis = int(rng.integers(-len(one) - 1, len(one) + 1))
    return (
        lambda *parts: F.stack(parts, axis),
        lambda *parts: torch.stack(parts, axis),
        [rng.normal(size=one) for _ in range(count)],
    )


def pad(rng):
    """PyTorch lists the widths from the last axis to the first."""
    x = rng.normal(size=shape(rng))
    widths = [(int(before), int(after)) for before, after in rng.integers(0, 3, (x.ndim, 2))]
    theirs = [int(n) for width in widths[::-1] for n in width]
    return lambda x: F.pad(x, widths, 0.7), lambda x: TF.pad(x, theirs, value=0.7), [x]


def broadcast_to(rng):
    full = shape(rng, 2, 4)
    small = tuple([1 if rng.random() < 0.5 else n for n in full])[int(rng.integers(0, 2)) :]
    return (
        lambda x: F.broadcast_to(x, full),
        lambda x: torch.broadcast_to(x, full),
        [rng.normal(size=small)],
    )


def matmul(rng):
    _, inputs = CASES["matmul"](rng)
    return F.matmul, torch.matmul, inputs


def linear(rng):
    N, I, O = (int(n) for n in rng.permutation(np.arange(1, 7))[:3])
    return F.linear, TF.linear, [rng.normal(size=s) for s in ((N, I), (O, I), (O,))]


PAIRS = {
    "add": two(F.add, torch.add),
    "subtract": two(F.subtract, torch.subtract),
    "multiply": two(F.multiply, torch.multiply),
    "divide": two(F.divide, torch.divide),
    "negative": one(F.negative, torch.negative),
    "power": power,
    "exp": one(F.exp, torch.exp),
    "log": one(F.log, torch.log),
    "sqrt": one(F.sqrt, torch.sqrt),
    "absolute": few_numbers(F.absolute, torch.abs),
    "maximum": two_of_few_numbers(F.maximum, torch.maximum),
    "minimum": two_of_few_numbers(F.minimum, torch.minimum),
    "where": where,
    "clip": clip,
    "sum": reduction(F.sum, torch.sum),
    "mean": reduction(F.mean, torch.mean),
    "var": var,
    "max": reduction(F.max, torch.amax),
    "min": reduction(F.min, torch.amin),
    "logsumexp": reduction(F.logsumexp, torch.logsumexp),
    "reshape": reshape,
    "flatten": flatten,
    "transpose": transpose,
    "getitem": getitem,
    "concatenate": concatenate,
    "stack": stack,
    "pad": pad,
    "broadcast_to": broadcast_to,
    "relu": few_numbers(F.relu, torch.relu),
    "leaky_relu": few_numbers(F.leaky_relu, TF.leaky_relu),
    "tanh": lambda rng: (F.tanh, torch.tanh, [all_different(rng, shape(rng))]),
    "scaled_tanh": one(F.scaled_tanh, lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    "sigmoid": one(F.sigmoid, torch.sigmoid),
    "matmul": matmul,
    "linear": linear,
}
# PyTorch draws other masks, and has no convolution without shared weights.
NOT_COMPARED = {"dropout", "drop_path", "locally_connected2d"}


def test_functional_parity_covers_every_function_that_pytorch_has():
    compared = set(PAIRS) | test_image_parity.COMPARED | test_loss_parity.COMPARED
    assert compared | NOT_COMPARED == set(functional.__all__)


@pytest.mark.parametrize("name", PAIRS)
@given(seed=seeds)
def test_functional_agrees_with_pytorch(name, seed):
    assert_agree(*PAIRS[name](np.random.default_rng(seed)), seed)
