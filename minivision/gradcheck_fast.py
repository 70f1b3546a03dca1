"""The second half of `gradcheck`: compare the faster implementations in fast/ with functional/.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from inspect import signature
from typing import Any

import numpy as np

from minivision import fast
from minivision.backend import Array, array_module
from minivision.errors import kind
from minivision.tensor import Tensor


class GradientError(AssertionError):
    """An analytic gradient differs from the numerical one, or the check would prove nothing."""


def check_fast(
    function: Callable[..., Tensor],
    inputs: Sequence[Any],
    *,
    rng: np.random.Generator,
    tolerance: float = 1e-6,
) -> float:
    """Compare a function's fast forms with its code in functional/: the value and every gradient.

    A fast form is a faster implementation in fast/. Returns the largest relative difference, or 0
    if no fast form was used. Raises GradientError if the difference exceeds the tolerance.
    """
    results: list[list[Any]] = []
    for door in (fast.off, nullcontext):
        with door():
            leaves = [Tensor(float64_copy(i, x), requires_grad=True) for i, x in enumerate(inputs)]
            y = function(*leaves)
            if not results:
                u = array_module(y.data).asarray(rng.normal(size=y.shape))
            dy = u.copy()
            y.backward(dy)
            refuse_changes(function, dy, u, leaves, inputs)
        results.append([y.data, *[leaf.grad for leaf in leaves]])
    worst = 0.0
    for i, (page, fast_form) in enumerate(zip(*results, strict=True)):
        what = "the value" if i == 0 else f"the gradient of {name_of(function, i - 1)}"
        if (page is None) != (fast_form is None):
            raise GradientError(
                f"gradcheck: only one of functional/ and its fast form returns {what}"
            )
        if page is None or page.size == 0:
            continue
        size = float(abs(page).max())
        error = float(abs(fast_form - page).max()) / (size or 1.0)
        worst = max(worst, error)
        if not error <= tolerance:
            raise GradientError(
                f"gradcheck: {what} differs between functional/ and the fast form by {error:.1e} "
                f"of its largest entry (tolerance {tolerance:.0e})"
            )
    return worst


def refuse_changes(
    function: Callable, dy: Array, u: Array, leaves: list[Tensor], inputs: Sequence[Any]
) -> None:
    """Raise if the function or its backward function changed an input or dy; u is a copy of dy."""
    if not (dy == u).all():
        raise GradientError("gradcheck: the backward function changed dy in place")
    for i, (leaf, x) in enumerate(zip(leaves, inputs, strict=True)):
        if not (leaf.data == (x.data if isinstance(x, Tensor) else x)).all():
            raise GradientError(f"gradcheck: the function changed {name_of(function, i)} in place")


def name_of(function: Callable, i: int) -> str:
    """What to call an input: its number, and its name if the signature has one."""
    try:
        names = list(signature(function).parameters)
    except ValueError:  # a function written in C may have no signature
        names = []
    return f"input {i} ({names[i]})" if i < len(names) else f"input {i}"


def float64_copy(i: int, x: Any) -> Array:
    """A copy of input i; TypeError for any other dtype."""
    array = x.data if isinstance(x, Tensor) else x
    if getattr(array, "dtype", None) != np.float64:
        came = getattr(array, "dtype", kind(array))
        raise TypeError(f"gradcheck: input {i} is {came}; expected a float64 array")
    return array.copy(order="K")
