"""Optimizer: parameter groups, their gradients, and the state kept between updates.

An optimizer changes the parameters' arrays in place, in the order given. Each group has its own
settings (for example, a low learning rate for the backbone and a high one for the head). A schedule
multiplies each group's learning rate by a factor; the initial rate is kept in `initial_lr`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.optim.state import checked_groups, copies, load
from minivision.tensor import Tensor


class Optimizer:
    """Base class of SGD and Adam, which define `update(parameter, gradient, state, group)`.

    parameters: Tensors, or dicts {"params": Tensors, "lr": …} with their own settings.
    Raises ValueError if there are no parameters, if one is listed twice, or if a setting is unknown
    or negative.
    """

    carries: tuple[str, ...] = ()  # names of the arrays kept for the next update ("velocity")

    def __init__(self, parameters: Iterable, defaults: dict[str, Any]):
        self.param_groups = checked_groups(type(self).__name__, parameters, defaults)
        everything = [p for group in self.param_groups for p in group["params"]]
        self.state: dict[Tensor, dict[str, Array]] = {parameter: {} for parameter in everything}

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.requires_grad and parameter.grad is not None:
                    self.update(parameter, parameter.grad, self.state[parameter], group)
                    parameter.mark_changed()

    def update(self, parameter: Tensor, gradient: Array, state: dict, group: dict) -> None:
        raise TypeError(f"{type(self).__name__} has no update()")

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.state:
            parameter.grad = None

    def scale_lr(self, factor: float) -> None:
        """Set every group's learning rate to `factor` times its initial value."""
        for group in self.param_groups:
            group["lr"] = group["initial_lr"] * float(factor)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies, on the host, of all state that the next update uses: "3.velocity", "3.m", …"""
        return copies(self)

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Load a state from `state_dict`.

        Raises ValueError, and changes nothing, if the state is from a different kind of optimizer
        or belongs to different parameters.
        """
        load(self, arrays)
