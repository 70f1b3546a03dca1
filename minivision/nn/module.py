"""Module: parameters, buffers and submodules, found by walking a module's own attributes.

A layer holds parameters and calls one function of `functional`; a network holds layers. There is
no registry: parts are found among the attributes of `self`, in the order of assignment, and named
after them. So `features.0.weight` is the attribute `weight` of the first layer in `features`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.nn import state
from minivision.tensor import Tensor


class Parameter(Tensor):
    """A Tensor that training changes. `to()` replaces its array but keeps the object."""

    __slots__ = ()

    def __init__(self, data: Any, *, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)


class Buffer:
    """An array that belongs to a module's state but is not trained, such as a running mean."""

    def __init__(self, data: Array):
        self.data = data


class Module:
    """Base class: a layer or network assigns its parts in `__init__` and defines `forward`."""

    training = True
    frozen = False  # set by `freeze`; `train()` does not override it
    random = False  # whether forward uses random numbers (dropout); `seed` gives it a key
    key: tuple[int, ...] | None

    def __setattr__(self, name: str, value: Any) -> None:
        state.check_attribute(self, name, value, Parameter, Module)
        object.__setattr__(self, name, value)

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        raise TypeError(f"{type(self).__name__} has no forward(); add def forward(self, x): …")

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        result = self.forward(*inputs, **settings)
        state.note(self, result)  # for `note_calls`, which lists all calls (`minivision summary`)
        return result

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules among this module's attributes, and in its lists, tuples and dicts."""
        return ((name, part) for name, part in _parts(vars(self)) if isinstance(part, Module))

    def children(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module, whose name is "", and all modules below it, each once, with dotted names."""
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
        """How many numbers the parameters hold, frozen ones included."""
        return sum(parameter.size for parameter in self.parameters())

    def train(self, training: bool = True) -> Module:
        """Switch all modules to training mode (dropout drops, batch statistics are used).

        Frozen modules stay in evaluation mode.
        """
        for module in self.modules():
            module.training = training and not module.frozen
        return self

    def eval(self) -> Module:
        """Switch all modules to evaluation mode."""
        return self.train(False)

    def seed(self, seed: int, step: int) -> None:
        """Give every random layer its key for this step: (seed, step, position in the network).

        The same key draws the same numbers, regardless of earlier draws; `fit` calls this method.
        """
        for position, module in enumerate(self.modules()):
            if module.random:
                module.key = (seed, step, position)

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, wanted: bool = True) -> Module:
        """Set requires_grad on every parameter; `freeze` does more than this."""
        for parameter in self.parameters():
            parameter.requires_grad = wanted
        return self

    def freeze(self, frozen: bool = True) -> Module:
        """Freeze this part of a network (weights, statistics, dropout) while others are trained.

        Its parameters require no gradient, and it stays in evaluation mode when `train()` is
        called: batch normalization uses its running statistics without updating them, and dropout
        drops nothing. (In PyTorch, requires_grad_(False) alone lets the statistics drift.)
        """
        for module in self.modules():
            module.frozen = frozen
            module.training = module.training and not frozen
        return self.requires_grad_(not frozen)

    def unfreeze(self) -> Module:
        """Undo `freeze`; the next `train()` affects this part again."""
        return self.freeze(False)

    def to(self, device: str | None = None, dtype: Any = None) -> Module:
        """Move to "cpu", "gpu" or "auto", or convert to float32 or float64, in place."""
        state.move(self, device, dtype)
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy, on the host, of every parameter and buffer, by name."""
        return state.copies(self)

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        """Copy arrays into the parameters and buffers with the same names: all of them, or none.

        Raises ValueError if a name is missing or unknown, or if a shape differs.
        """
        state.load(self, arrays)

    def extra_repr(self) -> str:
        """A layer's settings, as written in its constructor."""
        return ""

    __repr__ = state.text
    _repr_html_ = state.table


def _parts(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Named values, and those inside lists, tuples and dicts, with dotted names."""
    for name, value in values.items():
        if isinstance(value, list | tuple):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", part) for inner, part in _parts(value))
        else:
            yield str(name), value
