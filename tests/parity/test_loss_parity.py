"""Softmax, the losses and the divergences, against PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision.analysis.gradient_cases.draws import shape
from tests.parity.agreement import assert_agree
from tests.strategies import seeds

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.parity

COMPARED = {
    "softmax", "log_softmax", "cross_entropy", "nll_loss", "mse_loss", "kl_divergence",
    "distillation_loss", "entropy",
}  # fmt: skip

reductions = st.sampled_from(["mean", "sum", "none"])
# Logits of a few units: a loss of 1e-9 is what a subtraction leaves, and is not known to 1e-19.
batches = {"N": st.integers(1, 5), "K": st.integers(2, 7), "seed": seeds}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(F.softmax, torch.softmax), (F.log_softmax, torch.log_softmax)],
    ids=["softmax", "log_softmax"],
)
@given(T=st.floats(0.5, 3), seed=seeds)
def test_softmax_agrees_with_pytorch(ours, theirs, T, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape(rng, 1, 3))
    axis = int(rng.integers(-x.ndim, x.ndim))
    assert_agree(
        lambda x: ours(x, axis=axis, temperature=T), lambda x: theirs(x / T, dim=axis), [x], seed
    )


def hard_targets(rng, N, K, ignore):
    """Labels, some of which (never all) are ignored."""
    targets = rng.integers(0, K, N)
    targets[1:][rng.random(N - 1) < 0.3] = ignore
    return targets


@given(
    **batches, reduction=reductions, weighted=st.booleans(), ignore=st.sampled_from([-100, -1, 99]),
    smoothing=st.floats(0, 1),
)  # fmt: skip
def test_cross_entropy_agrees_with_pytorch(N, K, seed, reduction, weighted, ignore, smoothing):
    rng = np.random.default_rng(seed)
    targets = hard_targets(rng, N, K, ignore)
    weight = rng.uniform(0.2, 2, K) if weighted else None
    settings = {"ignore_index": ignore, "reduction": reduction, "label_smoothing": smoothing}
    assert_agree(
        lambda z: F.cross_entropy(z, targets, weight, **settings),
        lambda z: TF.cross_entropy(
            z, torch.tensor(targets), None if weight is None else torch.tensor(weight), **settings
        ),
        [2 * rng.normal(size=(N, K))],
        seed,
    )


@pytest.mark.parametrize("weight", [None, np.array([1.0, 2.0, 0.5])], ids=["", "weighted"])
@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_losses_of_ignored_targets_are_pytorchs_zeros(name, reduction, weight):
    targets, ours, theirs = np.full(2, -100), getattr(F, name), getattr(TF, name)
    assert_agree(
        lambda z: ours(z, targets, weight, reduction=reduction),
        lambda z: theirs(
            z, torch.tensor(targets), None if weight is None else torch.tensor(weight),
            reduction=reduction,
        ),
        [np.array([[-1.0, -2.0, -0.5], [-3.0, -0.25, -1.0]])],
    )  # fmt: skip


@given(**batches, reduction=reductions, weighted=st.booleans(), smoothing=st.floats(0, 1))
def test_cross_entropy_of_soft_targets_agrees_with_pytorch(
    N, K, seed, reduction, weighted, smoothing
):
    rng = np.random.default_rng(seed)
    targets = rng.dirichlet(np.ones(K), N)
    weight = rng.uniform(0.2, 2, K) if weighted else None
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    assert_agree(
        lambda z: F.cross_entropy(z, targets, weight, **settings),
        lambda z: TF.cross_entropy(
            z, torch.tensor(targets), None if weight is None else torch.tensor(weight), **settings
        ),
        [2 * rng.normal(size=(N, K))],
        seed,
    )


@given(**batches, reduction=reductions, weighted=st.booleans(), ignore=st.sampled_from([-100, 0]))
def test_nll_loss_agrees_with_pytorch(N, K, seed, reduction, weighted, ignore):
    rng = np.random.default_rng(seed)
    targets = hard_targets(rng, N, K, ignore)
    targets[0] = K - 1  # at least one counts
    weight = rng.uniform(0.2, 2, K) if weighted else None
    settings = {"ignore_index": ignore, "reduction": reduction}
    assert_agree(
        lambda log_q: F.nll_loss(log_q, targets, weight, **settings),
        lambda log_q: TF.nll_loss(
            log_q, torch.tensor(targets), None if weight is None else torch.tensor(weight),
            **settings,
        ),
        [rng.normal(size=(N, K))],
        seed,
    )  # fmt: skip


@given(seed=seeds, reduction=reductions)
def test_mse_loss_agrees_with_pytorch(seed, reduction):
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=(2, *shape(rng)))
    assert_agree(
        lambda x, t: F.mse_loss(x, t, reduction=reduction),
        lambda x, t: TF.mse_loss(x, t, reduction=reduction),
        [x, t],
        seed,
    )


@given(**batches, reduction=st.sampled_from(["mean", "sum"]))
def test_kl_divergence_agrees_with_pytorchs_batchmean(N, K, seed, reduction):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(K), N)
    p[0, 0], p[0, 1] = 0.0, p[0, 0] + p[0, 1]
    theirs = {"mean": "batchmean"}.get(reduction, reduction)
    assert_agree(
        lambda log_q: F.kl_divergence(log_q, p, reduction=reduction),
        lambda log_q: TF.kl_div(log_q, torch.tensor(p), reduction=theirs),
        [-rng.uniform(0, 3, (N, K))],
        seed,
    )


@given(**batches)
def test_kl_divergence_of_each_row_agrees_with_pytorchs_sum_over_the_classes(N, K, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(K), N)
    assert_agree(
        lambda log_q: F.kl_divergence(log_q, p, reduction="none"),
        lambda log_q: TF.kl_div(log_q, torch.tensor(p), reduction="none").sum(dim=1),
        [-rng.uniform(0, 3, (N, K))],
        seed,
    )


@given(**batches, T=st.floats(0.5, 20))
def test_distillation_loss_agrees_with_the_usual_pytorch_code(N, K, seed, T):
    """The two never agree, for where q = p nothing is left but rounding."""
    rng = np.random.default_rng(seed)
    student, teacher = rng.uniform(-0.5, 0.5, (2, N, K))
    teacher[:, 0] += 3
    assert_agree(
        lambda z: F.distillation_loss(z, teacher, T),
        lambda z: T * T * TF.kl_div(
            torch.log_softmax(z / T, dim=1), torch.softmax(torch.tensor(teacher) / T, dim=1),
            reduction="batchmean",
        ),
        [student],
        seed,
    )  # fmt: skip


@given(**batches)
def test_entropy_agrees_with_pytorch(N, K, seed):
    assert_agree(
        F.entropy,
        lambda z: torch.distributions.Categorical(logits=z).entropy().mean(),
        [np.random.default_rng(seed).normal(size=(N, K))],
        seed,
    )
