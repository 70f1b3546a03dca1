"""What each function says about arguments that do not fit: its name, the argument, the value."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.errors import kind
from minivision.functional.inputs import pair, sizes
from minivision.functional.normalization import RunningStatistics
from tests.refusals import refused, table_of_errors

X = np.ones((2, 3))
P = np.full((2, 3), 1 / 3)  # two distributions over three classes
NAN = float("nan")


def ones(*shape):
    return np.ones(shape)


def with_gradient(array):
    return Tensor(array, requires_grad=True)


def statistics(C):
    return RunningStatistics(np.zeros(C), np.ones(C), np.array(0))


def linear(x, weight, bias=None):
    return lambda: F.linear(ones(*x), ones(*weight), None if bias is None else ones(*bias))


def conv(x, weight, **settings):
    return lambda: F.conv2d(ones(*x), ones(*weight), **settings)


def local(x, weight, bias=None):
    bias = None if bias is None else ones(*bias)
    return lambda: F.locally_connected2d(ones(*x), ones(*weight), bias)


def cross_entropy(targets, **settings):
    return lambda: F.cross_entropy(X, np.array(targets), **settings)


def distill(teacher, T=4, student=P):
    return lambda: F.distillation_loss(student, teacher, T)


ELEMENTWISE = [F.add, F.subtract, F.multiply, F.divide]
EXTREMES = [F.maximum, F.minimum]
POOLS = [F.max_pool2d, F.avg_pool2d]
SOFTMAXES = [F.softmax, F.log_softmax]
REDUCTIONS = [F.sum, F.mean, F.var, F.max, F.min, F.logsumexp]
JOINS = [F.concatenate, F.stack]
DROPOUTS = [F.dropout, F.drop_path]


@table_of_errors(
    # the checks that open every function
    (lambda: F.conv2d(None, ones(1, 1, 2, 2)), TypeError, "conv2d: x is None", "a Tensor"),
    (lambda: F.linear(np.ones((2, 3), "f"), np.ones((4, 3), "f"), np.ones(4)), TypeError,
     "linear: x", "float32", "bias", "float64", "array.astype(np.float32)"),
    (lambda: sizes("f", "x", Tensor(X), "N"), ValueError, "f: x", "(2, 3)", "1 axis (N)"),
    *[(lambda value=value: pair("f", "stride", value, least=1), ValueError,
       f"f: stride is {value!r}", "an integer >= 1")
      for value in (0, -1, 1.0, (1,), (1, 2, 3), (1, 0), "12", None, np.ones(2))],
    *[(lambda call=call: call(ones(3, 5, 5)), ValueError,
       f"{name}: x", "(3, 5, 5)", "4 axes (N, C, H, W)", "x[None]")
      for name, call in {
          "conv2d": lambda x: F.conv2d(x, ones(2, 3, 2, 2)),
          "max_pool2d": lambda x: F.max_pool2d(x, 2),
          "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
          "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1),
      }.items()],

    # arithmetic
    *[row for f in ELEMENTWISE for wrong in ("cat", None, [1.0, 2.0], 1j) for row in (
        (lambda f=f, wrong=wrong: f(Tensor([1.0]), wrong), TypeError,
         f"{f.__name__}: b", kind(wrong), "a Tensor, an array or a number"),
        (lambda f=f, wrong=wrong: f(wrong, Tensor([1.0])), TypeError,
         f"{f.__name__}: a", kind(wrong), "a Tensor, an array or a number"),
    )],
    *[(lambda f=f: f(X, ones(4)), ValueError, f"{f.__name__}: a", "(2, 3)", "b (4,)", "equal or 1")
      for f in [*ELEMENTWISE, *EXTREMES]],

    # linear and flatten
    (linear((2, 3), (4, 5)), ValueError, "linear: x has 3", "weight expects 5", "(4, 5)"),
    (linear((2, 3, 1), (4, 3)), ValueError, "linear: x", "(2, 3, 1)", "2 axes (N, I)"),
    (linear((2, 3), (3,)), ValueError, "linear: weight", "(3,)", "2 axes (O, I)"),
    (linear((2, 3), (4, 3), (3,)), ValueError, "linear: bias", "(3,)", "(4,)"),
    (linear((2, 3), (4, 3), (1, 4)), ValueError, "linear: bias", "(1, 4)", "(4,)"),
    *[(lambda axis=axis: F.flatten(ones(2, 3, 4), axis), ValueError,
       f"flatten: start_axis is {axis}", "0 to 3") for axis in (-1, 4)],

    # conv2d
    (conv((3, 5, 4), (8, 3, 3, 3)), ValueError, "conv2d: x", "(3, 5, 4)", "4 axes (N, C, H, W)"),
    (conv((1, 3, 5, 4), (8, 3, 3)), ValueError, "conv2d: weight", "(8, 3, 3)", "4 axes (F, "),
    (conv((1, 4, 5, 4), (8, 3, 3, 3)), ValueError,
     "conv2d: x has 4 channels", "weight expects 3", "(8, 3, 3, 3)", "groups=1"),
    (conv((1, 4, 5, 4), (8, 4, 3, 3), groups=2), ValueError,
     "conv2d: x has 4 channels", "weight expects 8", "groups=2"),
    (conv((1, 4, 5, 4), (8, 2, 3, 3), groups=3), ValueError,
     "conv2d: groups is 3", "4 channels of x", "8 filters"),
    (conv((1, 4, 5, 4), (7, 2, 3, 3), groups=2), ValueError, "conv2d: groups is 2", "7 filters"),
    (conv((1, 4, 5, 4), (8, 2, 3, 3), groups=0), ValueError, "conv2d: groups is 0", "a number"),
    (conv((1, 4, 5, 4), (8, 2, 3, 3), groups=2.0), ValueError, "conv2d: groups is 2.0", "a number"),
    (conv((1, 1, 5, 4), (1, 1, 6, 3)), ValueError,
     "conv2d: the kernel", "6x3", "dilation (1, 1)", "padded image", "5x4"),
    (conv((1, 1, 5, 4), (1, 1, 3, 3), dilation=(1, 2)), ValueError,
     "conv2d: the kernel", "3x3", "dilation (1, 2)"),
    (conv((1, 1, 5, 4), (1, 1, 1, 7), padding=1), ValueError,
     "conv2d: the kernel", "padded image", "5x4", "padding (1, 1)"),
    (conv((1, 1, 5, 4), (1, 1, 0, 3)), ValueError, "conv2d: weight", "(1, 1, 0, 3)", "at least 1"),
    (conv((1, 1, 0, 4), (1, 1, 1, 1)), ValueError, "conv2d: the kernel", "padded image", "0x4"),
    *[(conv((1, 1, 5, 4), (1, 1, 3, 3), **{name: value}), ValueError,
       f"conv2d: {name} is {value!r}", f"an integer >= {least}")
      for name, value, least in (("stride", 0, 1), ("stride", (1, 2, 3), 1), ("stride", 1.5, 1),
                                 ("padding", -1, 0), ("padding", "valid", 0), ("dilation", 0, 1))],
    (conv((1, 1, 5, 4), (1, 1, 3, 3), padding="same", stride=2), ValueError,
     'conv2d: padding is "same"', "stride (2, 2)", "stride 1"),
    (conv((1, 1, 5, 4), (1, 1, 3, 2), padding="same"), ValueError,
     'conv2d: padding is "same"', "(3, 2)", "odd sizes", "F.pad"),
    (conv((1, 1, 5, 4), (2, 1, 3, 3), bias=ones(3)), ValueError, "conv2d: bias", "(3,)", "(2,)"),
    (conv((1, 1, 5, 4), (2, 1, 3, 3), bias=ones(2, 1)), ValueError,
     "conv2d: bias", "(2, 1)", "(2,)"),

    # max_pool2d and avg_pool2d
    *[(lambda f=f, x=x, settings=settings: f(ones(*x), **{"kernel_size": 2, **settings}),
       ValueError, f"{f.__name__}: {fragments[0]}", *fragments[1:])
      for f in POOLS for x, settings, *fragments in (
          ((2, 3), {}, "x", "(2, 3)", "4 axes (N, C, H, W)"),
          ((3, 5, 4), {}, "x", "(3, 5, 4)", "4 axes (N, C, H, W)"),
          ((1, 1, 1, 4), {}, "the kernel", "2x2", "padded image", "1x4"),
          ((1, 1, 5, 4), {"kernel_size": 0}, "kernel_size is 0", "an integer >= 1"),
          ((1, 1, 5, 4), {"kernel_size": (2, 2.0)}, "kernel_size is (2, 2.0)", "an integer >= 1"),
          ((1, 1, 5, 4), {"stride": 0}, "stride is 0", "an integer >= 1"),
          ((1, 1, 5, 4), {"stride": (1, 0)}, "stride is (1, 0)", "an integer >= 1"),
          ((1, 1, 5, 4), {"padding": -1}, "padding is -1", "an integer >= 0"),
          ((1, 1, 5, 4), {"padding": 2}, "padding is (2, 2)", "half of kernel_size (2, 2)"),
      )],

    # softmax and log_softmax
    *[(lambda f=f, T=T: f(X, temperature=T), ValueError,
       f"{f.__name__}: temperature is {T}", "from 0.001 to 1000")
      for f in SOFTMAXES for T in (0, -1.0, NAN, float("inf"), 1e8, 9e-4)],
    *[(lambda f=f, axis=axis: f(X, axis=axis), ValueError, f"{f.__name__}: axis is {axis}", came)
      for f in SOFTMAXES for axis, came in (
          (2, "an axis from -2 to 1"), (-3, "an axis from -2 to 1"),
          (None, "a single axis"), ((0, 1), "a single axis"))],
    *[(lambda f=f: f(ones(2, 0)), ValueError, f"{f.__name__}: logits", "(2, 0)", "axis -1")
      for f in SOFTMAXES],

    # cross_entropy
    *[(cross_entropy(targets), ValueError, f"cross_entropy: {came}", expected)
      for targets, came, expected in (
          ([0, 3], "targets[1] is 3", "0 to 2 (there are 3 classes)"),
          ([-1, 0], "targets[0] is -1", "0 to 2"),
          ([0], "targets has shape (1,)", "(2,)"),
          ([[0], [1]], "targets has shape (2, 1)", "(2, 3)"),
          (1, "targets has shape ()", "(2,)"),
          ([[0.5, 0.6, 0.0], [0.0, 0.0, 1.0]], "targets[0] sums to 1.1", "expected 1"),
          ([[1.0, 0.0, 0.0], [0.5, 0.0, 0.499]], "targets[1] sums to 0.999", "expected 1"),
          ([[1.0, 0.0, 0.0], [np.nan, 0.0, 1.0]], "targets[1] sums to nan", "expected 1"),
          ([[np.inf, -np.inf, 1.0], [0.0, 0.0, 1.0]], "targets[0] sums to nan", "expected 1"),
          ([[1.5, -0.5, 0.0], [0.0, 0.0, 1.0]], "targets[0] has the entry -0.5", ">= 0"),
      )],
    *[(cross_entropy(targets), TypeError, f"cross_entropy: targets is {came}", expected)
      for targets, came, expected in (
          ([0.0, 1.0], "float64", "integer labels"),
          ([True, False], "bool", "integer labels"),
          ([[0, 0, 1], [1, 0, 0]], "int64", "floating-point probabilities"),
          ([[True, False, False]] * 2, "bool", "floating-point probabilities"),
      )],
    (lambda: F.cross_entropy(np.zeros((1, 2)), with_gradient(np.array([[0.25, 0.75]]))),
     ValueError, "cross_entropy: targets requires a gradient", "targets.detach()"),
    (lambda: F.cross_entropy(ones(3), np.zeros(3, int)), ValueError,
     "cross_entropy: logits", "(3,)", "2 axes (N, K)"),
    (lambda: F.cross_entropy(ones(0, 3), np.zeros(0, int)), ValueError,
     "cross_entropy: the batch is empty", "mean"),
    *[(cross_entropy([0, 1], label_smoothing=value), ValueError,
       f"cross_entropy: label_smoothing is {value}", "0 to 1") for value in (-0.1, 1.1, NAN)],
    (cross_entropy([0, 1], weight=ones(2)), ValueError, "cross_entropy: weight", "(2,)", "(3,)"),
    (cross_entropy([0, 1], weight=with_gradient(ones(3))), ValueError,
     "cross_entropy: weight requires a gradient", "weight.detach()"),
    (cross_entropy([7, 7], ignore_index=7), ValueError,
     "cross_entropy: every target is ignore_index", "mean"),
    (cross_entropy([-100, 1], ignore_index=0), ValueError,
     "cross_entropy: targets[0] is -100", "0 to 2"),
    *[(lambda f=f: f(np.zeros((2, 7, 4, 5)), np.zeros((2, 4, 5), int)), ValueError,
       f"{f.__name__}: {name}", "(2, 7, 4, 5)", "expected (N, K)",
       f"{name}.transpose((0, 2, 3, 1)).reshape(-1, 7)", "targets.reshape(-1)")
      for f, name in ((F.cross_entropy, "logits"), (F.nll_loss, "log_probabilities"))],

    # reductions
    *[(lambda f=f, axis=axis: f(X, axis=axis), ValueError,
       f"{f.__name__}: axis is {axis}", f"{what} from -2 to 1")
      for f in REDUCTIONS for axis, what in (
          (2, "an axis"), (-3, "an axis"),
          ((0, 0), "distinct axes"), ((0, -2), "distinct axes"), ((0, 5), "distinct axes"))],
    *[(lambda f=f, axis=axis: f(X, axis=axis), TypeError,
       f"{f.__name__}: axis is {axis!r}", "an integer, a tuple of integers or None")
      for f in REDUCTIONS for axis in ("x", 0.5, 1.0, (0, None))],
    *[(lambda f=f: f(ones(2, 0), axis=1), ValueError, f"{f.__name__}: x", "(2, 0)", "axis 1")
      for f in REDUCTIONS if f is not F.sum],
    (lambda: F.var(ones(2, 1), axis=1), ValueError,
     "var: x", "(2, 1)", "axis=1", "correction=1"),

    # reshape, transpose and getitem
    *[(lambda new=new: F.reshape(X, new), ValueError, f"reshape: shape is {new}", "6", "x (2, 3)")
      for new in ((4,), (2, 2), (-1, 4), (-1, -1), (-2, -3), (-2, 3), (2, -3), (0, -1), ())],
    (lambda: F.reshape(ones(4), (-2, -2)), ValueError, "reshape: shape is (-2, -2)", "x (4,)"),
    *[(lambda axes=axes: F.transpose(ones(2, 3, 4), axes), ValueError,
       f"transpose: axes is {axes}", expected)
      for axes, expected in (((0, 1), "3 axes"), ((), "3 axes"),
                             ((0, 1, 1), "from -3 to 2"), ((0, 1, 3), "from -3 to 2"))],
    (lambda: Tensor([1.0, 2.0])[2], IndexError, "index 2", "size 2"),

    # dropout and drop_path
    *[(lambda p=p: F.dropout(ones(3), p, rng=np.random.default_rng(0)), ValueError,
       f"dropout: p is {p}", "0 <= p < 1") for p in (1.0, -0.1, 1.5, NAN)],
    (lambda: F.drop_path(ones(3), 1, rng=np.random.default_rng(0)), ValueError,
     "drop_path: p is 1", "0 <= p < 1"),
    *[(lambda f=f, wrong=wrong: f(ones(3), rng=wrong), TypeError,
       f"{f.__name__}: rng", kind(wrong), "np.random.default_rng(seed)")
      for f in DROPOUTS for wrong in (0, np.random)],
    (lambda: F.drop_path(np.array(1.0), rng=np.random.default_rng(0)), ValueError,
     "drop_path: x", "()", "(N, …)"),

    # matmul
    *[(lambda a=a, b=b: F.matmul(ones(*a), ones(*b)), ValueError,
       "matmul: a", f"{a} and b {b}", "(…, M) @ (M, …)")
      for a, b in (((2, 3), (2, 3)), ((3,), (2,)), ((2, 3), (2,)), ((), (2,)), ((2,), ()))],
    (lambda: F.matmul(ones(2, 3, 4), ones(5, 4, 3)), ValueError,
     "matmul: a", "(2, 3, 4) and b (5, 4, 3)", "broadcast"),

    # power
    *[(lambda wrong=wrong: F.power(Tensor([1.0]), wrong), TypeError,
       "power: exponent", kind(wrong), "a number", "exp(b * log(a))")
      for wrong in (Tensor(2.0), "2", None, np.ones(2), 2j)],

    # where and clip
    *[(lambda condition=condition: F.where(condition, ones(2), ones(2)), TypeError,
       f"where: condition is {came}", "booleans", "x > 0")
      for condition, came in (
          (np.array([1.0, 0.0]), "float64"), (np.array([1, 0]), "int64"), ("x > 0", "<U5"))],
    (lambda: F.where(np.array([True] * 3), ones(2, 2), 0.0), ValueError,
     "where: condition", "(3,)", "a (2, 2)"),
    (lambda: F.where(np.ones(4, bool), X, X), ValueError, "where: condition", "(4,)", "a (2, 3)"),
    (lambda: F.where(np.ones((4, 1, 2), bool), X, 1.0), ValueError,
     "where: condition", "(4, 1, 2)"),
    (lambda: F.where(np.ones((2, 1), bool), ones(), ones(3, 4)), ValueError,
     "where: condition", "(2, 1)", "a ()", "b (3, 4)"),
    *[(lambda low=low, high=high: F.clip(ones(2), low, high), ValueError,
       f"clip: low is {low}", f"high is {high}", "low <= high")
      for low, high in ((None, None), (1, 0), (0.1, -0.1))],

    # concatenate, stack, pad and broadcast_to
    *[(lambda f=f, parts=parts, axis=axis: f(parts, axis), error,
       f"{f.__name__}: {fragments[0]}", *fragments[1:])
      for f in JOINS for parts, axis, error, *fragments in (
          ([], 0, ValueError, "parts is empty", "at least one Tensor"),
          (None, 0, TypeError, "parts is None", "a list of Tensors"),
          ([ones(2), None], 0, TypeError, "parts[1] is None", "a Tensor"),
          ([X, ones(3, 2)], 0, ValueError, "parts[1]", "(3, 2)", "parts[0] (2, 3)"),
          ([X, ones(3)], 0, ValueError, "parts[1]", "(3,)", "parts[0] (2, 3)"),
          ([X], 5, ValueError, "axis is 5", "from -"),
          ([X], "x", TypeError, "axis is 'x'", "an integer"),
          ([X], None, TypeError, "axis is None", "an integer"),
      )],
    (lambda: F.concatenate([X, ones(3, 2)], 1), ValueError, "concatenate: parts[1]", "axis 1"),
    *[(lambda widths=widths: F.pad(X, widths), ValueError,
       f"pad: widths is {widths}", "(before, after)", ">= 0", "2 axes")
      for widths in ([(1, 1)], [(1, 1)] * 3, [(1, -1), (0, 0)], [(1,), (1,)], 1, [1, 1],
                     [(0.5, 1)] * 2)],
    *[(lambda shape=shape: F.broadcast_to(X, shape), ValueError,
       "broadcast_to: x", "(2, 3)", f"to {shape}")
      for shape in ((3,), (2, 4), (2, 1), (3, 3), 6, "x", (2, -3))],

    # local_response_norm and batch_norm
    *[(lambda x=x, settings=settings: F.local_response_norm(ones(*x), **settings), ValueError,
       f"local_response_norm: {came}", expected)
      for x, settings, came, expected in (
          ((2, 3), {}, "x has shape (2, 3)", "4 axes (N, C, H, W)"),
          ((3, 5, 4), {}, "x has shape (3, 5, 4)", "4 axes (N, C, H, W)"),
          ((1, 3, 5, 4), {"size": 4}, "size is 4", "odd"),
          ((1, 3, 5, 4), {"size": 0}, "size is 0", "odd"),
          ((1, 3, 5, 4), {"size": -3}, "size is -3", ">= 1"),
          ((1, 3, 5, 4), {"size": 5.0}, "size is 5.0", "integer"),
          ((1, 3, 5, 4), {"k": 0}, "k is 0 and alpha is 0.0001", "k > 0"),
          ((1, 3, 5, 4), {"alpha": -1.0}, "k is 2.0 and alpha is -1.0", "alpha >= 0"),
      )],
    *[(lambda x=x, settings=settings: F.batch_norm(ones(*x), **settings), ValueError,
       f"batch_norm: {came}", expected)
      for x, settings, came, expected in (
          ((4, 3, 5), {}, "x has shape (4, 3, 5)", "(N, C) or (N, C, H, W)"),
          ((4, 3), {"weight": ones(4)}, "weight has shape (4,)", "(3,)"),
          ((4, 3), {"bias": ones(1, 3)}, "bias has shape (1, 3)", "(3,)"),
          ((4, 3), {"running": statistics(4)}, "running.mean has shape (4,)", "(3,)"),
          ((4, 3), {"running": statistics(3)._replace(var=ones(2))},
           "running.var has shape (2,)", "(3,)"),
          ((4, 3), {"training": False}, "running is None", "training is False"),
          ((1, 3), {}, "x has shape (1, 3)", "DataLoader(…, drop_last=True)"),
          ((1, 3, 1, 1), {}, "x has shape (1, 3, 1, 1)", "variance"),
      )],
    (lambda: F.batch_norm(np.ones((4, 3), "f"), running=statistics(3)), TypeError,
     "batch_norm: x is float32", "running.mean is float64"),

    # adaptive_avg_pool2d
    *[(lambda x=x, size=size: F.adaptive_avg_pool2d(ones(*x), size), ValueError,
       f"adaptive_avg_pool2d: {came}", expected)
      for x, size, came, expected in (
          ((2, 3), 1, "x has shape (2, 3)", "4 axes (N, C, H, W)"),
          ((3, 5, 4), 1, "x has shape (3, 5, 4)", "4 axes (N, C, H, W)"),
          ((1, 1, 5, 4), 0, "output_size is 0", "an integer >= 1"),
          ((1, 1, 5, 4), (1, None), "output_size is (1, None)", "an integer >= 1"),
          ((1, 1, 0, 4), 1, "x has shape (1, 1, 0, 4)", "at least one pixel"),
      )],

    # unfold, fold and locally_connected2d
    *[(lambda x=x, settings=settings: F.unfold(ones(*x), **{"kernel_size": 2, **settings}),
       ValueError, f"unfold: {fragments[0]}", *fragments[1:])
      for x, settings, *fragments in (
          ((2, 3), {}, "x", "(2, 3)", "4 axes (N, C, H, W)"),
          ((3, 5, 4), {}, "x", "(3, 5, 4)", "4 axes (N, C, H, W)"),
          ((1, 1, 1, 4), {}, "the kernel (2, 2)", "dilation (1, 1)", "1x4", "padding (0, 0)"),
          ((1, 1, 5, 4), {"dilation": 5}, "the kernel (2, 2)", "dilation (5, 5)", "5x4"),
          ((1, 1, 5, 4), {"kernel_size": 0}, "kernel_size is 0", "an integer >= 1"),
          ((1, 1, 5, 4), {"stride": 0}, "stride is 0", "an integer >= 1"),
          ((1, 1, 5, 4), {"padding": -1}, "padding is -1", "an integer >= 0"),
          ((1, 1, 5, 4), {"dilation": 1.5}, "dilation is 1.5", "an integer >= 1"),
      )],
    *[(lambda columns=columns, size=size: F.fold(ones(*columns), size, 2), ValueError,
       f"fold: {fragments[0]}", *fragments[1:])
      for columns, size, *fragments in (
          ((4, 6), (3, 4), "columns", "(4, 6)", "3 axes (N, C·KH·KW, OH·OW)"),
          ((1, 4, 5), (3, 4), "columns", "(1, 4, 5)", "3x4 image", "2·3 = 6"),
          ((1, 5, 6), (3, 4), "columns", "(1, 5, 6)", "(N, C·2·2, 6)"),
          ((1, 4, 6), (1, 4), "the kernel (2, 2)", "padded image", "1x4"),
          ((1, 4, 6), 0, "output_size is 0", "an integer >= 1"),
      )],
    (local((3, 5, 4), (4, 3, 2, 3, 2, 2)), ValueError,
     "locally_connected2d: x", "(3, 5, 4)", "4 axes (N, C, H, W)"),
    (local((1, 3, 5, 4), (4, 3, 2, 3, 2)), ValueError,
     "locally_connected2d: weight", "(4, 3, 2, 3, 2)", "6 axes (OH, OW, F,"),
    (local((1, 3, 5, 4), (4, 3, 2, 1, 2, 2)), ValueError,
     "locally_connected2d: weight", "(4, 3, 2, 1, 2, 2)", "(4, 3, 2, 3, 2, 2)", "(1, 3, 5, 4)"),
    (local((1, 3, 5, 4), (3, 4, 2, 3, 2, 2)), ValueError,
     "locally_connected2d: weight", "(3, 4, 2, 3, 2, 2)", "(4, 3, 2, 3, 2, 2)"),
    (local((1, 3, 5, 4), (4, 3, 2, 3, 2, 2), (2,)), ValueError,
     "locally_connected2d: bias", "(2,)", "(2, 4, 3)"),
    (local((1, 3, 1, 4), (4, 3, 2, 3, 2, 2)), ValueError,
     "locally_connected2d: the kernel (2, 2)", "padded image", "1x4"),
    (local((1, 3, 5, 4), (4, 3, 2, 3, 0, 2)), ValueError,
     "locally_connected2d: kernel_size is (0, 2)", "an integer >= 1"),

    # nll_loss and mse_loss
    *[(lambda targets=targets: F.nll_loss(X, targets), error, f"nll_loss: {came}", expected)
      for targets, error, came, expected in (
          ([[0.5, 0.5, 0.0]] * 3, ValueError, "targets has shape (3, 3)", "(2,)"),
          (np.eye(3)[:2], ValueError, "targets has shape (2, 3)", "(2,)"),
          ([0], ValueError, "targets has shape (1,)", "(2,)"),
          ([0, 3], ValueError, "targets[1] is 3", "0 to 2"),
          ([0.0, 1.0], TypeError, "targets is float64", "integer labels"),
          (with_gradient(np.zeros(2)), ValueError, "targets requires a gradient", "targets.detach"),
      )],
    (lambda: F.nll_loss(ones(3), [0]), ValueError,
     "nll_loss: log_probabilities", "(3,)", "2 axes (N, K)"),
    # PyTorch's mean over ignored targets is NaN; its sum and its losses are 0 (tests/parity).
    *[row for f in (F.cross_entropy, F.nll_loss) for row in (
        (lambda f=f: f(X, [-100, -100]), ValueError,
         f"{f.__name__}: every target is ignore_index", "the mean"),
        (lambda f=f: f(X, [-100, -100], ones(3)), ValueError,
         f.__name__, "every target is ignore_index"),
    )],
    (lambda: F.mse_loss(X, ones(3, 2)), ValueError,
     "mse_loss: predictions", "(2, 3) and targets (3, 2)", "equal shapes"),
    (lambda: F.mse_loss(X, ones(3)), ValueError,
     "mse_loss: predictions", "(2, 3) and targets (3,)"),
    (lambda: F.mse_loss(ones(0, 3), ones(0, 3)), ValueError,
     "mse_loss: the batch is empty", "mean"),
    *[(lambda call=call: call(reduction="average"), ValueError,
       f"{name}: reduction is 'average'", '"mean", "sum" or "none"')
      for name, call in {
          "cross_entropy": lambda **settings: F.cross_entropy(X, [0, 1], **settings),
          "nll_loss": lambda **settings: F.nll_loss(X, [0, 1], **settings),
          "mse_loss": lambda **settings: F.mse_loss(X, X, **settings),
          "kl_divergence": lambda **settings: F.kl_divergence(-X, P, **settings),
      }.items()],

    # kl_divergence, distillation_loss and entropy
    *[(lambda log_q=log_q, p=p, settings=settings: F.kl_divergence(log_q, p, **settings), error,
       f"kl_divergence: {came}", expected)
      for log_q, p, settings, error, came, expected in (
          (P[0], P[0], {}, ValueError, "log_q has shape (3,)", "2 axes (N, K)"),
          (P, P[:1], {}, ValueError, "p has shape (1, 3)", "(2, 3)"),
          (P, P, {}, ValueError, "log_q has the entry 0.333333", "at most 0"),
          (P, 2 * P, {}, ValueError, "p[0] sums to 2", "expected 1"),
          (P, np.array([[1.0, 0, 0], [1.5, -0.5, 0]]), {}, ValueError,
           "p[1] has the entry -0.5", ">= 0"),
          (P, np.ones((2, 3), int), {}, TypeError, "p is int64", "float32 or float64"),
          (P, P.tolist(), {}, TypeError, "p is a list", "a Tensor or an array"),
          (P, P.astype("f"), {}, TypeError, "log_q is float64", "p is float32"),
          (P, with_gradient(P), {}, ValueError, "p requires a gradient", "p.detach()"),
          (-P, P, {"reduction": "batchmean"}, ValueError,
           "reduction is 'batchmean'", '"mean", "sum" or "none"'),
          (P[:0], P[:0], {}, ValueError, "the batch is empty", "mean"),
      )],
    (distill(P[0], student=P[0]), ValueError,
     "distillation_loss: student_logits", "(3,)", "2 axes (N, K)"),
    (distill(P[:1]), ValueError,
     "distillation_loss: student_logits", "(2, 3) and teacher_logits (1, 3)"),
    (distill(P[:0], student=P[:0]), ValueError,
     "distillation_loss: student_logits", "(0, 3)", "at least one"),
    *[(distill(P, T), ValueError, f"distillation_loss: temperature is {T!r}", "0.001 to 1000")
      for T in (0, 1e8, 1e300, "4", NAN)],
    (distill(with_gradient(P)), ValueError,
     "distillation_loss: teacher_logits requires a gradient", "teacher_logits.detach()"),
    (distill(P.astype("f")), TypeError,
     "distillation_loss: student_logits is float64", "teacher_logits is float32"),
    (distill([0, 1]), TypeError, "distillation_loss: teacher_logits", "list", "a Tensor"),
    (distill(np.array([0, 1])), TypeError,
     "distillation_loss: teacher_logits", "int64", "float32 or float64"),
    (lambda: F.entropy(ones(3)), ValueError, "entropy: logits", "(3,)", "2 axes (N, K)"),
    (lambda: F.entropy(ones(0, 3)), ValueError, "entropy: the batch is empty", "mean"),

    # affine_grid and grid_sample
    *[(lambda theta=theta, size=size: F.affine_grid(ones(*theta), size), ValueError,
       "affine_grid: theta", *fragments)
      for theta, size, *fragments in (
          ((6,), (1, 1, 2, 2), "(6,)", "3 axes (N, 2, 3)"),
          ((2, 3), (1, 1, 2, 2), "(2, 3)", "3 axes (N, 2, 3)"),
          ((1, 3, 2), (1, 1, 2, 2), "(1, 3, 2)", "size is (1, 1, 2, 2)"),
          ((2, 2, 3), (1, 1, 2, 2), "(2, 2, 3)", "(N, 2, 3) and (N, C, H, W)"),
          ((1, 2, 3), (1, 2, 2), "(1, 2, 3)", "size is (1, 2, 2)"),
      )],
    *[(lambda x=x, grid=grid: F.grid_sample(ones(*x), np.zeros(grid)), ValueError,
       f"grid_sample: {came}", expected)
      for x, grid, came, expected in (
          ((2, 3), (2, 1, 1, 2), "x has shape (2, 3)", "4 axes (N, C, H, W)"),
          ((3, 4, 5), (1, 2, 2, 2), "x has shape (3, 4, 5)", "4 axes (N, C, H, W)"),
          ((1, 3, 4, 5), (2, 2, 2), "grid has shape (2, 2, 2)", "4 axes (N, OH, OW, 2)"),
          ((1, 3, 4, 5), (1, 2, 2, 3), "grid has shape (1, 2, 2, 3)",
           "(1, OH, OW, 2) for x (1, 3, 4, 5)"),
          ((1, 3, 4, 5), (2, 2, 2, 2), "grid has shape (2, 2, 2, 2)", "(1, OH, OW, 2)"),
          ((1, 3, 0, 5), (1, 2, 2, 2), "x has shape (1, 3, 0, 5)", "at least one pixel"),
      )],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")  # inf - inf
def test_functional_errors_name_the_function_the_argument_and_the_value(call, error, fragments):
    with refused(error, *fragments):
        call()
