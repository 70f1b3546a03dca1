"""What augmentation does to an image: a sheet of copies, each with its random values above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minivision.transforms import Compose, PixelMap, Projection, RandAugment
from minivision.transforms.randaugment import PRESETS, Step

SIZE, COLUMNS = 1.6, 6  # inches per picture; pictures per row
MAGNITUDES = (0.0, 7.5, 15.0, 22.5, 30.0)


def plot_augmented(
    image: np.ndarray, transform: Any, count: int, seed: int = 0, *, histograms: bool = False
) -> Figure:
    """Draw the image uint8 (H, W, C) and `count` augmented copies, each with its random values.

    transform: an image transform, or a Compose of several. Copy i uses the generator
    `np.random.default_rng((seed, i))`, whatever the count.
    histograms: below each picture, draw a histogram of its bytes, from 0 to 255.
    """
    if count < 1:
        raise ValueError(f"plot_augmented: count is {count}; expected at least one copy")
    steps: Sequence[Any] = transform.transforms if isinstance(transform, Compose) else (transform,)
    pictures, titles = [image], ["original"]
    for i in range(count):
        rng, picture, words = np.random.default_rng((seed, i)), image, []
        for step in steps:
            drawn = step.draw(picture.shape[:2], rng)
            picture = step.apply(picture, drawn)
            words += _words(step, drawn)
        pictures.append(picture)
        titles.append("\n".join(words) or "unchanged")
    return _sheet(_rows(pictures), _rows(titles), histograms)


def plot_magnitudes(image: np.ndarray, preset: str = "monotone") -> Figure:
    """Draw a row for each operation that has a strength, and a column for each of MAGNITUDES.

    If the sign of an amount is random, the picture shows the positive one.
    """
    pictures, titles = [], []
    for name, operation in PRESETS[preset].items():
        if operation.amount is None:
            continue
        row, words = [], []
        for magnitude in MAGNITUDES:
            amount = operation.amount(magnitude, image.shape[operation.along])
            amount += operation.sign == "1 ±"
            middle = (image.shape[0] // 2, image.shape[1] // 2) if name == "cutout" else None
            step = Step(name, amount, middle)
            row.append(RandAugment(1, magnitude, preset).apply(image, [step]))
            words.append(f"M = {magnitude:g}: {step}")
        pictures.append(row)
        titles.append(words)
    return _sheet(pictures, titles)


def _words(step: Any, drawn: Any) -> list[str]:
    """The random values of a step, in one or a few short lines."""
    if isinstance(drawn, PixelMap):
        lines = ["mirrored"] if drawn.scale_x < 0 else []
        if drawn.scale_x not in (1, -1) or drawn.scale_y != 1:
            lines.append(f"scaled {abs(drawn.scale_x):.2f} x {drawn.scale_y:.2f}")
        if (drawn.shift_x, drawn.shift_y) != (0, 0) and drawn.scale_x > 0:
            lines.append(f"shifted {drawn.shift_x:.3g}, {drawn.shift_y:.3g}")
        return lines
    if isinstance(drawn, Projection):
        (a, b, _), (c, d, _), (e, f, _) = drawn.matrix
        perspective = f", {e:.4f} {f:.4f}" if e or f else ""
        return [type(step).__name__, f"{a:.2f} {b:.2f}, {c:.2f} {d:.2f}{perspective}"]
    if is_dataclass(drawn):
        return [type(step).__name__, *(f"{name} {value}" for name, value in vars(drawn).items())]
    return [str(part) for part in drawn]  # the steps of a RandAugment or a ColorJitter


def _rows(things: list) -> list[list]:
    return [things[i : i + COLUMNS] for i in range(0, len(things), COLUMNS)]


def _sheet(
    pictures: Sequence[Sequence[np.ndarray]],
    titles: Sequence[Sequence[str]],
    histograms: bool = False,
) -> Figure:
    lines = max(title.count("\n") + 1 for row in titles for title in row)
    columns = max(map(len, pictures))
    H, W = pictures[0][0].shape[:2]
    heights = [SIZE * H / W] + [SIZE / 3] * histograms
    words_height = (0.16 * lines + 0.08 + 0.25 * histograms) * len(pictures)
    height = sum(heights) * len(pictures) + words_height
    figure = Figure(figsize=(SIZE * columns, height), layout="constrained")
    grid = figure.subplots(
        len(heights) * len(pictures), columns, squeeze=False,
        gridspec_kw={"height_ratios": heights * len(pictures)},
    )  # fmt: skip
    for axes in grid.flat:
        axes.set_axis_off()
    for i, (row, words) in enumerate(zip(pictures, titles, strict=True)):
        places = grid[i * len(heights)]
        for picture, title, axes in zip(row, words, places, strict=False):
            flat = picture[:, :, 0] if picture.shape[2] == 1 else picture
            axes.imshow(flat, cmap="gray", vmin=0, vmax=255)
            axes.set_title(title, fontsize=7, parse_math=False)
        if histograms:
            for picture, axes in zip(row, grid[i * len(heights) + 1], strict=False):
                plot_histogram(axes, picture)
    return figure


def plot_histogram(axes: Axes, image: np.ndarray) -> None:
    """How many bytes of an image uint8 (H, W, C) have each value, one outline per channel."""
    colors = ("tab:red", "tab:green", "tab:blue") if image.shape[2] == 3 else ("black",)
    for c, color in enumerate(colors):
        counts = np.bincount(image[:, :, c].ravel(), minlength=256).reshape(64, 4).sum(axis=1)
        axes.stairs(counts, np.arange(0, 257, 4), color=color, linewidth=0.8)
    axes.set_axis_on()
    axes.set(xlim=(0, 256), xticks=[0, 128, 255], yticks=[])
    axes.tick_params(labelsize=6)
