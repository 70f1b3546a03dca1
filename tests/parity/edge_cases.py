"""Calls of every function at the edges of the floats, ours and PyTorch's, for test_edges.py.

A name may go on after a colon, for several cases of one function.
"""

from functools import partial

import numpy as np
import pytest

from minivision import functional as F
from minivision.functional.normalization import RunningStatistics
from tests.parity.edge_draws import Case, apart, crossed, edges, entries, images, rows, with_targets

torch = pytest.importorskip("torch")
TF = torch.nn.functional

# ── where they differ by design ──────────────────────────────────────────────────────────────


def of_roots(number):
    """PyTorch computes x^±0.5 by a root, which differs from C's pow at -0 and -∞."""
    return lambda x, dy: {number: np.isneginf(x) | ((x == 0) & np.signbit(x))}


def several_nan(x, dy):
    """Of two NaN in a window, or NaN and ∞, PyTorch's gradient takes the last NaN."""
    nan = np.isnan(x).sum(axis=(2, 3), keepdims=True)
    largest = nan + np.isposinf(x).sum(axis=(2, 3), keepdims=True)
    return {1: np.broadcast_to((nan > 0) & (largest > 1), x.shape)}


def infinite_dy(x, dy, *_, factor=1):
    """PyTorch subtracts two infinities; ours is one product, such as (q - p)·∞."""
    with np.errstate(over="ignore"):
        infinite = np.isinf(dy * factor).reshape(-1, *[1] * (x.ndim - 1))
    return {1: np.broadcast_to(infinite, x.shape)}


def impossible_class(log_q, dy, p):
    """A class with p = 0 adds nothing, even if q is 0 there, or NaN."""
    return {0: ((p == 0) & ~np.isfinite(log_q)).any(axis=1)}


def impossible_class_of_logits(z, dy, p):
    with np.errstate(invalid="ignore"):
        log_q = F.log_softmax(z).data
    return impossible_class(log_q, dy, p) | infinite_dy(z, dy)


def overflowing_batch(x, dy):
    """Where σ² overflows, x̂ is 0. PyTorch sums in float64, and x·dy before it divides by σ."""
    huge = ((abs(x) > 2) & np.isfinite(x)).any(axis=1)
    entries = np.broadcast_to(huge[:, None], x.shape)
    return {1: entries, 2: huge} | ({0: entries} if x.dtype == np.float32 else {})


# ── functions that need a word ───────────────────────────────────────────────────────────────


def where(dtype):
    a, b, dy = crossed(edges(dtype), 3)
    chosen = np.random.default_rng(0).random(len(a)) < 0.5
    return Case(
        lambda a, b: F.where(chosen, a, b),
        lambda a, b: torch.where(torch.tensor(chosen), a, b),
        [a, b],
        dy,
    )


def masked(function):
    """PyTorch draws other masks; with ours it multiplies too, so that 0·∞ is NaN."""

    def draw(dtype):
        x, dy = crossed(edges(dtype), 2)

        def ours(x):
            return function(x, rng=np.random.default_rng(0))

        mask = torch.tensor(ours(np.ones_like(x)).data)
        return Case(ours, lambda x: x * mask, [x], dy)

    return draw


def batch_norm(training):
    """Rows of three values, each of which is a channel; in training not subnormal ones.

    (They are divided by √ε, and what is left of their digits depends on the order.)
    """

    def draw(dtype):
        values = edges(dtype)
        a, b, c, dy = crossed(values[abs(values) != values[5]] if training else values, 4)
        x = np.stack([a, b, c], axis=1)
        dy = np.stack([dy, np.ones_like(dy), np.full_like(dy, -0.5)], axis=1)
        mean, var = np.full(len(x), 0.5, dtype), np.full(len(x), 2, dtype)
        running = None if training else RunningStatistics(mean.copy(), var.copy(), np.array(0))
        theirs = (None, None) if training else (torch.tensor(mean), torch.tensor(var))
        return Case(
            lambda x, w, b: F.batch_norm(x.T, w, b, running, training).T,
            lambda x, w, b: TF.batch_norm(x.T, *theirs, w, b, training).T,
            [x, np.full(len(x), 1.5, dtype), np.full(len(x), 0.5, dtype)],
            dy,
            overflowing_batch(x, dy) if training else None,
        )

    return draw


def unshared(x, weight, bias):
    """PyTorch has no such function: a product for each place."""
    places = weight.reshape(-1, *weight.shape[2:]).flatten(2)  # (L, F, C·KH·KW)
    columns = TF.unfold(x, weight.shape[-2:])[0].T  # (L, C·KH·KW)
    return (places @ columns[:, :, None])[..., 0].T.reshape(bias.shape)[None] + bias


