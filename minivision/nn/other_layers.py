"""Layers beyond LeNet-5: average pooling, and activations other than ReLU."""

from __future__ import annotations

from minivision import functional as F
from minivision.functional.checks import Pair
from minivision.functional.inputs import pair
from minivision.nn.layers import Pool2d
from minivision.nn.module import Module
from minivision.tensor import Tensor


class AvgPool2d(Pool2d):
    """The mean of every window: x (N, C, H, W) -> (N, C, OH, OW).

    stride: defaults to the kernel's size. count_include_pad: whether the zeros that padding adds
    count in the mean.
    """

    pool = staticmethod(F.avg_pool2d)

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        *,
        count_include_pad: bool = True,
    ):
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, padding, _ = self.window
        return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=self.count_include_pad)

    def extra_repr(self) -> str:
        return super().extra_repr() + (
            "" if self.count_include_pad else ", count_include_pad=False"
        )


class AdaptiveAvgPool2d(Module):
    """Average over windows chosen for a given output size: x (N, C, H, W) -> (N, C, OH, OW).

    AdaptiveAvgPool2d(1) is global average pooling, which lets a network take images of any size.
    """

    def __init__(self, output_size: Pair):
        self.output_size = pair("AdaptiveAvgPool2d", "output_size", output_size, least=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return str(self.output_size)


class Tanh(Module):
    """tanh x, entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(x)


class ScaledTanh(Module):
    """1.7159·tanh(2x/3), entry by entry: LeNet-5's squashing function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_tanh(x)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ), entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


class LeakyReLU(Module):
    """x if x > 0, else negative_slope·x, entry by entry."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return str(self.negative_slope)
