"""What is a prediction based on? Draw a page of pictures for each image file.

  minivision explain runs/lenet5-digits-1 seven.png
  minivision explain runs/lenet5-digits-1 seven.png --class 1 --out why_not_one.png

The images are prepared as in `predict`. The page shows the network's input and its likeliest
classes, the pixels that change the score (saliency), where the last convolution finds evidence for
the class (Grad-CAM), how the probability changes when a patch covers part of the image (occlusion),
and the feature maps of that convolution that matter most. Without --out, the page is written into
the run's folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minivision.analysis.explanation import explain, plot_explanation
from minivision.analysis.plots import save_figure
from minivision.backend import resolve_device
from minivision.cli.setup import load_run
from minivision.datasets import read_image
from minivision.transforms import from_description


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a training run")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="PNG, JPEG, WebP, …")
    parser.add_argument(
        "--class", dest="class_name", metavar="K",
        help="the class to explain, by name or number (default: the most likely one)",
    )  # fmt: skip
    parser.add_argument(
        "--layer", help="the layer whose maps to draw (default: the last convolution)"
    )
    parser.add_argument("--out", type=Path, metavar="PNG", help="the file to write, for one image")
    parser.add_argument("--device", default="auto", help="cpu, gpu, gpu:N or auto (default)")


def run(arguments: argparse.Namespace) -> None:
    if arguments.out is not None and len(arguments.images) > 1:
        raise ValueError(f"--out is for one image, but {len(arguments.images)} are given")
    device = resolve_device(arguments.device)
    run, settings, model = load_run(arguments.folder)
    model.to(device)
    classes = settings.classes
    asked = class_number(classes, arguments.class_name)
    prepare = from_description(settings.preprocessing["image"])
    originals = [read_image(path, settings.channels) for path in arguments.images]
    for number, (path, original) in enumerate(zip(arguments.images, originals, strict=True)):
        try:
            x = prepare(original)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        e = explain(model, x, asked, arguments.layer)
        top = int(e.probabilities.argmax())
        print(f"{path}")
        print(f"  most likely {classes[top]} ({e.probabilities[top]:.1%})")
        if e.class_index != top:
            p = float(e.probabilities[e.class_index])
            print(f"  explained {classes[e.class_index]} ({p:.1%})")
        print("  " + in_words(e.occlusion.probabilities, e.occlusion.whole, classes[e.class_index]))
        if e.evidence is None:
            print(f"  {settings.model} has no convolution, so there is no Grad-CAM")
        page = arguments.out or page_of(run.path, arguments.images, number)
        save_figure(plot_explanation(e, original, classes, path.name), page)
        print(f"  see {page}")


def class_number(classes: Sequence[str], asked: str | None) -> int | None:
    """The number of a class, given by its name, or by its number if no class is called that."""
    if asked is None:
        return None
    if asked in classes:
        return list(classes).index(asked)
    if asked.isdecimal() and int(asked) < len(classes):
        return int(asked)
    raise ValueError(
        f"--class is {asked!r}; expected one of {', '.join(classes)}, "
        f"or a number from 0 to {len(classes) - 1}"
    )


def in_words(probabilities: np.ndarray, whole: float, name: str) -> str:
    """Describe in words how covering parts of the image changes the probability.

    >>> in_words(np.array([[0.9, 0.25]]), 0.95, "ring")
    'a patch changes the probability of ring from 95.0% to between 25.0% and 90.0%'
    """
    low, high = float(probabilities.min()), float(probabilities.max())
    before = f"a patch changes the probability of {name} from {whole:.1%}"
    return f"{before} to between {low:.1%} and {high:.1%}"


def page_of(folder: Path, images: Sequence[Path], number: int) -> Path:
    """The path of an image's page: explained-NAME.png, with a number if any names repeat."""
    stems = [path.stem for path in images]
    count = f"{number + 1}-" if len(set(stems)) < len(stems) else ""
    return folder / f"explained-{count}{stems[number]}.png"
