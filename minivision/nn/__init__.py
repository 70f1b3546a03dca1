"""Layers: each holds parameters and calls one function; the mathematics is in `functional`.

module.py          Module, Parameter, Buffer: how the parts of a network are found
state.py           how modules are saved, loaded and moved
initializers.py    random weights of the right size
sizes.py           the sizes of an image as it passes through the layers
layers.py          Sequential, Linear, Flatten, Conv2d, MaxPool2d, ReLU
other_layers.py    AvgPool2d, AdaptiveAvgPool2d, Tanh, ScaledTanh, Sigmoid, LeakyReLU
normalization.py   LocalResponseNorm, BatchNorm1d, BatchNorm2d, Dropout, DropPath
losses.py          CrossEntropyLoss, MSELoss, DistillationLoss
weights.py         reading and writing safetensors files
"""

from minivision.nn.initializers import initialize
from minivision.nn.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minivision.nn.losses import CrossEntropyLoss, DistillationLoss, MSELoss
from minivision.nn.module import Buffer, Module, Parameter
from minivision.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    Dropout,
    DropPath,
    LocalResponseNorm,
)
from minivision.nn.other_layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    LeakyReLU,
    ScaledTanh,
    Sigmoid,
    Tanh,
)
from minivision.random import skip_init

__all__ = [
    "Module", "Parameter", "Buffer", "Sequential", "Linear", "Flatten", "Conv2d",
    "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "ReLU", "LeakyReLU",
    "Tanh", "ScaledTanh", "Sigmoid", "LocalResponseNorm", "BatchNorm1d", "BatchNorm2d", "Dropout",
    "DropPath", "CrossEntropyLoss", "MSELoss", "DistillationLoss", "initialize", "skip_init",
]  # fmt: skip
