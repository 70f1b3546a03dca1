"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minivision.backend import Array, array_module
from minivision.fast import in_blocks
from minivision.optim.optimizer import Optimizer
from minivision.tensor import Tensor


class SGD(Optimizer):
    """Step against the gradient, with a velocity that remembers earlier steps.

    A small step -lr·g changes the loss by about -lr·‖g‖², where lr is the learning rate and g the
    gradient. The gradient is computed from one randomly chosen batch of images (hence
    "stochastic"), so it is noisy; the velocity v averages out the noise over many steps.
    weight_decay pulls weights towards 0.

        g ← g + weight_decay·w        v ← momentum·v + g        w ← w - lr·v

    This is PyTorch's convention: v is a sum of gradients, and lr multiplies the whole sum. In the
    papers (Krizhevsky et al. 2012, §5) lr multiplies each gradient in v; the two conventions agree
    while lr is constant. v starts at 0, so the first velocity is the first gradient. With
    nesterov=True the step is -lr·(g + momentum·v).
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
        lr, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        arrays = [parameter.data, gradient]
        if momentum:
            if "velocity" not in state:
                state["velocity"] = array_module(gradient).zeros_like(parameter.data)
            arrays.append(state["velocity"])

        # in_blocks calls this once for every slice of the arrays; slices are views.
        def rule(w, g, v=None):
            if decay:
                g = g + decay * w
            if momentum:
                v *= momentum
                v += g
                g = (g + momentum * v) if group["nesterov"] else v
            w -= lr * g

        in_blocks(rule, *arrays)
