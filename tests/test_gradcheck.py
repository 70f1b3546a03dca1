"""gradcheck catches every wrong gradient, and refuses checks that would prove nothing."""

import numpy as np
import pytest

from minivision import Tensor, fast, functional, record
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES
from minivision.fast import door
from minivision.gradcheck import GradientError, gradcheck
from tests.refusals import refused
from tests.sabotage import MISTAKES, SABOTAGE, mistaken, spoiled


def every(table):
    """Parametrize a test by every (name, how) of a table {name: {how: …}}."""
    return pytest.mark.parametrize(
        ("name", "how"),
        [pytest.param(name, how, id=f"{name}: {how}") for name in table for how in table[name]],
    )


def rng(seed=0):
    return np.random.default_rng(seed)


def caught(name, spoil, draws):
    """In how many of `draws` random geometries the wrong gradient is noticed."""
    generator = rng(7)
    count = 0
    for _ in range(draws):
        function, inputs = CASES[name](generator)
        try:
            gradcheck(spoiled(function, spoil), inputs, rng=generator)
        except GradientError as error:
            count += "the gradient gives" in str(error)
    return count


def test_sabotage_covers_every_function():
    assert set(SABOTAGE) == set(functional.__all__)


@every(SABOTAGE)
def test_gradcheck_catches_every_sabotage(name, how):
    assert caught(name, SABOTAGE[name][how], draws=25) > 0


@every(MISTAKES)
def test_gradcheck_catches_the_backward_function_of_another_function(monkeypatch, name, how):
    right = getattr(functional, name)
    monkeypatch.setattr(functional, name, mistaken(right, MISTAKES[name][how]))
    assert caught(name, unspoiled, draws=25) > 0


@pytest.mark.parametrize("name", MISTAKES)
def test_gradcheck_passes_a_functions_own_backward_function(monkeypatch, name):
    right = getattr(functional, name)
    monkeypatch.setattr(functional, name, mistaken(right, right))
    assert caught(name, unspoiled, draws=25) == 0


@pytest.mark.parametrize("name", CASES)
def test_gradcheck_passes_the_same_geometries_without_sabotage(name):
    assert caught(name, unspoiled, draws=25) == 0


def unspoiled(dy, gradients, inputs, y):
    return gradients


@pytest.mark.parametrize("name", CASES)
def test_gradcheck_catches_a_relative_error_of_0_0001(name):
    def spoil(dy, gradients, inputs, y):
        return [1.0001 * dx for dx in gradients]

    assert caught(name, spoil, draws=10) >= 9


def test_softmax_gradient_under_ones_is_0_whether_right_or_wrong():
    """Why u is random: for dy = 1 the gradient of softmax is 0, whether right or wrong."""
    z = Tensor(rng().normal(size=(2, 5)), requires_grad=True)
    F.softmax(z).backward(np.ones((2, 5)))
    assert abs(z.grad).max() < 1e-15


def test_gradcheck_reports_the_worst_error_and_the_number_of_directions():
    report = gradcheck(F.multiply, [rng().normal(size=3), rng().normal(size=3)], rng=rng(),
                       directions=5)  # fmt: skip
    assert 0 < report.worst_error < 1e-8
    assert report.directions == 10


def test_gradcheck_takes_tensors_and_does_not_change_them():
    x = Tensor(rng().normal(size=(2, 3)), requires_grad=True)
    before = x.data.copy()
    gradcheck(F.tanh, [x], rng=rng())
    np.testing.assert_array_equal(x.data, before)
    assert x.grad is None


# ── checks that would prove nothing ──────────────────────────────────────────────────────────


def test_gradcheck_refuses_a_function_that_does_not_depend_on_its_input():
    def constant(x):
        return record(np.ones(3), (x,), lambda dy: (np.zeros(4),))

    with refused(GradientError, "gradcheck", "not depend on input 0 (x)", "proves nothing"):
        gradcheck(constant, [rng().normal(size=4)], rng=rng())


def test_gradcheck_checks_every_input():
    def ignores_its_second_input(a, b):
        return F.tanh(a)

    with refused(GradientError, "gradcheck", "not depend on input 1 (b)"):
        gradcheck(ignores_its_second_input, [rng().normal(size=4)] * 2, rng=rng())


def test_gradcheck_catches_a_gradient_of_a_constant():
    def constant(x):
        return record(np.ones(3), (x,), lambda dy: (np.ones(4),))

    with refused(GradientError, "gradcheck", "input 0 (x)"):
        gradcheck(constant, [rng().normal(size=4)], rng=rng())


def test_gradcheck_catches_a_missing_gradient():
    def forgets(x, w):
        return record(x.data * w.data, (x, w), lambda dy: (dy * w.data, None))

    with refused(GradientError, "input 1 (w)", "the gradient gives 0 "):
        gradcheck(forgets, [rng().normal(size=4), rng(1).normal(size=4)], rng=rng())


