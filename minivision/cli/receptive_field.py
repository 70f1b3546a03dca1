"""Which pixels can a unit of a network see? Print the receptive field of every layer.

  minivision receptive-field lenet5
  minivision receptive-field lenet5 --layer features.3 --unit 0 0
  minivision receptive-field runs/lenet5-digits-1 --layer features.3 --image 7.png --out field.png

MODEL is the name of a network or the folder of a training run. For every layer, the table lists the
number of units (per feature map), how many pixels one unit sees, the distance in pixels between the
fields of neighbouring units, and the centre of the first unit's field, in pixels from the edge (the
centre of the first pixel is 0.5). A single number applies to both directions; two numbers are
vertical x horizontal. After a Flatten or Linear layer, a unit has no position and sees everything.

With --layer and --unit, the command prints which box of the image the unit sees, and how much of
the box is padding. With --out, it draws the box on an image and, next to it, the effective field:
how strongly each pixel affects the unit, according to the gradient. For this, a network given by
name gets random weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from minivision.analysis.effective_field import effective_field, layer_field, plot_receptive_field
from minivision.analysis.passes import image_shape
from minivision.analysis.plots import save_figure
from minivision.analysis.receptive_field import ReceptiveField, receptive_fields
from minivision.cli.summary import add_model_arguments, find_model, size_of
from minivision.datasets import read_image
from minivision.training.settings import RunSettings
from minivision.transforms import Compose, Resize, ToArray, from_description

DIRECTIONS = 16  # how many random combinations of filters the effective field is averaged over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--layer", help="the name of a layer, as in the table")
    parser.add_argument(
        "--unit", type=int, nargs=2, metavar=("ROW", "COLUMN"), help="counted from 0 "
        "(default: the middle one)",
    )  # fmt: skip
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="the image to draw on (default: noise)"
    )
    parser.add_argument("--out", type=Path, metavar="PNG", help="the file to write")


def run(arguments: argparse.Namespace) -> None:
    for option in ("unit", "image", "out"):
        if getattr(arguments, option) is not None and arguments.layer is None:
            raise ValueError(f"--{option} needs --layer (without it, all layers are listed)")
    if arguments.image is not None and arguments.out is None:
        raise ValueError("--image needs --out, the PNG to write")
    model, settings = find_model(arguments.model, seed=0)
    C, H, W = image_shape("receptive-field", model, size_of(arguments))
    fields = receptive_fields(model, (C, H, W))
    if arguments.layer is None:
        print(f"{arguments.model} on images of {H}x{W}")
        print(in_a_table(fields))
        return
    field = layer_field(fields, arguments.layer)
    row, column = arguments.unit or (field.units[0] // 2, field.units[1] // 2)
    print(in_words(field, row, column, H, W))
    if arguments.out is None:
        return
    rng = np.random.default_rng(0)
    if arguments.image is None:
        images = rng.normal(size=(DIRECTIONS, C, H, W)).astype(np.float32)
    else:
        x = network_input(read_image(arguments.image, C), (H, W), settings)
        images = np.repeat(x[None], DIRECTIONS, axis=0)
    shares = effective_field(model, field.name, row, column, images, rng=rng)
    figure = plot_receptive_field(from_black_to_white(images[0]), field, row, column, shares)
    save_figure(figure, arguments.out)
    print(f"see {arguments.out}" + ("" if settings is not None else " (the weights are random)"))


def network_input(
    image: np.ndarray, size: tuple[int, int], settings: RunSettings | None
) -> np.ndarray:
    """Turn an image uint8 (h, w, C) into the network's input, float32 (C, H, W).

    If there is a run, we use its preprocessing. Otherwise the image is resized and standardised to
    mean 0 and standard deviation 1.
    """
    if settings is not None:
        return from_description(settings.preprocessing["image"])(image)
    x = Compose([Resize(size), ToArray()])(image)
    return (x - x.mean()) / max(float(x.std()), 1e-6)


def from_black_to_white(x: np.ndarray) -> np.ndarray:
    """A network's input (C, H, W) as a picture uint8: (H, W, 3), or (H, W) if C is not 3."""
    grey = np.moveaxis(x, 0, -1) if len(x) == 3 else x.mean(axis=0)
    span = max(float(np.ptp(grey)), 1e-6)
    return np.round(255 * (grey - grey.min()) / span).astype(np.uint8)


def in_a_table(fields: dict[str, ReceptiveField]) -> str:
    """The table of receptive fields, with one line per layer."""
    head = ("layer", "kind", "units", "sees", "apart", "first centre")
    rows = [
        (name, f.kind, *(_pair(p) for p in (f.units, f.size, f.jump, f.start)))
        for name, f in fields.items()
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    )


def in_words(field: ReceptiveField, row: int, column: int, H: int, W: int) -> str:
    """Describe in words what one unit sees."""
    top, left, bottom, right = box = field.box(row, column)
    words = (
        f"unit ({row}, {column}) of {field.name} ({field.kind}) sees "
        f"{field.size[0]} x {field.size[1]} pixels: "
        f"rows {top} to {bottom}, columns {left} to {right}"
    )
    outside = box.padding(H, W)
    if outside:
        parts = ", ".join(f"{count} {side}" for side, count in outside.items())
        words += f"\nof these are padding, outside the image of {H}x{W}: {parts}"
    return words


def _pair(pair: tuple[float, float]) -> str:
    vertical, horizontal = (f"{number:g}" for number in pair)
    return vertical if vertical == horizontal else f"{vertical}x{horizontal}"
