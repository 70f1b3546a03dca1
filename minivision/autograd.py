"""The graph, and the backward pass: how one loss becomes every gradient.

Every value is a *node* of the graph. A node remembers the nodes that its value was computed from,
its parents, and the *backward function* that turns the gradient of the value, dy, into the
gradients of the inputs. Nodes are numbered as they are made, so taking them by descending number
meets every operation after all the operations that used its result: that is the chain rule without
recursion, however deep the graph.

The graph is all nodes together, from a loss back to its leaves. A node holds no array but a
gradient, and a backward function keeps arrays only, so there are no reference cycles and memory is
freed as soon as a loss is dropped. Use a graph in one thread at a time.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, TypeAlias

from minivision import errors
from minivision.backend import Array

Backward: TypeAlias = Callable[[Array], tuple]

clock = itertools.count(1)  # numbers the nodes, and the changes of arrays in place


class _Mode(threading.local):
    recording = True
    anomaly = False


mode = _Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without a graph: nothing is kept for gradients. A context, or a decorator.

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

    A leaf (a weight, an input) has no backward function; its gradient is kept here. `number` is the
    time at which the node was made, and `changed[0]` the time of its array's last change in place,
    from one clock: if an input changes after a node is made, the node's gradient would be wrong.
    `window` is the sliding window of a convolution or a pooling, else None.
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
        """The function that computed the value: as given, or the one that defines `backward`."""
        if self.backward is None or self.backward is errors.freed:
            return "leaf"
        if self.given_name is not None:
            return self.given_name
        path = self.backward.__qualname__.split(".<locals>.")
        return path[-2] if len(path) > 1 else path[0]


def backward_steps(
    y: Any, gradient: Array | None = None, *, retain_graph: bool = False
) -> Iterator[tuple[str, Array, tuple]]:
    """Run the backward pass from y one function at a time: (function name, dy, gradients).

    `y.backward()` exhausts this generator. A learner can step through it; what a step yields is
    borrowed until the next one, so copy what you want to keep.

    >>> from minivision import Tensor
    >>> x = Tensor([3.0], requires_grad=True)
    >>> for name, dy, gradients in backward_steps((2 * x).sum()):
    ...     print(name, gradients)
    sum (array([1.], dtype=float32),)
    multiply (None, array([2.], dtype=float32))
    >>> x.grad
    array([2.], dtype=float32)

    Raises RuntimeError, before any gradient is written, if y requires no gradient, if its graph was
    freed, or if an input of a function has changed since; ValueError if y is not a scalar and no
    gradient is given, or if that has another shape or dtype.
    """
    dy = errors.first_gradient(y, gradient)
    return _chain_rule(_computed_before(y.node), y.node, dy, retain_graph)


def _chain_rule(order: list[Node], root: Node, dy: Array, retain_graph: bool) -> Iterator:
    """Call each backward function, last operation first, and pass its gradients on.

    When a node's turn comes, every operation that used its value has already run, so its gradient
    is complete. A leaf keeps what arrives; a computed node passes it to its backward function.
    """
    if root.backward is None:  # ∂x/∂x = 1
        errors.add_to_leaf(root, dy, dy, (dy,))
        return
    arriving = {root: dy}  # the gradient that has arrived at each node so far
    summed = set()  # the nodes whose gradient is a sum of our own, which may be added to in place
    while order:
        node = order.pop()
        dy = arriving.pop(node, None)
        name, backward, parents = node.name, node.backward, node.parents
        if not retain_graph:
            node.backward, node.parents = errors.freed, ()
        if dy is None or backward is None:
            continue
        if node.keeps_grad:
            node.grad = dy.copy() if node.grad is None else node.grad + dy
        gradients = backward(dy)
        errors.check_gradients(name, backward, parents, gradients)
        if mode.anomaly:
            errors.refuse_non_finite_gradients(node, name, backward, gradients)
        for parent, dx in zip(parents, gradients, strict=True):
            if dx is None or parent is None or not parent.requires_grad:
                continue
            if parent.backward is None:
                errors.add_to_leaf(parent, dx, dy, gradients)
            elif parent not in arriving:
                arriving[parent] = dx
            elif parent not in summed:
                arriving[parent] = arriving[parent] + dx
                summed.add(parent)
            else:
                arriving[parent] += dx
        yield name, dy, gradients
        del backward, parents, parent, dy, gradients, dx  # before the next one asks for memory


def _computed_before(root: Node) -> list[Node]:
    """The computed nodes that root depends on (and root), in the order of their creation."""
    order, seen = [root], {root}
    for node in order:  # which grows as their parents are found
        if node.backward is errors.freed:
            errors.freed()
        for parent in node.parents:
            if parent is None:
                continue
            if parent.changed[0] > node.number:
                errors.refuse_changed(node, parent)
            if parent.backward is not None and parent not in seen:
                seen.add(parent)
                order.append(parent)
    return sorted(order, key=attrgetter("number"))
