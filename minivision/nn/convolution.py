"""Conv2d: filters that slide over the image.

Read next: nn/local.py
"""

from __future__ import annotations

import numpy as np

from minivision import functional as F
from minivision.functional.inputs import pair
from minivision.nn.initializers import Initializer, draw_weights, he_normal
from minivision.nn.module import Module, Parameter
from minivision.tensor import Tensor
from minivision.windows import Window

Pair = int | tuple[int, int]


class Conv2d(Module):
    """x (N, C, H, W) -> (N, F, OH, OW), weight (F, C/groups, KH, KW), bias (F).

    Names and order of the arguments are PyTorch's. Weights are drawn He-normal from `rng`,
    biases are 0 (PyTorch: both uniform). With initialize=False all are 0.

    >>> Conv2d(1, 6, 5, padding=2, rng=np.random.default_rng(0)).parameter_count()
    156
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        initializer: Initializer = he_normal,
        initialize: bool = True,
    ):
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups is {groups}; expected a number that divides "
                f"in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.geometry = Window(
            pair("Conv2d", "kernel_size", kernel_size, least=1),
            pair("Conv2d", "stride", stride, least=1),
            pair("Conv2d", "padding", padding, least=0),
            pair("Conv2d", "dilation", dilation, least=1),
        )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        shape = (out_channels, in_channels // groups, *self.geometry.kernel)
        self.weight = Parameter(draw_weights("Conv2d", shape, initializer, rng, initialize))
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        _, stride, padding, dilation = self.geometry
        return F.conv2d(x, self.weight, self.bias, stride, padding, dilation, self.groups)

    def extra_repr(self) -> str:
        kernel, stride, padding, dilation = self.geometry
        settings = f"{self.in_channels}, {self.out_channels}, kernel_size={kernel}"
        for name, value, usual in (
            ("stride", stride, (1, 1)),
            ("padding", padding, (0, 0)),
            ("dilation", dilation, (1, 1)),
            ("groups", self.groups, 1),
            ("bias", self.bias is not None, True),
        ):
            settings += f", {name}={value}" if value != usual else ""
        return settings
