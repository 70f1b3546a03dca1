"""JAX: training steps, each a single jit-compiled function; parameters and velocities are donated.

Images are stored as (N, H, W, C), as is usual in JAX; they are transposed before the linear layers,
whose weights are shared with the others. JAX has no layers, so local response normalisation is
written with its window sum, as pooling is with its window maximum.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.networks import LEARNING_RATE, MOMENTUM, walk, weights
from benchmarks.peers.serving import serve, training


def forward(network: dict[str, Any], parameters: list, x: Any, key: Any, dropping: bool) -> Any:
    """The logits (N, K)."""
    given = iter(parameters)
    for i, ((kind, *numbers), _, _) in enumerate(walk(network)):
        if kind == "conv":
            (weight, bias), (_, _, stride, padding) = next(given), numbers
            sides = [(padding, padding)] * 2
            numbering = ("NHWC", "HWIO", "NHWC")
            x = lax.conv_general_dilated(x, weight, (stride, stride), sides, None, None, numbering)
            x = x + bias
        elif kind == "linear":
            weight, bias = next(given)
            x = x @ weight.T + bias
        elif kind == "relu":
            x = jnp.maximum(x, 0)
        elif kind == "pool":
            window, strides = [(1, n, n, 1) for n in numbers]
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "VALID")
        elif kind == "lrn":
            size, alpha, beta, k = numbers
            sums = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, size), (1, 1, 1, 1), "SAME")
            x = x * (k + alpha * sums) ** -beta
        elif kind == "flatten":
            x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        elif kind == "dropout" and dropping:
            kept = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - numbers[0], x.shape)
            x = jnp.where(kept, x / (1 - numbers[0]), 0)
    return x


def make_step(network: dict[str, Any], x: np.ndarray, labels: np.ndarray, settings: dict) -> Any:
    inputs, targets = jnp.asarray(x.transpose(0, 2, 3, 1)), jnp.asarray(labels)
    parameters = [
        (jnp.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w), jnp.asarray(b))
        for w, b in weights(network)
    ]
    velocities = jax.tree.map(jnp.zeros_like, parameters)
    key = jax.random.key(0)

    def loss_of(parameters: list, inputs: Any, targets: Any, key: Any, dropping: bool) -> Any:
        chances = jax.nn.log_softmax(forward(network, parameters, inputs, key, dropping))
        return -jnp.take_along_axis(chances, targets[:, None], 1).mean()

    def update(
        parameters: list, velocities: list, inputs: Any, targets: Any, key: Any, dropping: bool
    ) -> Any:
        key, used = jax.random.split(key)
        loss, gradients = jax.value_and_grad(loss_of)(parameters, inputs, targets, used, dropping)
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, gradients)
        parameters = jax.tree.map(lambda w, v: w - LEARNING_RATE * v, parameters, velocities)
        return parameters, velocities, key, loss

    compiled = jax.jit(update, static_argnums=5, donate_argnums=(0, 1))

    def step(dropping: bool) -> Any:
        nonlocal parameters, velocities, key
        state = compiled(parameters, velocities, inputs, targets, key, dropping)
        parameters, velocities, key, loss = jax.block_until_ready(state)
        return loss

    return step


def product() -> Any:
    return (jnp.ones((512, 512)) @ jnp.ones((512, 512))).block_until_ready()


if __name__ == "__main__":
    serve({"steps": training(make_step, product)}, "jax", "jaxlib")
