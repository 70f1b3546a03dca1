"""A random example for every differentiable function, to check its gradient on.

`CASES` has one `draw(rng)` for each name in `minivision.functional`: it draws a geometry (never
square, strides that do not divide, groups, padding) and returns a call and its float64 inputs. The
inputs keep away from kinks and ties, where a gradient is one-sided. `minivision gradcheck` and the
tests read the same table, so a new function without a case is noticed.

Read next: analysis/gradient_cases/draws.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from time import perf_counter
from typing import NamedTuple

import numpy as np

from minivision import fast
from minivision import functional as F
from minivision.analysis.gradient_cases import arrays, images, probabilities
from minivision.analysis.gradient_cases.draws import Case, Rng
from minivision.gradcheck import GradientError, gradcheck

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
    "avg_pool2d": images.pooling_case(F.avg_pool2d),
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
    """What checking one function has shown."""

    name: str
    worst_error: float
    geometries: int
    seconds: float


def check_all(
    geometries: int = 10, seed: int = 0, names: Iterable[str] | None = None
) -> Iterator[Row]:
    """Check functions of CASES (all, or those named) on so many random geometries, a row for each.

    Each is checked twice: with the fast forms off, so that it is the page of the function that is
    checked, and then with them. The draws of a function depend on the seed and on the function's
    name only. Raises GradientError, naming the function and the geometry's number, at the first
    wrong gradient.
    """
    for name in CASES if names is None else names:
        draw = CASES[name]
        rng = np.random.default_rng([seed, *name.encode()])
        start, worst = perf_counter(), 0.0
        for number in range(geometries):
            function, inputs = draw(rng)
            directions = np.random.default_rng([seed, number])
            for form, door, chance in (
                ("", fast.off(), rng),
                (" (fast)", nullcontext(), directions),
            ):
                try:
                    with door:
                        report = gradcheck(function, inputs, rng=chance)
                except GradientError as error:
                    where = f"{name}{form}, geometry {number} of seed {seed}"
                    raise GradientError(f"{where}: {error}") from error
                worst = max(worst, report.worst_error)
        yield Row(name, worst, geometries, perf_counter() - start)
