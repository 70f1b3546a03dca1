"""The sizes of an image as it passes through a network, and the error if it does not fit.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minivision.errors import kind
from minivision.nn.module import Module


class SizeError(ValueError):
    """An image does not fit a network; the message lists its sizes from layer to layer."""


@contextmanager
def explained(layers: Iterable[Module], x: Any) -> Iterator[None]:
    """If these layers, called inside the block, reject x, add the chain of sizes to the error."""
    if not hasattr(x, "shape"):
        raise TypeError(f"the network was called with {kind(x)}; expected a Tensor")
    shape = x.shape
    del x  # otherwise it would be kept until the last layer
    try:
        yield
    except ValueError as error:
        # A nested network has already shown its part of the chain; ours starts earlier.
        fault = error.__cause__ if isinstance(error, SizeError) else error
        try:
            output_shape(layers, shape[1:])
        except SizeError as chain:
            raise SizeError(f"{fault}; {chain}") from fault
        raise


def output_shape(layers: Iterable[Module], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The output shape (C, H, W) of these layers for an image of shape (C, H, W).

    Stops at the first Linear layer. Raises SizeError, with the chain of sizes and a size that
    would fit, if no pixels are left at some layer or if the Linear layer expects a different number
    of features.

    >>> from minivision.nn import Conv2d, MaxPool2d
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
    raise SizeError(f"image sizes from layer to layer: {chain} ({fault}){advice}")


def _follow(
    layers: Iterable[Module], shape: tuple[int, ...]
) -> tuple[list[tuple[int, ...]], str | None]:
    """The shapes (C, H, W) up to the first Linear layer, and what goes wrong, if anything."""
    shapes = [shape]
    for layer in (leaf for module in layers for leaf in module.modules()):
        C, H, W = shapes[-1]
        if hasattr(layer, "window"):
            H, W = layer.window.output_size(H, W)
            if min(H, W) < 1:
                return shapes, f"no pixels are left for {type(layer).__name__}"
            shapes.append((getattr(layer, "out_channels", C), H, W))
        elif hasattr(layer, "output_size"):  # adaptive pooling
            shapes.append((C, *layer.output_size))
        elif hasattr(layer, "in_features"):
            if layer.in_features != C * H * W:
                found = f"{C}·{H}·{W} = {C * H * W}"
                return shapes, f"Linear expects {layer.in_features} features, not {found}"
            break
    return shapes, None
