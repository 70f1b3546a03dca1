"""What the engine says about values that do not fit: in Tensors, backward functions, gradcheck."""

import numpy as np
import pytest

from minivision import Tensor, record
from minivision import functional as F
from minivision.errors import kind
from minivision.gradcheck import gradcheck
from minivision.nn import Linear, Parameter, initialize
from tests.refusals import refused, table_of_errors

NUMBER, ROW, ARRAY = Tensor(1.0), Tensor([1.0, 2.0]), np.ones(2)


def weight(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


def assign(tensor, attribute, value):
    return lambda: setattr(tensor, attribute, value)


def backward_of(function, *inputs):
    return lambda: function(*inputs).sum().backward()


def returning(gradients):
    """A call of backward, for a function whose backward function returns gradients(dy)."""

    def strange(x, w):
        def backward(dy):
            return gradients(dy)

        return record(x.data + 0, (x, w), backward)

    return backward_of(strange, weight(2, 3), weight(2, 3))


def halved(x, factor):
    """A function of this module, so that its arguments have names."""

    def backward(dy):
        return dy, dy.astype(np.float32)

    return record(x.data * factor.data, (x, factor), backward)


def checked(x, **settings):
    return lambda: gradcheck(F.add, [np.ones(1), x], rng=np.random.default_rng(0), **settings)


@table_of_errors(
    # Tensor
    *[(lambda dtype=dtype: Tensor(np.zeros(2, dtype)), TypeError,
       f"Tensor: data is {np.dtype(dtype)}", "float32, float64 or integers")
      for dtype in (np.float16, np.complex64, "U3", object, np.longdouble)],
    (lambda: Tensor(NUMBER), TypeError, "Tensor: data", "already a Tensor", "detach()"),
    *[row for data in (np.arange(3), np.zeros(2, bool)) for row in (
        (lambda data=data: Tensor(data, requires_grad=True), TypeError,
         f"Tensor: data is {data.dtype}", "floats"),
        (assign(Tensor(data), "requires_grad", True), TypeError, f"data is {data.dtype}", "floats"),
    )],
    (lambda: Tensor(np.arange(3)) * 0.5, TypeError, "multiply: a", "int64", "float32 or float64"),
    (lambda: np.add(ARRAY, ROW), TypeError, "'Tensor'", "ufuncs"),
    (lambda: ROW.__setitem__(0, 3.0), TypeError, "item assignment", "t.data[…]"),
    (lambda: len(NUMBER), TypeError, "Tensor", "no length"),
    (lambda: iter(NUMBER), TypeError, "zero-dimensional", "no length"),
    (lambda: bool(ROW), ValueError, "truth value", "ambiguous"),
    (lambda: f"{ROW:.1f}", ValueError, "format code", "'f'"),

    # data, grad and requires_grad
    (assign(weight(2, 3), "data", np.zeros((3, 2))), ValueError, "data", "(3, 2)", "(2, 3)"),
    (assign(Parameter(np.zeros(3)), "data", np.arange(3)), TypeError, "data", "int64", "float64"),
    (assign(weight(2, 3) * 2.0, "data", np.zeros((2, 3))), RuntimeError, "data", "computed"),
    (assign(weight(2, 3), "grad", np.zeros((3, 2))), ValueError,
     "grad", "(3, 2) float64", "(2, 3) float64"),
    (assign(weight(2, 3), "grad", np.zeros((2, 3), "f")), ValueError,
     "grad", "(2, 3) float32", "(2, 3) float64"),
    (assign(weight(2) * 2.0, "requires_grad", False), RuntimeError,
     "requires_grad", "leaf", "detach()"),

    # backward functions
    (lambda: (Tensor([1.0]) * 2.0).sum().backward(), RuntimeError,
     "backward", "requires_grad=True"),
    (returning(lambda dy: dy), ValueError, "strange: ", "ndarray", "a tuple of 2", "(dx,)"),
    (returning(lambda dy: [dy, dy]), ValueError, "strange: ", "list", "a tuple of 2"),
    (returning(lambda dy: (dy,)), ValueError, "strange: ", "a tuple of 1", "a tuple of 2"),
    (returning(lambda dy: (dy[0], dy)), ValueError,
     "strange: the gradient of input 0", "(3,) float64", "(2, 3) float64"),
    (returning(lambda dy: (dy, dy.astype("f"))), ValueError,
     "strange: the gradient of input 1", "(2, 3) float32", "(2, 3) float64"),
    (returning(lambda dy: (None, dy[0])), ValueError,
     "strange: the gradient of input 1", "(3,) float64", "(2, 3) float64"),
    (returning(lambda dy: (1.0, None)), ValueError,
     "strange: the gradient of input 0", "float", "(2, 3) float64"),
    (returning(lambda dy: (Tensor(dy), dy)), TypeError,
     "strange: the gradient of input 0", "Tensor", "x.data"),
    (backward_of(halved, weight(2), weight(2)), ValueError,
     "halved: the gradient of factor", "(2,) float32", "(2,) float64"),

    # gradcheck
    *[(checked(x), TypeError, f"gradcheck: input 1 is {came}", "float64")
      for x, came in ((np.ones(3, "f"), "float32"), (np.arange(3), "int64"), ([1.0], "a list"),
                      (1.0, "a float"))],
    (checked(ROW), TypeError, "input 1 is float32", "float64"),
    (checked(np.ones(1), directions=0), ValueError, "gradcheck: directions is 0", ">= 1"),
    (lambda: gradcheck(lambda x: x.data, [ARRAY], rng=np.random.default_rng(0)), TypeError,
     "gradcheck: function", "ndarray", "a Tensor"),

    # initialize
    (lambda: initialize(Linear(3, 2), lambda shape, rng: np.zeros(1, "f")), ValueError,
     "data", "(1,)", "(2, 3)"),
)  # fmt: skip
def test_errors_name_the_argument_and_the_value(call, error, fragments):
    with refused(error, *fragments):
        call()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, "an int"), ([], "a list"), (ARRAY, "an ndarray"), (NUMBER, "a Tensor"), (None, "None")],
    ids=["int", "list", "ndarray", "Tensor", "None"],
)
def test_kind_writes_the_right_article(value, expected):
    assert kind(value) == expected
