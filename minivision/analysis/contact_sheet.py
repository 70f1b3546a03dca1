"""A contact sheet: each query on the left, followed by the images found for it, nearest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure

from minivision.analysis.names import readable

SIZE, COLUMNS = 1.3, 6  # inches per picture; found images per row
LONGEST = 240  # pixels along a picture's longer side, on the sheet
LETTERS = 20


class Found(NamedTuple):
    """An image uint8 (H, W, C) that a search found, its name, and its distance from the query."""

    image: np.ndarray
    name: str
    distance: float


def plot_contact_sheet(
    queries: Sequence[tuple[np.ndarray, str]], answers: Sequence[Sequence[Found]]
) -> Figure:
    """Draw each query (image, name) and the images found for it, six per row."""
    if not queries or len(queries) != len(answers) or not all(answers):
        raise ValueError(
            f"plot_contact_sheet: queries has {len(queries)} entries and answers {len(answers)}; "
            "expected at least one query, and at least one image found for each"
        )
    columns = min(COLUMNS, max(map(len, answers)))
    heights = [-(-len(found) // columns) for found in answers]
    rows = sum(heights)
    figure = Figure(figsize=(SIZE * (columns + 1.1), 1.3 * SIZE * rows + 0.1), layout="constrained")
    grid = figure.subplots(rows, columns + 1, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    top = 0
    for (image, name), found, height in zip(queries, answers, heights, strict=True):
        cell = grid[top, 0]
        cell.imshow(thumbnail(image), cmap="gray", vmin=0, vmax=255)
        cell.set_title("query", fontsize=8, fontweight="bold")
        cell.set_xlabel(end_of(name), fontsize=7, parse_math=False)
        cell.spines[:].set_visible(True)
        cell.spines[:].set_linewidth(2)
        for i, answer in enumerate(found):
            cell = grid[top + i // columns, 1 + i % columns]
            cell.imshow(thumbnail(answer.image), cmap="gray", vmin=0, vmax=255)
            cell.set_title(f"{answer.distance:.2f}", fontsize=8)
            cell.set_xlabel(end_of(answer.name), fontsize=7, parse_math=False)
        top += height
    return figure


def thumbnail(image: np.ndarray) -> np.ndarray:
    """The image (H, W, C), shrunk to fit the sheet if necessary; a grey one as (H, W)."""
    H, W, C = image.shape
    scale = min(1, LONGEST / max(H, W))
    if scale < 1:
        size = (max(1, round(W * scale)), max(1, round(H * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image.reshape(*image.shape[:2], C) if C == 3 else image.reshape(image.shape[:2])


def end_of(name: str) -> str:
    """The end of a name, which is where the names of files in one folder differ.

    >>> end_of("holidays/2019/beach/0042.jpg")
    '…2019/beach/0042.jpg'
    """
    name = readable(name)
    return name if len(name) <= LETTERS else "…" + name[1 - LETTERS :]
