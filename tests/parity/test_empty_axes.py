"""Empty axes: PyTorch's results, or an error if there is nothing to compute from."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from tests.refusals import refused

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.parity
NO_LABELS = np.zeros(0, int)


def reduce(name):
    theirs = getattr(torch, {"max": "amax", "min": "amin"}.get(name, name))
    return lambda x: getattr(F, name)(x, axis=1), lambda x: theirs(x, dim=1)


def pool(name, theirs):
    return lambda x: getattr(F, name)(x, 2), lambda x: theirs(x, 2)


def loss(name, reduction):
    def ours(z):
        return getattr(F, name)(z, NO_LABELS, reduction=reduction)

    def theirs(z):
        return getattr(TF, name)(z, torch.tensor(NO_LABELS), reduction=reduction)

    return ours, theirs


# Functions, and the shapes of their inputs.
EQUAL = {
    "add": (F.add, torch.add, (0, 3), (1, 3)),
    "divide": (F.divide, torch.divide, (2, 0), (2, 1)),
    "maximum": (F.maximum, torch.maximum, (0, 2), (2,)),
    "relu": (F.relu, torch.relu, (0, 2)),
    "sigmoid": (F.sigmoid, torch.sigmoid, (0,)),
    "sum over nothing": (*reduce("sum"), (2, 0)),
    **{f"{name} of no rows": (*reduce(name), (0, 2))
       for name in ("sum", "mean", "max", "min", "logsumexp")},
    "softmax of no rows": (F.softmax, lambda x: torch.softmax(x, -1), (0, 3)),
    "log_softmax of no rows": (F.log_softmax, lambda x: torch.log_softmax(x, -1), (0, 3)),
    "matmul over nothing": (F.matmul, torch.matmul, (2, 0), (0, 3)),
    "matmul of no rows": (F.matmul, torch.matmul, (0, 2), (2, 3)),
    "linear of no features": (F.linear, TF.linear, (2, 0), (3, 0), (3,)),
    "linear of no rows": (F.linear, TF.linear, (0, 2), (3, 2), (3,)),
    "conv2d of no images": (F.conv2d, TF.conv2d, (0, 1, 3, 3), (2, 1, 2, 2), (2,)),
    "max_pool2d of no images": (*pool("max_pool2d", TF.max_pool2d), (0, 1, 4, 4)),
    "avg_pool2d of no images": (*pool("avg_pool2d", TF.avg_pool2d), (0, 1, 4, 4)),
    "unfold": (lambda x: F.unfold(x, 2), lambda x: TF.unfold(x, 2), (0, 1, 3, 3)),
    "fold": (lambda x: F.fold(x, 3, 2), lambda x: TF.fold(x, (3, 3), 2), (0, 4, 4)),
    "grid_sample": (
        F.grid_sample, lambda x, g: TF.grid_sample(x, g, align_corners=False),
        (0, 1, 2, 2), (0, 2, 2, 2),
    ),
    **{f"{name}, {how}": (*loss(name, how), (0, 3))
       for name in ("cross_entropy", "nll_loss") for how in ("sum", "none")},
    "mse_loss, sum": (
        lambda x, t: F.mse_loss(x, t, reduction="sum"),
        lambda x, t: TF.mse_loss(x, t, reduction="sum"), (0, 3), (0, 3),
    ),
    "concatenate": (
        lambda a, b: F.concatenate([a, b]), lambda a, b: torch.concatenate([a, b]), (0, 3), (2, 3)
    ),
    "reshape": (lambda x: F.reshape(x, 3, 0), lambda x: x.reshape(3, 0), (0, 3)),
    "getitem": (lambda x: x[:0], lambda x: x[:0], (2, 3)),
}  # fmt: skip


def value_and_gradients(function, leaves, ones):
    y = function(*leaves)
    y.backward(ones(tuple(y.shape)))
    return [y.data, *[leaf.grad for leaf in leaves]]


@pytest.mark.parametrize("name", EQUAL)
def test_functional_agrees_with_pytorch_on_empty_axes(name):
    ours, theirs, *shapes = EQUAL[name]
    leaves = [Tensor(np.ones(shape), requires_grad=True) for shape in shapes]
    found = value_and_gradients(ours, leaves, np.ones)
    leaves = [torch.ones(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    expected = value_and_gradients(theirs, leaves, lambda s: torch.ones(s, dtype=torch.float64))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other.detach().numpy(), strict=True)


REFUSED = {
    **{name: (*reduce(name), (2, 0), "at least one entry along axis 1")
       for name in ("mean", "logsumexp")},
    "softmax": (F.softmax, lambda x: torch.softmax(x, -1), (2, 0), "class along axis -1"),
    "log_softmax": (
        F.log_softmax, lambda x: torch.log_softmax(x, -1), (2, 0), "class along axis -1"
    ),
    "cross_entropy": (*loss("cross_entropy", "mean"), (0, 3), "the batch is empty"),
    "nll_loss": (*loss("nll_loss", "mean"), (0, 3), "the batch is empty"),
    "batch_norm": (
        F.batch_norm, lambda x: TF.batch_norm(x, None, None, training=True), (0, 3),
        "variance",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_functional_refuses_empty_axes_where_pytorch_returns_nan(name):
    ours, theirs, shape, fragment = REFUSED[name]
    with refused(ValueError, f"{name}: ", fragment):
        ours(np.ones(shape))
    assert not torch.isfinite(theirs(torch.ones(shape))).any()