def test_gradcheck_refuses_a_sum_of_probabilities_which_is_constant():
    with refused(GradientError, "gradcheck", "input 0 (z)"):
        gradcheck(lambda z: F.softmax(z).sum(), [rng().normal(size=5)], rng=rng())


def test_gradcheck_refuses_a_gradient_of_nan():
    def strange(x):
        return record(x.data * 1, (x,), lambda dy: (dy * np.nan,))

    with refused(GradientError, "input 0 (x)", "the gradient gives nan"):
        gradcheck(strange, [rng().normal(size=4)], rng=rng())


def test_gradcheck_notices_a_function_that_changes_its_input():
    def doubles_in_place(x):
        x._data *= 2
        return F.tanh(x)

    with refused(GradientError, "the function changed", "input 0 (x)"):
        gradcheck(doubles_in_place, [rng().normal(size=4)], rng=rng())


def test_gradcheck_notices_a_backward_function_that_changes_an_input():
    def tidies_up(a, b):
        u, v = a.data, b.data

        def backward(dy):
            da, db = dy * v, dy * u
            v[...] = 0
            return da, db

        return record(u * v, (a, b), backward)

    with refused(GradientError, "the function changed", "input 1 (b)"):
        gradcheck(tidies_up, [rng().normal(size=4), rng(1).normal(size=4)], rng=rng())


@pytest.mark.parametrize("function", [F.relu, lambda x: F.max(x, axis=0)], ids=["relu", "max"])
def test_gradcheck_notices_a_kink_within_the_step(function):
    x = rng().normal(size=(2, 3))
    x[0, 0] = x[1, 0] = 0.0
    with refused(GradientError, "a kink or a jump", "1e-05", "input 0"):
        gradcheck(function, [x], rng=rng())


def test_gradcheck_notices_a_jump():
    def step(x):
        return record(np.where(x.data > 0, x.data + 1, x.data), (x,), lambda dy: (dy,))

    with refused(GradientError, "a kink or a jump", "input 0 (x)"):
        gradcheck(step, [np.array([1e-7, 1.0])], rng=rng())


def test_gradcheck_does_not_mistake_curvature_for_a_kink():
    gradcheck(F.exp, [np.array([5.0, -3.0])], rng=rng())
    gradcheck(lambda x: F.power(x, 3), [np.array([20.0, 0.1])], rng=rng())


def test_gradcheck_notices_a_random_function():
    generator = rng(1)
    with refused(GradientError, "gradcheck: two calls", "same inputs"):
        gradcheck(lambda x: F.dropout(x, rng=generator), [rng().normal(size=(5, 6))], rng=rng())


class Orthogonal:
    """Stands in for a generator whose direction is almost orthogonal to the gradient."""

    def normal(self, size):
        return np.ones(()) if size == () else np.array([1.0, -1.0 + 1e-6])


def test_gradcheck_passes_in_a_direction_along_which_a_scalar_hardly_changes():
    """Both numbers are 1e-6 and agree within 1e-11, the rounding error of f divided by ε."""
    gradcheck(lambda x: x.sum(), [np.array([0.3, 0.9])], rng=Orthogonal())


# ── the fast forms, compared with their page ─────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spoil", "fragments"),
    [
        (lambda x, y, dx: (2 * y, dx), ["the value differs", "fast form"]),
        (
            lambda x, y, dx: (y, lambda dy: (1.001 * dx(dy)[0],)),
            ["the gradient of input 0 (x) differs", "fast form"],
        ),
        (
            lambda x, y, dx: (y, lambda dy: (None,)),
            ["only one", "fast form", "the gradient of input 0 (x)"],
        ),
        (lambda x, y, dx: (x.fill(0), (y, dx))[1], ["the function changed", "input 0 (x)"]),
        (lambda x, y, dx: (y, lambda dy: (dx(dy), dy.fill(0))[0]), ["backward", "changed dy"]),
    ],
    ids=["value", "gradient", "no gradient", "changes x", "changes dy"],
)
def test_gradcheck_finds_a_wrong_fast_form(monkeypatch, spoil, fragments):
    right = fast.avg_pool2d
    monkeypatch.setattr(fast, "avg_pool2d", lambda x, *more: spoil(x, *right(x, *more)))
    inputs, rng = [np.random.default_rng(0).normal(size=(2, 2, 4, 4))], np.random.default_rng(1)

    def pool(x):
        return F.avg_pool2d(x, 2)

    with door.on(), refused(GradientError, "gradcheck", *fragments):
        gradcheck(pool, inputs, rng=rng)
    with fast.off():  # the page is right
        gradcheck(pool, inputs, rng=rng)


def test_gradcheck_finds_a_backward_function_that_changes_dy():
    def identity(x):
        def backward(dy):
            np.maximum(dy, 0, out=dy)
            return (dy,)

        return record(x.data * 1, (x,), backward)

    with refused(GradientError, "gradcheck", "backward", "changed dy"):
        gradcheck(identity, [np.ones((3, 4))], rng=np.random.default_rng(0))
