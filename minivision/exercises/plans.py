"""Where the engine uses what a learner has written: one function per exercise.

Each is given the learner's function, and returns what a network is trained with.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.autograd import no_grad
from minivision.exercises.exercise import Function
from minivision.exercises.training import Plan
from minivision.models.network import Network
from minivision.nn import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minivision.optim import SGD
from minivision.random import generator
from minivision.tensor import Tensor, record
from minivision.training.loop import Batch
from minivision.transforms import CutMix

# ── a function of the engine is replaced ─────────────────────────────────────────────────────────


def of_one_input(name: str) -> Callable[[Function], Plan]:
    """(y, backward) of one array."""

    def plan(mine: Function) -> Plan:
        def function(x: Tensor) -> Tensor:
            y, backward = mine(x.data)
            return record(y, (x,), lambda dy: (backward(dy),), name)

        return Plan({name: function})

    return plan


def max_pool2d(mine: Function) -> Plan:
    def max_pool2d(x, kernel_size, stride=None, padding=0):
        kernel = int(np.max(kernel_size))
        y, pooled = mine(x.data, kernel, kernel if stride is None else int(np.max(stride)))

        def backward(dy):
            return (pooled(dy),)

        return record(y, (x,), backward)

    return Plan({"max_pool2d": max_pool2d})


def matmul(mine: Function) -> Plan:
    """The matrix product in every fully connected layer: y = x Wᵀ + b."""

    def linear(x, weight, bias=None):
        y, product = mine(x.data, weight.data.T)

        def backward(dy):
            dx, dw = product(dy)
            return dx, dw.T, dy.sum(axis=0)

        return record(y + bias.data, (x, weight, bias), backward)

    return Plan({"linear": linear})


def add(mine: Function) -> Plan:
    """The sum with the bias in every fully connected layer."""

    def linear(x, weight, bias=None):
        y, added = mine(x.data @ weight.data.T, bias.data)

        def backward(dy):
            dy, db = added(dy)
            return dy @ weight.data, dy.T @ x.data, db

        return record(y, (x, weight, bias), backward)

    return Plan({"linear": linear})


def im2col(mine: Function) -> Plan:
    def im2col(x, window):
        return mine(x, window.kernel[0], window.stride[0], window.padding[0])

    return Plan({"im2col": im2col})


def conv2d(mine: Function) -> Plan:
    """The value is the learner's, and the gradient the engine's."""
    engine = F.conv2d

    def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        node = engine(x, weight, bias, stride, padding).node
        bias_or_0 = np.zeros(len(weight.data), x.dtype) if bias is None else bias.data
        y = mine(x.data, weight.data, bias_or_0, int(np.max(stride)), int(np.max(padding)))
        return record(y, (x, weight, bias), node.backward or ignored, "conv2d", node.window)

    return Plan({"conv2d": conv2d})


def conv2d_backward(mine: Function) -> Plan:
    """The value is the engine's, and the gradient the learner's."""
    engine = F.conv2d

    def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        with no_grad():
            y = engine(x, weight, bias, stride, padding).data

        def backward(dy):
            dy = np.ascontiguousarray(dy)
            return mine(dy, x.data, weight.data, int(np.max(stride)), int(np.max(padding)))

        return record(y, (x, weight, bias), backward)

    return Plan({"conv2d": conv2d})


def lenet_with(normalization: Callable[[], Module], dropout: float = 0.0) -> Network:
    """LeNet-5 with a normalization after its first convolution, and dropout before its last layer.

    >>> lenet_with(ReLU).parameter_count()
    61706
    """
    return Network(
        Sequential(
            *(Conv2d(1, 6, 5, padding=2), normalization(), ReLU(), MaxPool2d(2)),
            *(Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)),
        ),
        Sequential(
            *(Linear(400, 120), ReLU(), Linear(120, 84), ReLU()),
            *(Dropout(dropout), Linear(84, 10)),
        ),
        (1, 28, 28),
    )


def ignored(dy: np.ndarray) -> tuple[None, ...]:
    """Stands for the backward function where nothing is recorded, as in evaluation."""
    return ()


def local_response_norm(mine: Function) -> Plan:
    """The value is the learner's, and the gradient the engine's."""
    engine = F.local_response_norm

    def local_response_norm(x, size, alpha, beta, k, alpha_over_size=False):
        node = engine(x, size, alpha, beta, k).node
        y = mine(x.data, size, alpha, beta, k)
        return record(y, (x,), node.backward or ignored, "local_response_norm")

    layer = partial(LocalResponseNorm, alpha=0.1)
    return Plan({"local_response_norm": local_response_norm}, partial(lenet_with, layer))


def batch_norm(mine: Function) -> Plan:
    """In training; evaluation uses the engine's function and the running statistics."""
    engine = F.batch_norm

    def batch_norm(x, weight, bias, running=None, training=True, momentum=0.1, eps=1e-5):
        evaluated = engine(x, weight, bias, running, training, momentum, eps)
        if not training:
            return evaluated
        y, backward = mine(x.data, weight.data, bias.data, eps)
        return record(y, (x, weight, bias), backward, "batch_norm")

    return Plan({"batch_norm": batch_norm}, partial(lenet_with, partial(BatchNorm2d, 6)))


