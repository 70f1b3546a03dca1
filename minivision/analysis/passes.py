"""Observe a forward pass: what the layers of a network return for an image, step by step.

A network is whatever its forward() does, so we do not guess anything from its attributes. Instead
we run it on an image, or on an empty batch if only the sizes matter: every shape is real, almost
nothing is computed, and the graph lists every operation. The model is left unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from minivision.autograd import Node
from minivision.backend import Array, device_of, to_device
from minivision.nn import Module
from minivision.nn.state import note_calls
from minivision.tensor import Tensor
from minivision.windows import Window

Size = int | tuple[int, ...] | None

# Functions that keep positions: an entry depends only on entries at the same position.
AT_ITS_PLACE = {
    "add", "subtract", "multiply", "divide", "negative", "power", "exp", "log", "sqrt", "absolute",
    "maximum", "minimum", "where", "clip", "concatenate", "pad", "relu", "leaky_relu", "tanh",
    "scaled_tanh", "sigmoid", "local_response_norm", "batch_norm", "dropout", "drop_path",
}  # fmt: skip


class Call(NamedTuple):
    """One call of a layer: its name in the model, the layer, and what it returned."""

    name: str
    layer: Module
    result: Tensor


def watched(model: Module, x: Tensor) -> list[Call]:
    """Call the model and list its layers in the order in which they finish.

    A module that only returns the result of its last submodule (a Sequential) is left out. A layer
    that is called a second time is listed a second time, as "name, call 2".
    """
    names = {id(module): name for name, module in model.named_modules()}
    times: dict[str, int] = {}
    results: set[int] = set()
    found = []
    with note_calls() as calls:
        model(x)
    for layer, result in calls:
        if not isinstance(result, Tensor) or id(layer) not in names:
            continue
        handed_on = id(result.node) in results and next(layer.named_children(), None) is not None
        results.add(id(result.node))
        if handed_on:
            continue
        name = names[id(layer)] or type(layer).__name__
        times[name] = times.get(name, 0) + 1
        again = f", call {times[name]}" if times[name] > 1 else ""
        found.append(Call(name + again, layer, result))
    return found


@contextmanager
def borrowed(model: Module, training: bool = False, trainable: bool = True) -> Iterator[None]:
    """Put a model into training or evaluation mode, and restore it afterwards.

    trainable=False: inside the block, no weight requires a gradient. Afterwards, the modes, the
    running statistics and the keys of random layers are as before.
    """
    modes = [(module, module.training) for module in model.modules()]
    keys = [(module, module.key) for module in model.modules() if module.random]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.data.copy()) for _, buffer in model.named_buffers()]
    model.train(training)
    if training:
        model.seed(0, 0)
    if not trainable:
        model.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, key in keys:
            module.key = key
        for parameter, flag in wanted:
            parameter.requires_grad = flag
        for buffer, before in buffers:
            buffer.data[...] = before


def image_shape(function: str, model: Module, input_size: Size) -> tuple[int, int, int]:
    """The shape (C, H, W) of the images; if C is not given, the model determines it.

    input_size: a number for square images, (H, W), (C, H, W), or None for the model's own size.
    Raises ValueError if it is none of these, or if it is None but the model has no size of its own.
    """
    usual: tuple[int, int, int] | None = getattr(model, "input_shape", None)
    if input_size is None and usual is not None:
        return usual
    given = (input_size, input_size) if isinstance(input_size, int) else (input_size or ())
    if len(given) not in (2, 3) or not all(isinstance(n, int) and n >= 1 for n in given):
        raise ValueError(
            f"{function}: input_size is {input_size!r}; expected the size of the images: a "
            "number for square ones, (H, W) or (C, H, W)"
        )
    *channels, H, W = given
    first = (layer.in_channels for layer in model.modules() if hasattr(layer, "in_channels"))
    C = channels[0] if channels else usual[0] if usual else next(first, 1)
    return C, H, W


def images_like(model: Module, shape: tuple[int, ...], images: Array | None = None) -> Array:
    """These images, or zeros, in the dtype and on the device of the model's weights."""
    parameter = next(model.parameters(), None)
    dtype = np.dtype(np.float32) if parameter is None else parameter.dtype
    array = np.zeros(shape, dtype) if images is None else images.astype(dtype)
    return array if parameter is None else to_device(array, device_of(parameter.data))


def places(shape: tuple[int, ...]) -> tuple[int, int]:
    """(H, W) of maps (N, C, H, W), or (1, 1) for any other shape, which has no positions."""
    return (shape[2], shape[3]) if len(shape) == 4 else (1, 1)


def window_of(node: Node, before: tuple[int, ...]) -> Window:
    """The window through which an operation sees its input, whose shape is `before`.

    Raises ValueError if the window is unknown, or not the same size at all positions.
    """
    if node.window is not None:
        return node.window
    (H, W), units = places(before), places(node.shape)
    if units == (1, 1):  # as after flatten, linear and global pooling
        return Window((H, W))
    if (H, W) == (1, 1):  # vectors reshaped to maps, or one number used at all positions
        return Window((1, 1), stride=(0, 0))
    if node.name == "adaptive_avg_pool2d":
        if H % units[0] or W % units[1]:
            raise ValueError(
                f"receptive_fields: adaptive pooling from {H}x{W} to {units[0]}x{units[1]} has "
                "windows of different sizes; expected images whose maps divide evenly"
            )
        step = H // units[0], W // units[1]
        return Window(step, step)
    if node.name in AT_ITS_PLACE and units == (H, W):
        return Window((1, 1))
    raise ValueError(
        f"receptive_fields: {node.name} turns {before[1:]} into {node.shape[1:]}; "
        "which positions its results depend on is unknown"
    )
