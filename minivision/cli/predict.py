"""Classify image files with a trained run, and show the network's input.

  minivision predict runs/lenet5-digits-1 seven.png photo_of_a_three.jpg

Images may have any size, and digits may be dark on light or light on dark: each image is prepared
in the same way as the run's training images. The network's input is drawn in the terminal and also
in predictions.png in the run's folder, next to the original and the likeliest classes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from minivision.analysis import plots
from minivision.autograd import no_grad
from minivision.backend import resolve_device, to_device
from minivision.cli.setup import add_picture, load_run, save_picture
from minivision.datasets import read_image
from minivision.functional import softmax
from minivision.transforms import from_description

SHADES = " .:-=+*#%@"
MOST_DRAWN = 24  # more rows would make the picture unreadable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a training run")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="PNG, JPEG, WebP, …")
    parser.add_argument("--top", type=int, default=3, help="classes to print (default: 3)")
    parser.add_argument("--device", default="auto", help="cpu, gpu, gpu:N or auto (default)")
    add_picture(parser, "predictions.png")


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    run, settings, model = load_run(arguments.folder)
    model.to(device)
    classes = settings.classes
    prepare = from_description(settings.preprocessing["image"])
    originals = [read_image(path, settings.channels) for path in arguments.images]
    fed = []
    for path, image in zip(arguments.images, originals, strict=True):
        try:
            fed.append(prepare(image))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    batch = np.stack(fed)
    with no_grad():
        probabilities = softmax(model(to_device(batch, device))).numpy()
    for path, x, p in zip(arguments.images, batch, probabilities, strict=True):
        print(f"{path}")
        print(in_characters(x))
        for k in np.argsort(-p, kind="stable")[: max(1, arguments.top)]:
            print(f"  {classes[k]:<12} {p[k]:7.2%} {'█' * round(30 * float(p[k]))}")
    names = [path.name for path in arguments.images]
    few = slice(MOST_DRAWN)
    figure = plots.plot_predictions(
        originals[few], batch[few], probabilities[few], classes, names[few]
    )
    save_picture(figure, arguments.out, run.path / "predictions.png")
    if len(names) > MOST_DRAWN:
        print(f"(only the first {MOST_DRAWN} images are drawn)")


def in_characters(x: np.ndarray) -> str:
    """The network's input, float32 (C, H, W), as text with one line for every two rows of pixels.

    >>> print(in_characters(np.float32([[[0, 1], [0, 1]]])))
      | @|
    """
    grey = x.mean(axis=0)
    grey = grey[: len(grey) // 2 * 2].reshape(len(grey) // 2, 2, -1).mean(axis=1)
    span = max(float(np.ptp(grey)), 1e-12)
    levels = ((grey - grey.min()) / span * (len(SHADES) - 1)).round().astype(int)
    return "\n".join("  |" + "".join(SHADES[level] for level in row) + "|" for row in levels)
