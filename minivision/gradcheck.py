"""Is the gradient right? Compare it with slopes of the function that are measured numerically.

A gradient ∇f is a claim about small steps: f(x + ε·v) - f(x - ε·v) ≈ 2ε·⟨∇f, v⟩ for every
direction v, where ⟨∇f, v⟩ is the sum of the products of their entries. `gradcheck` draws random
directions, takes the steps in float64 and compares the two sides. It works on your own functions as
well as on the engine's, and it rejects a check that would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision import fast
from minivision.backend import Array, array_module
from minivision.errors import kind
from minivision.gradcheck_fast import (
    GradientError,
    check_fast,
    float64_copy,
    name_of,
    refuse_changes,
)
from minivision.tensor import Tensor


class GradcheckReport(NamedTuple):
    """The result of a check that passed."""

    worst_error: float  # the largest |analytic - numerical| / scale over inputs and directions
    directions: int  # how many directions were compared, over all inputs


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Sequence[Any],
    *,
    rng: np.random.Generator,
    directions: int = 3,
    eps: float = 1e-5,
    tolerance: float = 1e-6,
) -> GradcheckReport:
    """Check the gradient of every input against central differences along random directions.

    function(*inputs) -> a Tensor of any shape. inputs: float64 arrays or Tensors; bind any
    other arguments first (`lambda x, w: conv2d(x, w, stride=2)`).

    Random weights u reduce the result to one number, L = ⟨f(x), u⟩, so that dy = u. Then, along a
    random direction v,

        analytic  = ⟨dx, v⟩                       with dx from backward(u)
        numerical = ⟨f(x + ε·v) - f(x - ε·v), u⟩ / 2ε
        error     = |analytic - numerical| / max(|numerical|, ‖dx‖)

    u is random rather than all ones: with ones the gradient of softmax is zero, and a wrong
    gradient could pass. eps is ε in units of x; the entries of v are about 1 in size.

    The code in functional/ is checked with the faster implementations of fast/, the fast forms,
    switched off. Any fast form that handles these inputs is then compared with it: see
    `check_fast`.

    Raises GradientError if an error exceeds the tolerance, or if the check would prove nothing:
    f does not depend on an input, changes its input, is random, is not finite, or has a kink
    within the step.

    >>> from minivision import functional as F
    >>> rng = np.random.default_rng(0)
    >>> report = gradcheck(F.exp, [rng.normal(size=(2, 3))], rng=rng)
    >>> report.worst_error < 1e-8
    True
    """
    if directions < 1:
        raise ValueError(f"gradcheck: directions is {directions}; expected an integer >= 1")
    with fast.off():
        report = _check_page(function, inputs, rng, directions, eps, tolerance)
    check_fast(function, inputs, rng=rng, tolerance=tolerance)
    return report


def _check_page(
    function: Callable[..., Tensor],
    inputs: Sequence[Any],
    rng: np.random.Generator,
    directions: int,
    eps: float,
    tolerance: float,
) -> GradcheckReport:
    arrays = [float64_copy(i, x) for i, x in enumerate(inputs)]
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = function(*leaves)
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck: function returned {kind(y)}; expected a Tensor")
    xp = array_module(y.data)
    u = xp.asarray(rng.normal(size=y.shape))
    dy = u.copy()
    y.backward(dy)
    refuse_changes(function, dy, u, leaves, inputs)

    def value() -> Array:  # a copy, because the value may be a view of an input
        return function(*[Tensor(a) for a in arrays]).data.copy()

    middle = value()
    if not xp.isfinite(middle).all():
        raise GradientError("gradcheck: the value of the function at these inputs is not finite")
    if not (middle == y.data).all():
        raise GradientError(
            "gradcheck: two calls with the same inputs gave different values; fix the random seed"
        )
    # float64 has 16 digits and values are sums: allow rounding errors of 1e-14 times the value.
    rounding = 1e-14 * float(xp.abs(middle).max()) / eps if middle.size else 0.0
    worst, compared = 0.0, 0
    for i, (a, leaf) in enumerate(zip(arrays, leaves, strict=True)):
        seen = 0
        size_of_gradient = 0.0 if leaf.grad is None else float(xp.sqrt((leaf.grad**2).sum()))
        for _ in range(directions if a.size else 0):
            v = xp.asarray(rng.normal(size=a.shape))
            slopes = _slopes(value, a, v, middle, eps, name_of(function, i))
            numerical = float((slopes * u).sum())
            analytic = 0.0 if leaf.grad is None else float((leaf.grad * v).sum())
            steepest = float(xp.abs(slopes).max()) if slopes.size else 0.0
            if steepest <= rounding and size_of_gradient <= rounding:
                continue  # both are zero, up to rounding
            seen += 1
            scale = max(abs(numerical), size_of_gradient)
            error = abs(analytic - numerical) / scale
            worst = max(worst, error)
            if not error <= tolerance:  # written so that NaN fails too
                raise GradientError(
                    f"gradcheck: along a random direction of {name_of(function, i)}, the "
                    f"gradient gives {analytic:.9g} but the function changes by {numerical:.9g} "
                    f"(relative error {error:.1e}, tolerance {tolerance:.0e})"
                )
        compared += seen
        if a.size and not seen:
            raise GradientError(
                f"gradcheck: the function does not depend on {name_of(function, i)}, "
                "so the check proves nothing"
            )
    if not compared:
        raise GradientError("gradcheck: every input is empty, so the check proves nothing")
    return GradcheckReport(worst, compared)


def _slopes(
    value: Callable[[], Array], a: Array, v: Array, middle: Array, eps: float, name: str
) -> Array:
    """∂f/∂v of every entry of f: the central difference over a step of ε on either side of a.

    Raises GradientError if f has a kink there. The slopes of a smooth function on the two sides
    differ by about ε·f''; at a kink they differ by as much as the slopes themselves. The limit, a
    hundredth of the slopes, is far from both values.
    """
    start = a.copy()
    a[...] = start + eps * v  # `value` reads a
    ahead = value()
    a[...] = start - eps * v
    behind = value()
    a[...] = start
    slopes = (ahead - behind) / (2 * eps)
    xp = array_module(middle)
    bend = abs(ahead - 2 * middle + behind) / eps
    largest = float(xp.abs(slopes).max()) if slopes.size else 0.0
    if slopes.size and float(bend.max()) > 0.01 * largest + 1e-4 * float(xp.abs(middle).max()):
        raise GradientError(
            f"gradcheck: the function has a kink or a jump within {eps:g} of {name}, "
            "where its gradient is one-sided; choose inputs farther away from it"
        )
    return slopes
