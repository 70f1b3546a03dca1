"""The museum of lesson 3: every exhibit is wrong in its gradient only, trains, and is caught."""

import importlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from minivision import Tensor, gradcheck
from minivision import functional as F
from minivision.gradcheck import GradientError
from tests.refusals import refused

EXAMPLES = Path(__file__).parent.parent / "examples"


def script_and_museum():
    sys.path.insert(0, str(EXAMPLES))  # as `python examples/measure_….py` does
    try:
        script = importlib.import_module("measure_wrong_gradients")
        return script, script.definitions(script.LESSON)
    finally:
        sys.path.remove(str(EXAMPLES))


SCRIPT, MUSEUM = script_and_museum()
RIGHT, EXHIBITS = MUSEUM["RIGHT"], MUSEUM["EXHIBITS"]
SINGLE = {name: next(iter(rules.items())) for name, rules in EXHIBITS.items() if len(rules) == 1}

each_exhibit = pytest.mark.parametrize("name", SINGLE)


def on_an_example(name, seed):
    """The right function, the exhibit's, and inputs for both."""
    part, wrong = SINGLE[name]
    draw = np.random.default_rng(seed).standard_normal
    right, wrong = (MUSEUM["checkable"](part, function) for function in (RIGHT[part], wrong))
    return right, wrong, MUSEUM["example"](part, draw, images=3)


@each_exhibit
def test_lesson_3_exhibit_computes_the_right_value(name):
    right, wrong, inputs = on_an_example(name, seed=0)
    inputs = [Tensor(a) for a in inputs]
    np.testing.assert_array_equal(wrong(*inputs).data, right(*inputs).data)


@each_exhibit
@pytest.mark.parametrize("seed", range(5))
def test_gradcheck_catches_an_exhibit_and_passes_what_it_imitates(name, seed):
    right, wrong, inputs = on_an_example(name, seed)
    gradcheck(right, inputs, rng=np.random.default_rng(seed))
    with refused(GradientError, "the gradient gives"):
        gradcheck(wrong, inputs, rng=np.random.default_rng(seed))


def test_lesson_3_comments_with_the_right_line_are_right():
    """The comments after `right:` turn each exhibit into the engine's function."""
    rng = np.random.default_rng(1)
    inputs = MUSEUM["example"]("conv", rng.standard_normal, images=3)
    leaves = [Tensor(a, requires_grad=True) for a in inputs]
    y = RIGHT["conv"](*leaves)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    x, weight, _ = inputs
    np.testing.assert_allclose(MUSEUM["right_dx"](dy, weight), leaves[0].grad, atol=1e-12)
    np.testing.assert_allclose(MUSEUM["right_dw"](dy, x), leaves[1].grad, atol=1e-12)

    columns = F.unfold(x, (5, 5), padding=MUSEUM["PADDING"]).data
    rows = dy.reshape(len(dy), dy.shape[1], -1)
    dw = sum(r @ c.T for r, c in zip(rows, columns, strict=True)).reshape(weight.shape)
    np.testing.assert_allclose(dw, leaves[1].grad, atol=1e-12)


@pytest.mark.parametrize(
    ("level", "passing"),
    list(enumerate(["12346", "124", "12", "1", ""])),
    ids=MUSEUM["CHECKS"],
)
def test_lesson_3_repair_of_the_check_catches_what_passed_before(level, passing):
    missed = [
        name[0]
        for name, (part, function) in SINGLE.items()
        if all(MUSEUM["passes"](level, part, function, seed) for seed in range(20))
    ]
    assert "".join(missed) == passing


@pytest.mark.parametrize("part", RIGHT)
def test_lesson_3_checks_pass_every_right_gradient(part):
    for level in range(len(MUSEUM["CHECKS"])):
        assert all(MUSEUM["passes"](level, part, RIGHT[part], seed) for seed in range(20))


def recorded():
    rows = json.loads(SCRIPT.RESULT.read_text("utf-8"))
    names = (*MUSEUM["CONTROLS"], *EXHIBITS)
    return rows, {
        name: np.array([row["test_accuracy"] for row in rows if row["name"] == name])
        for name in names
    }


def test_lesson_3_record_is_of_the_museum_that_is_shown():
    rows, tests = recorded()
    assert {row["name"] for row in rows} == set(tests)
    for row in rows:
        wrong = {part: f.__name__ for part, f in EXHIBITS.get(row["name"], {}).items()}
        assert row["wrong"] == wrong
        settings = row["settings"]
        shown = [MUSEUM[name] for name in ("EPOCHS", "BATCH_SIZE", "LEARNING_RATE")]
        assert [settings[name] for name in ("epochs", "batch_size", "lr")] == shown
        assert len(row["train_loss"]) == MUSEUM["EPOCHS"]
    seeds = {name: sorted(row["seed"] for row in rows if row["name"] == name) for name in tests}
    assert len(seeds["all rules right"]) >= 3
    assert all(of_one == seeds["all rules right"] for of_one in seeds.values()), "seeds are paired"


def test_lesson_3_record_supports_what_the_lesson_says():
    rows, tests = recorded()

    def standard_errors(name, control):
        gain = tests[name] - tests[control]
        return gain.mean() / (gain.std(ddof=1) / math.sqrt(len(gain)))

    for name in EXHIBITS:
        assert tests[name].mean() > 0.9, "about nine digits of ten, or more"
        assert all(row["train_loss"][-1] < row["train_loss"][0] / 2
                   for row in rows if row["name"] == name), "its loss falls"  # fmt: skip
    assert tests["shuffled labels"].max() < 0.25
    frozen, right = tests["frozen filters"].mean(), tests["all rules right"].mean()
    assert 0.01 < right - frozen < 0.06, "only a few points to lose"
    assert standard_errors("1 dW turned", "frozen filters") < 2
    assert standard_errors("3, 4, 5 and 6", "frozen filters") < 2
    assert abs(standard_errors("6 not divided by N", "all rules right")) < 2
