"""The receptive field by the engine, and written in other ways."""

import math

import numpy as np

from minivision import nn
from minivision.analysis.receptive_field import receptive_fields


def engine(layers):
    network = nn.Sequential(*[nn.Conv2d(1, 1, kernel, stride) for kernel, stride in layers])
    *_, last = receptive_fields(network, 500).values()
    return last.size[0], last.jump[0]


def with_sets_of_pixels(layers):
    """Which pixels do the first two units of the last layer see?"""
    units = [{0}, {1}]
    for kernel, stride in layers[::-1]:
        units = [{u * stride + tap for u in seen for tap in range(kernel)} for seen in units]
    first, second = units
    return max(first) - min(first) + 1, min(second) - min(first)


def with_products_of_strides(layers):
    jumps = [math.prod(stride for _, stride in layers[:i]) for i in range(len(layers) + 1)]
    size = 1 + sum((layers[i][0] - 1) * jumps[i] for i in range(len(layers)))
    return size, jumps[-1]


def with_arrays(layers):
    kernels, strides = np.array(layers).T
    jumps = np.cumprod([1, *strides])
    return 1 + np.sum((kernels - 1) * jumps[:-1]), jumps[-1]


def from_the_top_down(layers):
    """n neighbouring units see (n - 1)·stride + kernel units of the layer below."""

    def pixels(units):
        for kernel, stride in reversed(layers):
            units = (units - 1) * stride + kernel
        return units

    return pixels(1), pixels(2) - pixels(1)
