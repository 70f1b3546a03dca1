"""A refusal begins with the function's name, then says what came and what was expected."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F

X, IMAGE = np.ones((2, 3)), np.ones((1, 2, 5, 5))
REDUCTIONS = {
    "sum": F.sum, "mean": F.mean, "var": F.var, "max": F.max, "min": F.min,
    "logsumexp": F.logsumexp,
}  # fmt: skip
CALLS = {
    **{
        f"{name} of a wrong axis": (
            lambda function=REDUCTIONS[name]: function(X, axis=2),
            rf"^{name}: axis is 2; expected different axes from -2 to 1$",
        )
        for name in REDUCTIONS
    },
    **{
        f"{name} of a float axis": (
            lambda function=REDUCTIONS[name]: function(X, axis=0.5),
            rf"^{name}: axis is 0\.5; expected an integer, a tuple of integers or None$",
        )
        for name in REDUCTIONS
    },
    "broadcast_to a shape that does not fit": (
        lambda: F.broadcast_to(X, (2, 4)),
        r"^broadcast_to: x has shape \(2, 3\), which does not broadcast to \(2, 4\)",
    ),
    "broadcast_to a smaller shape": (
        lambda: F.broadcast_to(X, (3,)),
        r"^broadcast_to: x has shape \(2, 3\), which does not broadcast to \(3,\)",
    ),
    "where with a condition of another shape": (
        lambda: F.where(np.ones(4, bool), X, X),
        r"^where: condition has shape \(4,\), which does not broadcast with a \(2, 3\)",
    ),
    "where whose condition fits one operand only": (
        lambda: F.where(np.ones((4, 1, 3), bool)[:, :, :2], X, 1.0),
        r"^where: condition has shape \(4, 1, 2\)",
    ),
    "where whose condition fits a only": (
        lambda: F.where(np.ones((2, 1), bool), np.ones(()), np.ones((3, 4))),
        r"^where: condition has shape \(2, 1\), .* a \(\) and b \(3, 4\)$",
    ),
    "matmul of stacks that do not broadcast": (
        lambda: F.matmul(np.ones((2, 3, 4)), np.ones((5, 4, 3))),
        r"^matmul: a has shape \(2, 3, 4\) and b \(5, 4, 3\); "
        r"the axes before the last two do not broadcast$",
    ),
    "nll_loss with targets that ask for a gradient": (
        lambda: F.nll_loss(X, Tensor(np.zeros(2), requires_grad=True)),
        r"^nll_loss: targets requires a gradient; pass targets\.detach\(\)$",
    ),
    "add of shapes that do not broadcast": (
        lambda: F.add(X, np.ones(4)),
        r"^add: a has shape \(2, 3\) and b \(4,\), which do not broadcast; "
        r"from the last axis on, sizes must be equal or 1$",
    ),
    "nll_loss of a vector": (
        lambda: F.nll_loss(np.ones(3), [0]),
        r"^nll_loss: log_probabilities has shape \(3,\); expected 2 axes \(N, K\)",
    ),
    "entropy of a vector": (
        lambda: F.entropy(np.ones(3)),
        r"^entropy: logits has shape \(3,\); expected 2 axes \(N, K\)",
    ),
    "kl_divergence of a vector": (
        lambda: F.kl_divergence(np.ones(3), np.ones(3) / 3),
        r"^kl_divergence: log_q has shape \(3,\); expected 2 axes \(N, K\)",
    ),
    "distillation_loss of a vector": (
        lambda: F.distillation_loss(np.ones(3), np.ones(3)),
        r"^distillation_loss: student_logits has shape \(3,\); expected 2 axes \(N, K\)",
    ),
    "local_response_norm of features": (
        lambda: F.local_response_norm(X),
        r"^local_response_norm: x has shape \(2, 3\); expected 4 axes \(N, C, H, W\)$",
    ),
    "unfold of features": (
        lambda: F.unfold(X, 2),
        r"^unfold: x has shape \(2, 3\); expected 4 axes \(N, C, H, W\)$",
    ),
    "adaptive_avg_pool2d of features": (
        lambda: F.adaptive_avg_pool2d(X, 1),
        r"^adaptive_avg_pool2d: x has shape \(2, 3\); expected 4 axes \(N, C, H, W\)$",
    ),
    "max_pool2d of features": (
        lambda: F.max_pool2d(X, 2),
        r"^max_pool2d: x has shape \(2, 3\); expected 4 axes \(N, C, H, W\)$",
    ),
    **{
        f"{name} of a single image": (
            lambda function=function: function(np.ones((3, 5, 5))),
            rf"^{name}: x has shape \(3, 5, 5\); expected 4 axes \(N, C, H, W\); "
            r"for a single one, add the batch axis: x\[None\]$",
        )
        for name, function in {
            "conv2d": lambda x: F.conv2d(x, np.ones((2, 3, 2, 2))),
            "max_pool2d": lambda x: F.max_pool2d(x, 2),
            "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
            "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1),
        }.items()
    },
    **{
        f"{name} of one label per pixel": (
            lambda function=function: function(np.zeros((2, 7, 4, 5)), np.zeros((2, 4, 5), int)),
            rf"^{name}: {argument} has shape \(2, 7, 4, 5\); expected \(N, K\), so for one label "
            rf"per pixel write {argument}\.transpose\(\(0, 2, 3, 1\)\)\.reshape\(-1, 7\) and "
            r"targets\.reshape\(-1\)$",
        )
        for name, argument, function in (
            ("cross_entropy", "logits", F.cross_entropy),
            ("nll_loss", "log_probabilities", F.nll_loss),
        )
    },
    "avg_pool2d with a wrong stride": (
        lambda: F.avg_pool2d(IMAGE, 2, stride=0),
        r"^avg_pool2d: stride is 0; expected an integer >= 1 or a pair of them$",
    ),
    "affine_grid of a vector": (
        lambda: F.affine_grid(np.ones(6), (1, 1, 2, 2)),
        r"^affine_grid: theta has shape \(6,\); expected 3 axes \(N, 2, 3\)$",
    ),
    "grid_sample of features": (
        lambda: F.grid_sample(X, np.ones((2, 1, 1, 2))),
        r"^grid_sample: x has shape \(2, 3\); expected 4 axes \(N, C, H, W\)$",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_refusal_names_function_argument_and_what_came(what):
    call, sentence = CALLS[what]
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_keeps_its_axes_where_it_is_asked_to(name):
    function = REDUCTIONS[name]
    assert function(X, axis=1, keepdims=True).shape == (2, 1)
    assert function(X, axis=(0, 1), keepdims=True).shape == (1, 1)
    assert function(X, axis=-1).shape == (2,)
