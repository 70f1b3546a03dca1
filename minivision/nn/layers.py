"""Layers: each holds its parameters and settings, and calls one function of `functional`.

Arguments have PyTorch's names and order. When a layer is built, its weights are drawn from He's
normal distribution, with the generator that `manual_seed` sets, and its biases start at 0. (PyTorch
draws both uniformly.) Inside `skip_init` the weights start at 0, too; `initialize` draws them with
a different initializer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minivision import functional as F
from minivision.errors import kind, refuses_rng
from minivision.functional.checks import Pair, make_window
from minivision.nn import sizes
from minivision.nn.initializers import Weighted
from minivision.nn.module import Module
from minivision.tensor import Tensor


class Sequential(Module):
    """Apply modules in order. Supports len(), iteration, indexing and slicing.

    >>> Sequential(Flatten(), ReLU())[1]
    ReLU()
    """

    def __init__(self, *modules: Module):
        self._modules = [_module(i, module) for i, module in enumerate(modules)]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        # so that a weight is called "0.weight", not "_modules.0.weight"
        return ((str(i), module) for i, module in enumerate(self._modules))

    def forward(self, x: Tensor) -> Tensor:
        with sizes.explained(self._modules, x):  # adds the sizes to the error if x does not fit
            for module in self._modules:
                x = module(x)
        return x

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules)

    def __getitem__(self, index: Any) -> Any:
        part = self._modules[index]
        return Sequential(*part) if isinstance(index, slice) else part

    def __setitem__(self, index: int, module: Module) -> None:
        """Replace the module at this index, for example with a new last layer."""
        self._modules[index] = _module(index, module)


def _module(index: int, layer: Any) -> Module:
    if not isinstance(layer, Module):
        raise TypeError(f"Sequential: layer {index} is {kind(layer)}; expected a Module")
    return layer


class Linear(Weighted):
    """Every output is a weighted sum of all inputs: y = x Wᵀ + b.

    x (N, I) -> (N, O), weight (O, I), bias (O).

    >>> Linear(784, 10).parameter_count()
    7850
    """

    @refuses_rng
    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features, self.out_features = in_features, out_features
        super().__init__((out_features, in_features), (out_features,) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in_features}, {self.out_features}{bias}"


class Flatten(Module):
    """One vector per image: x (N, C, H, W) -> (N, C·H·W)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x)


class Conv2d(Weighted):
    """Slide filters over the image: each looks for one pattern, at every position.

    x (N, C, H, W) -> (N, F, OH, OW), weight (F, C/groups, KH, KW), bias (F), with
    OH = (H + 2·padding - dilation·(KH - 1) - 1) // stride + 1.

    kernel_size, stride, padding, dilation: a number, or a pair for height and width.
    padding="same": preserves the size of the image, for stride 1 and odd kernels.
    groups: filters and channels are split into this many groups; each filter sees only the channels
        of its own group.

    >>> import numpy as np
    >>> layer = Conv2d(1, 6, 5, padding=2)
    >>> layer(Tensor(np.zeros((2, 1, 28, 28), np.float32))).shape
    (2, 6, 28, 28)
    >>> layer.parameter_count()
    156
    """

    @refuses_rng
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups is {groups}; expected a number that divides "
                f"in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.window = make_window("Conv2d", kernel_size, stride, padding, dilation)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        shape = (out_channels, in_channels // groups, *self.window.kernel)
        super().__init__(shape, (out_channels,) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        _, stride, padding, dilation = self.window
        return F.conv2d(x, self.weight, self.bias, stride, padding, dilation, self.groups)

    def extra_repr(self) -> str:
        kernel, stride, padding, dilation = self.window
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


class Pool2d(Module):
    """Base class of max and average pooling: a window, and a function that pools its pixels."""

    pool: Callable[..., Tensor]

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0):
        stride = kernel_size if stride is None else stride
        self.window = make_window(type(self).__name__, kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, padding, _ = self.window
        return self.pool(x, kernel, stride, padding)

    def extra_repr(self) -> str:
        kernel, stride, padding, _ = self.window
        return f"{kernel}, stride={stride}" + (f", padding={padding}" if any(padding) else "")


class MaxPool2d(Pool2d):
    """The largest value of every window: x (N, C, H, W) -> (N, C, OH, OW).

    stride: defaults to the kernel's size.
    """

    pool = staticmethod(F.max_pool2d)


class ReLU(Module):
    """max(x, 0), entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)
