"""MaxPool2d, AvgPool2d and AdaptiveAvgPool2d: each window summed up in one number.

Read next: nn/activation.py
"""

from __future__ import annotations

from minivision import functional as F
from minivision.functional.inputs import pair
from minivision.nn.module import Module
from minivision.tensor import Tensor
from minivision.windows import Window

Pair = int | tuple[int, int]


class MaxPool2d(Module):
    """The largest value of every window: x (N, C, H, W) -> (N, C, OH, OW).

    stride defaults to the kernel's size.
    """

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0):
        self.geometry = _geometry("MaxPool2d", kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, *self.geometry[:3])

    def extra_repr(self) -> str:
        kernel, stride, padding, _ = self.geometry
        return f"{kernel}, stride={stride}" + (f", padding={padding}" if any(padding) else "")


class AvgPool2d(Module):
    """The mean of every window: x (N, C, H, W) -> (N, C, OH, OW)."""

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0):
        self.geometry = _geometry("AvgPool2d", kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, *self.geometry[:3])

    def extra_repr(self) -> str:
        kernel, stride, padding, _ = self.geometry
        return f"{kernel}, stride={stride}" + (f", padding={padding}" if any(padding) else "")


class AdaptiveAvgPool2d(Module):
    """Averages over windows that give a result of this size: x (N, C, H, W) -> (N, C, OH, OW).

    AdaptiveAvgPool2d(1) is global average pooling; with it a network takes images of any size.
    """

    def __init__(self, output_size: Pair):
        self.output_size = pair("AdaptiveAvgPool2d", "output_size", output_size, least=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return str(self.output_size)


def _geometry(layer: str, kernel_size: Pair, stride: Pair | None, padding: Pair) -> Window:
    kernel = pair(layer, "kernel_size", kernel_size, least=1)
    return Window(
        kernel,
        kernel if stride is None else pair(layer, "stride", stride, least=1),
        pair(layer, "padding", padding, least=0),
    )
