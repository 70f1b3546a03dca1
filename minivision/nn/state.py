"""How a Module is copied, loaded, moved and shown, and how its calls are listed.

You can skip this file on a first reading.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np

from minivision.backend import Array, device_of, resolve_device, to_device, to_host
from minivision.errors import kind


def copies(module: Any) -> dict[str, np.ndarray]:
    """See `Module.state_dict`."""
    return {name: np.array(to_host(part.data)) for name, part in _parts(module).items()}


def load(module: Any, arrays: Mapping[str, Array]) -> None:
    """See `Module.load_state_dict`."""
    parts = _parts(module)
    missing = [name for name in parts if name not in arrays]
    extra = [name for name in arrays if name not in parts]
    misshaped = [
        f"{name} is {tuple(arrays[name].shape)}, expected {tuple(part.data.shape)}"
        for name, part in parts.items()
        if name in arrays and arrays[name].shape != part.data.shape
    ]
    mistyped = [  # a cast would lose imaginary parts, or the digits of a count
        f"{name} is {arrays[name].dtype}, expected {part.data.dtype}"
        for name, part in parts.items()
        if name in arrays and not np.can_cast(arrays[name].dtype, part.data.dtype, "same_kind")
    ]
    faults = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("missing", missing),
            ("not in this model", extra),
            ("with a different shape", misshaped),
            ("with a different dtype", mistyped),
        )
        if names
    ]
    if faults:
        raise ValueError(
            f"load_state_dict: the state does not fit {type(module).__name__}; " + "; ".join(faults)
        )
    converted = {  # convert all before assigning any
        name: to_device(np.array(to_host(arrays[name]), part.data.dtype), device_of(part.data))
        for name, part in parts.items()
    }
    for name, part in parts.items():
        part.data = converted[name]


def move(module: Any, device: str | None, dtype: Any) -> None:
    """See `Module.to`. A parameter keeps its gradient, and optimizers keep the parameter."""
    where = None if device is None else resolve_device(device)

    def moved(array: Array) -> Array:
        array = array if where is None else to_device(array, where)
        return array.astype(dtype) if dtype is not None and array.dtype.kind == "f" else array

    for parameter in module.parameters():
        gradient = None if parameter.grad is None else moved(parameter.grad)
        parameter.replace(moved(parameter.data))
        parameter.grad = gradient
    for _, buffer in module.named_buffers():
        buffer.data = moved(buffer.data)


def check_attribute(module: Any, name: str, value: Any, parameter: type, base: type) -> None:
    """Raise TypeError for an assignment that would lose a Parameter or hide a method."""
    owner = type(module).__name__
    if isinstance(vars(module).get(name), parameter) and not isinstance(value, parameter | None):
        raise TypeError(
            f"{owner}: {name} is a Parameter and cannot become {kind(value)}; change "
            f"its array, {name}.data, or assign a Parameter"
        )
    if callable(getattr(base, name, None)) and not callable(value):
        raise TypeError(f"{owner}: {name} is a method of Module; choose another name")


def text(module: Any) -> str:
    """What `print(module)` shows: its parts, and the parts of each."""
    lines = [
        f"  ({name}): {line}" if i == 0 else f"  {line}"
        for name, child in module.named_children()
        for i, line in enumerate(repr(child).splitlines())
    ]
    head = f"{type(module).__name__}({module.extra_repr()}"
    return "\n".join([head, *lines, ")"]) if lines else head + ")"


def table(module: Any) -> str:
    """HTML for a notebook: one row per layer, with its name, shapes and parameters."""
    rows = []
    for name, layer in module.named_modules():
        if next(layer.named_children(), None) is None:  # a container only sums its rows
            shapes = [str(tuple(p.shape)) for _, p in layer.named_parameters()]
            count = f"{layer.parameter_count():,}" if shapes else ""
            cells = (name or "itself", repr(layer), " ".join(shapes), count)
            rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    head = "".join(f"<th>{word}</th>" for word in ("name", "layer", "shapes", "parameters"))
    total = f"<td>{escape(type(module).__name__)}</td><td></td><td></td>"
    total += f"<td><b>{module.parameter_count():,}</b></td>"
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in (head, *rows, total)) + "</table>"


def _parts(module: Any) -> dict[str, Any]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


class _Notes(threading.local):
    calls: list[tuple[Any, Any]] | None = None


_notes = _Notes()


@contextmanager
def note_calls() -> Iterator[list[tuple[Any, Any]]]:
    """A list of (module, result) for each call that ends in this thread inside the block."""
    before, _notes.calls = _notes.calls, []
    try:
        yield _notes.calls
    finally:
        _notes.calls = before


def note(module: Any, result: Any) -> None:
    """Add this call to the list if `note_calls` is active in this thread."""
    if _notes.calls is not None:
        _notes.calls.append((module, result))
