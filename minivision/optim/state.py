"""Check an optimizer's arguments, and save and load its state.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minivision.backend import Array, device_of, to_device, to_host
from minivision.tensor import Tensor


def checked_groups(
    name: str, parameters: Iterable, defaults: dict[str, Any]
) -> list[dict[str, Any]]:
    """Parameters, or groups of parameters, as groups with complete settings; see `Optimizer`."""
    if isinstance(parameters, Tensor):
        raise ValueError(f"{name}: parameters is one Tensor; expected a list, such as [weight]")
    given = list(parameters)
    checked, seen = [], set()
    for group in given if given and isinstance(given[0], dict) else [{"params": given}]:
        if not isinstance(group, dict) or "params" not in group:
            raise ValueError(f'{name}: a group is {group!r:.60}; expected {{"params": [...]}}')
        params = list(group["params"])
        unknown = set(group) - set(defaults) - {"params"}
        if unknown:
            raise ValueError(
                f"{name}: a group has unknown settings {sorted(unknown)}; "
                f"expected only params, {', '.join(defaults)}"
            )
        if not params:
            raise ValueError(f"{name}: parameters is empty; expected model.parameters()")
        if not all(isinstance(p, Tensor) for p in params):
            raise ValueError(f"{name}: a group's params are {params!r:.60}; expected Tensors")
        for parameter in params:
            if not parameter.is_leaf or parameter.dtype.kind != "f":
                raise ValueError(
                    f"{name}: a parameter is {parameter!r:.60}; expected a leaf Tensor of floats"
                )
            if parameter in seen:
                raise ValueError(f"{name}: a parameter of shape {parameter.shape} is listed twice")
            seen.add(parameter)
        settings = {**defaults, **group, "params": params}
        for setting in ("lr", "weight_decay", "momentum", "eps"):
            if setting in settings:  # NumPy scalars would turn float32 into float64
                settings[setting] = float(settings[setting])
            if not settings.get(setting, 0) >= 0:
                raise ValueError(f"{name}: {setting} is {settings[setting]}; expected >= 0")
        checked.append({**settings, "initial_lr": settings["lr"]})
    return checked


def copies(optimizer: Any) -> dict[str, np.ndarray]:
    """See `Optimizer.state_dict`."""
    return {
        f"{i}.{name}": np.array(to_host(array))
        for i, state in enumerate(optimizer.state.values())
        for name, array in state.items()
    }


def load(optimizer: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """See `Optimizer.load_state_dict`."""
    parameters = list(optimizer.state)
    loaded: dict[Any, dict[str, Array]] = {parameter: {} for parameter in parameters}
    for key, array in arrays.items():
        index, _, name = key.partition(".")
        if name not in optimizer.carries:
            raise ValueError(
                f"{type(optimizer).__name__}: the state has {key}, but expected only "
                f"{', '.join(optimizer.carries)}; it belongs to a different optimizer"
            )
        i = int(index) if index.isdigit() else len(parameters)
        counter = name == "t"
        if i >= len(parameters) or array.shape != (() if counter else parameters[i].shape):
            raise ValueError(
                f"{type(optimizer).__name__}: the state has {key} of shape {array.shape}, "
                "which fits no parameter; it belongs to a different model"
            )
        kind = np.dtype(np.int64) if counter else parameters[i].dtype
        if not np.can_cast(array.dtype, kind, "same_kind") or (counter and array < 0):
            given = f"{array}" if counter else f"{array.dtype}"
            raise ValueError(
                f"{type(optimizer).__name__}: the state has {key}, which is {given}; "
                f"expected {'a count' if counter else kind}"
            )
        where = "cpu" if counter else device_of(parameters[i].data)
        loaded[parameters[i]][name] = to_device(np.array(array, kind), where)
    for i, state_of_one in enumerate(loaded.values()):
        if state_of_one and set(state_of_one) != set(optimizer.carries):
            missing = ", ".join(sorted(set(optimizer.carries) - set(state_of_one)))
            raise ValueError(
                f"{type(optimizer).__name__}: the state of parameter {i} lacks {missing}"
            )
    optimizer.state = loaded
