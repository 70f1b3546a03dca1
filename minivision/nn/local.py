"""LocallyConnected2d: filters that look at small windows, but share nothing.

Read next: nn/pooling.py
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


class LocallyConnected2d(Module):
    """A convolution with filters of its own at every place, for images of one size.

    x (N, C, H, W) -> (N, F, OH, OW) with (H, W) = image_size; weight (OH, OW, F, C, KH, KW),
    bias (F, OH, OW).

    >>> LocallyConnected2d(3, 6, 5, image_size=32, initialize=False).parameter_count()
    357504
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: bool = True,
        *,
        image_size: Pair,
        rng: np.random.Generator | None = None,
        initializer: Initializer = he_normal,
        initialize: bool = True,
    ):
        name = "LocallyConnected2d"
        self.geometry = Window(
            pair(name, "kernel_size", kernel_size, least=1),
            pair(name, "stride", stride, least=1),
            pair(name, "padding", padding, least=0),
        )
        OH, OW = self.geometry.output_size(*pair(name, "image_size", image_size, least=1))
        if min(OH, OW) < 1:
            raise ValueError(f"{name}: the kernel {kernel_size} is larger than {image_size}")
        self.in_channels, self.out_channels = in_channels, out_channels
        one = (out_channels, in_channels, *self.geometry.kernel)
        # Every place draws its filters as one convolution would.
        places = [draw_weights(name, one, initializer, rng, initialize) for _ in range(OH * OW)]
        self.weight = Parameter(np.stack(places).reshape(OH, OW, *one))
        self.bias = Parameter(np.zeros((out_channels, OH, OW), np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        _, stride, padding, _ = self.geometry
        return F.locally_connected2d(x, self.weight, self.bias, stride, padding)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.geometry.kernel}"
