"""The receptive field: which pixels of the image a unit of a layer can see.

Three numbers describe all units of a layer: the size r of the field, the jump j between the
fields of neighbouring units, and the centre c of the first unit's field, in pixels from the edge.
For the image itself, r = 1, j = 1 and c = 1/2, and every window updates them by

    r ← r + (k - 1)·d·j        c ← c + ((k - 1)·d/2 - p)·j        j ← j·s

(kernel k, stride s, padding p, dilation d). The windows are read from the graph of a forward pass
with an empty batch, so this works for any network, whatever its forward() does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from minivision.analysis.graph import graph_nodes
from minivision.analysis.passes import (
    Size,
    borrowed,
    image_shape,
    images_like,
    places,
    watched,
    window_of,
)
from minivision.autograd import Node
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.windows import Window

Pair = tuple[int, int]
ONE_PLACE = Window((1, 1))


class Box(NamedTuple):
    """Rows top to bottom and columns left to right of an image, counted from 0 and inclusive."""

    top: int
    left: int
    bottom: int
    right: int

    def padding(self, H: int, W: int) -> dict[str, int]:
        """How many rows or columns of the box lie outside an image of this size, on each side."""
        height, width = self.bottom + 1 - self.top, self.right + 1 - self.left
        outside = {
            "above": min(-self.top, height),
            "to the left": min(-self.left, width),
            "below": min(self.bottom + 1 - H, height),
            "to the right": min(self.right + 1 - W, width),
        }
        return {side: count for side, count in outside.items() if count > 0}


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What the units of a layer see; every pair is (vertical, horizontal), in pixels.

    units: how many there are; size, jump, start: r, j, c; window: the window through which this
    layer sees its inputs; below: the layers (or operations) that compute these inputs, empty for
    the image itself.
    """

    name: str
    kind: str
    units: Pair
    size: Pair = (1, 1)
    jump: Pair = (1, 1)
    start: tuple[float, float] = (0.5, 0.5)
    window: Window = ONE_PLACE
    below: tuple[ReceptiveField, ...] = field(default=(), repr=False)
    number: int = field(default=0, repr=False)  # the order of computation

    def box(self, row: int, column: int) -> Box:
        """The box that a unit sees: by the formula, its centre is c + unit·j and its size is r."""
        self._check(row, column)
        centres = [c + u * j for c, u, j in zip(self.start, (row, column), self.jump, strict=True)]
        top, left = (int(c - r / 2) for c, r in zip(centres, self.size, strict=True))
        return Box(top, left, top + self.size[0] - 1, left + self.size[1] - 1)

    def pixels(self, row: int, column: int) -> tuple[list[int], list[int]]:
        """The rows and columns of the image that a unit really sees, found layer by layer.

        These are the rows and columns of the box, except for padding and for the gaps that strides
        and dilations leave.
        """
        self._check(row, column)
        seen: dict[ReceptiveField, tuple[set[int], set[int]]] = {self: ({row}, {column})}
        for layer in reversed(_all_below(self)):
            units = seen[layer]
            for lower in layer.below:
                for axis, found in enumerate(seen.setdefault(lower, (set(), set()))):
                    taps = (t for u in units[axis] for t in _taps(layer.window, axis, u))
                    found.update(t for t in taps if 0 <= t < lower.units[axis])
            last = units
        return sorted(last[0]), sorted(last[1])

    def units_seeing(self, row: int, column: int) -> tuple[list[int], list[int]]:
        """The rows and the columns of this layer's units that see a pixel of the image."""
        image, *layers = _all_below(self)
        image._check(row, column)
        seeing: dict[ReceptiveField, tuple[set[int], set[int]]] = {image: ({row}, {column})}
        for layer in layers:
            seeing[layer] = tuple(  # type: ignore[assignment]
                {
                    u
                    for u in range(layer.units[axis])
                    for lower in layer.below
                    if not seeing[lower][axis].isdisjoint(_taps(layer.window, axis, u))
                }
                for axis in (0, 1)
            )
        return sorted(seeing[self][0]), sorted(seeing[self][1])

    def _check(self, row: int, column: int) -> None:
        if not (0 <= row < self.units[0] and 0 <= column < self.units[1]):
            H, W = self.units
            raise ValueError(
                f"{self.name} has no unit ({row}, {column}); it has {H}x{W} units, "
                f"(0, 0) to ({H - 1}, {W - 1})"
            )


