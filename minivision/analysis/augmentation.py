"""What augmentation does to an image, as a sheet of pictures with what was drawn above each.

Read next: cli/__init__.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from minivision.transforms import RandAugment
from minivision.transforms.randaugment import PRESETS, Step

SIZE, COLUMNS = 1.6, 6  # inches of one picture; pictures in a row
MAGNITUDES = (0.0, 7.5, 15.0, 22.5, 30.0)


def plot_augmented(image: np.ndarray, transform: RandAugment, count: int, seed: int = 0) -> Figure:
    """The image uint8 (H, W, C), then `count` changed copies, each with what was drawn for it.

    Copy i is drawn by `np.random.default_rng((seed, i))`, whatever the count.
    """
    if count < 1:
        raise ValueError(f"plot_augmented: count is {count}; expected at least one copy")
    pictures, titles = [image], ["the image"]
    for i in range(count):
        steps = transform.draw(image.shape[:2], np.random.default_rng((seed, i)))
        pictures.append(transform.apply(image, steps))
        titles.append("\n".join(map(str, steps)) or "nothing")
    return _sheet(_rows(pictures), _rows(titles))


def plot_magnitudes(image: np.ndarray, preset: str = "monotone") -> Figure:
    """A row for every operation that has a strength, a column for every magnitude of MAGNITUDES.

    Where an amount may have either sign, the picture shows the positive one.
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


def _rows(things: list) -> list[list]:
    return [things[i : i + COLUMNS] for i in range(0, len(things), COLUMNS)]


def _sheet(pictures: Sequence[Sequence[np.ndarray]], titles: Sequence[Sequence[str]]) -> Figure:
    lines = max(title.count("\n") + 1 for row in titles for title in row)
    columns = max(map(len, pictures))
    H, W = pictures[0][0].shape[:2]
    height = SIZE * H / W + 0.16 * lines + 0.08
    figure = Figure(figsize=(SIZE * columns, height * len(pictures)), layout="constrained")
    grid = figure.subplots(len(pictures), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, words, places in zip(pictures, titles, grid, strict=True):
        for picture, title, axes in zip(row, words, places, strict=False):
            flat = picture[:, :, 0] if picture.shape[2] == 1 else picture
            axes.imshow(flat, cmap="gray", vmin=0, vmax=255)
            axes.set_title(title, fontsize=7, parse_math=False)
    return figure
