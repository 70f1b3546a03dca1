"""What layers, Sequential and state_dict say about arguments that do not fit."""

import numpy as np

from minivision import Tensor
from minivision.models import LocallyConnected2d
from minivision.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minivision.nn.sizes import SizeError
from tests.refusals import refused, table_of_errors

LINEAR = Linear(3, 2)
LENET = Sequential(
    Conv2d(1, 6, 5), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2),
    Flatten(), Linear(256, 10),
)  # fmt: skip
POOLED = Sequential(Conv2d(1, 2, 3), MaxPool2d(2))


def images(*shape):
    return Tensor(np.ones(shape, np.float32))


def assign(module, name, value):
    return lambda: setattr(module, name, value)


@table_of_errors(
    # Module
    (assign(LINEAR, "weight", Tensor(np.ones((2, 3), "f"))), TypeError,
     "Linear: weight", "Parameter", "Tensor", "weight.data"),
    (assign(LINEAR, "weight", np.ones((2, 3), "f")), TypeError,
     "Linear: weight", "Parameter", "ndarray", "weight.data"),
    (assign(LINEAR, "seed", 3), TypeError, "Linear: seed", "a method of Module"),
    (lambda: Module()(1), TypeError, "Module has no forward()", "def forward(self, x)"),

    # layers
    *[(lambda settings=settings: Conv2d(4, 6, **{"kernel_size": 3, **settings}), ValueError,
       f"Conv2d: {came}", expected)
      for settings, came, expected in (
          ({"groups": 3}, "groups is 3", "in_channels (4) and out_channels (6)"),
          ({"groups": 0}, "groups is 0", "in_channels (4) and out_channels (6)"),
          ({"kernel_size": 0}, "kernel_size is 0", "an integer >= 1"),
          ({"stride": (1, 0)}, "stride is (1, 0)", "an integer >= 1"),
          ({"padding": -1}, "padding is -1", "an integer >= 0"),
          ({"dilation": 0}, "dilation is 0", "an integer >= 1"),
      )],
    *[(lambda Pool=Pool, settings=settings: Pool(*settings), ValueError,
       f"{Pool.__name__}: {came}", "an integer")
      for Pool in (MaxPool2d, AvgPool2d)
      for settings, came in (
          ((0,), "kernel_size is 0"), ((2, 0), "stride is 0"), ((2, 2, -1), "padding is -1"))],
    (lambda: AdaptiveAvgPool2d(0), ValueError, "AdaptiveAvgPool2d: output_size is 0", ">= 1"),
    (lambda: Linear(0, 3), ValueError, "Linear: its weight", "(3, 0)", "at least 1"),
    *[(lambda p=p: Dropout(p), ValueError, f"Dropout: p is {p}", "0 <= p < 1")
      for p in (1, 1.0, -0.1, float("nan"))],
    (lambda: BatchNorm2d(0), ValueError, "BatchNorm2d: num_features is 0", "num_features >= 1"),
    (lambda: BatchNorm1d(3, momentum=2), ValueError, "BatchNorm1d: ", "momentum is 2", "<= 1"),
    (lambda: BatchNorm2d(3)(images(4, 3)), ValueError, "BatchNorm2d: x", "(4, 3)", "4 axes"),
    (lambda: BatchNorm2d(3)(images(2, 4, 3, 3)), ValueError, "batch_norm: weight", "(3,)", "(4,)"),
    (lambda: BatchNorm1d(3)(images(1, 3)), ValueError, "batch_norm: x", "(1, 3)", "variance"),
    (lambda: LocalResponseNorm(4)(images(1, 3, 2, 2)), ValueError,
     "local_response_norm: size is 4", "odd"),
    (lambda: LocallyConnected2d(1, 1, 5, image_size=3), ValueError,
     "LocallyConnected2d: the kernel 5", "3"),

    # Sequential
    (lambda: Sequential(ReLU(), max), TypeError,
     "Sequential: layer 1", "builtin_function_or_method", "a Module"),
    (lambda: LENET.__setitem__(3, images), TypeError,
     "Sequential: layer 3", "function", "a Module"),
    (lambda: LENET[8], IndexError, "index", "range"),
    (lambda: LENET("cat"), TypeError, "network", "str", "a Tensor"),

    # image sizes: the error of the layer, the size after each layer, and a size that would fit
    (lambda: LENET(images(2, 1, 12, 11)), SizeError,
     "conv2d: the kernel", "5x5", "12x11 -> 8x7 -> 4x3", "Conv2d", "28x28 image"),
    (lambda: LENET(images(2, 1, 32, 32)), SizeError,
     "linear: x", "32 -> 28 -> 14 -> 10 -> 5", "256 features", "16·5·5 = 400", "28x28 image"),
    (lambda: POOLED(images(2, 1, 3, 3)), SizeError,
     "max_pool2d: the kernel", "3 -> 1", "MaxPool2d", "4x4 image"),
)  # fmt: skip
def test_nn_errors_name_the_layer_the_argument_and_the_value(call, error, fragments):
    with refused(error, *fragments):
        call()
