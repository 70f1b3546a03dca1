"""DeZero: training steps. Some layers are missing."""

from __future__ import annotations

from typing import Any

import dezero
import dezero.functions as F
import numpy as np
from dezero.optimizers import MomentumSGD

from benchmarks.networks import LEARNING_RATE, MOMENTUM, walk, weights
from benchmarks.peers.serving import NotAvailableError, serve, training


def make_step(network: dict[str, Any], x: np.ndarray, labels: np.ndarray, settings: dict) -> Any:
    rows = [row for row, _, _ in walk(network)]
    parameters = []
    for weight, bias in weights(network):
        # Its linear layer multiplies by (in, out).
        stored = weight if weight.ndim == 4 else np.ascontiguousarray(weight.T)
        parameters += [dezero.Parameter(stored), dezero.Parameter(bias)]
    optimizer = MomentumSGD(LEARNING_RATE, MOMENTUM)

    def step(dropping: bool) -> Any:
        h, given = dezero.Variable(x), iter(parameters)
        for kind, *numbers in rows:
            if kind == "conv":
                h = F.conv2d(h, next(given), next(given), numbers[2], numbers[3])
            elif kind == "linear":
                h = F.linear(h, next(given), next(given))
            elif kind == "relu":
                h = F.relu(h)
            elif kind == "pool":
                h = F.pooling(h, *numbers)
            elif kind == "flatten":
                h = F.reshape(h, (len(h), -1))
            else:
                raise NotAvailableError(f"DeZero has no {kind}")
        loss = F.softmax_cross_entropy(h, labels)
        for parameter in parameters:
            parameter.cleargrad()
        loss.backward()
        for parameter in parameters:
            optimizer.update_one(parameter)
        return loss.data

    return step


def product() -> Any:
    return np.ones((512, 512), np.float32) @ np.ones((512, 512), np.float32)


if __name__ == "__main__":
    serve({"steps": training(make_step, product)}, "dezero")
