"""What holds for every differentiable function, whatever it computes.

`CASES` draws a geometry and its inputs for each; `minivision gradcheck` uses the same table.
"""

import inspect

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor, autograd, fast, functional, no_grad
from minivision.analysis.gradient_cases import CASES, check_all
from minivision.fast import door
from minivision.gradcheck import gradcheck
from tests.refusals import refused
from tests.strategies import memory_orders, seeds

every_function = pytest.mark.parametrize("name", CASES)


def drawn(name, seed):
    rng = np.random.default_rng(seed)
    function, inputs = CASES[name](rng)
    return function, inputs, rng


def run(function, inputs, dy=None, seed=0):
    """The value, and the gradients of all inputs under a random (or the given) dy."""
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = function(*leaves)
    if dy is None:
        dy = np.random.default_rng(seed).normal(size=y.shape).astype(y.dtype)
    y.backward(dy)
    return y.data, [leaf.grad for leaf in leaves]


def test_cases_cover_every_function():
    assert set(CASES) == set(functional.__all__)


@every_function
@given(seed=seeds)
def test_functional_gradients_pass_gradcheck(name, seed):
    function, inputs, rng = drawn(name, seed)
    gradcheck(function, inputs, rng=rng)


def test_batch_norm_case_with_three_nearly_equal_values_passes():
    """At this seed the variance of one channel was 0.00009, and the step of gradcheck too large."""
    function, inputs, rng = drawn("batch_norm", 1058)
    gradcheck(function, inputs, rng=rng)


@every_function
@given(seed=seeds)
def test_functional_keeps_float32_and_agrees_with_float64(name, seed):
    function, inputs, rng = drawn(name, seed)
    y, gradients = run(function, inputs, seed=seed)
    small = [x.astype(np.float32) for x in inputs]
    y32, gradients32 = run(function, small, seed=seed)
    for exact, single in zip([y, *gradients], [y32, *gradients32], strict=True):
        assert exact.dtype == np.float64
        assert single.dtype == np.float32
        assert single.shape == exact.shape
        # A sum whose terms of about 1 cancel is only as exact as its terms.
        np.testing.assert_allclose(single, exact, rtol=1e-4, atol=1e-5 * max(1, abs(exact).max()))


@every_function
@given(seed=seeds)
def test_functional_does_not_change_its_inputs(name, seed):
    function, inputs, rng = drawn(name, seed)
    before = [x.copy() for x in inputs]
    dy = rng.normal(size=function(*inputs).shape)
    dy_before = dy.copy()
    run(function, inputs, dy)
    for x, x_before in zip([*inputs, dy], [*before, dy_before], strict=True):
        np.testing.assert_array_equal(x, x_before)


@every_function
@given(seed=seeds)
def test_functional_takes_read_only_arrays(name, seed):
    function, inputs, rng = drawn(name, seed)
    dy = rng.normal(size=function(*inputs).shape)
    for x in [*inputs, dy]:
        x.flags.writeable = False
    _, gradients = run(function, inputs, dy)
    assert all(dx.flags.writeable for dx in gradients)


@every_function
def test_functional_takes_arrays_in_place_of_tensors(name):
    function, inputs, _ = drawn(name, 1)
    y = function(*inputs)
    assert isinstance(y, Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.data, function(*map(Tensor, inputs)).data)


@every_function
@given(seed=seeds)
def test_functional_does_not_depend_on_memory_order(name, seed):
    function, inputs, rng = drawn(name, seed)
    dy = rng.normal(size=function(*inputs).shape)
    y, gradients = run(function, inputs, dy)
    every_order = [memory_orders(array) for array in [*inputs, dy]]
    for order in every_order[0]:
        *ordered, ordered_dy = [orders[order] for orders in every_order]
        y2, gradients2 = run(function, ordered, ordered_dy)
        for one, other in zip([y, *gradients], [y2, *gradients2], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12, err_msg=order)


@pytest.mark.parametrize("room", [fast.off, door.on], ids=["page", "fast"])
@every_function
@given(seed=seeds)
def test_functional_computes_only_the_gradients_that_are_needed(name, room, seed):
    function, inputs, rng = drawn(name, seed)
    with room():
        _, gradients = run(function, inputs, seed=seed)
        for wanted in range(len(inputs)):
            leaves = [Tensor(x, requires_grad=i == wanted) for i, x in enumerate(inputs)]
            y = function(*leaves)
            dy = np.random.default_rng(seed).normal(size=y.shape)
            for parent, dx in zip(y.node.parents, y.node.backward(dy), strict=True):
                # None, or dy itself: a computed gradient would have its own memory.
                if parent is not leaves[wanted].node:
                    assert dx is None or np.may_share_memory(dx, dy)
            y = function(*leaves)
            y.backward(dy)
            np.testing.assert_allclose(
                leaves[wanted].grad, gradients[wanted], rtol=1e-9, atol=1e-12
            )


@every_function
def test_functional_keeps_nothing_under_no_grad(name):
    function, inputs, _ = drawn(name, 2)
    with no_grad():
        y = function(*[Tensor(x, requires_grad=True) for x in inputs])
    assert y.is_leaf
    assert not y.requires_grad
    assert y.node.parents == ()


