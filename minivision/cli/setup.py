"""From settings to objects: build the dataset, the network and the transforms for a run.

`train` creates the settings. `evaluate` and `predict` rebuild the same objects from the run's
settings.json, so that a network's input is always prepared as it was in training.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, NamedTuple

import numpy as np

from minivision.analysis.plots import save_figure
from minivision.datasets import DataLoader, Splits
from minivision.datasets.fingerprint import check_fingerprint
from minivision.errors import require_one_of
from minivision.models import MODELS, with_new_head
from minivision.nn import initialize
from minivision.nn.initializers import he_normal
from minivision.random import manual_seed, skip_init
from minivision.training import Run, in_order, load_model
from minivision.training.settings import RunSettings, check_texts
from minivision.transforms import (
    Compose,
    FrameDigit,
    Normalize,
    Pad,
    Resize,
    ToArray,
    describe,
    from_description,
)
from minivision.transforms.handwriting import extents

LOOKED_AT = 10_000  # images used for the mean and the standard deviation of a training set
AT_ONCE = 100  # images in memory at a time


def new_network(name: str, classes: int, channels: int, start: str = "paper") -> Any:
    """The network with this name, its weights drawn from the current generator.

    start: "paper", as in the network's file in models/; or "he", He-normal in every layer, with
        biases of 0. Most files in models/ use He-normal, and then both give exactly the same
        weights.
    """
    require_one_of("model", name, MODELS)
    if start == "paper":
        return MODELS[name](classes, in_channels=channels)
    with skip_init():
        model = MODELS[name](classes, in_channels=channels)
    initialize(model, he_normal)
    return model


def build_model(settings: RunSettings, drawn: bool = True) -> Any:
    """The untrained network named in a run's settings; without `drawn`, it has no weights yet."""
    with manual_seed(settings.seed) if drawn else skip_init():
        return new_network(settings.model, len(settings.classes), settings.channels, settings.start)


def input_size(model: str) -> tuple[int, int]:
    """The size (H, W) of the images that the network with this name expects."""
    require_one_of("model", model, MODELS)
    H, W = undrawn(model).input_shape[1:]
    return H, W


def undrawn(model: str) -> Any:
    """The network with this name but without weights, for reading its attributes."""
    with skip_init():
        return MODELS[model]()


class PixelStatistics(NamedTuple):
    """A training set's mean and standard deviation per channel (0 to 1), and its digits' extent."""

    mean: np.ndarray  # (C,)
    std: np.ndarray  # (C,)
    extent: int


