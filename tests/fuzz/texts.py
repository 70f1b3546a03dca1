"""Targets: texts that users type: augmentation policies, and expressions for `backward`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from minivision import manual_seed
from minivision.analysis.backward_page import backward_page
from minivision.analysis.expression import FUNCTIONS, METHODS, Evaluation
from minivision.cli.backward import tensors_of
from minivision.cli.policy import MIXERS, NAMES, STEPS, read_policy
from minivision.transforms import TRANSFORMS, Compose, describe
from tests.damage import photograph
from tests.fuzz.mutations import changed_json, changed_text, exchanged_words, json_text

# ── policies ─────────────────────────────────────────────────────────────────────────────────────


@cache
def policies() -> list[Any]:
    """Descriptions of all the steps that a policy can have."""
    return [describe(make((16, 16, 3))) for make in STEPS.values()]


def make_policy(rng: Random) -> str | bytes:
    if rng.random() < 0.3:
        text = "+".join(rng.sample(sorted(NAMES), rng.randrange(1, 5)))
        return changed_text(rng, text, (*NAMES, "none", "+")).replace("/", "_")
    steps = rng.sample(policies(), rng.randrange(1, 3))
    steps = steps if rng.random() < 0.8 else [describe(Compose([])), *steps]
    return json_text(rng, changed_json(rng, steps, (*TRANSFORMS, "reflect", "nearest")))


def check_policy(made: str | bytes, folder: Path) -> None:
    text = made if isinstance(made, str) else "case.json"
    if isinstance(made, bytes):
        (folder / text).write_bytes(made)
    policy = read_policy("--augment", text, (16, 16, 3))
    assert policy.mixer in (None, *MIXERS)
    image = photograph(16, 16)
    try:
        for step in policy.steps:
            image = step(image, np.random.default_rng(0))
    except ValueError as error:  # a command names the image
        raise ValueError(f"--augment: {error}") from error
    assert image.dtype in (np.uint8, np.float32)


# ── expressions ──────────────────────────────────────────────────────────────────────────────────

EXPRESSIONS = (
    "(w * x + b).sum()", "h = x * x; (h * h + h).sum()", "relu(x @ w).mean()", "x.T[0].sum()",
    "conv2d(image, kernel, stride=2).sum()", "cross_entropy(x @ w, [0, 1])", "x[0, 1] ** -2",
    "max_pool2d(image, 2).sum()", "softmax(x)[:, 1].sum()", "where(x, y, 2).sum()",
    "x.reshape(4).var()", "x.sum(axis=0, keepdims=True).max()", "log(y / 1.5 - -x).exp().min()",
    "concatenate([x, w], axis=1).transpose(1, 0).mean()", "y.flatten().sqrt().sum()",
)  # fmt: skip
VALUES = ("x=[[1,-2],[3,0.5]]", "w=ones(2,2)", "y=random(2,2)", "b=0.1", "image=random(1,1,4,4)",
          "kernel=random(1,1,2,2)")  # fmt: skip
WORDS = (*FUNCTIONS, *METHODS, "x", "y", "w", "b", "image", "kernel", "0", "1", "2", "10", "1e39",
         "None", "True", "''", "axis=", "**", "@", "[::-1]", "[None]", "()", ";", "=", "*", ", ",
         "lambda:", "1j", "x.sum()")  # fmt: skip


def make_expression(rng: Random) -> list[str]:
    line = [rng.choice(EXPRESSIONS), *VALUES]
    if rng.random() < 0.4:
        arguments = rng.choice(("x", "image", "x, y", "x, 2", "image, 2", "x, w, y", "x, [0, 1]"))
        line[0] = f"{rng.choice(sorted(FUNCTIONS))}({arguments}){rng.choice(('', '.sum()'))}"
    for _ in range(rng.choice((1, 1, 2))):
        at = 0 if rng.random() < 0.8 else rng.randrange(len(line))
        values = ("ones(", "random(", "9" * 5, "9" * 400, ",", "[", "nan", "1e999", "()", "=")
        change = changed_text if rng.random() < 0.3 else exchanged_words
        line[at] = change(rng, line[at], values if at else WORDS)
    return line


def check_expression(made: list[str], folder: Path) -> None:
    text, *values = made
    given = tensors_of(values, np.random.default_rng(0))
    with manual_seed(0):
        value = Evaluation(text, given).value
    names = {**FUNCTIONS, **given, "__builtins__": {}}
    lines = [line for line in text.strip().split(";") if line.strip()]
    with manual_seed(0):
        for line in lines[:-1]:
            exec(line.strip(), names)  # only what the evaluation above accepted
        expected = eval(lines[-1].strip().split("=")[-1], names) if "=" not in lines[-1] else value
    expected = getattr(expected, "data", expected)
    assert np.allclose(value.numpy(), expected, 1e-4, equal_nan=True), (value, expected)
    backward_page(text, given)
