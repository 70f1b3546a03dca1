"""Exercises: write a part of the framework yourself, and have it checked.

In a notebook:

    from minivision.exercises import check
    check("relu", my_relu)

On the command line, `minivision exercise` lists the exercises and explains the rest.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from minivision.exercises.exercise import Exercise, Function
from minivision.exercises.judge import judge

EXERCISES = (
    "backward", "add", "multiply", "softmax", "cross_entropy", "matmul", "im2col", "conv2d",
    "conv2d_backward", "max_pool2d", "sgd", "relu", "local_response_norm", "batch_norm", "dropout",
    "receptive_field", "cutmix", "posterize", "distillation_loss", "lwf_loss", "pseudo_label_loss",
)  # fmt: skip


def exercise(name: str) -> Exercise:
    """The exercise with this name."""
    if name not in EXERCISES:
        close = get_close_matches(name, EXERCISES, 1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(EXERCISES)}"
        raise ValueError(f"there is no exercise {name!r}; {hint}")
    return import_module(f"minivision.exercises.tasks.{name}").EXERCISE


def check(name: str, function: Function) -> bool:
    """Print whether the function solves the exercise, and if not, why; returns True or False."""
    verdict = judge(exercise(name), function)
    print(verdict.text)
    return verdict.right