def dropout(mine: Function) -> Plan:
    def dropout(x, p=0.5, training=True, *, rng=None):
        if not training:
            return x
        y, dropped = mine(x.data, p, (rng or generator()).random(x.shape))

        def backward(dy):
            return (dropped(dy),)

        return record(y, (x,), backward)

    return Plan({"dropout": dropout}, partial(lenet_with, ReLU, 0.25))


def multiply(mine: Function) -> Plan:
    """Dropout multiplies its input by a mask."""

    def dropout(x, p=0.5, training=True, *, rng=None):
        if not training:
            return x
        mask = ((rng or generator()).random(x.shape) >= p) / (1 - p)
        y, product = mine(x.data, mask.astype(x.dtype))

        def backward(dy):
            return (product(dy)[0],)

        return record(y, (x,), backward)

    return Plan({"dropout": dropout}, partial(lenet_with, ReLU, 0.25))


# ── the loss, the update, or the images are the learner's ────────────────────────────────────────


def with_accuracy(loss: Callable[[Tensor, Any], Tensor]) -> Callable[..., Any]:
    def classification(model: Module, batch: Batch) -> Any:
        logits = model(batch.images)
        right = (logits.argmax(axis=1) == batch.targets).mean()
        return loss(logits, batch.targets), {"train_accuracy": right}

    return classification


def softmax(mine: Function) -> Plan:
    """The loss is -log p at the label."""

    def loss(logits, labels):
        p, backward = mine(logits.data, 1.0)
        p = record(p, (logits,), lambda dy: (backward(dy),), "softmax")
        return F.nll_loss(F.log(p), labels)

    return Plan(loss=with_accuracy(loss))


def cross_entropy(mine: Function) -> Plan:
    def loss(logits, labels):
        value, dlogits = mine(logits.data, labels)
        return scalar(value, (logits,), (dlogits,))

    return Plan(loss=with_accuracy(loss))


def scalar(value: Any, inputs: tuple[Tensor, ...], gradients: tuple[np.ndarray, ...]) -> Tensor:
    """A loss whose gradients are known."""

    def backward(dy):
        return tuple(dy * gradient for gradient in gradients)

    return record(np.asarray(value, inputs[0].dtype), inputs, backward, "loss")


def sgd(mine: Function) -> Plan:
    class Yours(SGD):
        def update(self, parameter, gradient, state, group):
            velocity = state.get("velocity", np.zeros_like(parameter.data))
            settings = group["lr"], group["momentum"], group["weight_decay"]
            weight, state["velocity"] = mine(parameter.data, gradient, velocity, *settings)
            parameter.data[...] = weight

    return Plan(optimizer=Yours)


def cutmix(mine: Function) -> Plan:
    def mix(images, targets, rng):
        N, C, H, W = images.shape
        rows = np.eye(10, dtype=images.dtype)[np.asarray(targets)]
        centre = int(rng.integers(H)), int(rng.integers(W))
        return mine(images, rows, rng.permutation(N), float(rng.random()), centre)

    return Plan(batch_transform=mix, engines={"batch_transform": CutMix(classes=10)})


def posterize(mine: Function) -> Plan:
    class Posterized:
        random, takes_batches = True, False

        def __call__(self, image, rng):
            return mine(image, int(rng.integers(31)))

    return Plan(transform=Posterized())


PLANS: dict[str, Callable[[Function], Plan]] = {
    "relu": of_one_input("relu"), "max_pool2d": max_pool2d, "matmul": matmul, "add": add,
    "im2col": im2col, "conv2d": conv2d, "conv2d_backward": conv2d_backward,
    "local_response_norm": local_response_norm, "batch_norm": batch_norm, "dropout": dropout,
    "multiply": multiply, "softmax": softmax, "cross_entropy": cross_entropy, "sgd": sgd,
    "cutmix": cutmix, "posterize": posterize,
}  # fmt: skip
