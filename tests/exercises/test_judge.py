"""The judge: every way to be wrong gets the right words, and nothing gets points for nothing."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.exercises import check, exercise
from minivision.exercises.exercise import Mistake
from minivision.exercises.judge import calls_into_minivision, judge
from tests.refusals import refused

RELU = exercise("relu")


def changes_its_input(x):
    x[x < 0] = 0
    return x, lambda dy: dy * (x > 0)


def changes_dy(x):
    def backward(dy):
        dy *= x > 0
        return dy

    return np.maximum(x, 0), backward


def only_above_two(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0) * (x < 2)


NOT_RIGHT = {
    "nothing": (lambda x: None, "empty", ["returns None"]),
    "no backward": (lambda x: np.maximum(x, 0), "", ["an array of shape", "y, backward"]),
    "backward is an array": (lambda x: (np.maximum(x, 0), x), "", ["backward is an array"]),
    "too many": (lambda x: (x, x, x), "", ["a tuple of 3", "y, backward"]),
    "a list": (lambda x: (list(x), lambda dy: dy), "", ["y is list", "an array of shape"]),
    "text": (lambda x: ("text", lambda dy: dy), "", ["y is str"]),
    "zeros": (lambda x: (x * 0, lambda dy: dy * 0), "returns zeros", ["returns zeros"]),
    "its input": (lambda x: (x, lambda dy: dy), "returns its input x", ["returns its input x"]),
    "another shape": (lambda x: (x.ravel(), lambda dy: dy), "", ["y has shape", "expected"]),
    "another dtype": (
        lambda x: (np.maximum(x, 0).astype(np.float64), lambda dy: dy * (x > 0)),
        "", ["are right", "float64", "expected float32"],
    ),
    "exception": (lambda x: 1 / 0, "", ["raises ZeroDivisionError", "division by zero"]),
    "exception in backward": (
        lambda x: (np.maximum(x, 0), lambda dy: dy[99, 99]), "", ["raises IndexError"],
    ),
    "NaN": (lambda x: (np.maximum(x, 0) * np.nan, lambda dy: dy), "", ["nan"]),
    "writes into x": (changes_its_input, "", ["changed its input x"]),
    "writes into dy": (changes_dy, "", ["changed its input dy"]),
    "an unknown mistake": (only_above_two, "", ["dx, expected", "dx, yours", "[2.]"]),
    "the engine": (
        lambda x: (F.relu(x).data, lambda dy: dy * (x > 0)), "calls the engine", ["calls relu"],
    ),
    "the engine's Tensor": (
        lambda x: (Tensor(x).relu().data, lambda dy: dy), "calls the engine", ["minivision"],
    ),
    "the solution": (RELU.solution, "calls the engine", ["calls relu"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_RIGHT)
def test_judge_says_what_is_wrong(name):
    function, mistake, fragments = NOT_RIGHT[name]
    if name == "the solution":
        verdict = judge(RELU, lambda x: function(x))
    else:
        verdict = judge(RELU, function)
    assert not verdict.right
    assert verdict.mistake == mistake
    assert all(fragment in verdict.text for fragment in fragments), verdict.text


def test_judge_says_that_a_result_changes_from_call_to_call():
    rng = np.random.default_rng(0)
    seldom = judge(
        RELU, lambda x: (np.maximum(x, 0) + (rng.random() < 0.05), lambda dy: dy * (x > 0))
    )
    assert not seldom.right
    assert "changes from call to call" in seldom.text


def test_judge_shows_the_smallest_example_of_an_unknown_mistake():
    verdict = judge(RELU, only_above_two)
    assert "x (1, 1)\n      [[2.]]" in verdict.text
    assert "1 of 1 differ, the first at [0, 0]" in verdict.text


def test_check_prints_the_verdict_and_returns_whether_it_is_right(capsys):
    assert check("relu", lambda x: (np.maximum(x, 0), lambda dy: dy * (x > 0)))
    assert "is right" in capsys.readouterr().out
    assert not check("relu", lambda x: (np.maximum(x, 0), lambda dy: dy * (x >= 0)))
    assert "exactly 0" in capsys.readouterr().out


def test_check_refuses_an_unknown_exercise():
    with refused(ValueError, "'relux'", "relu"):
        check("relux", None)


def test_calls_into_minivision_leaves_nothing_behind():
    import sys

    with calls_into_minivision() as called:
        F.relu(Tensor([1.0]))
    assert called == ["relu"] or "relu" in called
    assert sys.getprofile() is None


def test_with_mistake_refuses_text_that_the_solution_does_not_have():
    with refused(ValueError, "relu", "'x < 0'"):
        RELU.with_mistake(Mistake("", "x < 0", "", ""))
