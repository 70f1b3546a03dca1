"""Layers: each holds parameters and calls one function; no mathematics stands here.

    module.py          Module, Parameter, Buffer: how parts are found, saved and moved
    notebook.py        how a network shows itself in a notebook
    initializers.py    random weights of the right size
    sequential.py      layers one after the other
    linear.py          Linear, Flatten
    convolution.py     Conv2d
    local.py           LocallyConnected2d
    pooling.py         MaxPool2d, AvgPool2d, AdaptiveAvgPool2d
    activation.py      ReLU, LeakyReLU, Tanh, ScaledTanh, Sigmoid
    normalization.py   LocalResponseNorm, BatchNorm1d, BatchNorm2d
    regularization.py  Dropout, DropPath
    losses.py          CrossEntropyLoss, MSELoss, DistillationLoss
    weights.py         safetensors in and out

Read next: nn/module.py
"""

from minivision.nn.activation import LeakyReLU, ReLU, ScaledTanh, Sigmoid, Tanh
from minivision.nn.convolution import Conv2d
from minivision.nn.initializers import initialize
from minivision.nn.linear import Flatten, Linear
from minivision.nn.local import LocallyConnected2d
from minivision.nn.losses import CrossEntropyLoss, DistillationLoss, MSELoss
from minivision.nn.module import Buffer, Module, Parameter
from minivision.nn.normalization import BatchNorm1d, BatchNorm2d, LocalResponseNorm
from minivision.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from minivision.nn.regularization import Dropout, DropPath
from minivision.nn.sequential import Sequential
from minivision.random import skip_init

__all__ = [
    "Module", "Parameter", "Buffer", "Sequential", "Linear", "Flatten", "Conv2d",
    "LocallyConnected2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "ReLU", "LeakyReLU",
    "Tanh", "ScaledTanh", "Sigmoid", "LocalResponseNorm", "BatchNorm1d", "BatchNorm2d", "Dropout",
    "DropPath", "CrossEntropyLoss", "MSELoss", "DistillationLoss", "initialize", "skip_init",
]  # fmt: skip
