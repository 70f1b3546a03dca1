"""The figures of a run: learning curves, the confusion matrix, images and predictions.

Every function returns a `matplotlib.figure.Figure` without showing it; `save_figure` writes it as a
PNG. No function uses pyplot, so there is no global state, no window, and no need for a display.
The colours are from Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from minivision.analysis.names import draw_in_any_script, readable, shortened
from minivision.nn.weights import write_atomically

BLUE, VERMILION, GREY, PALE = "#0072B2", "#D55E00", "#666666", "#E8E8E8"
DPI = 150  # dots per inch of the saved PNG

# Each split has its own colour and marker, so that the curves also differ in black-and-white print.
SPLITS = {"train": (BLUE, "o", "training"), "validation": (VERMILION, "s", "validation")}


def plot_history(records: Sequence[Mapping[str, Any]], title: str | None = None) -> Figure:
    """Plot the training and validation loss over the epochs, and the accuracies next to it.

    `records` come from `Run.history()`: dictionaries with "epoch" and any of "train_loss",
    "validation_loss", "train_accuracy", "validation_accuracy" (0 to 1, drawn in percent). Missing
    and None values are skipped; a panel without values is not drawn.

    Raises ValueError if there is nothing to draw.

    >>> plot_history([{"epoch": 1, "train_loss": 0.5}]).axes[0].get_xlabel()
    'epoch'
    """
    curves = {  # None becomes NaN
        (quantity, split): np.array([r.get(f"{split}_{quantity}") for r in records], dtype=float)
        for quantity in ("loss", "accuracy")
        for split in SPLITS
    }
    curves = {key: values for key, values in curves.items() if not np.isnan(values).all()}
    if not curves:
        raise ValueError(
            f"plot_history: none of the {len(records)} records has a loss or an accuracy; "
            'expected numbers under keys such as "train_loss" and "validation_accuracy"'
        )
    epochs = np.array([record["epoch"] for record in records])
    panels = list(dict.fromkeys(quantity for quantity, _ in curves))
    figure = Figure(figsize=(4.4 * len(panels), 3.3), layout="constrained")
    if title is not None:
        figure.suptitle(readable(title), fontsize=11, parse_math=False)
    for quantity, axes in zip(
        panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True
    ):
        for split, (colour, marker, label) in SPLITS.items():
            if (quantity, split) in curves:
                # Connect the known values only: if only one epoch in five was validated, gaps
                # would leave no line at all. A single epoch makes no line, so it needs its
                # marker; many markers would run together.
                known = ~np.isnan(curves[quantity, split])
                x, y = epochs[known], curves[quantity, split][known]
                marker = marker if len(x) <= 40 else ""
                axes.plot(x, y, color=colour, marker=marker, markersize=4, label=label)
        axes.set_title(quantity, fontsize=10)
        axes.set_xlabel("epoch")
        axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        low, high = axes.get_ylim()
        if quantity == "loss":
            axes.set_ylim(min(low, 0.0), high + 0.05 * abs(high))
        else:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
            # The axis spans at least ten percentage points, so that a tiny change looks tiny. It
            # extends one point beyond 0 and 100 %, so that markers are not cut off.
            widen = max(0.0, 0.05 - (high - low) / 2)
            axes.set_ylim(max(low - widen, -0.01), min(high + widen, 1.01))
        axes.grid(color=PALE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    return figure


def plot_confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix: one row per true class, one column per predicted class.

    matrix (K, K) of counts, classes (K,) their names -> Figure

    The colour of a cell shows how many errors it counts. The diagonal, which counts the correct
    predictions, stays grey, because it would outshine every error. With more than 30 classes the
    counts no longer fit, and a colour bar replaces them. Raises ValueError if the sizes differ or
    there are no classes.
    """
    matrix = np.asarray(matrix)
    K = len(classes)
    if K == 0 or matrix.shape != (K, K):
        raise ValueError(
            f"plot_confusion: matrix has shape {matrix.shape} and classes {K} names; "
            "expected (K, K) and K names, K at least 1"
        )
    diagonal = np.eye(K, dtype=bool)
    most = max(1, matrix[~diagonal].max(initial=0))
    side = min(2.0 + 0.4 * K, 12.0)
    bar_width = 0.0 if K <= 30 else 1.2
    figure = Figure(figsize=(side + bar_width, side), layout="constrained")
    axes = figure.subplots()
    # Use only the lower three quarters of the colour scale, so that the black counts are readable.
    oranges = colormaps["Oranges"].with_extremes(bad=PALE)
    errors = np.ma.masked_array(matrix, mask=diagonal)
    picture = axes.imshow(errors, cmap=oranges, vmin=0, vmax=most / 0.75)
    if K <= 30:
        for row, column in np.argwhere(matrix):
            colour = GREY if row == column else "black"
            axes.text(
                column, row, matrix[row, column], ha="center", va="center", color=colour, fontsize=8
            )
    else:
        ticks = MaxNLocator(integer=True)
        bar = figure.colorbar(picture, ax=axes, label="images", shrink=0.6, ticks=ticks)
        bar.ax.set_ylim(0, most)
    names = [shortened(name, 20) for name in classes]
    upright = max(len(name) for name in names) > 2
    size = 9 if K <= 30 else 6
    axes.set_xticks(range(K), names, rotation=90 if upright else 0, fontsize=size, parse_math=False)
    axes.set_yticks(range(K), names, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    correct, images = matrix[diagonal].sum(), matrix.sum()
    share = f" ({100 * correct / images:.1f} %)" if images else ""
    axes.set_title(f"{correct:,} of {images:,} correct{share}", fontsize=10)
    axes.spines[:].set_visible(False)
    return figure


def plot_images(
    images: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int = 8,
) -> Figure:
    """Draw a sheet of images, row by row, with a title above each if titles are given.

    images: a list or an array of images (H, W, 3), (H, W, 1) or (H, W); sizes may differ -> Figure

    uint8 images are drawn unchanged. Floating-point images have no standard range, so each one is
    stretched: its smallest value becomes black, its largest white (a constant image is mid-grey).
    """
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"plot_images: {len(images)} images but {len(titles)} titles")
    if len(images) == 0 or columns < 1:
        raise ValueError(
            f"plot_images: {len(images)} images in {columns} columns; expected at least one of each"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = 1.2 if titles is None else 1.45
    figure = Figure(figsize=(1.2 * columns, height * rows), layout="constrained")
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if i < len(images):
            _show(axes, "plot_images", images[i])
            if titles is not None:
                axes.set_title(shortened(titles[i], 16), fontsize=8, parse_math=False)
        axes.set_axis_off()
    return figure


def plot_predictions(
    originals: Sequence[np.ndarray],
    fed: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
) -> Figure:
    """Draw one row per image: the picture, the network's input, and its three likeliest classes.

    originals: N images as in `plot_images`; fed (N, C, H, W) with C = 1 or 3, stretched from black
    to white as in `plot_images`; probabilities (N, K); classes (K,); names (N,) -> Figure

    The middle picture is worth a look: it reveals a wrong crop, scale or colour order at once.
    """
    probabilities = np.asarray(probabilities)
    N, K = len(originals), len(classes)
    if N == 0 or np.ndim(fed) != 4 or not N == len(fed) == len(names):
        raise ValueError(
            f"plot_predictions: {N} originals, fed {np.shape(fed)} and {len(names)} names; "
            "expected N images, (N, C, H, W) and N names, N at least 1"
        )
    if probabilities.shape != (N, K):
        raise ValueError(
            f"plot_predictions: probabilities has shape {probabilities.shape}, but there are "
            f"{N} images and {K} classes; expected ({N}, {K})"
        )
    figure = Figure(figsize=(7.0, 1.75 * N), layout="constrained")
    grid = figure.subplots(N, 3, squeeze=False, width_ratios=(1, 1, 1.6))
    for i, (original, network, bars) in enumerate(grid):
        _show(original, "plot_predictions", originals[i])
        original.set_title(shortened(names[i], 24), fontsize=9, parse_math=False)
        _show(network, "plot_predictions", np.moveaxis(fed[i], 0, -1))
        if i == 0:
            network.set_title("as the network sees it", fontsize=9)
        original.set_axis_off()
        network.set_axis_off()
        top = np.argsort(-probabilities[i], kind="stable")[:3]
        for place, k in enumerate(top):
            p = probabilities[i, k]
            bars.barh(place, p, height=0.62, color=BLUE if place == 0 else "#9CC3DC")
            bars.text(p + 0.02, place, f"{100 * p:.1f} %", va="center", fontsize=8)
        labels = [shortened(classes[k], 20) for k in top]
        bars.set_yticks(range(len(top)), labels, fontsize=9, parse_math=False)
        bars.set(xlim=(0, 1.25), ylim=(2.8, -0.8), xticks=[])
        bars.tick_params(length=0)
        bars.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG at 150 dots per inch, on white; a crash leaves no partial file.

    Raises ValueError if the path does not end in .png, OSError if it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"save_figure: path is {path}; expected a name that ends in .png")
    buffer = io.BytesIO()

    def draw() -> None:
        buffer.seek(0)
        buffer.truncate()
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")

    draw_in_any_script(figure, draw)
    write_atomically(path, buffer.getvalue())


