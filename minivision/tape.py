"""The tape: nodes in the order of their creation, and the chain rule that walks them back.

A node remembers which nodes its value was computed from and the *rule* that turns the gradient of
the value, dy, into the gradients of the inputs. Nodes are numbered as they are made, so walking
them by descending number meets every operation after all the operations that used its result:
the chain rule without recursion, however long the tape.

There is no object called tape: it is all nodes together, from a loss back to its leaves. A node
holds no array but a gradient, and a rule keeps arrays only, so nothing points in a circle and
memory goes the moment a loss is dropped. A tape belongs to the thread that made it.

Read next: autograd.py
"""

from __future__ import annotations

import itertools
import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from minivision.backend import Array, array_module

Rule: TypeAlias = Callable[[Array], tuple]

clock = itertools.count(1)  # numbers the nodes, and the changes of arrays in place


class _Mode(threading.local):
    recording = True
    anomaly = False


mode = _Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without a tape: nothing is kept for gradients. A context, or a decorator.

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


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Look at every value and gradient, and stop at the first that is not finite.

    The FloatingPointError names the function and the line that called it. It costs a pass over
    every array, so it is for finding a fault, not for training.
    """
    before, mode.anomaly = mode.anomaly, True
    try:
        yield
    finally:
        mode.anomaly = before


class Node:
    """One value on the tape: how it was made, and what has happened to it since.

    A leaf (a weight, an input) has no rule; its gradient is kept here. `number` is the time at
    which the node was made and `version` the time of its array's last change in place, from one
    clock: a rule that kept an array whose version is above the rule's own number would give a
    wrong gradient. `changed` holds that time for all detached handles of the array together.
    """

    __slots__ = (
        "number", "shape", "dtype", "requires_grad", "rule", "parents",
        "changed", "grad", "keeps_grad", "line", "__weakref__",
    )  # fmt: skip

    def __init__(
        self, data: Array, requires_grad: bool, rule: Rule | None = None, parents: tuple = ()
    ):
        self.number = next(clock)
        self.shape = data.shape
        self.dtype = data.dtype
        self.requires_grad = requires_grad
        self.rule = rule
        self.parents: tuple[Node | None, ...] = parents
        self.changed = [0]
        self.grad: Array | None = None
        self.keeps_grad = False
        self.line: str | None = None

    @property
    def version(self) -> int:
        return self.changed[0]


def walk(order: list[Node], root: Node, dy: Array, retain_graph: bool) -> Iterator:
    """The chain rule: call every rule, last operation first, and hand its gradients on.

    order: the nodes to walk, first operation first (from `reachable`); dy: the gradient of root.
    When a node's turn comes, every operation that used its value has had its own, so all of its
    gradient has arrived. A leaf keeps what arrives, a computed node passes it to its rule.
    Yields (rule, dy, gradients) after every rule.
    """
    arriving = {root: dy}  # the gradient that has arrived at a node so far
    summed = set()  # the nodes whose gradient is a sum of our own, and may be added to in place
    if root.rule is None:  # ∂x/∂x = 1
        _give_to_leaf(root, dy, dy, (dy,))
        return
    while order:
        node = order.pop()
        dy = arriving.pop(node, None)
        rule, parents = node.rule, node.parents
        if not retain_graph:
            node.rule, node.parents = _freed, ()
        if dy is None or rule is None:
            continue
        if node.keeps_grad:
            node.grad = dy.copy() if node.grad is None else node.grad + dy
        gradients = rule(dy)
        _check_gradients(rule, parents, gradients, node.line)
        for i, dx in enumerate(gradients):
            parent = parents[i]
            if dx is None or parent is None or not parent.requires_grad:
                continue
            if parent.rule is None:
                _give_to_leaf(parent, dx, dy, gradients)
            elif parent not in arriving:
                arriving[parent] = dx
            elif parent not in summed:
                arriving[parent] = arriving[parent] + dx
                summed.add(parent)
            else:
                arriving[parent] += dx
        yield rule, dy, gradients
        del rule, parents, parent, dy, gradients, dx  # before the next rule asks for memory


def reachable(root: Node) -> list[Node]:
    """The computed nodes that root depends on (and root), in the order of their creation."""
    order, seen = [root], {root}
    for node in order:  # which grows as their parents are found
        if node.rule is _freed:
            raise RuntimeError(
                "backward: this graph was walked before and what it kept is freed; "
                "call backward(retain_graph=True) the first time, or compute the loss again"
            )
        for parent in node.parents:
            if parent is None:
                continue
            if parent.changed[0] > node.number:
                i, function = node.parents.index(parent), function_name(node.rule)
                raise RuntimeError(
                    f"backward: the {argument_name(node.rule, i)} of {function} was changed after "
                    f"the forward pass (it has shape {parent.shape}); compute the loss again, or "
                    "change it after backward()"
                )
            if parent.rule is not None and parent not in seen:
                seen.add(parent)
                order.append(parent)
    return sorted(order, key=attrgetter("number"))


def _give_to_leaf(leaf: Node, dx: Array, dy: Array, gradients: tuple) -> None:
    """Add dx to the leaf's gradient; a first one is taken over without a copy where that is safe.

    It is not where dx, one of a rule's gradients, overlaps dy or another of them or repeats one
    number (a broadcast view), for later gradients are added in place.
    """
    if leaf.grad is not None:
        leaf.grad += dx
        return
    xp = array_module(dx)
    repeated = dx.size > 1 and 0 in dx.strides
    around = [array for array in (dy, *gradients) if array is not None]  # dx is one of them
    overlaps = sum([xp.may_share_memory(dx, array) for array in around]) > 1
    scalar = isinstance(dx, np.generic)  # NumPy's numbers without axes are not arrays
    leaf.grad = xp.array(dx) if scalar or repeated or overlaps else dx


def _check_gradients(rule: Rule, parents: tuple, gradients: tuple, line: str | None) -> None:
    anomaly = mode.anomaly
    if not isinstance(gradients, tuple) or len(gradients) != len(parents):
        came = len(gradients) if isinstance(gradients, tuple) else type(gradients).__name__
        raise ValueError(
            f"{function_name(rule)}: its rule returned {came}; expected {len(parents)} gradients"
        )
    for i, dx in enumerate(gradients):
        parent = parents[i]
        if dx is None or parent is None:
            continue
        if getattr(dx, "shape", None) != parent.shape or dx.dtype != parent.dtype:
            raise ValueError(
                f"{function_name(rule)}: the gradient of {argument_name(rule, i)} is {form(dx)}; "
                f"expected {form(parent)}"
            )
        if anomaly and not array_module(dx).isfinite(dx).all():
            raise FloatingPointError(
                f"{function_name(rule)}: the gradient of {argument_name(rule, i)} is not finite; "
                f"called from {line or 'outside detect_anomaly()'}"
            )


def _freed(dy: Array) -> NoReturn:
    """Stands for the rule of a node whose graph was walked; `reachable` looks for it."""
    raise RuntimeError("backward: this graph was walked before")


def function_name(rule: Rule | None) -> str:
    """The function a rule belongs to: the one whose body defines `backward`."""
    if rule is None or rule is _freed:
        return "leaf"
    function = rule.__qualname__.rpartition(".<locals>.")[0]
    return function.rpartition(".<locals>.")[2] or rule.__qualname__


def argument_name(rule: Rule | None, position: int) -> str:
    """The name, in its function's signature, of the input at this position."""
    module = sys.modules.get(getattr(rule, "__module__", ""))
    function = getattr(module, function_name(rule), None)
    names = list(signature(function).parameters) if callable(function) else []
    if names[:1] == ["parts"]:  # concatenate and stack take any number of inputs in one list
        return f"parts[{position}]"
    return names[position] if position < len(names) else f"input {position}"


def calling_line() -> str:
    """The innermost line outside the engine, as "file:line: source"."""
    package = Path(__file__).parent
    engine = tuple(
        str(package / room) for room in ("tape.py", "autograd.py", "functional", "nn", "models")
    )
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(engine):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    return f"{name}:{number}: {linecache.getline(name, number).strip()}"


def form(value: Any) -> str:
    """How an array looks from outside, for messages: "(3, 4) float32"."""
    return f"{value.shape} {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
