"""Results keep the memory order of their input: y in the forward pass, dx in the backward pass.

NumPy's elementwise functions are 6 to 50 times slower if their operands differ in memory order, and
one function that loses the order makes all functions after it slow.
"""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.fast import door
from minivision.fast.memory import BATCH_INNERMOST, empty, memory_order
from minivision.functional.normalization import RunningStatistics
from minivision.models import lenet5

N, C, H, W = 3, 4, 6, 7


def images(order, seed=0, shape=(N, C, H, W)):
    """x (N, C, H, W) with its axes in this order in memory, outermost first."""
    x = empty(shape, np.zeros(1, np.float32), order)
    x[...] = np.random.default_rng(seed).normal(size=x.shape)
    return x


def running():
    return RunningStatistics(np.zeros(C, np.float32), np.ones(C, np.float32), np.array(0))


WEIGHT = np.random.default_rng(1).normal(size=(5, C, 3, 3)).astype(np.float32)
GRID = np.random.default_rng(1).uniform(-1, 1, size=(N, 5, 4, 2)).astype(np.float32)
LOCAL = np.random.default_rng(1).normal(size=(4, 5, 3, C, 3, 3)).astype(np.float32)
FUNCTIONS = {
    "conv2d": lambda x: F.conv2d(x, WEIGHT, padding=1),
    "conv2d with groups and stride": lambda x: F.conv2d(x, WEIGHT[:4, :2], stride=2, groups=2),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "overlapping max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
    "local_response_norm": lambda x: F.local_response_norm(x, alpha=1.0),
    "batch_norm": lambda x: F.batch_norm(x, running=running()),
    "batch_norm in evaluation": lambda x: F.batch_norm(x, running=running(), training=False),
    "dropout": lambda x: F.dropout(x, 0.4, rng=np.random.default_rng(2)),
    "drop_path": lambda x: F.drop_path(x, 0.4, rng=np.random.default_rng(2)),
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "tanh": F.tanh,
    "scaled_tanh": F.scaled_tanh,
    "sigmoid": F.sigmoid,
    "grid_sample": lambda x: F.grid_sample(x, GRID),
    "multiply": lambda x: x * 2.0,
    "add": lambda x: x + x,
    "maximum": lambda x: F.maximum(x, 0.1),
    "where": lambda x: F.where(x.data > 0, x, 0.0),
    "clip": lambda x: F.clip(x, -1, 1),
    "pad": lambda x: F.pad(x, [(0, 0), (1, 0), (2, 1), (0, 3)]),
    "getitem": lambda x: x[:, 1:3],
    "getitem of every second pixel": lambda x: x[:, :, ::2, 1:],
    "concatenate": lambda x: F.concatenate([x, x], axis=1),
    "locally_connected2d": lambda x: F.locally_connected2d(x, LOCAL),
}


ORDERS = {"N, C, H, W": (0, 1, 2, 3), "C, H, W, N": BATCH_INNERMOST}


@pytest.fixture(params=["page", "fast"])
def room(request):
    with door.off() if request.param == "page" else door.on():
        yield request.param


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order_of_dy", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_pages_keep_the_memory_order_of_their_images(name, order, order_of_dy):
    """And the gradient has the same numbers as if everything were in C order."""
    with door.off():
        x = Tensor(images(order), requires_grad=True)
        y = FUNCTIONS[name](x)
        assert memory_order(y.data) == order
        y.backward(images(order_of_dy, seed=3, shape=y.shape))
        again = Tensor(images((0, 1, 2, 3)), requires_grad=True)
        FUNCTIONS[name](again).backward(images((0, 1, 2, 3), seed=3, shape=y.shape))
    np.testing.assert_allclose(x.grad, again.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional_keeps_images_batch_innermost_forward_and_backward(name, room):
    x = Tensor(images(BATCH_INNERMOST), requires_grad=True)
    y = FUNCTIONS[name](x)
    assert memory_order(y.data) == BATCH_INNERMOST
    y.backward(images(BATCH_INNERMOST, seed=3, shape=y.shape))
    assert memory_order(x.grad) == BATCH_INNERMOST


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional_gradients_of_c_ordered_images_are_c_ordered(name, room):
    x = Tensor(images((0, 1, 2, 3)), requires_grad=True)
    y = FUNCTIONS[name](x)
    dy = np.empty_like(y.data)
    dy[...] = np.random.default_rng(3).normal(size=dy.shape)
    y.backward(dy)
    assert memory_order(x.grad) == (0, 1, 2, 3)


def test_flatten_and_linear_keep_the_batch_innermost(open_door):
    x = Tensor(images(BATCH_INNERMOST), requires_grad=True)
    features = F.flatten(x)
    assert np.may_share_memory(features.data, x.data)  # no copy
    np.testing.assert_array_equal(features.data, x.data.reshape(N, -1))
    weight = np.random.default_rng(4).normal(size=(8, C * H * W)).astype(np.float32)
    y = F.linear(features, weight)
    assert memory_order(y.data) == (1, 0)
    y.backward(np.asfortranarray(np.random.default_rng(5).normal(size=y.shape).astype("f")))
    assert memory_order(x.grad) == BATCH_INNERMOST


def test_flatten_makes_no_copy_and_keeps_gradients_c_ordered():
    x = Tensor(images((0, 1, 2, 3)), requires_grad=True)
    features = F.flatten(x)
    assert np.may_share_memory(features.data, x.data)
    weight = np.random.default_rng(4).normal(size=(8, C * H * W)).astype(np.float32)
    F.linear(features, weight).sum().backward()
    assert memory_order(x.grad) == (0, 1, 2, 3)


def test_lenet5_changes_the_memory_order_only_in_its_first_convolution(open_door):
    """Every 4-d value and gradient after it has its batch innermost."""
    from minivision import backward_steps

    manual_seed(0)
    model = lenet5()
    x = Tensor(np.random.default_rng(1).normal(size=(5, 1, 28, 28)).astype(np.float32))
    loss = F.cross_entropy(model(x), np.arange(5))
    seen = 0
    for name, dy, gradients in backward_steps(loss):
        dx = gradients[0]
        for array in (dy, dx):
            if array is not None and array.ndim == 4:
                assert memory_order(array) == BATCH_INNERMOST, name
                seen += 1
    assert seen == 12  # dy and dx of two pools, relus and convolutions, but no dx of the first
