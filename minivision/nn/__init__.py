"""Layers: each holds parameters and calls one function; the mathematics is in `functional`.

    module.py          Module, Parameter, Buffer: how parts are found, saved and moved
    initializers.py    random weights of the right size
    layers.py          Sequential, Linear, Flatten, Conv2d, pooling, activations
    normalization.py   LocalResponseNorm, BatchNorm1d, BatchNorm2d, Dropout, DropPath
    losses.py          CrossEntropyLoss, MSELoss, DistillationLoss
    weights.py         safetensors in and out

Read next: nn/module.py
"""

from minivision.nn.initializers import initialize
from minivision.nn.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    ScaledTanh,
    Sequential,
    Sigmoid,
    Tanh,
)
from minivision.nn.losses import CrossEntropyLoss, DistillationLoss, MSELoss
from minivision.nn.module import Buffer, Module, Parameter
from minivision.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    Dropout,
    DropPath,
    LocalResponseNorm,
)
from minivision.random import skip_init

__all__ = [
    "Module", "Parameter", "Buffer", "Sequential", "Linear", "Flatten", "Conv2d",
    "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "ReLU", "LeakyReLU",
    "Tanh", "ScaledTanh", "Sigmoid", "LocalResponseNorm", "BatchNorm1d", "BatchNorm2d", "Dropout",
    "DropPath", "CrossEntropyLoss", "MSELoss", "DistillationLoss", "initialize", "skip_init",
]  # fmt: skip
