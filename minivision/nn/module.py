"""Module: parameters, buffers and smaller modules, found by walking a module's own attributes.

A layer holds parameters and calls one function of `functional`; a network holds layers. There is
no registry: whatever is assigned to `self` is found again in the order of assignment, under its
attribute's name, so `features.0.weight` is what it says.

Read next: nn/initializers.py
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np

from minivision.backend import Array, device_of, resolve_device, to_device, to_host
from minivision.tensor import Tensor


class _Notes(threading.local):
    calls: list[tuple[Module, Any]] | None = None


_notes = _Notes()


@contextmanager
def note_calls() -> Iterator[list[tuple[Module, Any]]]:
    """List (module, result) of every call in this thread while the block is open, as they end."""
    before, _notes.calls = _notes.calls, []
    try:
        yield _notes.calls
    finally:
        _notes.calls = before


class Parameter(Tensor):
    """A Tensor that training changes. `to()` replaces its array; the object stays the same."""

    __slots__ = ()

    def __init__(self, data: Any, *, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)


class Buffer:
    """An array that belongs to a module's state but is not trained (a running mean)."""

    def __init__(self, data: Array):
        self.data = data


class Module:
    """Base of layers and networks. A subclass assigns its parts in __init__ and writes forward."""

    training = True
    frozen = False  # kept as it is by `freeze`, whatever train() says
    random = False  # whether forward draws; such a layer is given a key by `seed`
    key: tuple[int, ...] | None

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Parameter) and not isinstance(value, Parameter | None):
            came = type(value).__name__
            raise TypeError(
                f"{type(self).__name__}: {name} is a Parameter and cannot become a {came}; change "
                f"its array, {name}.data, or assign a Parameter"
            )
        if callable(getattr(Module, name, None)) and not callable(value):
            raise TypeError(
                f"{type(self).__name__}: {name} is a method of Module; choose another name"
            )
        object.__setattr__(self, name, value)

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        raise TypeError(f"{type(self).__name__} has no forward(); write def forward(self, x): …")

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        result = self.forward(*inputs, **settings)
        if _notes.calls is not None:
            _notes.calls.append((self, result))
        return result

    # ── the parts ────────────────────────────────────────────────────────────────────────────

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one, also inside lists, tuples and dicts."""
        return ((name, part) for name, part in _parts(vars(self)) if isinstance(part, Module))

    def children(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names; itself is ""."""
        seen: set[int] = set()
        waiting = [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [(f"{name}.{n}" if name else n, m) for n, m in module.named_children()]
            waiting.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def _named(self, kind: type) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, value in _parts(vars(module)):
                if isinstance(value, kind) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        return self._named(Buffer)

    def parameter_count(self) -> int:
        """How many numbers training changes."""
        return sum(parameter.size for parameter in self.parameters())

    # ── modes ────────────────────────────────────────────────────────────────────────────────

    def train(self, training: bool = True) -> Module:
        """Switch all modules to training (dropout drops, batch statistics are used).

        Frozen ones stay in evaluation.
        """
        for module in self.modules():
            module.training = training and not module.frozen
        return self

    def eval(self) -> Module:
        """Switch all modules to evaluation."""
        return self.train(False)

    def seed(self, seed: int, step: int) -> None:
        """Give every random layer its key for this step: (seed, step, position in the network).

        The same key draws the same numbers, whatever was drawn before; `fit` calls this.
        """
        for position, module in enumerate(self.modules()):
            if module.random:
                module.key = (seed, step, position)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, wanted: bool = True) -> Module:
        """Let every parameter ask for a gradient, or none; `freeze` does more than this."""
        for parameter in self.parameters():
            parameter.requires_grad = wanted
        return self

    def freeze(self, frozen: bool = True) -> Module:
        """Keep this part as it is while others are trained: weights, statistics and dropout.

        Its parameters ask for no gradient, and it stays in evaluation when `train()` is called:
        batch normalisation uses its running statistics and leaves them alone, dropout drops
        nothing. (In PyTorch requires_grad_(False) alone lets the statistics drift.)
        """
        for module in self.modules():
            module.frozen = frozen
            module.training = module.training and not frozen
        return self.requires_grad_(not frozen)

    def thaw(self) -> Module:
        """Undo `freeze`; the next `train()` reaches this part again."""
        return self.freeze(False)

    def to(self, device: str | None = None, dtype: Any = None) -> Module:
        """Move to "cpu", "gpu" or "auto", or change to float32 or float64, in place."""
        where = None if device is None else resolve_device(device)
        parts: list[Any] = [*self.named_parameters(), *self.named_buffers()]
        for _, part in parts:
            gradient = part.grad if isinstance(part, Parameter) else None
            moved = [
                _moved(array, where, dtype) if array is not None else None
                for array in (part.data, gradient)
            ]
            if isinstance(part, Buffer):
                part.data = moved[0]
            else:
                part.replace(moved[0])
                part.grad = moved[1]
        return self

    # ── state ────────────────────────────────────────────────────────────────────────────────

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies, on the host, of every parameter and buffer by name."""
        parts: list[Any] = [*self.named_parameters(), *self.named_buffers()]
        return {name: np.array(to_host(part.data)) for name, part in parts}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy a state into the parameters and buffers of the same names.

        Raises ValueError, and changes nothing, where a name is missing or unknown or a shape
        differs.
        """
        parts: dict[str, Any] = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        missing = [name for name in parts if name not in state]
        extra = [name for name in state if name not in parts]
        misshaped = [
            f"{name} is {tuple(state[name].shape)}, expected {tuple(part.data.shape)}"
            for name, part in parts.items()
            if name in state and state[name].shape != part.data.shape
        ]
        faults = [
            f"{what}: {', '.join(names)}"
            for what, names in (
                ("missing", missing),
                ("not in this model", extra),
                ("of another shape", misshaped),
            )
            if names
        ]
        if faults:
            raise ValueError(
                f"load_state_dict: the state does not fit {type(self).__name__}; "
                + "; ".join(faults)
            )
        converted = {  # all of them before the first is assigned
            name: to_device(np.array(to_host(state[name]), part.data.dtype), device_of(part.data))
            for name, part in parts.items()
        }
        for name, part in parts.items():
            part.data = converted[name]

    # ── how it prints ────────────────────────────────────────────────────────────────────────

    def extra_repr(self) -> str:
        """A layer's settings, as they stand in its constructor."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): {line}" if i == 0 else f"  {line}"
            for name, child in self.named_children()
            for i, line in enumerate(repr(child).splitlines())
        ]
        head = f"{type(self).__name__}({self.extra_repr()}"
        return "\n".join([head, *lines, ")"]) if lines else head + ")"

    def _repr_html_(self) -> str:
        """In a notebook: a table with a row for each layer, its name, shapes and parameters."""
        rows = []
        for name, layer in self.named_modules():
            if next(layer.named_children(), None) is None:  # a container is the sum of its rows
                shapes = [str(tuple(p.shape)) for _, p in layer.named_parameters()]
                count = f"{layer.parameter_count():,}" if shapes else ""
                cells = (name or "itself", repr(layer), " ".join(shapes), count)
                rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
        head = "".join(f"<th>{word}</th>" for word in ("name", "layer", "shapes", "parameters"))
        total = f"<td>{escape(type(self).__name__)}</td><td></td><td></td>"
        total += f"<td><b>{self.parameter_count():,}</b></td>"
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in (head, *rows, total)) + "</table>"


def _parts(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Named values, and those inside lists, tuples and dicts, with dotted names."""
    for name, value in values.items():
        if isinstance(value, list | tuple):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", part) for inner, part in _parts(value))
        else:
            yield str(name), value


def _moved(array: Array, device: str | None, dtype: Any) -> Array:
    array = array if device is None else to_device(array, device)
    return array.astype(dtype) if dtype is not None and array.dtype.kind == "f" else array
