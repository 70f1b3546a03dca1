"""How a network shows itself in a notebook: a table of its layers and their parameters.

Read next: nn/initializers.py
"""

from __future__ import annotations

from html import escape
from typing import Any


def layer_table(module: Any) -> str:
    """An HTML table of a Module, a row for every layer: name, what it is, parameters."""
    rows = []
    for name, layer in module.named_modules():
        if next(layer.named_children(), None) is not None:
            continue  # a container is the sum of its rows
        shapes = [str(tuple(p.shape)) for _, p in layer.named_parameters()]
        count = f"{layer.parameter_count():,}" if shapes else ""
        cells = (name or "itself", repr(layer), " ".join(shapes), count)
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    head = "".join(f"<th>{word}</th>" for word in ("name", "layer", "shapes", "parameters"))
    total = f"<td>{escape(type(module).__name__)}</td><td></td><td></td>"
    total += f"<td><b>{module.parameter_count():,}</b></td>"
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in (head, *rows, total)) + "</table>"
