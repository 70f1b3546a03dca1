"""Adam: every weight has its own step size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minivision.backend import Array, array_module
from minivision.fast import in_blocks
from minivision.optim.optimizer import Optimizer
from minivision.tensor import Tensor


class Adam(Optimizer):
    """Divide the mean gradient by its typical size (Kingma & Ba 2015, Algorithm 1).

        m ← β₁·m + (1 - β₁)·g                v ← β₂·v + (1 - β₂)·g²
        w ← w - lr · m/(1 - β₁ᵗ) / (√(v/(1 - β₂ᵗ)) + eps)

    m and v start at 0, and the divisions correct for that; t counts the updates to the parameter.
    weight_decay adds w·weight_decay to the gradient, as in PyTorch's Adam.
    """

    carries = ("m", "v", "t")
    decoupled = False  # whether weight decay is kept out of m and v

    def __init__(
        self,
        parameters: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam: betas is {betas}; expected two numbers from 0 to below 1")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    def update(
        self, parameter: Tensor, gradient: Array, state: dict, group: dict[str, Any]
    ) -> None:
        xp = array_module(gradient)
        lr, eps, (beta1, beta2) = group["lr"], group["eps"], group["betas"]
        decay = group["weight_decay"]
        if not state:
            state["m"], state["v"] = (xp.zeros_like(parameter.data) for _ in range(2))
            state["t"] = np.zeros(
                (), np.int64
            )  # on the host, so reading it need not wait for a GPU
        state["t"] += 1
        t = int(state["t"])
        step_size, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)

        # in_blocks calls this once for every slice of the arrays; slices are views.
        def rule(w, g, m, v):
            if decay and self.decoupled:
                w *= 1 - lr * decay
            elif decay:
                g = g + decay * w
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * (g * g)
            w -= step_size * m / (xp.sqrt(v) / root + eps)

        in_blocks(rule, parameter.data, gradient, state["m"], state["v"])
