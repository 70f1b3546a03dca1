"""The engine's checks and their error messages.

You can skip this file on a first reading. Its functions are called by `autograd.py`, which holds
the chain rule, and by `tensor.py`.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from html import escape
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np

from minivision.backend import Array, array_module, device_of, is_array

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def as_array(data: Any) -> Array:
    """The data of a new Tensor: arrays unchanged, Python numbers and lists as float32."""
    if hasattr(data, "node"):
        raise TypeError("Tensor: data is already a Tensor; use detach() to share its array")
    array = data if is_array(data) else np.asarray(data)
    if array is not data and array.dtype.kind in "fiu":
        array = array.astype(np.float32)
    if array.dtype not in FLOATS and array.dtype.kind not in "iub":
        raise TypeError(f"Tensor: data is {array.dtype}; expected float32, float64 or integers")
    return array


def replacement(tensor: Any, array: Array) -> Array:
    """The array that becomes a leaf's data; it must have the same shape and dtype."""
    if tensor.node.backward is not None:
        if array is tensor.data:  # `t.data -= …` has already changed it
            tensor.mark_changed()
        raise RuntimeError("the data of a computed Tensor cannot be replaced; compute a new Tensor")
    if array is tensor.data:
        return array
    array = as_array(array)
    if array.shape != tensor.shape:
        raise ValueError(f"data has shape {array.shape}; expected {tensor.shape}")
    if array.dtype != tensor.dtype:
        raise TypeError(f"data is {array.dtype}; expected {tensor.dtype}, the dtype of this Tensor")
    return array


def refuse_item_assignment(tensor: Any, index: Any, value: Any) -> NoReturn:
    """Raise the error for `t[i] = …`."""
    raise TypeError("a Tensor does not support item assignment; change t.data[…] before it is used")


def refuse_in_place(tensor: Any, other: Any) -> NoReturn:
    """Raise the error for `t += …`."""
    raise TypeError(
        "a Tensor does not support in-place operators; write x = x + y instead of x += y, "
        "and change a weight through its data: w.data -= …"
    )


def check_grad(tensor: Any, array: Array | None) -> None:
    """Raise TypeError or ValueError if the array cannot be the Tensor's gradient."""
    if array is not None and not is_array(array):
        raise TypeError(f"grad is {kind(array)}; expected an array or None")
    if array is not None and (array.shape, array.dtype) != (tensor.shape, tensor.dtype):
        raise ValueError(f"grad is {form(array)}; expected {form(tensor)}")


def check_requires_grad(tensor: Any, wanted: bool) -> None:
    """Raise unless the Tensor is a leaf and, if it is to require a gradient, holds floats."""
    if tensor.node.backward is not None:
        raise RuntimeError(
            "requires_grad can only be set on a leaf; use detach() on a computed Tensor"
        )
    if wanted and tensor.dtype.kind != "f":
        raise TypeError(f"Tensor: data is {tensor.dtype}; only floats can require gradients")


def first_gradient(y: Any, gradient: Any) -> Array:
    """The gradient from which a backward pass from the Tensor y starts; 1 by default."""
    if not y.requires_grad:
        raise RuntimeError(
            "backward: this Tensor was not computed from any Tensor with requires_grad=True"
        )
    if gradient is None:
        if y.size != 1:
            raise ValueError(
                f"backward: this Tensor has shape {y.shape} and is not a scalar; reduce it "
                "with .sum() or .mean(), or pass its gradient: backward(gradient)"
            )
        return array_module(y.data).ones_like(y.data)
    gradient = np.asarray(gradient) if isinstance(gradient, np.generic) else gradient
    gradient = array_of(gradient)
    if not is_array(gradient) or (gradient.shape, gradient.dtype) != (y.shape, y.dtype):
        raise ValueError(f"backward: gradient is {form(gradient)}; expected {form(y)}")
    return gradient


