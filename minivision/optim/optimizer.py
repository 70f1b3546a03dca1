"""Optimizer: parameter groups, their gradients, and the state an update carries along.

An optimizer changes the parameters' arrays in place, in the order they were given. Each group has
its own settings (a low rate for the body, a high one for the head). Schedules multiply a group's
rate; the rate it began with stays in `initial_lr`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.optim.state import checked_groups, copies, load
from minivision.tensor import Tensor


class Optimizer:
    """Base of SGD and Adam: a subclass writes `update(parameter, gradient, state, group)`.

    parameters: Tensors, or dicts {"params": Tensors, "lr": …} with settings of their own.
    Raises ValueError if there are none, one comes twice or a setting is unknown or negative.
    """

    carries: tuple[str, ...] = ()  # what an update keeps for the next one, by name: a velocity

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
        """Forget the gradients of all parameters."""
        for parameter in self.state:
            parameter.grad = None

    def scale_lr(self, factor: float) -> None:
        """Set every group's rate to `factor` times the rate it began with."""
        for group in self.param_groups:
            group["lr"] = group["initial_lr"] * float(factor)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies, on the host, of all that the next update depends on: "3.velocity", "3.m", …"""
        return copies(self)

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over a state.

        Raises ValueError, and changes nothing, if it is another kind of optimizer's or belongs to
        other parameters.
        """
        load(self, arrays)