def _show(axes: Axes, where: str, image: np.ndarray) -> None:
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or 0 in image.shape:
        raise ValueError(
            f"{where}: an image has shape {image.shape}; expected (H, W), (H, W, 1) or (H, W, 3) "
            "(np.moveaxis(x, -3, -1) turns (…, C, H, W) into (…, H, W, C))"
        )
    if image.dtype.kind == "f":
        image = _stretched(where, image)
    elif image.dtype != np.uint8:
        raise ValueError(f"{where}: an image has dtype {image.dtype}; expected uint8 or floats")
    # Small images show their pixels; large ones are smoothed when they are shrunk.
    smoothing = "nearest" if max(image.shape[:2]) <= 64 else "auto"
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation=smoothing)


def _stretched(where: str, image: np.ndarray) -> np.ndarray:
    """The image as uint8, stretched so that its smallest value is 0 and its largest 255.

    >>> _stretched("plot_images", np.array([[-1.0, 0.0, 3.0]]))
    array([[  0,  64, 255]], dtype=uint8)
    """
    low, high = float(image.min()), float(image.max())
    if not np.isfinite(high - low):
        raise ValueError(f"{where}: an image contains NaN or infinity")
    if high == low:
        return np.full(image.shape, 128, np.uint8)
    return np.round(255 * (image.astype(float) - low) / (high - low)).astype(np.uint8)
