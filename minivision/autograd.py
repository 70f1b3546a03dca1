"""Tensor: an array that remembers how it was computed, and `record`, which puts it on the tape.

A Tensor is a handle on its array and on a node of the tape. A function of the engine computes the
value, defines an inner `backward(dy)` and hands both to `record`. Rules compute with arrays, not
with Tensors: gradients are first order only, so that they can be read and be fast.

Read next: gradcheck.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minivision import tape
from minivision.backend import Array, array_module, device_of, is_array, to_host
from minivision.tape import Node, Rule, detect_anomaly, form, function_name, mode, no_grad

__all__ = ["Tensor", "backward_steps", "detect_anomaly", "no_grad", "record"]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Tensor:
    """An array that remembers how it was computed.

    `Tensor(data)` keeps float32 and float64 arrays (of NumPy or CuPy, without a copy) and integer
    arrays, and makes float32 of Python numbers and lists. `requires_grad=True` asks for ∂L/∂data
    in `.grad` (an array) after `loss.backward()`; integers have no gradient.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4.], dtype=float32)
    """

    __slots__ = ("_data", "node", "__weakref__")
    __array_ufunc__ = None  # so that `array + tensor` is left to Tensor.__radd__

    def __init__(self, data: Any, *, requires_grad: bool = False):
        self._data = _as_array(data)
        if requires_grad and self._data.dtype.kind != "f":
            raise TypeError(
                f"Tensor: data is {self._data.dtype}; only floats can require gradients"
            )
        self.node = Node(self._data, requires_grad)

    @property
    def data(self) -> Array:
        """The array itself. Assigning to it, or `t.data -= …`, raises the leaf's version."""
        return self._data

    @data.setter
    def data(self, array: Array) -> None:
        if self.node.rule is not None:
            raise RuntimeError("data of a computed Tensor cannot be replaced; compute a new one")
        if array is not self._data:
            array = _as_array(array)
            if array.shape != self._data.shape:
                raise ValueError(f"data has shape {array.shape}; expected {self._data.shape}")
            if array.dtype != self.dtype:
                raise TypeError(f"data is {array.dtype}; expected {self.dtype}, as before")
            self._data = array
        self.mark_changed()

    def replace(self, array: Array) -> None:
        """Take another array of this shape, of any float dtype, on any device (Module.to)."""
        self._data, self.node.dtype = array, array.dtype
        self.mark_changed()

    def mark_changed(self) -> None:
        """Say that the array was changed in place, so that an older tape refuses to use it."""
        self.node.changed[0] = next(tape.clock)

    @property
    def grad(self) -> Array | None:
        """∂L/∂data as an array, summed over backward passes until it is set to None."""
        return self.node.grad

    @grad.setter
    def grad(self, array: Array | None) -> None:
        if array is not None and (array.shape, array.dtype) != (self.shape, self.dtype):
            raise ValueError(f"grad is {form(array)}; expected {form(self)}")
        self.node.grad = array

    @property
    def requires_grad(self) -> bool:
        return self.node.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.node.rule is not None:
            raise RuntimeError("requires_grad can be set on leaves only; use detach() on a result")
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"Tensor: data is {self.dtype}; only floats can require gradients")
        self.node.requires_grad = wanted

    def retain_grad(self) -> Tensor:
        """Keep this intermediate value's gradient in `.grad` too. Returns the Tensor."""
        self.node.keeps_grad = True
        return self

    def detach(self) -> Tensor:
        """The same array, cut off from the tape. A change made through it is still noticed."""
        detached = Tensor(self._data)
        detached.node.changed = self.node.changed
        return detached

    def backward(self, gradient: Array | None = None, *, retain_graph: bool = False) -> None:
        """Add ∂self/∂leaf to `.grad` of every leaf that requires it, and free the graph.

        gradient: dy, an array of this shape; may be left out for a scalar, where it is 1.
        retain_graph: keep what the rules kept, so that backward can be called again.
        """
        # A deque of length 0 lets go of every step at once; a loop variable would hold it.
        deque(_steps(self, gradient, retain_graph), maxlen=0)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def dtype(self) -> np.dtype:
        return self.node.dtype

    @property
    def device(self) -> str:
        return device_of(self._data)

    @property
    def is_leaf(self) -> bool:
        return self.node.rule is None

    def item(self) -> float:
        """The one number of a one-element Tensor; from a GPU this waits for it."""
        return self._data.item()

    def numpy(self) -> np.ndarray:
        """The array on the host."""
        return to_host(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if array_module(self._data) is not np:
            raise TypeError("this Tensor is on a GPU; call .numpy() to bring it to the host")
        return np.array(self._data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        made = f", from {function_name(self.node.rule)}" if self.node.parents else ""
        values = np.array2string(self.numpy(), separator=", ", threshold=50, prefix="Tensor(")
        grad = ", requires_grad=True" if self.is_leaf and self.requires_grad else ""
        return f"Tensor({values}, {self.dtype}{grad}{made})"

    def _repr_html_(self) -> str:
        """In a notebook: what it is and the range of its values, before the values."""
        values = self.numpy()
        words = f"Tensor {self.shape} {self.dtype} on {self.device}"
        if values.size:
            words += f", from {values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}"
        return f"<b>{words}</b><pre>{escape(repr(self))}</pre>"

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a Tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._data)

    def __format__(self, form: str) -> str:
        return format(self.item() if form and self.size == 1 else str(self), form)

    def __float__(self) -> float:
        return float(self._data)

    # Comparisons have no gradient, so they return plain arrays. `==` is elementwise, like NumPy's.
    def __lt__(self, other: Any) -> Array:
        return self._data < _array_of(other)

    def __le__(self, other: Any) -> Array:
        return self._data <= _array_of(other)

    def __gt__(self, other: Any) -> Array:
        return self._data > _array_of(other)

    def __ge__(self, other: Any) -> Array:
        return self._data >= _array_of(other)

    def __eq__(self, other: Any) -> Array:
        return self._data == _array_of(other)

    def __ne__(self, other: Any) -> Array:
        return self._data != _array_of(other)

    __hash__ = object.__hash__

    # The tape keeps arrays, not copies: changing one in place would falsify a recorded rule.
    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError("a Tensor has no item assignment; change t.data[…] before it is used")

    def _no_in_place(self, other: Any) -> NoReturn:
        raise TypeError("a Tensor has no in-place operators; write x = x + y instead of x += y")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = _no_in_place  # type: ignore[assignment]
    __ipow__ = __imatmul__ = _no_in_place  # type: ignore[assignment]

    if TYPE_CHECKING:
        # Given to the class by the table in functional/__init__.py, where the mathematics is.
        _: Any = None
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _
        __rtruediv__ = __neg__ = __pow__ = __matmul__ = __rmatmul__ = __getitem__ = __abs__ = _
        exp = log = sqrt = sum = mean = var = max = min = reshape = flatten = transpose = T = _


def record(y: Array, inputs: tuple, backward: Rule) -> Tensor:
    """Wrap the value y of a function in a Tensor and put its rule on the tape.

    inputs: the function's differentiable arguments, in the order of its signature: Tensors, or
        None and arrays, which need no gradient.
    backward: dy -> one array (or None) per input. It keeps no Tensor, changes nothing, and
        returns dy, a view of dy or arrays of its own.

    Under no_grad(), or where no input requires a gradient, the rule is forgotten.

    >>> def double(x):
    ...     def backward(dy):
    ...         return (2 * dy,)
    ...     return record(2 * x.data, (x,), backward)
    >>> double(Tensor([3.0], requires_grad=True))
    Tensor([6.], float32, from double)
    """
    if isinstance(y, np.generic):
        y = np.asarray(y)  # NumPy turns results without axes into scalars
    parents: list[Node | None] = []
    wanted = False
    for x in inputs:
        parent = x.node if isinstance(x, Tensor) else None
        parents.append(parent)
        wanted = wanted or (parent is not None and parent.requires_grad)
    result = Tensor.__new__(Tensor)
    result._data = y
    if wanted and mode.recording:
        result.node = Node(y, True, backward, tuple(parents))
    else:
        result.node = Node(y, False)
    if mode.anomaly:
        _refuse_non_finite_value(y, inputs, backward)
        result.node.line = tape.calling_line()
    return result


def backward_steps(
    y: Tensor, gradient: Array | None = None, *, retain_graph: bool = False
) -> Iterator[tuple[str, Array, tuple]]:
    """Walk the tape back from y, one rule a step; yields (function name, dy, gradients).

    `y.backward()` exhausts this generator. A learner can step through it; what a step yields is
    borrowed until the next one, so copy what you want to keep.

    >>> x = Tensor([3.0], requires_grad=True)
    >>> for name, dy, gradients in backward_steps((2 * x).sum()):
    ...     print(name, gradients)
    sum (array([1.], dtype=float32),)
    multiply (None, array([2.], dtype=float32))
    >>> x.grad
    array([2.], dtype=float32)

    Raises RuntimeError, before any gradient is written, where y has no graph, where the graph was
    freed by an earlier walk, and where a weight was changed since; ValueError where y is no
    scalar and no gradient is given.
    """
    # A map lets go of a step before it asks for the next; a loop variable would hold it.
    return map(_with_name, _steps(y, gradient, retain_graph))


def _with_name(step: tuple[Rule, Array, tuple]) -> tuple[str, Array, tuple]:
    rule, dy, gradients = step
    return function_name(rule), dy, gradients


def _steps(y: Tensor, gradient: Array | None, retain_graph: bool) -> Iterator:
    if not y.requires_grad:
        raise RuntimeError("backward: this Tensor was not computed from one with requires_grad")
    dy = _first_gradient(y, gradient)
    return tape.walk(tape.reachable(y.node), y.node, dy, retain_graph)


def _first_gradient(y: Tensor, gradient: Array | None) -> Array:
    xp = array_module(y.data)
    if gradient is None:
        if y.size != 1:
            raise ValueError(
                f"backward: this Tensor has shape {y.shape} and is no scalar; reduce it "
                "with .sum() or .mean(), or pass its gradient: backward(gradient)"
            )
        return xp.ones_like(y.data)
    if isinstance(gradient, Tensor):
        gradient = gradient.data
    elif isinstance(gradient, np.generic):
        gradient = np.asarray(gradient)
    if not is_array(gradient) or (gradient.shape, gradient.dtype) != (y.shape, y.dtype):
        raise ValueError(f"backward: gradient is {form(gradient)}; expected {form(y)}")
    return gradient


def _refuse_non_finite_value(y: Array, inputs: tuple, rule: Rule) -> None:
    """Raise for the function that made the first value that is not finite (detect_anomaly)."""
    finite = array_module(y).isfinite
    if y.dtype.kind != "f" or finite(y).all():
        return
    function, line = function_name(rule), tape.calling_line()
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and not finite(x.data).all():
            name = tape.argument_name(rule, i)
            raise FloatingPointError(f"{function}: {name} came in not finite; called from {line}")
    raise FloatingPointError(f"{function}: its value is not finite; called from {line}")


def _as_array(data: Any) -> Array:
    if isinstance(data, Tensor):
        raise TypeError("Tensor: data is a Tensor already; use detach() for a new handle on it")
    array = data if is_array(data) else np.asarray(data)
    if array is not data and array.dtype.kind in "fiu":
        array = array.astype(np.float32)
    if array.dtype not in _FLOATS and array.dtype.kind not in "iub":
        raise TypeError(f"Tensor: data is {array.dtype}; expected float32, float64 or integers")
    return array


def _array_of(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value
