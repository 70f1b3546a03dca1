"""A picture of the graph: every operation that led to a loss, and the leaves it started from.

The graph is nothing but nodes that know their parents, so following `node.parents` from the last
node finds all of them. Draw the graph before calling backward(), which frees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minivision.autograd import Node
from minivision.backend import Array, is_array
from minivision.tensor import Tensor

PALE, GREY, VERMILION = "#E8E8E8", "#666666", "#D55E00"
MOST_NODES = 200


def graph_nodes(last: Tensor) -> list[Node]:
    """A Tensor's node and all the nodes it was computed from, in order of creation.

    >>> from minivision import functional
    >>> x = Tensor([1.0], requires_grad=True)
    >>> [node.name for node in graph_nodes((2 * x).sum())]
    ['leaf', 'leaf', 'multiply', 'sum']
    """
    found, waiting = {last.node}, [last.node]
    while waiting:
        for parent in waiting.pop().parents:
            if parent is not None and parent not in found:
                found.add(parent)
                waiting.append(parent)
    return sorted(found, key=lambda node: node.number)


def kept_arrays(node: Node) -> list[Array]:
    """The arrays that a backward function holds, directly or in lists, tuples and closures.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> kept_arrays(x.sqrt().node)
    [array([1.       , 1.4142135], dtype=float32)]
    """
    return list(_arrays_in(node.backward))


def _arrays_in(value: Any) -> Iterator[Array]:
    if is_array(value):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _arrays_in(part)
    for cell in getattr(value, "__closure__", None) or ():
        yield from _arrays_in(cell.cell_contents)


def plot_graph(
    last: Tensor,
    names: Mapping[str, Tensor] | None = None,
    notes: Mapping[Tensor, str] | None = None,
) -> Figure:
    """Draw the graph behind a Tensor, from left to right: operations in grey, leaves in white.

    names: names for the leaves, for example `dict(model.named_parameters())`.
    notes: a few words to write below a Tensor's box, for example its gradient.

    Raises ValueError if the Tensor has no graph, or if the graph has more than 200 nodes.
    """
    nodes = graph_nodes(last)
    if not 1 < len(nodes) <= MOST_NODES:
        raise ValueError(
            f"plot_graph: the graph has {len(nodes)} nodes; expected 2 to {MOST_NODES} "
            "(draw it before backward(), which frees it)"
        )
    called = {tensor.node: name for name, tensor in (names or {}).items()}
    noted = {tensor.node: note for tensor, note in (notes or {}).items()}
    at = places(nodes)
    columns = 1 + max(column for column, _ in at.values())
    rows = 1 - min(row for _, row in at.values())
    figure = Figure(figsize=(1.6 * columns + 0.4, 1.1 * rows + 0.4), layout="constrained")
    axes = figure.add_subplot()
    boxes = {}
    for node in nodes:
        column, row = at[node]
        boxes[node] = FancyBboxPatch(
            (column - 0.36, row - 0.24), 0.72, 0.48, boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=PALE if node.parents else "white", edgecolor=GREY,
        )  # fmt: skip
        axes.add_patch(boxes[node])
        name = called.get(node) or (node.name if node.parents else "input")
        shape = "·".join(map(str, node.shape)) or "scalar"
        label = f"{name.replace('.', chr(10), name.count('.') - 1)}\n{shape}"
        axes.text(column, row, label, ha="center", va="center", fontsize=8, parse_math=False)
        if node in noted:
            axes.text(column, row - 0.28, noted[node], ha="center", va="top", color=VERMILION)
        for i, parent in enumerate(node.parents):
            if parent is None:
                continue
            twice = node.parents.count(parent) > 1  # two arrows between the same two boxes
            arrow = FancyArrowPatch(
                at[parent], at[node], patchA=boxes[parent], patchB=boxes[node], shrinkA=2,
                shrinkB=2, arrowstyle="-|>", mutation_scale=10, color=GREY, linewidth=1.1,
                connectionstyle=f"arc3,rad={0.35 * (-1) ** i if twice else 0}",
            )  # fmt: skip
            axes.add_patch(arrow)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(0.6 - rows, 0.4))
    axes.set_axis_off()
    return figure


def places(nodes: list[Node]) -> dict[Node, tuple[int, int]]:
    """(column, row) of each node: to the right of its parents, with operations in the top row."""
    column: dict[Node, int] = {}
    for node in nodes:
        parents = [column[parent] for parent in node.parents if parent is not None]
        column[node] = 1 + max(parents, default=-1)
    first_use = {parent: node for node in reversed(nodes) for parent in node.parents}
    for node in nodes:  # a leaf is placed just before its first use
        if not node.parents:
            column[node] = column[first_use[node]] - 1
    at: dict[Node, tuple[int, int]] = {}
    filled: dict[int, int] = {}

    def position(node: Node) -> tuple[bool, int]:  # leaves in the order of the function's arguments
        return not node.parents, 0 if node.parents else first_use[node].parents.index(node)

    for node in sorted(nodes, key=position):
        row = filled.get(column[node], 0)
        at[node], filled[column[node]] = (column[node], -row), row + 1
    return at