def receptive_fields(model: Module, input_size: Size = None) -> dict[str, ReceptiveField]:
    """Map the name of every layer to its receptive field, in the order of the forward pass.

    input_size: the size of the images, a number, (H, W) or (C, H, W); by default the model's own.
    After a Flatten or a Linear layer there are no positions: every unit sees everything. The model
    runs in evaluation mode, in which batch normalisation does not look at other positions.

    Raises ValueError if the model does not accept images of this size, if one layer has windows of
    different sizes (adaptive pooling that does not divide evenly), if paths with different strides
    meet, or if a function moves positions around.

    >>> from minivision.models import lenet5
    >>> fields = receptive_fields(lenet5())
    >>> fields["features.5"].size, fields["features.5"].jump
    ((16, 16), (4, 4))
    """
    C, H, W = image_shape("receptive_fields", model, input_size)
    x = Tensor(images_like(model, (0, C, H, W)), requires_grad=True)
    with borrowed(model):
        calls = watched(model, x)
    fields = {x.node: ReceptiveField("the image", "image", (H, W), number=x.node.number)}
    # Go through all nodes, because operations between the layers count as well.
    nodes = {node for call in calls for node in graph_nodes(call.result)}
    for node in sorted(nodes, key=lambda node: node.number):
        paths = [
            _through(node, parent.shape, fields[parent])
            for parent in dict.fromkeys(node.parents)
            if parent is not None and parent in fields
        ]
        if paths:
            fields[node] = _joined(paths)
    return {
        call.name: replace(fields[call.result.node], name=call.name, kind=type(call.layer).__name__)
        for call in calls
        if call.result.node in fields
    }


def _through(node: Node, shape: tuple[int, ...], below: ReceptiveField) -> ReceptiveField:
    """The receptive field of an operation through one of its inputs, whose shape is given."""
    window = window_of(node, shape)
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = window
    (RH, RW), (JH, JW), (y, x) = below.size, below.jump, below.start
    reach_h, reach_w = (KH - 1) * DH, (KW - 1) * DW
    return ReceptiveField(
        name=node.name,
        kind=node.name,
        units=places(node.shape),
        size=(RH + reach_h * JH, RW + reach_w * JW),
        jump=(JH * SH, JW * SW),
        start=(y + (reach_h / 2 - PH) * JH, x + (reach_w / 2 - PW) * JW),
        window=window,
        below=(below,),
        number=node.number,
    )


def _joined(paths: list[ReceptiveField]) -> ReceptiveField:
    """The field where paths meet, as in a residual network: the box around all of their boxes."""
    if len(paths) == 1:
        return paths[0]
    first = paths[0]
    if any((path.jump, path.window) != (first.jump, first.window) for path in paths):
        raise ValueError(
            f"receptive_fields: {first.kind} joins paths whose units are "
            f"{' and '.join(str(path.jump) for path in paths)} pixels apart"
        )
    low = [min(p.start[a] - p.size[a] / 2 for p in paths) for a in (0, 1)]
    high = [max(p.start[a] + p.size[a] / 2 for p in paths) for a in (0, 1)]
    return replace(
        first,
        size=(int(high[0] - low[0]), int(high[1] - low[1])),
        start=((low[0] + high[0]) / 2, (low[1] + high[1]) / 2),
        below=tuple(lower for path in paths for lower in path.below),
    )


def _taps(window: Window, axis: int, unit: int) -> range:
    """The positions that a unit's window covers along one axis; some may be padding."""
    k, s, p, d = (pair[axis] for pair in window)
    return range(unit * s - p, unit * s - p + (k - 1) * d + 1, d)


def _all_below(layer: ReceptiveField) -> list[ReceptiveField]:
    """A layer and everything it was computed from, the image first."""
    found, waiting = {layer}, [layer]
    while waiting:
        new = set(waiting.pop().below) - found
        found |= new
        waiting.extend(new)
    return sorted(found, key=lambda each: each.number)
