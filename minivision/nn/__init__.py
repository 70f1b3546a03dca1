"""Layers: each holds parameters and calls one function; no mathematics stands here.

    module.py          Module, Parameter, Buffer: how parts are found, saved and moved
    initializers.py    random weights of the right size
    sequential.py      layers one after the other
    linear.py          Linear, Flatten
    convolution.py     Conv2d
    pooling.py         MaxPool2d, AvgPool2d
    activation.py      ReLU, Tanh
    regularization.py  Dropout
    weights.py         safetensors in and out

Read next: nn/module.py
"""

from minivision.nn.activation import ReLU, Tanh
from minivision.nn.convolution import Conv2d
from minivision.nn.linear import Flatten, Linear
from minivision.nn.module import Buffer, Module, Parameter
from minivision.nn.pooling import AvgPool2d, MaxPool2d
from minivision.nn.regularization import Dropout
from minivision.nn.sequential import Sequential

__all__ = [
    "Module", "Parameter", "Buffer", "Sequential", "Linear", "Flatten", "Conv2d",
    "MaxPool2d", "AvgPool2d", "ReLU", "Tanh", "Dropout",
]  # fmt: skip
