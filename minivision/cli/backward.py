"""Step through the backward pass of an expression: a page with a slider over its graph.

  minivision backward "(w * x + b).sum()" w=0.5 x=[1,-2] b=0.1
  minivision backward "h = x * x; (h * h + h).sum()" x=[1,2]
  minivision backward "conv2d(image, kernel).sum()" image=random(1,1,6,6) kernel=random(1,1,3,3)
  minivision backward "cross_entropy(relu(x @ w), [0, 2])" x=random(2,4) w=random(4,3)

Write the expression as in Python. It may use arithmetic, @, the functions of minivision.functional,
the methods of a Tensor, and several statements separated by `;`. Its result must be a single
number. A value is a number, a list, ones(SHAPE) or random(SHAPE). The page shows every number at
every step; touch one to see which results depend on it. The page opens in any browser, even
offline.
"""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minivision import Tensor
from minivision.analysis.backward_page import backward_page
from minivision.cli.argument_types import whole
from minivision.nn.weights import write_atomically

LARGEST = 1_000_000  # the most numbers in one input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", metavar="EXPRESSION", help="the expression, in quotes")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="a value for each name")
    parser.add_argument(
        "--out", type=Path, default=Path("backward.html"), help="the file to write (backward.html)"
    )
    parser.add_argument("--seed", type=whole, default=0, help="seed of random(…) (default: 0)")


def run(arguments: argparse.Namespace) -> None:
    given = tensors_of(arguments.values, np.random.default_rng(arguments.seed))
    page = backward_page(arguments.expression, given)
    write_atomically(arguments.out, page.encode())
    for name, tensor in given.items():
        print(f"gradient of {name}: {in_words(tensor.grad)}")
    print(f"see {arguments.out}")


def in_words(grad: np.ndarray | None) -> str:
    """The numbers in a small gradient, the shape of a large one, or the meaning of None.

    >>> in_words(np.float32([[1, 0.5]])), in_words(np.zeros((1, 6, 6)))
    ('[[1.0, 0.5]]', 'of shape (1, 6, 6), on the page')
    """
    if grad is None:
        return "none, because the result does not depend on it"
    return (
        f"of shape {grad.shape}, on the page"
        if grad.size > 12
        else str(grad.astype(float).round(4).tolist())
    )


def tensors_of(values: Sequence[str], rng: np.random.Generator) -> dict[str, Tensor]:
    """Turn strings such as "x=[1,2]" into Tensors that require gradients.

    >>> tensors_of(["w=0.5", "x=ones(2)"], np.random.default_rng(0))["x"].numpy()
    array([1., 1.], dtype=float32)
    """
    given = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise ValueError(
                f"{text!r}: expected NAME=VALUE, as in x=[1,2] (quoted if it has spaces)"
            )
        if name in given:
            raise ValueError(f"{name} is given twice: {values}")
        given[name] = Tensor(array_of(name, value, rng), requires_grad=True)
    return given


def array_of(name: str, value: str, rng: np.random.Generator) -> np.ndarray:
    """The float32 array for a string such as 2, [1,2], ones(3) or random(2,2)."""
    made = re.fullmatch(r"(random|ones)\(([\d, ]*)\)", value)
    if made:
        shape = tuple(int(n) for n in made[2].replace(",", " ").split())
        if math.prod(shape) > LARGEST:
            raise ValueError(
                f"{name} has {math.prod(shape):,} numbers; expected at most {LARGEST:,} (and far "
                "fewer on a readable page)"
            )
        if made[1] == "ones":
            return np.ones(shape, np.float32)
        return rng.normal(size=shape).astype(np.float32)
    try:
        array = np.asarray(ast.literal_eval(value), np.float32)
    # Python's parser raises MemoryError if the text is nested too deeply.
    except (
        ValueError,
        SyntaxError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ValueError(
            f"{name} is {value!r:.60}; expected a number, a list, ones(SHAPE) or random(SHAPE)"
        ) from error
    return array