def check_gradients(name: str, backward: Any, parents: tuple, gradients: Any) -> None:
    """Raise unless a backward function returned one array, or None, for each of its inputs."""
    if not isinstance(gradients, tuple) or len(gradients) != len(parents):
        came = kind(gradients)
        if isinstance(gradients, tuple):
            came += f" of {len(gradients)}"
        raise ValueError(
            f"{name}: its backward function returned {came}; expected a tuple of "
            f"{len(parents)}, one gradient per input, as in `return (dx,)`"
        )
    for i, dx in enumerate(gradients):
        parent = parents[i]
        if dx is None or parent is None:
            continue
        if hasattr(dx, "node"):
            raise TypeError(
                f"{name}: the gradient of {argument_name(name, backward, i)} is a Tensor; backward "
                "functions compute with arrays: write x.data outside of backward(dy)"
            )
        if getattr(dx, "shape", None) != parent.shape or dx.dtype != parent.dtype:
            raise ValueError(
                f"{name}: the gradient of {argument_name(name, backward, i)} is {form(dx)}; "
                f"expected {form(parent)}"
            )


def refuse_non_finite_gradients(node: Any, name: str, backward: Any, gradients: tuple) -> None:
    """Raise if a gradient is not finite (detect_anomaly)."""
    for i, dx in enumerate(gradients):
        if dx is not None and not array_module(dx).isfinite(dx).all():
            raise FloatingPointError(
                f"{name}: the gradient of {argument_name(name, backward, i)} is not finite; "
                f"called from {node.line or 'outside detect_anomaly()'}"
            )


def owned(dx: Array, dy: Array, gradients: tuple) -> Array:
    """The first gradient of a leaf: dx itself, or a copy if it is not safe to add to dx in place.

    Later gradients are added in place. This is not safe if dx, which is one of `gradients`, shares
    memory with dy or with another gradient, or if it repeats one number (a broadcast view).
    """
    xp = array_module(dx)
    repeated = dx.size > 1 and 0 in dx.strides
    around = [array for array in (dy, *gradients) if array is not None]  # dx is one of them
    overlaps = sum([xp.may_share_memory(dx, array) for array in around]) > 1
    scalar = isinstance(dx, np.generic)  # NumPy scalars are not arrays
    fixed = xp is np and not dx.flags.writeable
    return xp.array(dx) if scalar or fixed or repeated or overlaps else dx


def raise_freed(dy: Array | None = None) -> NoReturn:
    """Stand in for a backward function that has been freed: raise an error when called."""
    raise RuntimeError(
        "backward: this graph has already been freed by an earlier backward pass; compute the loss "
        "again, or call backward(retain_graph=True) the first time"
    )


def refuse_changed(node: Any, parent: Any) -> NoReturn:
    """Raise because an input of this node has been changed in place since it was computed."""
    name = argument_name(node.name, node.backward, node.parents.index(parent))
    raise RuntimeError(
        f"backward: {name} of {node.name} was changed after the forward pass "
        f"(it has shape {parent.shape}); compute the loss again, or change it after backward()"
    )


def refuse_non_finite(node: Any, line: str, y: Array, inputs: tuple) -> None:
    """Raise, naming the function that computed the first value that is not finite."""
    finite = array_module(y).isfinite
    if y.dtype.kind != "f" or finite(y).all():
        return
    for i, x in enumerate(inputs):
        if hasattr(x, "node") and not finite(x.data).all():
            name = argument_name(node.name, node.backward, i)
            raise FloatingPointError(f"{node.name}: {name} is not finite; called from {line}")
    raise FloatingPointError(f"{node.name}: its value is not finite; called from {line}")


def argument_name(function_name: str, backward: Any, position: int) -> str:
    """The name, in its function's signature, of the input at this position."""
    module = sys.modules.get(getattr(backward, "__module__", ""))
    function = getattr(module, function_name, None)
    names = list(signature(function).parameters) if callable(function) else []
    if names[:1] == ["parts"]:  # concatenate and stack take any number of inputs in one list
        return f"parts[{position}]"
    return names[position] if position < len(names) else f"input {position}"


def calling_line() -> str:
    """The innermost line outside the engine, as "file:line: source"."""
    package = Path(__file__).parent
    rooms = ("errors.py", "autograd.py", "tensor.py", "functional", "nn", "models")
    engine = tuple(str(package / room) for room in rooms)
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(engine):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    return f"{name}:{number}: {linecache.getline(name, number).strip()}"


