"""Every exercise: its solution is right, and each of its mistakes is caught and named."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import minivision
from minivision import Tensor
from minivision.exercises import EXERCISES, exercise
from minivision.exercises.examples import drawn, in_float64
from minivision.exercises.judge import broken_laws, judge, recognised
from minivision.exercises.outcomes import agree, fault
from tests.test_museum import EXHIBITS, MUSEUM

MISTAKES = [
    pytest.param(name, mistake, id=f"{name}: {mistake.name}")
    for name in EXERCISES
    for mistake in exercise(name).mistakes
]
PACKAGE = Path(minivision.__file__).parent
LESSONS = PACKAGE.parent / "examples"
each = pytest.mark.parametrize("name", EXERCISES)


def others(name):
    """{name: function}: the same exercise solved in other ways; `engine` uses the engine."""
    module = importlib.import_module(f"tests.exercises.others.{name}")
    functions = inspect.getmembers(module, inspect.isfunction)
    return {key: f for key, f in functions if f.__module__ == module.__name__ and key[0] != "_"}


@each
def test_solution_agrees_with_the_engine(name):
    task, engine = exercise(name), others(name)["engine"]
    assert [e for e in drawn(task) if not agree(task, task.solution, engine, e)] == []


@each
def test_judge_accepts_right_solutions_of_other_forms(name):
    task, ways = exercise(name), others(name)
    del ways["engine"]
    assert len(ways) >= 3
    for way, function in ways.items():
        faults = [fault(task, function, e) for e in drawn(task)]
        assert not any(faults), (way, next(filter(None, faults)))


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_judge_catches_and_names_every_mistake(name, mistake):
    task = exercise(name)
    wrong = task.with_mistake(mistake)
    assert any(fault(task, wrong, e) for e in drawn(task))
    assert recognised(task, wrong) is mistake


@each
def test_exercise_has_five_mistakes_three_hints_and_an_example_that_runs(name):
    task = exercise(name)
    assert len(task.mistakes) >= 5
    assert len(task.hints) >= 3
    module = inspect.getmodule(task.solution)
    (examples,) = doctest.DocTestFinder().find(task.solution, globs=dict(vars(module)))
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0


@each
def test_starting_file_is_worth_no_points(name):
    task, names = exercise(name), {}
    exec(task.starting_file(), names)
    verdict = judge(task, names[name])
    assert (verdict.right, verdict.mistake) == (False, "empty")


@each
def test_lesson_ends_with_its_exercises(name):
    (lesson,) = LESSONS.glob(f"plot_{exercise(name).lesson:02d}_*.py")
    end = lesson.read_text("utf-8").rpartition("**Write it yourself:**")[2]
    assert name in re.findall(r"\w+", end)


@each
def test_page_of_an_exercise_exists(name):
    assert (PACKAGE / exercise(name).page).exists()


@each
def test_broken_laws_finds_none_for_the_solution_and_each_for_a_mistake(name):
    task = exercise(name)
    for law in task.laws:
        assert all(law.holds(task.solution, e.arguments()) for e in in_float64(task)), law.says
        caught = [m for m in task.mistakes if law.says in broken_laws(task, task.with_mistake(m))]
        assert caught, law.says


# ── the museum of lesson 3 ───────────────────────────────────────────────────────────────────────


def exhibit(part, name, *inputs, **settings):
    """(value, backward) of a function in the museum."""
    tensors = [Tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in inputs]
    y = EXHIBITS[name][part](*tensors, **settings)

    def backward(dy):
        y.backward(dy)
        return tuple(x.grad for x in tensors if isinstance(x, Tensor))

    return y.data, backward


def maskless_relu(x):
    y, backward = exhibit("relu", "4 relu, no mask", x)
    return y, lambda dy: backward(dy)[0]


def undivided_cross_entropy(logits, labels):
    loss, backward = exhibit("loss", "6 not divided by N", logits, labels)
    return loss[()], backward(np.ones_like(loss))[0]


@pytest.mark.parametrize(
    ("name", "function", "mistake"),
    [
        ("relu", maskless_relu, "the gradient passes everywhere"),
        ("cross_entropy", undivided_cross_entropy, "the gradient is not divided by N"),
    ],
)
def test_judge_names_an_exhibit_of_the_museum(name, function, mistake):
    task = exercise(name)
    assert any(fault(task, function, e) for e in drawn(task))
    assert recognised(task, function).name == mistake


def test_max_pool2d_has_the_exhibit_that_shares_the_gradient():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6))
    dy = np.random.default_rng(1).normal(size=(2, 3, 2, 3))
    task = exercise("max_pool2d")
    (mistake,) = [m for m in task.mistakes if "share" in m.name]
    _, mine = task.with_mistake(mistake)(x, 2, 2)
    _, theirs = exhibit("pool", "5 pooling shares", x, size=2)
    np.testing.assert_allclose(mine(dy), theirs(dy)[0])


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("1 dW turned", "dweight is turned"),
        ("2 dx not turned", "wrong orientation in dx"),
        ("3 last image only", "dweight contains only the last image"),
    ],
)
def test_conv2d_backward_has_the_exhibits_of_a_convolution(name, fragment):
    rng = np.random.default_rng(0)
    inputs = MUSEUM["example"]("conv", rng.standard_normal, images=3)
    y, theirs = exhibit("conv", name, *inputs)
    dy = rng.standard_normal(y.shape)
    task = exercise("conv2d_backward")
    (mistake,) = [m for m in task.mistakes if fragment in m.name]
    mine = task.with_mistake(mistake)(dy, *inputs[:2], 1, MUSEUM["PADDING"])
    for a, b in zip(mine, theirs(dy), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
