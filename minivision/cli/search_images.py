"""Search a folder of your own images for those that look like a given picture.

  minivision search-images photos beach.jpg               the 12 most similar, by both parts
  minivision search-images photos beach.jpg --k 5         fewer
  minivision search-images photos wall.jpg --parts local  details only: corners and surroundings
  minivision search-images photos wall.jpg --parts global texture of the whole image only
  minivision search-images photos a.png b.png --run runs/vgg_small-cifar10-1

No training and no labels are needed. The description of an image has two parts: the local part
consists of its corners and their surroundings, the global part of its local binary patterns. Both
use grey levels only, and know nothing about colour or about what the image shows. With --run, a
network that you have trained describes the images instead, by its last convolution (local) and its
second-to-last layer (global); it distinguishes what its training taught it to distinguish.

The search includes all subfolders, and images may have any size. Their descriptions are kept in a
file in the folder (.minivision-classic.safetensors, or -deep), so the next search reads only new
and changed images; you may delete this file at any time. The command prints the images found with
their distances, which are comparable only within one search, and draws them on a sheet.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from minivision.analysis.contact_sheet import Found, plot_contact_sheet
from minivision.analysis.plots import save_figure
from minivision.backend import resolve_device
from minivision.cli.images import found_files
from minivision.cli.setup import load_run
from minivision.datasets import read_image
from minivision.datasets.fingerprint import NAMED
from minivision.datasets.unlabelled import other_files
from minivision.methods import ClassicFeatures, DeepFeatures, FeatureFusion
from minivision.methods.features import FolderIndex, index_folder
from minivision.models import KNearestNeighbors
from minivision.nn.weights import plain_file
from minivision.transforms import from_description

LOCAL_WEIGHTS = {"local": 1.0, "global": 0.0, "both": 0.5}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the images to search")
    parser.add_argument(
        "queries", type=Path, nargs="+", metavar="QUERY", help="find images that look like these"
    )
    parser.add_argument(
        "--run",
        dest="network",
        type=Path,
        metavar="RUN",
        help="describe images by this run's network",
    )
    parser.add_argument("--k", type=int, default=12, help="images per query (default: 12)")
    parser.add_argument(
        "--parts", choices=LOCAL_WEIGHTS, default="both", help="parts to compare (default: both)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("found.png"),
        metavar="PNG",
        help="the sheet (default: found.png)",
    )
    parser.add_argument("--device", default="auto", help="for the network: cpu, gpu, gpu:N or auto")


def run(arguments: argparse.Namespace) -> None:
    folder, features = arguments.folder, _features(arguments)
    if arguments.k < 1:
        raise ValueError(f"--k is {arguments.k}; expected at least 1")
    if arguments.out.suffix.lower() != ".png":
        raise ValueError(f"--out is {arguments.out}; expected a name that ends in .png")
    plain_file(arguments.out)
    pictures = [read_image(path, features.channels) for path in arguments.queries]
    asked = features(pictures)
    index = index_folder(folder, features)
    _report(folder, index)
    fusion = FeatureFusion(LOCAL_WEIGHTS[arguments.parts]).fit(index.parts)
    # One more than requested: the query itself may be in the folder.
    most = min(arguments.k + 1, len(index.names))
    if arguments.k > len(index.names):
        print(f"--k is {arguments.k}, but there are only {len(index.names)} images")
    no_labels = np.zeros(len(index.names), np.int64)
    search = KNearestNeighbors(most).fit(fusion.transform(index.parts), no_labels)
    answers = []
    distances, places = search.neighbors(fusion.transform(asked))
    for path, row, near in zip(arguments.queries, distances, places, strict=True):
        found = [
            (index.names[i], float(distance))
            for i, distance in zip(near, row, strict=True)
            if (folder / index.names[i]).resolve() != path.resolve()
        ][: arguments.k]
        if not found:
            raise ValueError(f"{path} is the only image in {folder}; there is nothing to compare")
        print(path)
        for rank, (name, distance) in enumerate(found, 1):
            print(f"  {rank:>2}  {distance:.3f}  {name}")
        answers.append([Found(read_image(folder / n), n, d) for n, d in found])
    shown = [(read_image(path), path.name) for path in arguments.queries]
    save_figure(plot_contact_sheet(shown, answers), arguments.out)
    print(f"see {arguments.out}")


def _features(arguments: argparse.Namespace) -> Any:
    """The features that describe an image: classic ones, or those from a run's network."""
    if arguments.network is None:
        return ClassicFeatures()
    device = resolve_device(arguments.device)
    run, settings, model = load_run(arguments.network)
    model.to(device)
    prepare = from_description(settings.preprocessing["image"])
    return DeepFeatures(model, prepare, settings.channels)


def _report(folder: Path, index: FolderIndex) -> None:
    """Print how many images there are, and which files were skipped."""
    found = found_files(index.names, other_files(folder))
    print(f"{folder}: {found}; {index.described} of the images are new or changed")
    skipped = [f"  {name} {reason}" for name, reason in index.skipped.items()]
    if skipped:
        more = [f"  and {len(skipped) - NAMED} more"] if len(skipped) > NAMED else []
        print("\n".join([f"{len(skipped)} files are skipped:", *skipped[:NAMED], *more]))
    for note in index.notes:
        print(note)