@every_function
@given(seed=seeds)
def test_functional_backward_functions_keep_no_tensor(name, seed):
    function, inputs, _ = drawn(name, seed)
    y = function(*[Tensor(x, requires_grad=True) for x in inputs])
    for node in autograd._computed_before(y.node):
        rule = node.backward
        assert rule.__defaults__ is None
        for free, cell in zip(rule.__code__.co_freevars, rule.__closure__ or (), strict=True):
            for kept in everything_in(cell.cell_contents):
                assert not isinstance(kept, Tensor), f"{name} keeps the Tensor {free}"


def everything_in(value):
    yield value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        for part in value:
            yield from everything_in(part)
    for cell in getattr(value, "__closure__", None) or ():
        yield from everything_in(cell.cell_contents)


@every_function
def test_functional_names_its_nodes(name):
    function, inputs, _ = drawn(name, 3)
    y = function(*[Tensor(x, requires_grad=True) for x in inputs])
    assert repr(y).endswith(f"from {name})")


def first_differentiable_argument(name):
    """Its name in an error message: usually the first parameter."""
    first = next(iter(inspect.signature(getattr(functional, name)).parameters))
    return {"parts": "parts[0]", "condition": "a"}.get(first, first)


@every_function
def test_functional_refuses_lists_and_strings(name):
    function, first = getattr(functional, name), first_differentiable_argument(name)
    others = {"exponent": 2, "index": 0, "targets": [0], "kernel_size": 1, "widths": [(0, 0)],
              "rng": np.random.default_rng(0), "condition": np.array(True)}  # fmt: skip
    needed = {
        parameter.name: others.get(parameter.name, np.zeros((1, 1)))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    }
    for wrong, came in (([1.0, 2.0], "list"), ("cat", "str")):
        given = {"parts": [wrong]} if first == "parts[0]" else {first: wrong}
        with refused(TypeError, f"{name}: {first}", came, "a Tensor"):
            function(**{**needed, **given})


@every_function
def test_functional_refuses_integers(name):
    function, inputs, _ = drawn(name, 4)
    first = first_differentiable_argument(name)
    with refused(TypeError, f"{name}: {first}", "int64", "float32 or float64"):
        function(*[np.ones(x.shape, np.int64) for x in inputs])


@every_function
def test_functional_refuses_mixed_dtypes(name):
    function, inputs, _ = drawn(name, 5)
    for i in range(1, len(inputs)):
        mixed = [x.astype(np.float32) if i == j else x for j, x in enumerate(inputs)]
        with refused(TypeError, f"{name}: ", "is float64", "is float32"):
            function(*mixed)


# Settings given as NumPy scalars, such as those of a loop over np.linspace.
ONE, HALF = np.float64(1.0), np.float64(0.5)
WITH_NUMPY_SETTINGS = {
    "power": lambda x: functional.power(x, HALF),
    "clip": lambda x: functional.clip(x, HALF, ONE),
    "pad": lambda x: functional.pad(x, [(np.int64(1), np.int64(0))] * 4, ONE),
    "leaky_relu": lambda x: functional.leaky_relu(x, HALF),
    "dropout": lambda x: functional.dropout(x, HALF, rng=np.random.default_rng(0)),
    "softmax": lambda x: functional.softmax(x, np.int64(1), HALF),
    "maximum": lambda x: functional.maximum(x, HALF),
    "where": lambda x: functional.where(x.data > 1, x, HALF),
    "local_response_norm": lambda x: functional.local_response_norm(
        x, np.int64(3), ONE, HALF, ONE, alpha_over_size=True
    ),
    "batch_norm": lambda x: functional.batch_norm(x, momentum=HALF, eps=HALF),
    "avg_pool2d": lambda x: functional.avg_pool2d(x, np.int64(2)),
    "cross_entropy": lambda x: functional.cross_entropy(
        x.reshape(6, 20), [0] * 6, np.full(20, HALF), label_smoothing=HALF
    ),
    "distillation_loss": lambda x: functional.distillation_loss(
        x.reshape(6, 20), np.ones((6, 20), np.float32), HALF
    ),
}


@pytest.mark.parametrize("name", WITH_NUMPY_SETTINGS)
def test_functional_settings_given_as_numpy_numbers_do_not_change_the_dtype(name):
    array = np.random.default_rng(0).uniform(0.5, 2, (2, 3, 4, 5)).astype(np.float32)
    x = Tensor(array, requires_grad=True)
    y = WITH_NUMPY_SETTINGS[name](x)
    assert y.dtype == np.float32
    y.backward(np.ones(y.shape, np.float32))
    assert x.grad.dtype == np.float32


def test_check_all_yields_one_row_for_each_page_and_one_for_each_fast_form():
    with door.on():
        rows = list(check_all(geometries=12, seed=3))
        again = [row.worst_error for row in check_all(12, 3)]
    pages = [row for row in rows if not row.name.endswith(" (fast)")]
    forms = [row for row in rows if row.name.endswith(" (fast)")]
    assert [row.name for row in pages] == list(CASES)
    assert all(row.geometries == 12 and 0 <= row.worst_error < 1e-6 for row in pages)
    assert [row.name.removesuffix(" (fast)") for row in forms] == [
        "linear", "conv2d", "max_pool2d", "avg_pool2d", "local_response_norm", "batch_norm",
    ]  # fmt: skip
    assert all(row.geometries >= 2 and row.worst_error < 1e-12 for row in forms)
    assert [row.worst_error for row in rows] == again
    with fast.off():
        assert [row.name for row in check_all(2, 3)] == list(CASES)
