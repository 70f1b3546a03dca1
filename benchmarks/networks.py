"""The measured networks as tables, with their weights and batches. This module needs only NumPy.

Each layer is a row with its kind and its numbers. Every peer builds the network with its own
library and starts from the same weights, so all of them must compute the same losses.


    ("conv", filters, kernel, stride, padding)    ("pool", kernel, stride)    ("relu",)
    ("lrn", size, alpha, beta, k)                 ("linear", units)           ("flatten",)
    ("dropout", p)                                ("batch_norm",)             ("cross_entropy",)

`alpha` is the paper's: it multiplies the sum of squares and is not divided by the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

Row = tuple[Any, ...]

RELU, FLATTEN, LRN = ("relu",), ("flatten",), ("lrn", 5, 1e-4, 0.75, 2.0)
P2, P3 = ("pool", 2, 2), ("pool", 3, 2)
LEARNING_RATE, MOMENTUM = 0.001, 0.9  # small enough that AlexNet's first steps do not overshoot


def convolution(filters: int, kernel: int, stride: int = 1, padding: int = 0) -> list[Row]:
    """A convolution and its ReLU."""
    return [("conv", filters, kernel, stride, padding), RELU]


def vgg(batch: int = 64, image: int = 32, width: int = 32, depth: int = 2) -> dict[str, Any]:
    """Three blocks of `depth` 3x3 convolutions, each twice as wide as the last, then pooled."""
    rows: list[Row] = []
    for filters in (width, 2 * width, 4 * width):
        rows += [row for _ in range(depth) for row in convolution(filters, 3, 1, 1)] + [P2]
    rows += [FLATTEN, ("linear", 8 * width), RELU, ("linear", 10)]
    return {"batch": (batch, 3, image, image), "classes": 10, "layers": rows}


NETWORKS: dict[str, dict[str, Any]] = {
    # LeCun et al. 1998 with ReLU and max pooling: 61,706 parameters
    "lenet5": {
        "batch": (128, 1, 28, 28),
        "classes": 10,
        "layers": [
            *convolution(6, 5, 1, 2), P2,
            *convolution(16, 5), P2,
            FLATTEN, ("linear", 120), RELU, ("linear", 84), RELU, ("linear", 10),
        ],
    },
    "vgg_small": vgg(),
    # Krizhevsky et al. 2012 on one device, so no groups
    "alexnet": {
        "batch": (16, 3, 227, 227),
        "classes": 1000,
        "layers": [
            *convolution(96, 11, 4), LRN, P3,
            *convolution(256, 5, 1, 2), LRN, P3,
            *convolution(384, 3, 1, 1), *convolution(384, 3, 1, 1), *convolution(256, 3, 1, 1), P3,
            FLATTEN, ("dropout", 0.5), ("linear", 4096), RELU,
            ("dropout", 0.5), ("linear", 4096), RELU, ("linear", 1000),
        ],
    },
}  # fmt: skip


def vgg16() -> dict[str, Any]:
    """Configuration D of Simonyan & Zisserman 2014; too slow for the timed tasks."""
    rows: list[Row] = []
    for filters, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        rows += [row for _ in range(depth) for row in convolution(filters, 3, 1, 1)] + [P2]
    rows.append(FLATTEN)
    for units in (4096, 4096):
        rows += [("linear", units), RELU, ("dropout", 0.5)]
    return {"batch": (8, 3, 224, 224), "classes": 1000, "layers": [*rows, ("linear", 1000)]}


def walk(network: dict[str, Any]) -> Iterator[tuple[Row, tuple[int, ...], tuple[int, ...]]]:
    """Yield (row, input shape, output shape) for every layer."""
    shape = tuple(network["batch"])
    for row in network["layers"]:
        before = shape
        if row[0] == "conv":
            _, filters, kernel, stride, padding = row
            sizes = [(n + 2 * padding - kernel) // stride + 1 for n in shape[2:]]
            shape = (shape[0], filters, *sizes)
        elif row[0] == "pool":
            _, kernel, stride = row
            shape = (*shape[:2], *[(n - kernel) // stride + 1 for n in shape[2:]])
        elif row[0] == "flatten":
            shape = (shape[0], math.prod(shape[1:]))
        elif row[0] == "linear":
            shape = (shape[0], row[1])
        elif row[0] == "cross_entropy":
            shape = ()
        yield tuple(row), before, shape


def weight_shapes(network: dict[str, Any]) -> Iterator[tuple[int, ...]]:
    """The shapes (F, C, K, K) of all convolutions and (O, I) of all linear layers, in order."""
    for row, shape, _ in walk(network):
        if row[0] == "conv":
            yield (row[1], shape[1], row[2], row[2])
        elif row[0] == "linear":
            yield (row[1], shape[1])


def weights(network: dict[str, Any], seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (weight, bias) for every layer that has them: He-normal weights, and zeros."""
    rng = np.random.default_rng(seed)
    for shape in weight_shapes(network):
        weight = rng.standard_normal(shape, np.float32)
        weight *= np.float32(math.sqrt(2 / math.prod(shape[1:])))
        yield weight, np.zeros(shape[0], np.float32)


def batch(network: dict[str, Any], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random float32 images (N, C, H, W) times the network's "scale", and int64 labels (N,)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(network["batch"], np.float32)
    x *= np.float32(network.get("scale", 1))
    return x, rng.integers(0, network["classes"], network["batch"][0])


def work(network: dict[str, Any]) -> int:
    """Multiply-adds in a forward pass; a training step needs about three times as many."""
    total = 0
    for row, before, after in walk(network):
        if row[0] == "conv":
            total += math.prod(after) * before[1] * row[2] ** 2
        elif row[0] == "linear":
            total += math.prod(after) * before[1]
    return total


def stored(network: dict[str, Any]) -> int:
    """How many numbers a step keeps: activations, weights, gradients and velocities."""
    activations = sum(math.prod(after) for row, _, after in walk(network) if row[0] != "flatten")
    return activations + 3 * sum(math.prod(shape) + shape[0] for shape in weight_shapes(network))
