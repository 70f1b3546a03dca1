"""The gradient of a linear function is its adjoint: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for all x and y.

For a linear A this is the whole gradient. It can be checked without small steps, so in float32
too. Aᵀ y is computed at one x and compared at another: the backward function must not depend
on x.
"""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES
from tests.strategies import seeds


def whole(name):
    """A case that is linear in all its inputs together."""
    return lambda rng: CASES[name](rng)


def part(name, position):
    """A case that is linear in one input while the others are constant; without its bias."""

    def draw(rng):
        function, inputs = CASES[name](rng)
        inputs = inputs[:2]

        def linear(x):
            constants = [other.astype(x.dtype) for other in inputs]
            constants[position] = x
            return function(*constants)

        return linear, [inputs[position]]

    return draw


def padded(rng):
    x = rng.normal(size=(2, 3, 4))
    return lambda x: F.pad(x, [(1, 0), (0, 2), (2, 1)]), [x]


LINEAR = {
    **{name: whole(name) for name in (
        "add", "subtract", "negative", "where", "sum", "mean", "reshape", "flatten", "transpose",
        "getitem", "concatenate", "stack", "broadcast_to", "unfold", "fold", "avg_pool2d",
        "adaptive_avg_pool2d", "dropout", "drop_path", "affine_grid",
    )},
    "pad": padded,
    **{f"{name} in {argument}": part(name, i) for name, arguments in {
        "multiply": "ab", "matmul": "ab", "linear": ("x", "weight"), "conv2d": ("x", "weight"),
        "locally_connected2d": ("x", "weight"), "grid_sample": ("x",),
    }.items() for i, argument in enumerate(arguments)},
}  # fmt: skip


def inner(one, other):
    """⟨·, ·⟩ over lists of arrays, and the product of their lengths."""
    a, b = [
        np.concatenate([part.ravel() for part in parts]).astype(float) for parts in (one, other)
    ]
    return a @ b, np.linalg.norm(a) * np.linalg.norm(b)


def broken_law(function, inputs, rng, dtype):
    """|⟨A v, y⟩ - ⟨v, Aᵀ y⟩| in units of the lengths involved and of the dtype's rounding."""
    leaves = [Tensor(x.astype(dtype), requires_grad=True) for x in inputs]
    Ax = function(*leaves)
    y = rng.normal(size=Ax.shape).astype(dtype)
    Ax.backward(y)
    v = [rng.normal(size=x.shape).astype(dtype) for x in inputs]
    forward, one = inner([function(*map(Tensor, v)).data], [y])
    backward, other = inner(v, [leaf.grad for leaf in leaves])
    return abs(forward - backward) / (one + other + 1e-30) / np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", LINEAR)
@given(seed=seeds)
def test_functional_gradients_of_linear_functions_are_their_adjoints(name, dtype, seed):
    rng = np.random.default_rng(seed)
    function, inputs = LINEAR[name](rng)
    assert broken_law(function, inputs, rng, dtype) < 8


@pytest.mark.parametrize("name", ["relu", "power", "local_response_norm", "softmax"])
def test_functional_gradients_of_nonlinear_functions_break_the_law(name):
    rng = np.random.default_rng(0)
    function, inputs = CASES[name](rng)
    assert broken_law(function, [abs(x) for x in inputs], rng, np.float64) > 1e6
