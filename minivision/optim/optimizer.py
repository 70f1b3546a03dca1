"""Optimizer: parameter groups, their gradients, and the state an update carries along.

An optimizer changes the parameters' arrays in place, in the order they were given. Each group has
its own settings (a low rate for the body, a high one for the head). Schedules multiply a group's
rate; the rate it began with stays in `initial_lr`.

Read next: optim/sgd.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minivision.backend import Array, array_module, device_of, to_device, to_host
from minivision.tensor import Tensor


class Optimizer:
    """Base of SGD and Adam: a subclass writes `update(parameter, gradient, state, group)`.

    parameters: Tensors, or dicts {"params": Tensors, "lr": …} with settings of their own.
    Raises ValueError where there are none, one comes twice or a setting is unknown or negative.
    """

    carries: tuple[str, ...] = ()  # the names of what an update keeps for the next one

    def __init__(self, parameters: Iterable, defaults: dict[str, Any]):
        name = type(self).__name__
        if isinstance(parameters, Tensor):
            raise ValueError(f"{name}: parameters is one Tensor; expected a list, such as [weight]")
        given = list(parameters)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Array]] = {}
        for group in groups:
            if not isinstance(group, dict) or "params" not in group:
                raise ValueError(f'{name}: a group is {group!r:.60}; expected {{"params": [...]}}')
            params = list(group["params"])
            unknown = set(group) - set(defaults) - {"params"}
            if unknown:
                raise ValueError(f"{name}: unknown settings {sorted(unknown)}; {list(defaults)}")
            if not params:
                raise ValueError(f"{name}: there are no parameters; expected model.parameters()")
            if not all(isinstance(p, Tensor) for p in params):
                raise ValueError(f"{name}: a group's params are {params!r:.60}; expected Tensors")
            for parameter in params:
                if not parameter.is_leaf or parameter.dtype.kind != "f":
                    raise ValueError(
                        f"{name}: {parameter!r:.60} cannot be trained; it is no weight"
                    )
                if parameter in self.state:
                    raise ValueError(f"{name}: a parameter of shape {parameter.shape} comes twice")
                self.state[parameter] = {}
            settings = {**defaults, **group, "params": params}
            for setting in ("lr", "weight_decay", "momentum", "eps"):
                if setting in settings:  # NumPy's numbers would make float64 of float32
                    settings[setting] = float(settings[setting])
                if not settings.get(setting, 0) >= 0:
                    raise ValueError(f"{name}: {setting} is {settings[setting]}; expected >= 0")
            self.param_groups.append({**settings, "initial_lr": settings["lr"]})

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
        return {
            f"{i}.{name}": np.array(to_host(array))
            for i, state in enumerate(self.state.values())
            for name, array in state.items()
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over a state.

        Raises ValueError, and changes nothing, where it is another kind of optimizer's or belongs
        to other parameters.
        """
        parameters = list(self.state)
        loaded: dict[Tensor, dict[str, Array]] = {parameter: {} for parameter in parameters}
        for key, array in state.items():
            index, _, name = key.partition(".")
            if name not in self.carries:
                raise ValueError(
                    f"{type(self).__name__}: the state has {key}, which this optimizer does not "
                    "know; it is another optimizer's"
                )
            i = int(index) if index.isdigit() else len(parameters)
            counter = name == "t"
            if i >= len(parameters) or array.shape != (() if counter else parameters[i].shape):
                raise ValueError(
                    f"{type(self).__name__}: the state has {key} of shape {array.shape}, "
                    "which fits none of the parameters; it belongs to another model"
                )
            where = "cpu" if counter else device_of(parameters[i].data)
            loaded[parameters[i]][name] = to_device(np.array(array), where)
        for i, state_of_one in enumerate(loaded.values()):
            if state_of_one and set(state_of_one) != set(self.carries):
                missing = ", ".join(set(self.carries) - set(state_of_one))
                raise ValueError(
                    f"{type(self).__name__}: the state of parameter {i} lacks {missing}"
                )
        self.state = loaded


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> Array:
    """Scale all gradients, in place, so that their common Euclidean norm is at most max_norm.

        g ← g · min(1, max_norm / (‖g‖ + 1e-6)),  ‖g‖² summed over all parameters

    Returns ‖g‖ before clipping as an array without axes; nothing waits for a GPU. (Pascanu et al.
    2013, Algorithm 1; the 1e-6 is PyTorch's.)
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm is {max_norm}; expected a number above 0")
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return np.zeros(())
    xp = array_module(gradients[0])
    norm = xp.sqrt(sum((g * g).sum() for g in gradients))
    scale = xp.minimum(1, max_norm / (norm + 1e-6))
    for gradient in gradients:
        gradient *= scale.astype(gradient.dtype)
    return norm
