"""The results of a search over augmentation policies, as a figure.

Every figure shows differences in validation accuracy from "none", the candidate without
augmentation, in percentage points: blue if the policy helped, orange if it did harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minivision.analysis.plots import BLUE, GREY, PALE, VERMILION
from minivision.transforms import RandAugment

HARM_TO_HELP = LinearSegmentedColormap.from_list("harm to help", [VERMILION, "white", BLUE])


def standard_error(accuracy: float, images: int) -> float:
    """The standard error of an accuracy p measured on n images: √(p(1-p)/n).

    >>> round(standard_error(0.8, 400), 3)
    0.02
    """
    return math.sqrt(accuracy * (1 - accuracy) / images)


def plot_search(
    policies: Sequence[Any], names: Sequence[str], accuracies: Sequence[float], images: int
) -> Figure:
    """Draw a map over N and M if the policies are RandAugment's, otherwise one bar per policy.

    The first policy is "none"; the accuracies, from 0 to 1, were measured on `images` validation
    images.
    """
    if not len(policies) == len(names) == len(accuracies) >= 2:
        raise ValueError(
            f"plot_search: policies, names and accuracies have {len(policies)}, {len(names)} and "
            f"{len(accuracies)} entries; expected as many of each, and at least 2"
        )
    grid = all(isinstance(policy, RandAugment) for policy in policies[1:])
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    none = accuracies[0]
    if grid:
        cells = {
            (policy.count, policy.magnitude): accuracy
            for policy, accuracy in zip(policies[1:], accuracies[1:], strict=True)
        }
        _draw_map(axes, cells, none)
    else:
        _draw_bars(axes, names[1:], accuracies[1:], none, images)
    figure.suptitle(f"validation accuracy without augmentation: {none:.1%}", fontsize=11)
    return figure


def _draw_map(axes: Axes, cells: dict[tuple[int, float], float], none: float) -> None:
    counts = sorted({count for count, _ in cells})
    magnitudes = sorted({magnitude for _, magnitude in cells})
    table = np.full((len(counts), len(magnitudes)), np.nan)
    for (count, magnitude), accuracy in cells.items():
        table[counts.index(count), magnitudes.index(magnitude)] = 100 * (accuracy - none)
    largest = max(float(np.nanmax(abs(table))), 1.0)
    picture = axes.imshow(table, cmap=HARM_TO_HELP, vmin=-largest, vmax=largest, aspect="auto")
    axes.set_facecolor(PALE)  # shows where nothing was tried
    for (row, column), points in np.ndenumerate(table):
        words = "not tried" if np.isnan(points) else f"{none + points / 100:.1%}\n{points:+.1f}"
        strong = not np.isnan(points) and abs(points) > 0.7 * largest
        axes.text(
            column, row, words, ha="center", va="center", color="white" if strong else "black"
        )
    if np.nanmax(table) > 0:
        row, column = np.unravel_index(np.nanargmax(table), table.shape)
        place = (column - 0.49, row - 0.48)
        axes.add_patch(Rectangle(place, 0.98, 0.96, fill=False, linewidth=2.5))
    axes.set_xticks(range(len(magnitudes)), [f"{magnitude:g}" for magnitude in magnitudes])
    axes.set_yticks(range(len(counts)), [str(count) for count in counts])
    axes.set(xlabel="magnitude M", ylabel="operations N")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(1.4 + 1.25 * len(magnitudes), 1.3 + 0.75 * len(counts))
    figure.colorbar(picture, ax=axes, label="difference in percentage points")


def _draw_bars(
    axes: Axes, names: Sequence[str], accuracies: Sequence[float], none: float, images: int
) -> None:
    order = sorted(range(len(names)), key=lambda i: accuracies[i])
    points = [100 * (accuracies[i] - none) for i in order]
    chance = 100 * standard_error(none, images)
    axes.axvspan(-chance, chance, color=PALE, zorder=0)
    colours = [BLUE if difference > 0 else VERMILION for difference in points]
    axes.barh(range(len(order)), points, color=colours, height=0.6)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(order)), [names[i] for i in order], fontsize=9)
    axes.set(
        xlabel=f"difference in percentage points (grey: one standard error, {images:,} images)"
    )
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(7.5, 1.6 + 0.32 * len(order))
