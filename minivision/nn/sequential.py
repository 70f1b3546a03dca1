"""Sequential: layers one after the other, and what to say when an image does not fit them.

Read next: nn/linear.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, overload

from minivision.nn.module import Module
from minivision.tensor import Tensor


class SizeError(ValueError):
    """An image that a network cannot take, with the chain of sizes that led there."""


class Sequential(Module):
    """Apply modules in order. It has a length, can be iterated, indexed and sliced.

    >>> from minivision.nn import Flatten, ReLU
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


def run(layers: Iterable[Module], x: Tensor) -> Tensor:
    """Apply the layers in order; a ValueError on the way is told with the chain of sizes."""
    layers = list(layers)
    if not hasattr(x, "shape"):
        raise TypeError(f"a network was called with a {type(x).__name__}; expected a Tensor")
    shape = x.shape
    try:
        for layer in layers:
            x = layer(x)
    except ValueError as error:
        # A network inside this one has told its own part of the story; ours begins earlier.
        fault = error.__cause__ if isinstance(error, SizeError) else error
        story = size_chain(layers, shape)
        if story is None:
            raise
        raise SizeError(f"{fault}; {story}") from fault
    return x


def size_chain(layers: list[Module], shape: tuple[int, ...]) -> str | None:
    """Why images of this shape (N, C, H, W) do not fit, and a size that does; None if they do."""
    if len(shape) != 4:
        return None
    sizes, fault = _follow(layers, shape[2], shape[3])
    if fault is None:
        return None
    chain = " -> ".join(str(h) if h == w else f"{h}x{w}" for h, w in sizes)
    fitting = next((n for n in range(1, 1025) if _follow(layers, n, n)[1] is None), None)
    advice = f"; a {fitting}x{fitting} image fits" if fitting else ""
    return f"image sizes on the way: {chain} ({fault}){advice}"


def _follow(layers: list[Module], H: int, W: int) -> tuple[list[tuple[int, int]], str | None]:
    """The sizes (H, W) from layer to layer up to the first Linear, and what goes wrong, if so."""
    sizes, channels = [(H, W)], None
    for layer in (leaf for module in layers for leaf in module.modules()):
        if hasattr(layer, "geometry"):
            H, W = layer.geometry.output_size(H, W)
            if min(H, W) < 1:
                return sizes, f"no pixel is left for {type(layer).__name__}"
            sizes.append((H, W))
            channels = getattr(layer, "out_channels", channels)
        elif hasattr(layer, "output_size"):  # adaptive pooling
            H, W = layer.output_size
            sizes.append((H, W))
        elif hasattr(layer, "in_features"):
            wanted = layer.in_features
            if channels is not None and channels * H * W != wanted:
                found = f"{channels}·{H}·{W} = {channels * H * W}"
                return sizes, f"Linear expects {wanted} features, not {found}"
            break
    return sizes, None