def pixel_statistics(dataset: Any) -> PixelStatistics:
    """The statistics of 10,000 images, spread over a dataset, with only a few in memory at a time.

    They are computed from exact counts of each of the 256 byte values, so it makes no difference
    how many images are in memory.
    """
    indices = np.arange(len(dataset))[:: -(-len(dataset) // LOOKED_AT)]
    counts, found = np.zeros(()), []
    for start in range(0, len(indices), AT_ONCE):
        images, _ = dataset.batch(indices[start : start + AT_ONCE])
        N, H, W, C = images.shape
        counts = counts + [np.bincount(images[..., c].ravel(), minlength=256) for c in range(C)]
        found += extents(images) if C == 1 else []
    value, share = np.arange(256) / 255, counts / counts.sum(axis=1, keepdims=True)
    mean = share @ value
    std = np.sqrt((share * (value - mean[:, None]) ** 2).sum(axis=1))
    return PixelStatistics(mean, std, int(np.median(found)) if found else min(H, W))


def preprocessing(
    splits: Splits, model: Any, augmentation: Sequence[Any] = (), old: Normalize | None = None
) -> dict[str, Any]:
    """How images become the network's input, as plain JSON for settings.json.

    "dataset" is for the dataset's images; "training" is the same, after augmentation; "image" is
    for any picture, in `predict`. Pixels are standardised by the mean and standard deviation of at
    most 10,000 training images. If a model's paper specifies a range for the pixels, that range is
    used instead; small images get a black border. old: the standardisation of a trained network's
    old images, to be used for the new ones as well.
    """
    mean, std, extent = pixel_statistics(splits.train)
    mean, std = mean.round(4), std.round(4)
    H, W, C = splits.train[0][0].shape
    size, input_size = (H, W), model.input_shape[1:]
    fitted: Any = Resize(input_size)
    if model.pixel_range is not None:
        black, white = model.pixel_range
        mean = np.full_like(mean, -black / (white - black))
        std = np.full_like(std, 1 / (white - black))
        if size[0] <= input_size[0] and size[1] <= input_size[1]:
            fitted = Pad(input_size)
    framed = [FrameDigit(size, extent) if C == 1 else Resize(size)]
    resized = [] if size == input_size else [fitted]
    numbers = [ToArray(), old or Normalize(tuple(mean), tuple(np.maximum(std, 1e-3)))]
    steps: dict[str, list[Any]] = {
        "dataset": [*resized, *numbers],
        "training": [*augmentation, *resized, *numbers],
        "image": [*framed, *resized, *numbers],
    }
    return {part: describe(Compose(transforms)) for part, transforms in steps.items()}


def loader(dataset: Any, settings: RunSettings, part: str) -> DataLoader:
    """Batches of one split: shuffled and augmented for "training", in order for "dataset"."""
    transform = from_description(settings.preprocessing[part])
    if part == "dataset":
        return in_order(dataset, transform, settings.workers)
    return DataLoader(
        dataset,
        batch_size=settings.batch_size,
        shuffle=True,
        seed=settings.seed,
        transform=transform,
        workers=settings.workers,
        with_indices=True,
    )


def open_run(path: str | Path) -> tuple[Run, RunSettings]:
    """An existing run and its settings; ValueError if they are not those of a trained network."""
    run = Run.open(path)
    file = run.path / "settings.json"
    settings = RunSettings.read(file, run.settings)
    check_fingerprint(file, settings.images)
    return run, settings


def to_resume(out: Path | None) -> Path:
    """The folder given by --out, which --resume needs; ValueError if there is no run in it."""
    if out is None:
        raise ValueError("--resume needs --out FOLDER, the run to continue")
    if not out.is_file() and not (out / "settings.json").exists():
        raise FileNotFoundError(
            f"there is no run at {out}: it has no settings.json; start it without --resume"
        )
    return out


def load_run(path: str | Path) -> tuple[Run, RunSettings, Any]:
    """A finished or interrupted run, its settings, and its network with the newest weights."""
    run, settings = open_run(path)
    model, head = build_model(settings, drawn=False), settings.head
    if head is not None:
        K = len(settings.classes)
        with skip_init():
            model = with_new_head(model, K, layers=head["layers"], hidden=head["hidden"])
    load_model(run.checkpoint_path, model)
    model.eval()
    return run, settings, model


def add_picture(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option for a picture's path; by default it is written into the run's folder."""
    parser.add_argument(
        "--out", type=Path, metavar="PNG", help=f"the picture (default: {name} in the run's folder)"
    )


def save_picture(figure: Any, out: Path | None, usual: Path) -> None:
    """Save a figure to --out or the run's folder; if the latter is read-only, only print a note."""
    try:
        save_figure(figure, out or usual)
    except OSError as error:
        if out is not None or isinstance(error, FileExistsError):  # such as a device in its place
            raise
        print(f"the picture was not saved: {error}; choose a different path with --out FILE.png")
    else:
        print(f"see {out or usual}")


def versions() -> dict[str, str]:
    """The versions of the libraries that affect a run, for its settings."""
    libraries = ("minivision", "numpy", "opencv-python-headless", "simplejpeg")
    return {"python": python_version(), **{name: version(name) for name in libraries}}


def same_version(path: Path, begun: Mapping[str, str]) -> None:
    """Raise ValueError if a run was started by a different minor version (0.1 instead of 0.2).

    begun: the versions recorded in its settings.
    """
    if not isinstance(begun, dict):
        raise ValueError(f"{path / 'settings.json'}: 'versions' is {begun!r:.60}; expected a dict")
    check_texts(f"{path / 'settings.json'}: 'versions'", begun)
    then, now = begun.get("minivision", "0.1"), version("minivision")
    if then.split(".")[:2] != now.split(".")[:2]:
        raise ValueError(
            f"{path} was started by minivision {then}, and this is {now}: only the version that "
            "started a run can resume it. Its network can still be used by evaluate, predict, "
            "explain and transfer"
        )


def note_versions(begun: Mapping[str, str]) -> None:
    """Print a note if a run is resumed with different library versions."""
    now = {name: number for name, number in versions().items() if name != "python"}
    other = [name for name in now if begun.get(name, now[name]) != now[name]]
    if other:
        then, this = (", ".join(f"{n} {said[n]}" for n in other) for said in (begun, now))
        print(f"started with {then}, now {this}: the weights may differ in the last digits")


def same_options(path: Path, given: Mapping[str, Any], begun: Mapping[str, Any]) -> None:
    """Raise ValueError if a given option differs from the run's; None means not given."""
    for name, value in given.items():
        if value is not None and value != begun[name]:
            option = "RUN" if name == "run_folder" else f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{option} is {in_words(value)}, but for {path} it was {in_words(begun[name])}; "
                "leave it out to continue with --resume, or start again in a new folder"
            )


def in_words(value: Any) -> Any:
    """Describe an option's value in words; a switch is None, True or False."""
    if value is None or value is False:
        return "not given"
    return "given" if value is True else value
