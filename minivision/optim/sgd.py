"""Stochastic gradient descent with momentum.

Read next: optim/adam.py
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minivision.autograd import Tensor
from minivision.backend import Array
from minivision.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Step against the gradient, with a velocity that remembers earlier steps.

        g ← g + weight_decay·w        v ← momentum·v + g        w ← w - lr·v

    PyTorch's convention: v is a sum of gradients and lr applies to all of it at once. In the
    papers (Krizhevsky et al. 2012, §5) lr stands inside v; the two agree while lr is constant.
    The first velocity is the first gradient. With nesterov=True the step is g + momentum·v.
    """

    carries = ("velocity",)

    def __init__(
        self,
        parameters: Iterable,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(parameters, defaults)

    def update(
        self, parameter: Tensor, gradient: Array, state: dict, group: dict[str, Any]
    ) -> None:
        w, g = parameter.data, gradient
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        if group["momentum"]:
            if "velocity" not in state:
                state["velocity"] = g.copy()
            else:
                state["velocity"] *= group["momentum"]
                state["velocity"] += g
            v = state["velocity"]
            g = g + group["momentum"] * v if group["nesterov"] else v
        w -= group["lr"] * g
