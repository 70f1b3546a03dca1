"""What it means to agree with PyTorch: value and gradients of the same random dy, in float64.

Values agree within 1e-10 and gradients within 1e-8, relative to the largest entry.
"""

import numpy as np

from minivision import Tensor


def both(ours, theirs, inputs, seed=0):
    """[value, gradients…] of the same random dy, from minivision and from PyTorch."""
    import torch  # optional: without it the tests that come here are skipped

    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = ours(*leaves)
    dy = np.random.default_rng(seed).normal(size=y.shape)
    y.backward(dy)
    their_leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    their_y = theirs(*their_leaves)
    their_y.backward(torch.tensor(dy))
    mine = [y.data, *[leaf.grad for leaf in leaves]]
    return mine, [their_y.detach().numpy(), *[leaf.grad.numpy() for leaf in their_leaves]]


def assert_agree(ours, theirs, inputs, seed=0):
    mine, yours = both(ours, theirs, inputs, seed)
    for i, (a, b) in enumerate(zip(mine, yours, strict=True)):
        assert a.shape == b.shape
        largest = np.abs(b).max(initial=0)
        tolerance = 1e-10 if i == 0 else 1e-8
        assert np.abs(a - b).max(initial=0) <= tolerance * max(largest, 1e-30)
