"""Tensor: an array that remembers how it was computed, and `record`, which adds it to the graph.

A Tensor holds an array and a node of the graph. A function of the engine computes a value, defines
an inner `backward(dy)` and passes both to `record`. Backward functions compute with arrays, so
there are only first-order gradients; this keeps the code easy to read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from minivision import errors
from minivision.autograd import Backward, Node, backward_steps, clock, mode
from minivision.backend import Array, array_module, device_of, to_host

functional: Any = None  # set by functional/__init__.py; the operators below call its functions


class Tensor:
    """An array of floats or integers that remembers how it was computed.

    NumPy and CuPy arrays are kept without a copy; Python numbers and lists become float32. With
    `requires_grad=True` (floats only), `loss.backward()` sets `.grad` to ∂L/∂data, an array.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4.], dtype=float32)
    """

    __slots__ = ("_data", "node", "__weakref__")
    __array_ufunc__ = None  # so that `array + tensor` calls Tensor.__radd__

    def __init__(self, data: Any, *, requires_grad: bool = False):
        self._data = errors.as_array(data)
        self.node = Node(self._data, False)
        self.requires_grad = requires_grad

    @property
    def data(self) -> Array:
        """The array itself. `t.data = …` and `t.data -= …` call `mark_changed` automatically."""
        return self._data

    @data.setter
    def data(self, array: Array) -> None:
        self._data = errors.replacement(self, array)
        self.mark_changed()

    def replace(self, array: Array) -> None:
        """Replace the array by one with the same shape and any float dtype, on any device."""
        self._data, self.node.dtype = array, array.dtype
        self.mark_changed()

    def mark_changed(self) -> None:
        """Call this after changing the array in place, for example with `t.data[i] = …`.

        A backward pass that needs the old values will then raise an error.
        """
        self.node.changed[0] = next(clock)

    @property
    def grad(self) -> Array | None:
        """∂L/∂data as an array, summed over backward passes until it is set to None."""
        return self.node.grad

    @grad.setter
    def grad(self, array: Array | None) -> None:
        errors.check_grad(self, array)
        self.node.grad = array

    @property
    def requires_grad(self) -> bool:
        return self.node.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        errors.check_requires_grad(self, wanted)
        self.node.requires_grad = wanted

    def retain_grad(self) -> Tensor:
        """Keep the gradient in `.grad` even if this Tensor is not a leaf. Returns the Tensor."""
        self.node.keeps_grad = True
        return self

    def detach(self) -> Tensor:
        """A Tensor that shares this array but not the graph. Changes to the array are detected."""
        detached = Tensor(self._data)
        detached.node.changed = self.node.changed
        return detached

    def backward(self, gradient: Array | None = None, *, retain_graph: bool = False) -> None:
        """Add dy·∂self/∂leaf to `.grad` of every leaf that requires it, and free the graph.

        gradient: dy, of the shape of this Tensor; 1 for a scalar. retain_graph: keep the graph.
        """
        # Run all steps. A deque of length 0 drops each one as soon as it is done.
        deque(backward_steps(self, gradient, retain_graph=retain_graph), maxlen=0)

    shape = property(lambda self: self.node.shape)
    dtype = property(lambda self: self.node.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    device = property(lambda self: device_of(self._data))
    is_leaf = property(lambda self: self.node.backward is None)

    def item(self) -> float:
        """The number in a one-element Tensor; on a GPU this waits for the result."""
        return self._data.item()

    def numpy(self) -> np.ndarray:
        """The array, as a NumPy array on the host."""
        return to_host(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if array_module(self._data) is not np:
            raise TypeError("this Tensor is on a GPU; call .numpy() to copy it to the host")
        return np.array(self._data, dtype=dtype, copy=copy)

    __repr__ = errors.as_text
    _repr_html_ = errors.as_html

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a zero-dimensional Tensor has no length")
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
        return self._data < errors.array_of(other)

    def __le__(self, other: Any) -> Array:
        return self._data <= errors.array_of(other)

    def __gt__(self, other: Any) -> Array:
        return self._data > errors.array_of(other)

    def __ge__(self, other: Any) -> Array:
        return self._data >= errors.array_of(other)

    def __eq__(self, other: Any) -> Array:
        return self._data == errors.array_of(other)

    def __ne__(self, other: Any) -> Array:
        return self._data != errors.array_of(other)

    __hash__ = object.__hash__

    # The graph keeps the arrays themselves, so changing one in place would make a gradient wrong.
    __setitem__ = errors.refuse_item_assignment
    __iadd__ = __isub__ = __imul__ = errors.refuse_in_place  # type: ignore[assignment]
    __itruediv__ = __ipow__ = __imatmul__ = errors.refuse_in_place  # type: ignore[assignment]

    def argmax(self, axis: int | None = None) -> Array:
        """The index of the largest entry: an array of integers, which has no gradient."""
        return self._data.argmax(axis)

    def __add__(self, b: Any) -> Tensor:
        return functional.add(self, b)

    def __radd__(self, a: Any) -> Tensor:
        return functional.add(a, self)

    def __sub__(self, b: Any) -> Tensor:
        return functional.subtract(self, b)

    def __rsub__(self, a: Any) -> Tensor:
        return functional.subtract(a, self)

    def __mul__(self, b: Any) -> Tensor:
        return functional.multiply(self, b)

    def __rmul__(self, a: Any) -> Tensor:
        return functional.multiply(a, self)

    def __truediv__(self, b: Any) -> Tensor:
        return functional.divide(self, b)

    def __rtruediv__(self, a: Any) -> Tensor:
        return functional.divide(a, self)

    def __matmul__(self, b: Any) -> Tensor:
        return functional.matmul(self, b)

    def __rmatmul__(self, a: Any) -> Tensor:
        return functional.matmul(a, self)

    def __pow__(self, exponent: float) -> Tensor:
        return functional.power(self, exponent)

    def __neg__(self) -> Tensor:
        return functional.negative(self)

    def __abs__(self) -> Tensor:
        return functional.absolute(self)

    def __getitem__(self, index: Any) -> Tensor:
        return functional.getitem(self, index)

    def exp(self) -> Tensor:
        """eˣ.  dx = dy·eˣ."""
        return functional.exp(self)

    def log(self) -> Tensor:
        """ln x.  dx = dy / x."""
        return functional.log(self)

    def sqrt(self) -> Tensor:
        """√x.  dx = dy / (2√x)."""
        return functional.sqrt(self)

    def relu(self) -> Tensor:
        """max(x, 0).  dx = dy where x > 0, else 0."""
        return functional.relu(self)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Σ x over the axes.  dx = dy, repeated."""
        return functional.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Σ x / n over the axes.  dx = dy / n, repeated."""
        return functional.mean(self, axis, keepdims)

    def var(self, axis: Any = None, keepdims: bool = False, correction: int = 1) -> Tensor:
        """Σ (x - mean)² / (n - correction).  dx = 2(x - mean)·dy / (n - correction)."""
        return functional.var(self, axis, keepdims, correction)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The largest entry.  dx = dy at that entry, split equally if several entries tie."""
        return functional.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The smallest entry.  dx = dy at that entry, split equally if several entries tie."""
        return functional.min(self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same entries in a new shape.  dx = dy in x's shape."""
        return functional.reshape(self, *shape)

    def flatten(self, start_axis: int = 1) -> Tensor:
        """One vector per image: (N, C, H, W) -> (N, C·H·W).  dx = dy in x's shape."""
        return functional.flatten(self, start_axis)

    def transpose(self, axes: tuple[int, ...] | None = None) -> Tensor:
        """Axis i of the result is axis axes[i] of x.  dx = dy transposed back."""
        return functional.transpose(self, axes)

    T = property(lambda self: functional.transpose(self))


