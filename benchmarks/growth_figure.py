"""The figure of growth.json: for each axis, a log-log panel of time above one of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from minivision.analysis.plots import save_figure

LABELS = {
    "batch": "batch size N",
    "image": "height and width, pixels",
    "width": "channels of the first block",
    "depth": "convolutions per block",
}
BLUE, GREY = "#0072B2", "#666666"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw every axis that was measured, and write a PNG file."""
    axes = [axis for axis in LABELS if any(row["axis"] == axis for row in rows)]
    figure, panels = plt.subplots(
        2, len(axes), figsize=(3.2 * len(axes), 5.6), squeeze=False, layout="constrained"
    )
    for column, axis in enumerate(axes):
        points = sorted((row for row in rows if row["axis"] == axis), key=lambda row: row["value"])
        values = [row["value"] for row in points]
        times = [row["ms"]["median"] for row in points]
        low, high = zip(*[row["ms"]["quartiles"] for row in points], strict=True)
        time, memory = panels[:, column]
        time.fill_between(values, low, high, color=BLUE, alpha=0.2, linewidth=0)
        curves(time, values, times, [row["work"] for row in points], "multiply-adds")
        megabytes = [row["mb"] for row in points]
        curves(memory, values, megabytes, [row["stored"] for row in points], "stored numbers")
        slopes = points[-1]
        for panel, name in ((time, "time_slope"), (memory, "memory_slope")):
            if slopes.get(name) is not None:
                panel.set_title(f"slope {slopes[name]:.2f}", fontsize=10)
        memory.set_xlabel(LABELS[axis])
    panels[0, 0].set_ylabel("time per step, ms")
    panels[1, 0].set_ylabel("peak memory per step, MB")
    save_figure(figure, path)
    plt.close(figure)


def curves(panel: Any, x: list[float], y: list[float], expected: list[float], word: str) -> None:
    """Draw the measured points, and a line through the last one that is linear in the work."""
    line = [y[-1] * value / expected[-1] for value in expected]
    panel.loglog(x, line, color=GREY, linestyle="--", label=f"linear in {word}")
    panel.loglog(x, y, color=BLUE, marker="o", markersize=4, label="measured")
    panel.set_xticks(x, [str(value) for value in x], fontsize=8)
    panel.set_xticks([], minor=True)
    panel.legend(fontsize=8)
