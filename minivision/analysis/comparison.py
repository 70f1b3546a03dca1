"""Several ways of training in one picture, with one curve per variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from minivision.analysis.names import readable
from minivision.analysis.plots import PALE

# Okabe and Ito's colours, with line styles that distinguish the curves in black and white as well.
STYLES = (
    ("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"),
    ("#56B4E9", "--"), ("#000000", "-"),
)  # fmt: skip


def plot_comparison(
    curves: Mapping[str, Sequence[float | None]],
    title: str,
    ylabel: str = "validation accuracy",
) -> Figure:
    """Draw values from 0 to 1 over the epochs, one curve per name; None values are skipped.

    >>> plot_comparison({"old": [0.5, None, 0.7]}, "a title").axes[0].get_ylabel()
    'validation accuracy'
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for i, (name, values) in enumerate(curves.items()):
        colour, style = STYLES[i % len(STYLES)]
        y = np.array(values, dtype=float)
        epochs = np.flatnonzero(~np.isnan(y))
        marker = "o" if len(epochs) < 40 else ""
        axes.plot(
            epochs + 1, y[epochs], style, marker=marker, markersize=4, color=colour, label=name
        )
    axes.set(xlabel="epoch", ylabel=ylabel)
    axes.set_title(readable(title), fontsize=10, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(frameon=False, fontsize=9)
    return figure


def plot_two_tasks(
    accuracies: Mapping[str, tuple[float, float]], before: float, title: str
) -> Figure:
    """Plot accuracy on the old task against accuracy on the new one, one point per variant.

    Points further up and to the right are better.
    before: the accuracy on the old task before training, drawn as a line.

    >>> plot_two_tasks({"fine-tuning": (0.5, 0.9)}, 0.95, "a title").axes[0].get_ylabel()
    'old task'
    """
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(before, color="#666666", linewidth=1, linestyle=":", label="before")
    for i, (name, (old, new)) in enumerate(accuracies.items()):
        colour, _ = STYLES[i % len(STYLES)]
        axes.plot(new, old, "os^Dv*"[i % 6], markersize=9, color=colour, label=name)
    axes.set(xlabel="new task", ylabel="old task")
    axes.set_title(readable(title), fontsize=10, parse_math=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure
