"""minivision: training steps, predictions, single layers and the chain of small operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks import LEARNING_RATE, MOMENTUM, batch, walk, weights
from benchmarks.peers.chain import chain, leaves, upstream
from benchmarks.peers.serving import Step, fingerprint, forward_backward, serve, training
from minivision import Tensor, nn, no_grad
from minivision import functional as F
from minivision.fast.memory import BATCH_INNERMOST, in_order
from minivision.optim import SGD


def build(network: dict[str, Any]) -> nn.Sequential:
    """The table's layers with the shared weights."""
    layers: list[nn.Module] = []
    given = weights(network)
    for (kind, *numbers), shape, _ in walk(network):
        layer: Any
        if kind == "conv":
            layer = nn.Conv2d(shape[1], *numbers)
        elif kind == "linear":
            layer = nn.Linear(shape[1], *numbers)
        else:
            kinds: dict[str, Any] = {
                "relu": nn.ReLU, "pool": nn.MaxPool2d, "flatten": nn.Flatten,
                "dropout": nn.Dropout, "lrn": nn.LocalResponseNorm,
                "batch_norm": lambda C=shape[1]: nn.BatchNorm2d(C),
            }  # fmt: skip
            layer = kinds[kind](*numbers)
        if kind in ("conv", "linear"):
            layer.weight.data, layer.bias.data = next(given)
        layers.append(layer)
    return nn.Sequential(*layers)


def make_step(network: dict[str, Any], x: np.ndarray, labels: np.ndarray, settings: dict) -> Any:
    model = build(network).train(False)
    optimizer = SGD(model.parameters(), LEARNING_RATE, MOMENTUM)
    draws = any(row[0] == "dropout" for row in network["layers"])
    count = 0

    def step(dropping: bool) -> Any:
        nonlocal count
        if model.training != dropping:
            model.train(dropping)
        if draws:
            model.seed(0, count)
            count += 1
        loss = F.cross_entropy(model(Tensor(x)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.data

    return step


def predict(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    model = build(settings["network"]).eval()
    x, _ = batch(settings["network"])

    def step() -> None:
        with no_grad():
            model(Tensor(x))

    with no_grad():
        return step, {"check": fingerprint(model(Tensor(x)).data)}


def layer(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """One layer forward and backward. Inside a network the batch is innermost in memory."""
    network, first = settings["network"], settings["first"]
    (((kind, *_), _, shape),) = walk(network)
    array, labels = batch(network)
    dy = np.asarray(np.random.default_rng(2).standard_normal(shape, np.float32))
    x = Tensor(array if first else as_inside(array), requires_grad=not first)
    if kind == "cross_entropy":
        return forward_backward(lambda: F.cross_entropy(x, labels), [x], dy, array_of)
    model = build(network)
    model.seed(0, 0)
    leaves = [x, *model.parameters()]
    return forward_backward(lambda: model(x), leaves, as_inside(dy), array_of, kind != "dropout")


def as_inside(array: np.ndarray) -> np.ndarray:
    return in_order(array, BATCH_INNERMOST) if array.ndim == 4 else array


def array_of(value: Any) -> np.ndarray:
    return value.data if isinstance(value, Tensor) else value


def tape(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    tensors = [Tensor(array, requires_grad=True) for array in leaves()]
    return forward_backward(lambda: chain(*tensors), tensors, upstream(), array_of)


def product() -> Any:
    return np.ones((512, 512), np.float32) @ np.ones((512, 512), np.float32)


if __name__ == "__main__":
    tasks = {"steps": training(make_step, product)}
    serve({**tasks, "predict": predict, "layer": layer, "tape": tape}, "minivision")
