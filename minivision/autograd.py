"""The graph, and the backward pass: how one loss becomes every gradient.

A program computes many values and finally a loss L, the number that training should make small.
How much does L change if a value y changes a little? The answer is the gradient ∂L/∂y, written dy,
which has the same shape as y. If y was computed from x, the chain rule gives dx from dy:

    dx = Σ dy · ∂y/∂x        over all functions that use x, and all entries of their results y

Every value has a *node*. The node remembers its parents, the nodes of the values it was computed
from, and its *backward function*, which multiplies dy by the derivatives of one function and
returns one dx per parent. All nodes, from the loss back to the *leaves* (weights and inputs), form
the *graph*. Nodes are numbered as they are made. If we visit them in descending order, we reach
each node after all the functions that used its value, so its dy is complete. A loop is enough.

A node holds no array except its gradient, and a backward function keeps only arrays. So there are
no reference cycles, and memory is freed as soon as a loss is dropped. Use each graph in one thread.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, TypeAlias, cast

from minivision import errors
from minivision.backend import Array

Backward: TypeAlias = Callable[[Array], tuple]

clock = itertools.count(1)  # numbers nodes and in-place changes of arrays


class _Mode(threading.local):
    recording = True
    anomaly = False


mode = _Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without building a graph; works as a context manager and as a decorator.

    >>> from minivision import Tensor
    >>> w = Tensor([2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """
    before, mode.recording = mode.recording, False
    try:
        yield
    finally:
        mode.recording = before


class Node:
    """One value of the graph: how it was computed, and what has happened to it since.

    A leaf (a weight or an input) has no backward function; its gradient is stored in its node.
    `number` is the time at which the node was made and `changed[0]` is the time of the last
    in-place change to its array, both read from the same clock. Backward functions keep their
    inputs. If an input has changed since the node was made, the gradient would be wrong, so the
    backward pass raises an error instead.
    `window` (of a convolution or a pooling) and `line` (the line of the program that called the
    function) only help to explain a graph.
    """

    __slots__ = (
        "number", "shape", "dtype", "requires_grad", "backward", "parents", "given_name", "window",
        "changed", "grad", "keeps_grad", "line", "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        data: Array,
        requires_grad: bool,
        backward: Backward | None = None,
        parents: tuple = (),
        name: str | None = None,
        window: Any = None,
    ):
        self.number = next(clock)
        self.shape = data.shape
        self.dtype = data.dtype
        self.requires_grad = requires_grad
        self.backward = backward
        self.parents: tuple[Node | None, ...] = parents
        self.given_name = name
        self.window = window
        self.changed = [0]  # a list, so that detached Tensors share it
        self.grad: Array | None = None
        self.keeps_grad = False
        self.line: str | None = None

    @property
    def name(self) -> str:
        """The name of the function that computed the value: given, or read from `backward`."""
        if self.backward is None or self.backward is errors.raise_freed:
            return "leaf"
        if self.given_name is not None:
            return self.given_name
        path = self.backward.__qualname__.split(".<locals>.")
        return path[-2] if len(path) > 1 else path[0]


def backward_steps(
    y: Any, gradient: Array | None = None, *, retain_graph: bool = False
) -> Iterator[tuple[str, Array, tuple]]:
    """Run the backward pass from y one function at a time: (function name, dy, gradients).

    `y.backward()` exhausts this generator; you can also step through it to watch the pass. The
    arrays that a step yields are valid only until the next step, so copy any that you want to keep.

    >>> from minivision import Tensor
    >>> x = Tensor([3.0], requires_grad=True)
    >>> for name, dy, gradients in backward_steps((2 * x).sum()):
    ...     print(name, gradients)
    sum (array([1.], dtype=float32),)
    multiply (None, array([2.], dtype=float32))
    >>> x.grad
    array([2.], dtype=float32)

    A value that is used twice gets the sum of two gradients. Here h = 9 and dh = 2h + 1:

    >>> h = 3 * x
    >>> for name, dy, gradients in backward_steps((h * h + h).sum()):
    ...     print(name, dy)
    sum 1.0
    add [1.]
    multiply [1.]
    multiply [19.]

    Raises RuntimeError, before any gradient is written, if y does not require a gradient, if its
    graph has been freed, or if an input of a function has changed since the forward pass. Raises
    ValueError if y is not a scalar and no gradient is given, or if the gradient's shape or dtype
    differs from y's.
    """
    dy = errors.first_gradient(y, gradient)
    return _chain_rule(_computed_before(y.node), y.node, dy, retain_graph)


def _chain_rule(order: list[Node], root: Node, dy: Array, retain_graph: bool) -> Iterator:
    """Call each backward function, starting with the last operation, and pass its gradients on.

    When a node's turn comes, the backward function of every operation that used its value has
    already run, so its gradient is complete. A leaf keeps the gradient; a computed node passes it
    to its own backward function.
    """
    if root.backward is None:  # the loss is itself a leaf
        root.grad = dy.copy() if root.grad is None else root.grad + dy
        return
    arriving = {root: dy}  # the gradient that has arrived at each node so far
    while order:
        node = order.pop()
        dy = arriving.pop(node, None)
        name, parents, backward = node.name, node.parents, cast(Backward, node.backward)
        if not retain_graph:
            node.backward, node.parents = errors.raise_freed, ()
        if dy is None:  # no gradient has reached it: a backward function returned None
            continue
        if node.keeps_grad:
            node.grad = dy.copy() if node.grad is None else node.grad + dy
        gradients = backward(dy)
        errors.check_gradients(name, backward, parents, gradients)
        if mode.anomaly:
            errors.refuse_non_finite_gradients(node, name, backward, gradients)
        yield name, dy, gradients
        for parent, dx in zip(parents, gradients, strict=True):
            if dx is None or parent is None or not parent.requires_grad:
                continue
            if parent.backward is None and parent.grad is None:  # a leaf's first gradient
                parent.grad = errors.owned(dx, dy, gradients)  # a copy if others use the array
            elif parent.backward is None:
                parent.grad += dx
            else:  # not in place, because the array may be shared: it may be dy itself
                arriving[parent] = arriving[parent] + dx if parent in arriving else dx
        del backward, parents, parent, dy, gradients, dx  # free them before the next step


def _computed_before(root: Node) -> list[Node]:
    """The computed nodes that root depends on, and root itself, in the order of creation."""
    order, seen = [root], {root}
    for node in order:  # the list grows as parents are found
        if node.backward is errors.raise_freed:
            errors.raise_freed()
        for parent in node.parents:
            if parent is None:
                continue
            if parent.changed[0] > node.number:
                errors.refuse_changed(node, parent)
            if parent.backward is not None and parent not in seen:
                seen.add(parent)
                order.append(parent)
    return sorted(order, key=attrgetter("number"))
