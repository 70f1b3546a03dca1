"""Optimizers against PyTorch's: the same gradients give the same weights, step after step."""

import numpy as np
import pytest

from minivision.nn import Parameter
from minivision.optim import SGD, Adam, AdamW, clip_grad_norm_

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

PAIRS = {
    "SGD": (SGD, torch.optim.SGD, {"lr": 0.1}),
    "momentum": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "Nesterov": (
        SGD,
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ),
    "Adam": (Adam, torch.optim.Adam, {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "AdamW": (AdamW, torch.optim.AdamW, {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_optim_agrees_with_pytorch_over_twenty_steps(name):
    ours, theirs, settings = PAIRS[name]
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(3, 4)), rng.normal(size=5)]
    a = [Parameter(array.copy()) for array in start]
    b = [torch.nn.Parameter(torch.tensor(array)) for array in start]
    optimizer, reference = ours(a, **settings), theirs(b, **settings)
    for _ in range(20):
        for p, q in zip(a, b, strict=True):
            p.grad = rng.normal(size=p.shape)
            q.grad = torch.tensor(p.grad)
        optimizer.step()
        reference.step()
        for p, q in zip(a, b, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm_agrees_with_pytorch(max_norm):
    rng = np.random.default_rng(1)
    a = [Parameter(np.zeros((3, 4))), Parameter(np.zeros(5))]
    b = [torch.nn.Parameter(torch.zeros(p.shape, dtype=torch.float64)) for p in a]
    for p, q in zip(a, b, strict=True):
        p.grad = rng.normal(size=p.shape)
        q.grad = torch.tensor(p.grad.copy())
    norm = clip_grad_norm_(a, max_norm)
    reference = torch.nn.utils.clip_grad_norm_(b, max_norm)
    np.testing.assert_allclose(float(norm), float(reference), rtol=1e-12)
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)
