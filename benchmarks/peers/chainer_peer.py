"""Chainer on NumPy (without iDeep): training steps."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

warnings.simplefilter("ignore")  # it is older than the NumPy and Python it runs on
import chainer  # noqa: E402
import chainer.functions as F  # noqa: E402

from benchmarks.networks import LEARNING_RATE, MOMENTUM, walk, weights  # noqa: E402
from benchmarks.peers.serving import serve, training  # noqa: E402


def make_step(network: dict[str, Any], x: np.ndarray, labels: np.ndarray, settings: dict) -> Any:
    rows = [row for row, _, _ in walk(network)]
    parameters = [chainer.Parameter(array) for pair in weights(network) for array in pair]
    model = chainer.Link()
    with model.init_scope():
        for i, parameter in enumerate(parameters):
            setattr(model, f"parameter{i}", parameter)
    optimizer = chainer.optimizers.MomentumSGD(LEARNING_RATE, MOMENTUM).setup(model)
    targets = labels.astype(np.int32)

    def step(dropping: bool) -> Any:
        h, given = x, iter(parameters)
        for kind, *numbers in rows:
            if kind == "conv":
                h = F.convolution_2d(h, next(given), next(given), numbers[2], numbers[3])
            elif kind == "linear":
                h = F.linear(h, next(given), next(given))
            elif kind == "relu":
                h = F.relu(h)
            elif kind == "pool":
                h = F.max_pooling_2d(h, *numbers, cover_all=False)
            elif kind == "lrn":
                size, alpha, beta, k = numbers
                h = F.local_response_normalization(h, size, k, alpha, beta)
            elif kind == "flatten":
                h = F.reshape(h, (len(h), -1))
            elif kind == "dropout" and dropping:
                h = F.dropout(h, *numbers)
        loss = F.softmax_cross_entropy(h, targets)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss.array

    return step


def product() -> Any:
    return np.ones((512, 512), np.float32) @ np.ones((512, 512), np.float32)


if __name__ == "__main__":
    serve({"steps": training(make_step, product)}, "chainer")