def record(
    y: Array, inputs: tuple, backward: Backward, name: str | None = None, window: Any = None
) -> Tensor:
    """Wrap the value y of a function in a Tensor and add its node to the graph.

    inputs: the arguments for which `backward` returns gradients, in the order of the function's
        signature. Tensors can receive a gradient; None and arrays need none.
    backward: dy -> one array (or None) per input. It may keep arrays, but no Tensors, and must not
        modify dy or any array that it keeps. It returns dy, a view of dy, or new arrays.
    name: the function's name; by default, the name of the function that defines `backward`.
    window: the `windows.Window` through which each entry of y sees the first input, if any.

    Under no_grad(), or if no input requires a gradient, `backward` is discarded.

    >>> def double(x):
    ...     def backward(dy):
    ...         return (2 * dy,)
    ...     return record(2 * x.data, (x,), backward)
    >>> double(Tensor([3.0], requires_grad=True))
    Tensor([6.], float32, from double)
    """
    if isinstance(y, np.generic):
        y = np.asarray(y)  # NumPy turns zero-dimensional results into scalars
    parents = tuple([x.node if isinstance(x, Tensor) else None for x in inputs])
    result = Tensor.__new__(Tensor)
    result._data = y
    if mode.recording and any([node is not None and node.requires_grad for node in parents]):
        result.node = Node(y, True, backward, parents, name, window)
    else:
        result.node = Node(y, False)
    if mode.anomaly:
        result.node.line = errors.calling_line()
        errors.refuse_non_finite(Node(y, False, backward, name=name), result.node.line, y, inputs)
    return result
