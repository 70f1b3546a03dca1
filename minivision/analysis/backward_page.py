"""The backward pass, step by step: a web page that shows the graph, all numbers, and a slider.

`story` runs the backward pass of a Tensor with `backward_steps` and records what a reader wants
to see at each step: dy, the gradients that the backward function returns, the inputs that receive
them (the first gradient is assigned, later ones are added), and how many bytes are still in use.
`backward_page` inserts the story into `backward_page.html`, a single file that works offline.

Touching a number shows which outputs depend on it: ∂y[i]/∂x[j] is entry j of the gradient that the
backward function returns for a dy that is 1 at i and 0 elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minivision import functional
from minivision.analysis.expression import Evaluation
from minivision.analysis.graph import graph_nodes, kept_arrays, places
from minivision.autograd import Node, backward_steps
from minivision.backend import Array
from minivision.tensor import Tensor

TEMPLATE = Path(__file__).with_suffix(".html")
GRADIENT = re.compile(r"(^|  |, )d[^ ]+ = ")
MOST_NODES, MOST_NUMBERS = 40, 200  # nodes on a page, and entries in one array


def backward_page(text: str, given: Mapping[str, Tensor]) -> str:
    """The HTML page for an expression whose names stand for the `given` Tensors.

    Raises ValueError if the text is not an expression, if the result is not a scalar or depends on
    nothing that requires a gradient, or if there is more than a page can show.
    """
    data = json.dumps({"expression": text, **story(Evaluation(text, given))}, ensure_ascii=False)
    page = TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{}", data.replace("<", "\\u003c"), 1)  # no "</script>" inside a script


def story(evaluation: Evaluation) -> dict[str, Any]:
    """The nodes of the graph with their values, and the steps of the backward pass, as plain data.

    This frees the graph, so it works only once per evaluation. It also adds to the gradients of
    the leaves.
    """
    last = evaluation.value
    nodes = graph_nodes(last)
    _check_size(last, nodes)
    number = {node: i for i, node in enumerate(nodes)}
    tensors = {tensor.node: tensor for tensor in evaluation.met}
    names = {tensor.node: name for name, tensor in evaluation.names.items()}
    at = places(nodes)
    described = [
        {
            "name": names.get(node, ""),
            "function": node.name if node.parents else "",
            "formula": formula(node),
            "shape": node.shape,
            "value": numbers(tensors[node].data) if node in tensors else None,
            "wanted": node.requires_grad,
            "parents": [None if parent is None else number[parent] for parent in node.parents],
            "at": at[node],
            "slopes": slopes(node),
        }
        for node in nodes
    ]
    kept = {node: arrays_of(node) for node in nodes}
    given = {owner(tensor.data) for tensor in tensors.values() if tensor.is_leaf}
    parents_of = {node: node.parents for node in nodes if node.backward is not None}
    waiting = {last.node: np.ones(last.shape, last.dtype)}
    leaves: dict[Node, Array] = {}
    steps: list[dict[str, Any]] = [
        {"node": None, "arrivals": [], "bytes": _bytes(kept, given, waiting, leaves)}
    ]
    order = iter(sorted(parents_of, key=lambda node: -node.number))
    for _, dy, gradients in backward_steps(last):
        node = next(node for node in order if node in waiting)  # others received no gradient
        del waiting[node], kept[node]
        arrivals = []
        for i, (parent, dx) in enumerate(zip(parents_of[node], gradients, strict=True)):
            if dx is None or parent is None or not parent.requires_grad:
                continue
            sums = leaves if parent not in parents_of else waiting
            before = sums.get(parent)
            sums[parent] = dx.copy() if before is None else before + dx
            arrivals.append(
                {
                    "input": i,
                    "to": number[parent],
                    "gradient": numbers(dx),
                    "before": None if before is None else numbers(before),
                    "after": numbers(sums[parent]),
                }
            )
        steps.append(
            {
                "node": number[node],
                "dy": numbers(dy),
                "arrivals": arrivals,
                "bytes": _bytes(kept, given, waiting, leaves),
            }
        )
    return {"nodes": described, "steps": steps}


def slopes(node: Node) -> list[Any]:
    """For each entry j of each input x of a node: the nonzero slopes [[i, ∂y[i]/∂x[j]], …]."""
    if node.backward is None:
        return []
    one = np.zeros(node.shape, node.dtype)
    found: list[Any] = [None if p is None else [[] for _ in range(size(p))] for p in node.parents]
    for i in range(one.size):
        one.flat[i] = 1
        for fed, dx in zip(found, node.backward(one.copy()), strict=True):
            for j in [] if dx is None or fed is None else np.flatnonzero(dx):
                fed[j].append([i, short(dx.flat[j])])
        one.flat[i] = 0
    return found


def formula(node: Node) -> str:
    """The line of the function's docstring that gives the gradient, or else its first line.

    >>> x = Tensor([1.0], requires_grad=True)
    >>> formula(functional.exp(x).node)
    'eˣ.  dx = dy·eˣ.'
    """
    function = getattr(functional, node.name, None)
    lines = [line.strip() for line in (getattr(function, "__doc__", None) or "").splitlines()]
    return next((line for line in lines if GRADIENT.search(line)), lines[0] if lines else "")


def arrays_of(node: Node) -> dict[int, int]:
    """The arrays that are kept alive for a gradient: {owner of the memory: bytes}."""
    return {owner(array): _base(array).nbytes for array in kept_arrays(node)}


def owner(array: Array) -> int:
    """An id for the memory of an array; all views of one array have the same id."""
    return id(_base(array))


def numbers(array: Array) -> list[float]:
    """All entries in row-major order, rounded to four digits."""
    return [short(value) for value in array.ravel()]


def short(value: float) -> float:
    return float(f"{value:.4g}")


def size(node: Node) -> int:
    return int(np.prod(node.shape))


def _base(array: Array) -> Array:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _bytes(kept: dict, given: set, waiting: dict, leaves: dict) -> dict[str, int]:
    """Bytes in use: arrays kept for gradients (unless given), waiting and leaf gradients."""
    unique = {array: count for arrays in kept.values() for array, count in arrays.items()}
    return {
        "kept": sum(count for array, count in unique.items() if array not in given),
        "waiting": sum(array.nbytes for array in waiting.values()),
        "leaves": sum(array.nbytes for array in leaves.values()),
    }


def _check_size(last: Tensor, nodes: list[Node]) -> None:
    if len(nodes) > MOST_NODES:
        raise ValueError(f"the graph has {len(nodes)} nodes; a page shows at most {MOST_NODES}")
    if not last.requires_grad:
        raise ValueError("the result does not depend on any given value; it has no gradient")
    if last.size != 1:
        raise ValueError(
            f"the result has shape {last.shape}; expected a scalar (add .sum() or .mean())"
        )
    for node in nodes:
        if size(node) > MOST_NUMBERS:
            name = node.name if node.backward else "a given value"
            raise ValueError(
                f"{name} has shape {node.shape}, {size(node)} numbers; expected at most "
                f"{MOST_NUMBERS}, because the page shows every number"
            )
