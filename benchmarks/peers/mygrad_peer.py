"""MyGrad: training steps. Some layers are missing."""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.layers import conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.networks import LEARNING_RATE, MOMENTUM, walk, weights
from benchmarks.peers.serving import NotAvailableError, serve, training


def make_step(network: dict[str, Any], x: np.ndarray, labels: np.ndarray, settings: dict) -> Any:
    rows = [row for row, _, _ in walk(network)]
    parameters = [mg.tensor(array) for pair in weights(network) for array in pair]
    velocities = [np.zeros_like(parameter.data) for parameter in parameters]
    inputs = mg.tensor(x, constant=True)

    def step(dropping: bool) -> Any:
        h, given = inputs, iter(parameters)
        for kind, *numbers in rows:
            if kind == "conv":
                weight, bias = next(given), next(given)
                h = conv_nd(h, weight, stride=numbers[2], padding=numbers[3])
                h = h + bias.reshape(1, -1, 1, 1)
            elif kind == "linear":
                weight, bias = next(given), next(given)
                h = mg.matmul(h, weight.T) + bias
            elif kind == "relu":
                h = relu(h)
            elif kind == "pool":
                h = max_pool(h, (numbers[0],) * 2, numbers[1])
            elif kind == "flatten":
                h = h.reshape(len(h), -1)
            else:
                raise NotAvailableError(f"MyGrad has no {kind}")
        loss = softmax_crossentropy(h, labels)
        loss.backward()
        for parameter, velocity in zip(parameters, velocities, strict=True):
            velocity *= MOMENTUM
            velocity += parameter.grad
            parameter.data -= LEARNING_RATE * velocity
        return loss.item()

    return step


def product() -> Any:
    return np.ones((512, 512), np.float32) @ np.ones((512, 512), np.float32)


if __name__ == "__main__":
    serve({"steps": training(make_step, product)}, "mygrad")
