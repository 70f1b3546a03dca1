"""Random examples for every differentiable function, on which to check its gradient.

`CASES` has one function `draw(rng)` for each name in `minivision.functional`. It draws a geometry
(never square, with groups, padding, and strides that do not divide evenly) and returns a call and
its float64 inputs. The inputs avoid kinks and ties, where a gradient is one-sided. `minivision
gradcheck` and the tests use the same table, so a new function without a case is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from minivision import fast
from minivision import functional as F
from minivision.analysis.gradient_cases import arrays, images, probabilities
from minivision.analysis.gradient_cases.draws import Case, Rng
from minivision.backend import Array
from minivision.gradcheck import GradientError, check_fast, gradcheck
from minivision.tensor import Tensor

CASES: dict[str, Callable[[Rng], Case]] = {
    "add": arrays.two_case(F.add),
    "subtract": arrays.two_case(F.subtract),
    "multiply": arrays.two_case(F.multiply),
    "divide": arrays.two_case(F.divide),
    "negative": arrays.one_case(F.negative),
    "power": arrays.power_case,
    "exp": arrays.one_case(F.exp),
    "log": arrays.positive_case(F.log),
    "sqrt": arrays.positive_case(F.sqrt),
    "absolute": arrays.one_case(F.absolute),
    "maximum": arrays.maximum_case(F.maximum),
    "minimum": arrays.maximum_case(F.minimum),
    "where": arrays.where_case,
    "clip": arrays.clip_case,
    "sum": arrays.reduction_case(F.sum),
    "mean": arrays.reduction_case(F.mean),
    "var": arrays.var_case,
    "max": arrays.reduction_case(F.max),
    "min": arrays.reduction_case(F.min),
    "logsumexp": arrays.reduction_case(F.logsumexp),
    "reshape": arrays.reshape_case,
    "flatten": arrays.flatten_case,
    "transpose": arrays.transpose_case,
    "getitem": arrays.getitem_case,
    "concatenate": arrays.concatenate_case,
    "stack": arrays.stack_case,
    "pad": arrays.pad_case,
    "broadcast_to": arrays.broadcast_to_case,
    "relu": arrays.one_case(F.relu),
    "leaky_relu": arrays.one_case(F.leaky_relu),
    "tanh": arrays.one_case(F.tanh),
    "scaled_tanh": arrays.one_case(F.scaled_tanh),
    "sigmoid": arrays.one_case(F.sigmoid),
    "matmul": images.matmul_case,
    "linear": images.linear_case,
    "conv2d": images.conv2d_case,
    "unfold": images.unfold_case,
    "fold": images.fold_case,
    "locally_connected2d": images.locally_connected_case,
    "max_pool2d": images.pooling_case(F.max_pool2d),
    "avg_pool2d": images.avg_pooling_case,
    "adaptive_avg_pool2d": images.adaptive_case,
    "local_response_norm": images.local_response_norm_case,
    "batch_norm": images.batch_norm_case,
    "dropout": probabilities.dropout_case(F.dropout),
    "drop_path": probabilities.dropout_case(F.drop_path),
    "softmax": probabilities.softmax_case(F.softmax),
    "log_softmax": probabilities.softmax_case(F.log_softmax),
    "cross_entropy": probabilities.cross_entropy_case,
    "nll_loss": probabilities.nll_case,
    "mse_loss": probabilities.mse_case,
    "kl_divergence": probabilities.kl_case,
    "distillation_loss": probabilities.distillation_case,
    "entropy": probabilities.entropy_case,
    "affine_grid": images.affine_grid_case,
    "grid_sample": images.grid_sample_case,
}


class Row(NamedTuple):
    """The result of checking one function."""

    name: str
    worst_error: float = 0.0
    geometries: int = 0
    seconds: float = 0.0


def check_all(
    geometries: int = 10, seed: int = 0, names: Iterable[str] | None = None
) -> Iterator[Row]:
    """Check functions in CASES (all, or those named) on random geometries, one row per function.

    The implementation in minivision/functional, the function's page, is checked numerically. If
    minivision/fast has a faster implementation, a fast form, a second row such as "conv2d (fast)"
    compares it with the page. A function's random geometries depend only on the seed and on its
    name. Raises GradientError at the first wrong gradient; the message names the function and the
    number of the geometry.
    """
    for name in CASES if names is None else names:
        rng = np.random.default_rng([seed, *name.encode()])
        page, form = Row(name), Row(f"{name} (fast)")
        for number in range(geometries):
            function, inputs = CASES[name](rng)
            with fast.off():
                page = _checked(page, number, seed, gradcheck, function, inputs, rng)
            inside = [_batch_innermost(x) for x in inputs]
            if _is_fast(name, function, inside):
                directions = np.random.default_rng([seed, number])
                form = _checked(form, number, seed, check_fast, function, inside, directions)
        yield page
        if form.geometries:
            yield form


def _checked(
    row: Row, number: int, seed: int, check: Callable, function: Callable, inputs: list, rng: Rng
) -> Row:
    """Check one more geometry and return the updated row."""
    start = perf_counter()
    try:
        found = check(function, inputs, rng=rng)
    except GradientError as error:
        raise GradientError(f"{row.name}, geometry {number} of seed {seed}: {error}") from error
    worst = max(row.worst_error, found if isinstance(found, float) else found.worst_error)
    return Row(row.name, worst, row.geometries + 1, row.seconds + perf_counter() - start)


def _batch_innermost(x: Array) -> Array:
    """Copy x into the memory layout that activations have between fast forms."""
    return np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0) if x.ndim > 1 else x


def _is_fast(name: str, function: Callable, inputs: list) -> bool:
    """Whether the gradient is computed by a fast form instead of the function's page."""
    y = function(*[Tensor(x, requires_grad=True) for x in inputs])
    return y.node.backward.__module__ != getattr(F, name).__module__
