"""Draw a record in docs/results as lines, and describe them in words. It does not need Sphinx."""

import io
import statistics

from effects import CHOOSING, at
from matplotlib.figure import Figure

# Okabe and Ito's colours, with markers so that the lines also differ when printed in grey
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
    """{label: {x: [y for every seed]}}, without the seeds used to choose the settings."""
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
    """A description for readers who cannot see the picture: where each line starts and ends."""
    told = []
    for label, line in found.items():
        first, last = min(line), max(line)
        ends = [f"{statistics.fmean(line[x]):.3g} at {x:g}" for x in (first, last)]
        told.append(f"{label or 'it'} goes from {ends[0]} to {ends[1]}")
    return f"{worded(show)} against {against.replace('_', ' ')}: {'; '.join(told)}"
