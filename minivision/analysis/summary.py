"""A table that describes a network: the output, parameters, work and memory of every layer.

Sizes and work are read from the graph of a forward pass with an empty batch. Memory is measured on
a real forward pass in training mode: the arrays that the backward functions hold, counting each
block of memory once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minivision.analysis.graph import graph_nodes, kept_arrays
from minivision.analysis.passes import (
    Call,
    Size,
    borrowed,
    image_shape,
    images_like,
    watched,
)
from minivision.autograd import Node
from minivision.backend import Array, is_array
from minivision.nn import Module, Parameter
from minivision.tensor import Tensor

# In the shape of a weight, the axis from which on the sizes count the inputs to one unit:
# (F, C/groups, KH, KW), (O, I), (OH, OW, F, C, KH, KW).
INPUTS_FROM = {"conv2d": 1, "linear": 1, "locally_connected2d": 3}


class Row(NamedTuple):
    """One layer: its name, its kind, the shape of its output for one image, and three counts."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    kept_bytes: int


class Summary(NamedTuple):
    """The rows, and the images they were counted for; print it to see the table."""

    rows: list[Row]
    input_shape: tuple[int, int, int]
    images: int
    parameters: int

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image, through all layers."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def kept_bytes(self) -> int:
        """Bytes held from the forward to the backward pass, for all `images` together."""
        return sum(row.kept_bytes for row in self.rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "multiply-adds", "bytes kept")
        first = ("(image)", "", _shape(self.input_shape), "", "", "")
        body = [
            (row.name, row.kind, _shape(row.output), *(f"{n:,}" if n else "" for n in row[3:]))
            for row in self.rows
        ]
        total = (self.parameters, self.multiply_adds, self.kept_bytes)
        last = ("total", "", "", *(f"{n:,}" for n in total))
        lines = [head, first, *body, last]
        widths = [max(len(line[i]) for line in lines) for i in range(6)]
        words = [
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "-" * (sum(widths) + 10)
        kept = "1 image" if self.images == 1 else f"{self.images} images"
        note = f"multiply-adds for 1 image; bytes kept for the backward pass of {kept}"
        return "\n".join([words[0], rule, *words[1:-1], rule, words[-1], note])


def summary(model: Module, input_size: Size = None, images: int = 1) -> Summary:
    """Count the parameters, work and memory of each layer, in the order of the forward pass.

    input_size: the size of the images, a number, (H, W) or (C, H, W); by default the model's own.

    Parameters are the numbers in a layer's Parameters; shared ones count for the first layer that
    uses them. Multiply-adds are counted for convolutions and linear layers only: every output takes
    one per weight that it uses (including padding, and weights that are always zero); biases,
    activations, pooling and normalisation are left out, as usual. Bytes kept are measured with
    random images in training mode: the arrays that the backward functions of a layer hold, unless
    an earlier layer holds them too, and without the weights, which are in memory anyway. A batch of
    N images keeps about N times as much as one image; a frozen layer keeps less, or nothing.

    Raises ValueError if the model does not accept images of this size.

    >>> from minivision.nn import Conv2d, ReLU, Sequential
    >>> print(summary(Sequential(Conv2d(1, 2, 3), ReLU()), (4, 5)))
    layer    kind    output  parameters  multiply-adds  bytes kept
    --------------------------------------------------------------
    (image)          1x4x5
    0        Conv2d  2x2x3           20            108          80
    1        ReLU    2x2x3                                      48
    --------------------------------------------------------------
    total                            20            108         128
    multiply-adds for 1 image; bytes kept for the backward pass of 1 image
    """
    C, H, W = image_shape("summary", model, input_size)
    if images < 1:
        raise ValueError(f"summary: images is {images}; expected at least 1")
    x = Tensor(images_like(model, (0, C, H, W)), requires_grad=True)
    with borrowed(model):
        calls = watched(model, x)
    work = [sum(map(_multiply_adds, nodes)) for nodes in _by_layer(calls)]

    noise = np.random.default_rng(0).normal(size=(images, C, H, W))
    with borrowed(model, training=True):
        trained = watched(model, Tensor(images_like(model, noise.shape, noise)))
        weights = [parameter.data for parameter in model.parameters()]
        buffers = [buffer.data for _, buffer in model.named_buffers()]
        blocks = {id(block): block for block in map(_block, weights + buffers)}
        kept = [sum(_kept(node, blocks) for node in nodes) for nodes in _by_layer(trained)]

    rows: list[Row] = []
    counted: set[Parameter] = set()
    for call, *counts in zip(calls, work, kept, strict=True):
        new = set(call.layer.parameters()) - counted
        counted |= new
        parameters = sum(parameter.size for parameter in new)
        kind, output = type(call.layer).__name__, call.result.shape[1:]
        rows.append(Row(call.name, kind, output, parameters, *counts))
    return Summary(rows, (C, H, W), images, model.parameter_count())


def _by_layer(calls: list[Call]) -> Iterator[list[Node]]:
    """For each layer, the operations in the graph up to its result that no earlier layer has."""
    nodes = sorted(
        {node for call in calls for node in graph_nodes(call.result)}, key=lambda node: node.number
    )
    for call in calls:
        until = sum(node.number <= call.result.node.number for node in nodes)
        yield nodes[:until]
        nodes = nodes[until:]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _multiply_adds(node: Node) -> int:
    """The multiply-adds of one operation, for one image."""
    function = node.name
    if function not in INPUTS_FROM or node.parents[1] is None:
        return 0
    weight = node.parents[1].shape
    return math.prod(node.shape[1:]) * math.prod(weight[INPUTS_FROM[function] :])


def _kept(node: Node, blocks: dict[int, Any]) -> int:
    """Bytes that a backward function holds in blocks not yet in `blocks`; adds these blocks."""
    count = 0
    for array in kept_arrays(node):
        block = _block(array)
        if id(block) not in blocks:
            blocks[id(block)] = block
            # A reused block may be a few bytes longer than the array in it.
            count += block.nbytes if block.dtype == array.dtype else array.nbytes
    return count


def _block(array: Array) -> Array:
    """The array that owns the memory of this view."""
    while is_array(getattr(array, "base", None)):
        array = array.base
    return array