def array_of(value: Any) -> Any:
    """The array of a Tensor; anything else unchanged."""
    return value.data if hasattr(value, "node") else value


def form(value: Any) -> str:
    """An array's shape and dtype, for messages: "(3, 4) float32"."""
    return f"{value.shape} {value.dtype}" if hasattr(value, "dtype") else kind(value)


def kind(value: Any) -> str:
    """The type of a value, for messages: "a list", "an int"; None is "None"."""
    name = type(value).__name__
    if value is None:
        return "None"
    return f"an {name}" if name[0] in "aeiouAEIOU" or name == "ndarray" else f"a {name}"


def as_text(tensor: Any) -> str:
    """Tensor([1., 2.], float32, from relu): values, dtype and origin."""
    origin = f", from {tensor.node.name}" if tensor.node.parents else ""
    values = np.array2string(tensor.numpy(), separator=", ", threshold=50, prefix="Tensor(")
    grad = ", requires_grad=True" if tensor.is_leaf and tensor.requires_grad else ""
    return f"Tensor({values}, {tensor.dtype}{grad}{origin})"


def as_html(tensor: Any) -> str:
    """HTML for a notebook: shape, dtype, device and range of values, before the values."""
    values = tensor.numpy()
    words = f"Tensor {tensor.shape} {tensor.dtype} on {tensor.device}"
    if values.size:
        words += f", from {values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}"
    return f"<b>{words}</b><pre>{escape(repr(tensor))}</pre>"


def require_float(function: str, name: str, value: Any) -> None:
    if value.node.dtype.kind != "f":
        raise TypeError(f"{function}: {name} is {value.dtype}; expected float32 or float64")


def require_alike(function: str, first_name: str, first: Any, name: str, value: Any) -> None:
    a, b = first.data, value.data
    dtype = first.node.dtype
    if dtype is value.node.dtype and dtype.kind == "f" and type(a) is type(b) is np.ndarray:
        return  # the usual case, checked first because it runs in every operation
    require_float(function, first_name, first)
    require_float(function, name, value)
    if a.dtype != b.dtype:
        raise TypeError(
            f"{function}: {first_name} is {a.dtype} but {name} is {b.dtype}; "
            "convert one of them, for example with array.astype(np.float32)"
        )
    if device_of(a) != device_of(b):
        raise ValueError(
            f"{function}: {first_name} is on {device_of(a)} but {name} is on {device_of(b)}; "
            "move one with minivision.backend.to_device, or a whole model with model.to(device)"
        )


def require_probability(what: str, value: Any) -> None:
    """Raise ValueError unless the value of `what`, an argument or option, is between 0 and 1."""
    if not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value <= 1:
        raise ValueError(f"{what} is {value!r}; expected a number from 0 to 1")


def require_one_of(what: str, value: Any, known: Iterable[Any]) -> None:
    """Raise ValueError unless the value of `what`, an argument or option, is a known one."""
    known = list(known)
    if value not in known:
        raise ValueError(f"{what} is {value!r}; expected one of {', '.join(map(str, known))}")


P = ParamSpec("P")
R = TypeVar("R")

INSTEAD = {
    "rng": "layers draw from one generator; write `manual_seed(seed)` or `with manual_seed(seed):`",
    "initialize": "to build without drawing, write `with skip_init():`",
    "initializer": "build it first, then write `initialize(model, scheme)` (minivision.nn)",
}


def refuses_rng(build: Callable[P, R]) -> Callable[P, R]:
    """Decorate a builder of layers: errors explain what replaces the arguments of version 0.1."""

    @wraps(build)
    def built(*arguments: P.args, **settings: P.kwargs) -> R:
        for name, instead in INSTEAD.items():
            if name in settings:
                what = build.__qualname__.removesuffix(".__init__")
                raise TypeError(f"{what}: {name}= is no longer an argument; {instead}")
        return build(*arguments, **settings)

    return built