def entropy(z):
    q, log_q = torch.softmax(z, 1), torch.log_softmax(z, 1)
    return -(q * torch.where(q > 0, log_q, 0)).sum()


def distilled(z):
    teacher = torch.tensor([[2.0, 0.0, -1.0]], dtype=z.dtype)
    log_q, p = torch.log_softmax(z / 2, 1), torch.softmax(teacher / 2, 1)
    return 4 * TF.kl_div(log_q, p, reduction="batchmean")


def teach(z):
    return F.distillation_loss(z, np.array([[2, 0, -1]], z.dtype), 2)


NONE = {"reduction": "none"}
REDUCTIONS = {
    "sum": (F.sum, torch.sum), "mean": (F.mean, torch.mean), "var": (F.var, torch.var),
    "max": (F.max, torch.amax), "min": (F.min, torch.amin),
    "logsumexp": (F.logsumexp, torch.logsumexp),
}  # fmt: skip
LABELS, SOFT = [0, 1, -100, 2], [[0, 1, 0], [0.5, 0.25, 0.25], [1.0, 0, 0]]
CASES = {
    "add": entries(F.add, torch.add, 2),
    "subtract": entries(F.subtract, torch.subtract, 2),
    "multiply": entries(F.multiply, torch.multiply, 2),
    "divide": entries(F.divide, torch.divide, 2),
    "negative": entries(F.negative, torch.negative),
    **{
        f"power: {p}": entries(
            lambda x, p=p: F.power(x, p), lambda x, p=p: x**p,
            differs={0.5: of_roots(1), -0.5: of_roots(0)}.get(p),
        )
        for p in (-2, -1, -0.5, 0, 0.5, 1, 2, 2.5, 3)
    },
    "exp": entries(F.exp, torch.exp),
    "log": entries(F.log, torch.log),
    "sqrt": entries(F.sqrt, torch.sqrt),
    "absolute": entries(F.absolute, torch.abs, differs=lambda x, dy: {1: np.isnan(x)}),
    "maximum": entries(F.maximum, torch.maximum, 2),
    "minimum": entries(F.minimum, torch.minimum, 2),
    "where": where,
    "clip": entries(lambda x: F.clip(x, -2, 1), lambda x: torch.clamp(x, -2, 1)),
    "clip: low": entries(lambda x: F.clip(x, low=0), lambda x: torch.clamp(x, min=0)),
    "clip: high": entries(lambda x: F.clip(x, high=1), lambda x: torch.clamp(x, max=1)),
    **{
        name: rows(
            lambda x, f=ours: f(x, axis=1), lambda x, f=theirs: f(x, dim=1)
        )
        for name, (ours, theirs) in REDUCTIONS.items()
    },
    # What only moves entries, there and back.
    "reshape": entries(lambda x: F.reshape(x, 1, -1)[0], lambda x: x.reshape(1, -1)[0]),
    "flatten": entries(lambda x: F.flatten(x, 0), torch.flatten),
    "transpose": entries(F.transpose, lambda x: x.permute(0)),
    "getitem": entries(lambda x: F.getitem(x, np.arange(len(x.data))), lambda x: x[:]),
    "concatenate": entries(
        lambda x: F.concatenate([x[:5], x[5:]]), lambda x: torch.concatenate([x[:5], x[5:]])
    ),
    "stack": entries(lambda x: F.stack([x])[0], lambda x: torch.stack([x])[0]),
    "pad": entries(lambda x: F.pad(x, [(1, 2)])[1:-2], lambda x: TF.pad(x, [1, 2])[1:-2]),
    "broadcast_to": entries(
        lambda x: F.broadcast_to(x, (1, x.size))[0], lambda x: x.broadcast_to(1, x.numel())[0]
    ),
    "relu": entries(F.relu, torch.relu),
    "leaky_relu": entries(F.leaky_relu, TF.leaky_relu),
    "tanh": entries(F.tanh, torch.tanh),
    "scaled_tanh": entries(F.scaled_tanh, lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    "sigmoid": entries(F.sigmoid, torch.sigmoid),
    "matmul": apart(F.matmul, torch.matmul, (2, 3), (3, 2), out=(2, 2)),
    "linear": apart(F.linear, TF.linear, (2, 3), (2, 3), (2,), out=(2, 2)),
    "conv2d": apart(F.conv2d, TF.conv2d, (1, 2, 3, 3), (2, 2, 2, 2), (2,), out=(1, 2, 2, 2)),
    "conv2d: padded": apart(
        lambda *inputs: F.conv2d(*inputs, padding=1),
        lambda *inputs: TF.conv2d(*inputs, padding=1),
        (1, 2, 3, 3), (2, 2, 2, 2), (2,), out=(1, 2, 4, 4),
    ),
    "unfold": apart(
        lambda x: F.unfold(x, 2), lambda x: TF.unfold(x, 2), (1, 1, 3, 3), out=(1, 4, 4)
    ),
    "fold": apart(
        lambda x: F.fold(x, 3, 2), lambda x: TF.fold(x, (3, 3), 2), (1, 4, 4), out=(1, 1, 3, 3)
    ),
    "locally_connected2d": apart(
        F.locally_connected2d, unshared,
        (1, 2, 3, 3), (2, 2, 2, 2, 2, 2), (2, 2, 2), out=(1, 2, 2, 2),
    ),
    "max_pool2d": images(
        lambda x: F.max_pool2d(x, 2), lambda x: TF.max_pool2d(x, 2), (1, 1), several_nan
    ),
    "max_pool2d: overlapping": images(
        lambda x: F.max_pool2d(x, 2, 1, 1), lambda x: TF.max_pool2d(x, 2, 1, 1), (3, 3),
        several_nan,
    ),
    "avg_pool2d": images(lambda x: F.avg_pool2d(x, 2), lambda x: TF.avg_pool2d(x, 2), (1, 1)),
    **{
        f"avg_pool2d: padded, {counted}": images(
            lambda x, c=counted: F.avg_pool2d(x, 2, 1, 1, count_include_pad=c),
            lambda x, c=counted: TF.avg_pool2d(x, 2, 1, 1, count_include_pad=c), (3, 3),
        )
        for counted in (True, False)
    },
    "adaptive_avg_pool2d": images(
        lambda x: F.adaptive_avg_pool2d(x, (1, 2)), lambda x: TF.adaptive_avg_pool2d(x, (1, 2)),
        (1, 2),
    ),
    "local_response_norm": rows(
        lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 1.0, alpha_over_size=True),
        lambda x: TF.local_response_norm(x, 3, 0.5, 0.75, 1.0), True, (3, 1, 1),
    ),
    "batch_norm: training": batch_norm(True),
    "batch_norm: evaluation": batch_norm(False),
    "dropout": masked(F.dropout),
    "drop_path": masked(F.drop_path),
    "softmax": rows(F.softmax, lambda x: torch.softmax(x, 1), True),
    "log_softmax": rows(F.log_softmax, lambda x: torch.log_softmax(x, 1), True),
    "cross_entropy": with_targets(
        lambda z, t: F.cross_entropy(z, t, **NONE), lambda z, t: TF.cross_entropy(z, t, **NONE),
        LABELS, differs=infinite_dy,
    ),
    "cross_entropy: soft": with_targets(
        lambda z, t: F.cross_entropy(z, t, **NONE), lambda z, t: TF.cross_entropy(z, t, **NONE),
        SOFT, differs=impossible_class_of_logits,
    ),
    "nll_loss": with_targets(
        lambda q, t: F.nll_loss(q, t, **NONE), lambda q, t: TF.nll_loss(q, t, **NONE), LABELS
    ),
    "kl_divergence": with_targets(
        lambda q, p: F.kl_divergence(q, p, **NONE),
        lambda q, p: TF.kl_div(q, p, **NONE).sum(dim=1), SOFT, most=0, differs=impossible_class,
    ),
    "mse_loss": entries(
        lambda x, t: F.mse_loss(x, t, **NONE), lambda x, t: TF.mse_loss(x, t, **NONE), 2
    ),
    "entropy": apart(F.entropy, entropy, (1, 3), out=(), differs=infinite_dy),
    "distillation_loss": apart(
        teach, distilled, (1, 3), out=(), differs=partial(infinite_dy, factor=2**2)
    ),
    "affine_grid": apart(
        lambda theta: F.affine_grid(theta, (1, 1, 2, 2)),
        lambda theta: TF.affine_grid(theta, (1, 1, 2, 2), align_corners=False),
        (1, 2, 3), out=(1, 2, 2, 2),
    ),
    "grid_sample": apart(
        F.grid_sample, lambda x, grid: TF.grid_sample(x, grid, align_corners=False),
        (1, 1, 2, 2), (1, 1, 1, 2), out=(1, 1, 1, 1),
    ),
}  # fmt: skip
