"""Layers: each holds its parameters and settings, and calls one function of `functional`.

Names and order of the arguments are PyTorch's. A layer with weights draws them when it is built,
He-normal, from the generator that `manual_seed` sets; its biases begin at 0. (PyTorch draws both
uniformly.) Inside `skip_init` all are 0; `initialize` draws them by another scheme.

Read next: nn/normalization.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

from minivision import functional as F
from minivision.functional.inputs import pair
from minivision.nn.initializers import Weighted
from minivision.nn.module import Module
from minivision.random import refuses_rng
from minivision.tensor import Tensor
from minivision.windows import Window

Pair = int | tuple[int, int]


# ── one layer after the other ────────────────────────────────────────────────────────────────────


class Sequential(Module):
    """Apply modules in order. It has a length, can be iterated, indexed and sliced.

    >>> Sequential(Flatten(), ReLU())[1]
    ReLU()
    """

    def __init__(self, *modules: Module):
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: part {i} is a {type(module).__name__}, not a Module")
        self._modules = list(modules)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), module) for i, module in enumerate(self._modules))

    def forward(self, x: Tensor) -> Tensor:
        return run(self._modules, x)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: Any) -> Any:
        part = self._modules[index]
        return Sequential(*part) if isinstance(index, slice) else part

    def __setitem__(self, index: int, module: Module) -> None:
        """Put another module into this place, such as a new last layer."""
        self._modules[index] = Sequential(module)[0]  # which refuses anything but a Module


class SizeError(ValueError):
    """An image that does not fit a network, with its sizes from layer to layer."""


def run(layers: Iterable[Module], x: Tensor) -> Tensor:
    """Apply the layers in order; if the image does not fit, the error shows the chain of sizes."""
    layers = list(layers)
    if not hasattr(x, "shape"):
        raise TypeError(f"a network was called with a {type(x).__name__}; expected a Tensor")
    shape = x.shape
    try:
        for layer in layers:
            x = layer(x)
    except ValueError as error:
        # A network inside this one has shown its own part of the chain; ours begins earlier.
        fault = error.__cause__ if isinstance(error, SizeError) else error
        try:
            output_shape(layers, shape[1:])
        except SizeError as chain:
            raise SizeError(f"{fault}; {chain}") from fault
        raise
    return x


def output_shape(layers: Iterable[Module], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape (C, H, W) in which an image of shape (C, H, W) leaves the layers.

    Layers from the first Linear on are not followed. Raises SizeError, with the chain of sizes and
    a size that fits, if no pixel is left on the way or the Linear expects other features.

    >>> output_shape([Conv2d(3, 6, 5), MaxPool2d(2)], (3, 32, 32))
    (6, 14, 14)
    """
    if len(shape) != 3:
        return shape
    layers = list(layers)
    shapes, fault = _follow(layers, shape)
    if fault is None:
        return shapes[-1]
    chain = " -> ".join(str(H) if H == W else f"{H}x{W}" for _, H, W in shapes)
    sides = range(1, 1025)
    fitting = next((n for n in sides if _follow(layers, (shape[0], n, n))[1] is None), None)
    advice = f"; a {fitting}x{fitting} image fits" if fitting else ""
    raise SizeError(f"image sizes on the way: {chain} ({fault}){advice}")


def _follow(
    layers: Iterable[Module], shape: tuple[int, ...]
) -> tuple[list[tuple[int, ...]], str | None]:
    """The shapes (C, H, W) on the way to the first Linear, and what goes wrong there, if so."""
    shapes = [shape]
    for layer in (leaf for module in layers for leaf in module.modules()):
        C, H, W = shapes[-1]
        if hasattr(layer, "window"):
            H, W = layer.window.output_size(H, W)
            if min(H, W) < 1:
                return shapes, f"no pixel is left for {type(layer).__name__}"
            shapes.append((getattr(layer, "out_channels", C), H, W))
        elif isinstance(layer, AdaptiveAvgPool2d):
            shapes.append((C, *layer.output_size))
        elif isinstance(layer, Linear):
            if layer.in_features != C * H * W:
                found = f"{C}·{H}·{W} = {C * H * W}"
                return shapes, f"Linear expects {layer.in_features} features, not {found}"
            break
    return shapes, None


# ── layers with weights ──────────────────────────────────────────────────────────────────────────


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
    """One vector for each image: x (N, C, H, W) -> (N, C·H·W)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x)


class Conv2d(Weighted):
    """Slide filters over the image: each looks for one pattern, at every place.

    x (N, C, H, W) -> (N, F, OH, OW), weight (F, C/groups, KH, KW), bias (F), with
    OH = (H + 2·padding - dilation·(KH - 1) - 1) // stride + 1.

    kernel_size, stride, padding, dilation: a number, or a pair for height and width.
    groups: filters are dealt out to as many groups of channels, each seeing its own only.

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
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups is {groups}; expected a number that divides "
                f"in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.window = _window("Conv2d", kernel_size, stride, padding, dilation)
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


def _window(
    layer: str, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair = 1
) -> Window:
    return Window(
        pair(layer, "kernel_size", kernel_size, least=1),
        pair(layer, "stride", stride, least=1),
        pair(layer, "padding", padding, least=0),
        pair(layer, "dilation", dilation, least=1),
    )


# ── pooling ──────────────────────────────────────────────────────────────────────────────────────


class _Pool2d(Module):
    pool: Callable[..., Tensor]

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0):
        stride = kernel_size if stride is None else stride
        self.window = _window(type(self).__name__, kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, padding, _ = self.window
        return self.pool(x, kernel, stride, padding)

    def extra_repr(self) -> str:
        kernel, stride, padding, _ = self.window
        return f"{kernel}, stride={stride}" + (f", padding={padding}" if any(padding) else "")


class MaxPool2d(_Pool2d):
    """The largest value of every window: x (N, C, H, W) -> (N, C, OH, OW).

    stride: as large as the kernel if it is not given.
    """

    pool = staticmethod(F.max_pool2d)


class AvgPool2d(_Pool2d):
    """The mean of every window: x (N, C, H, W) -> (N, C, OH, OW).

    stride: as large as the kernel if it is not given.
    """

    pool = staticmethod(F.avg_pool2d)


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


# ── activations ──────────────────────────────────────────────────────────────────────────────────


class ReLU(Module):
    """max(x, 0), entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


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
