"""What the tests of all networks share: noise as images, a table of layers, gradients, learning."""

import math
from typing import NamedTuple

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.passes import borrowed, watched
from minivision.nn import Conv2d, Linear


def rng(seed=0):
    return np.random.default_rng(seed)


def images(N=2, C=3, H=32, W=32, dtype=np.float32):
    """Noise, the same for the same shape."""
    return Tensor(rng(1).normal(size=(N, C, H, W)).astype(dtype))


class Row(NamedTuple):
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def counted(model):
    """A row for every layer, from a pass without an image: sizes without work.

    Every output of a convolution or a linear layer takes one multiply-add per weight of its unit.
    """
    with borrowed(model):
        calls = watched(model, Tensor(np.zeros((0, *model.input_shape), np.float32)))
    rows = []
    for _, layer, result in calls:
        weights = layer.weight[0].size if isinstance(layer, Conv2d | Linear) else 0
        output = result.shape[1:]
        work = math.prod(output) * weights
        rows.append(Row(type(layer).__name__, output, layer.parameter_count(), work))
    return rows


def totals(rows):
    """(parameters, multiply-adds) of all layers."""
    return sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)


def check_gradients(loss, leaves, eps, rel, abs):
    """Compare the gradient of every leaf with differences of the loss in a random direction."""
    loss().backward()
    for leaf in leaves:
        assert leaf.grad is not None
        v = rng(3).normal(size=leaf.shape)
        start, values = leaf.data.copy(), []
        for step in (eps, -eps):
            leaf.data = start + step * v
            values.append(loss().item())
        leaf.data = start
        slope = (values[0] - values[1]) / (2 * eps)
        assert (leaf.grad * v).sum() == pytest.approx(slope, rel=rel, abs=abs)


def descend(model, x, labels, steps, lr):
    """Take steps of plain gradient descent; returns the loss before each."""
    losses = []
    for step in range(steps):
        model.seed(0, step)
        model.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        losses.append(loss.item())
        for parameter in model.parameters():
            parameter.data -= np.float32(lr) * parameter.grad
    return losses
