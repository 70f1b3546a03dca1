"""PyTorch: training steps, predictions, single layers and the chain of small operations.

With "channels_last" model and images are stored as (N, H, W, C). Its LocalResponseNorm divides
alpha by the size, so its alpha is multiplied by the size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.networks import LEARNING_RATE, MOMENTUM, batch, walk, weights
from benchmarks.peers.chain import chain, leaves, upstream
from benchmarks.peers.serving import Step, fingerprint, forward_backward, serve, training


def build(network: dict[str, Any], settings: dict[str, Any]) -> nn.Sequential:
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
                "dropout": nn.Dropout,
                "lrn": lambda size, *rest: nn.LocalResponseNorm(size, rest[0] * size, *rest[1:]),
                "batch_norm": lambda C=shape[1]: nn.BatchNorm2d(C),
            }  # fmt: skip
            layer = kinds[kind](*numbers)
        if kind in ("conv", "linear"):
            with torch.no_grad():
                for parameter, array in zip((layer.weight, layer.bias), next(given), strict=True):
                    parameter.copy_(torch.from_numpy(array))
        layers.append(layer)
    model = nn.Sequential(*layers)
    if settings["channels_last"]:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def images(x: np.ndarray, settings: dict[str, Any]) -> torch.Tensor:
    tensor = torch.from_numpy(x)
    if settings["channels_last"] and x.ndim == 4:
        return tensor.to(memory_format=torch.channels_last)
    return tensor


def make_step(network: dict[str, Any], x: np.ndarray, labels: np.ndarray, settings: dict) -> Any:
    model = build(network, settings).train(False)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)
    inputs, targets = images(x, settings), torch.from_numpy(labels)

    def step(dropping: bool) -> Any:
        if model.training != dropping:
            model.train(dropping)
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def predict(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    model = build(settings["network"], settings).eval()
    x = images(batch(settings["network"])[0], settings)

    def step() -> None:
        with torch.no_grad():
            model(x)

    with torch.no_grad():
        return step, {"check": fingerprint(model(x).numpy())}


def layer(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """One layer forward and backward."""
    network = settings["network"]
    (((kind, *_), _, shape),) = walk(network)
    array, labels = batch(network)
    x = images(array, settings).requires_grad_(not settings["first"])
    dy = torch.asarray(np.random.default_rng(2).standard_normal(shape, np.float32))
    if kind == "cross_entropy":
        targets = torch.from_numpy(labels)
        loss = nn.functional.cross_entropy
        return forward_backward(lambda: loss(x, targets), [x], dy, array_of)
    model = build(network, settings)
    leaves = [x, *model.parameters()]
    return forward_backward(lambda: model(x), leaves, dy, array_of, kind != "dropout")


def array_of(value: torch.Tensor) -> np.ndarray:
    return value.detach().numpy()


def tape(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    tensors = [torch.from_numpy(array).requires_grad_() for array in leaves()]
    dy = torch.from_numpy(upstream())
    return forward_backward(lambda: chain(*tensors), tensors, dy, array_of)


def product() -> Any:
    return torch.ones(512, 512) @ torch.ones(512, 512)


if __name__ == "__main__":
    tasks = {"steps": training(make_step, product)}
    serve({**tasks, "predict": predict, "layer": layer, "tape": tape}, "torch")
