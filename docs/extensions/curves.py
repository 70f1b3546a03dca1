"""The directive `curve`: a record of docs/results as lines, the mean of the seeds and their spread.

```{curve} knn_mnist
:by: …                   a line for each combination of these columns (may be left out)
:show: test_accuracy     a number in each row; or a table {x: number}, or a list, one for each x
:against: stored         the column that is x, where `show` is a number; else what to call x
:logarithmic:            x on a logarithmic scale
```
"""

import base64
import io
import statistics
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from effects import CHOOSING, at, read
from matplotlib.figure import Figure
from sphinx.util.docutils import SphinxDirective

# Okabe and Ito's colours, and markers, so that lines differ in grey print too
STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#666666", "v")]


def points(row, show, against):
    """The (x, y) of one row.

    >>> points({"n": 3, "y": 0.5}, "y", "n"), points({"y": {"0.4": 1}}, "y", "x")
    ([(3.0, 0.5)], [(0.4, 1)])
    >>> points({"loss": [2, 1]}, "loss", "epoch")
    [(1.0, 2), (2.0, 1)]
    """
    found = at(row, show)
    if isinstance(found, dict):
        return [(float(x), y) for x, y in found.items()]
    if isinstance(found, list):
        return [(float(x), y) for x, y in enumerate(found, 1)]
    return [] if found is None or row.get(against) is None else [(float(row[against]), found)]


def lines(rows, by, show, against):
    """{label: {x: [y of every seed]}}, without the seeds that chose the settings."""
    found = {}
    for row in rows:
        if row.get("seed") not in CHOOSING and all(name in row for name in by):
            named = [(name.replace("_", " "), row[name]) for name in by]
            label = ", ".join(v if isinstance(v, str) else f"{name} {v}" for name, v in named)
            for x, y in points(row, show, against):
                found.setdefault(label, {}).setdefault(x, []).append(y)
    return found


def drawn(found, show, against, logarithmic):
    """The lines as an SVG picture, in bytes."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    values = [y for line in found.values() for ys in line.values() for y in ys]
    scale = 100 if all(0 <= y <= 1 for y in values) else 1
    for (label, line), (colour, marker) in zip(found.items(), STYLES, strict=False):
        xs = sorted(line)
        means = [scale * statistics.fmean(line[x]) for x in xs]
        off = [scale * statistics.stdev(line[x]) if len(line[x]) > 1 else 0 for x in xs]
        axes.errorbar(xs, means, off, color=colour, marker=marker, capsize=3, label=label or None)
    axes.set(
        xlabel=against.replace("_", " "), ylabel=worded(show) + (", %" if scale == 100 else "")
    )
    if logarithmic:
        axes.set_xscale("log")
    if any(found):
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def worded(column):
    return column.partition("_by_")[0].replace("_", " ").replace("/", " at ")


def in_words(found, show, against):
    """The picture for those who do not see it: where every line begins and ends."""
    told = []
    for label, line in found.items():
        first, last = min(line), max(line)
        ends = [f"{statistics.fmean(line[x]):.3g} at {x:g}" for x in (first, last)]
        told.append(f"{label or 'it'} goes from {ends[0]} to {ends[1]}")
    return f"{worded(show)} against {against.replace('_', ' ')}: {'; '.join(told)}"


class Curve(SphinxDirective):
    required_arguments = 1
    option_spec: ClassVar = {
        "by": directives.unchanged_required,
        "show": directives.unchanged_required,
        "against": directives.unchanged_required,
        "logarithmic": directives.flag,
    }

    def run(self):
        name, show, against = self.arguments[0], self.options["show"], self.options["against"]
        by = [word.strip() for word in self.options.get("by", "").split(",") if word.strip()]
        found = lines(read(name), by, show, against)
        if not found or len(found) > len(STYLES):
            raise self.error(f"{name}: {len(found)} lines; expected 1 to {len(STYLES)}")
        picture = base64.b64encode(drawn(found, show, against, "logarithmic" in self.options))
        alt = in_words(found, show, against)
        uri = f"data:image/svg+xml;base64,{picture.decode()}"
        said = f"docs/results/{name}.json: means and standard deviations of the seeds"
        return [nodes.image(uri=uri, alt=alt, classes=["curve"]), nodes.caption(said, said)]


def setup(app):
    app.add_directive("curve", Curve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
