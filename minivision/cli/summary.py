"""Summarise a network: the output, parameters, work and memory of each layer.

  minivision summary lenet5
  minivision summary runs/lenet5-digits-1
  minivision summary lenet5 --images 64

MODEL is the name of a network or the folder of a training run. Parameters are the numbers that
training changes. Multiply-adds are counted for one image, in convolutions and linear layers. Bytes
kept are what a layer holds from the forward pass to the backward pass, measured on a real forward
pass.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from minivision.analysis.summary import summary
from minivision.cli.argument_types import positive
from minivision.cli.setup import load_run
from minivision.models import MODELS, Network
from minivision.nn import skip_init
from minivision.random import manual_seed
from minivision.training.settings import RunSettings


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add MODEL and --input-size, which `receptive-field` also uses."""
    parser.add_argument("model", metavar="MODEL", help=f"{', '.join(MODELS)}, or a run's folder")
    parser.add_argument(
        "--input-size", type=positive(int), nargs="+", metavar="N", help="size of the images: one "
        "number for squares, or height and width (default: the size the network was designed for)",
    )  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "--images", type=positive(int), default=1, help="images per batch (default: 1)"
    )


def run(arguments: argparse.Namespace) -> None:
    model, _ = find_model(arguments.model)
    print(summary(model, size_of(arguments), arguments.images))


def size_of(arguments: argparse.Namespace) -> tuple[int, ...] | None:
    """--input-size as (H, W); None if it was not given."""
    given = arguments.input_size
    if given is not None and len(given) > 2:
        raise ValueError(
            f"--input-size has {len(given)} numbers; expected one, or height and width"
        )
    return given and (given[0], given[-1])


def find_model(name: str, seed: int | None = None) -> tuple[Network, RunSettings | None]:
    """A network by name, with weights from this seed or all 0; or a run's network and settings."""
    if name in MODELS:
        with skip_init() if seed is None else manual_seed(seed):
            return MODELS[name](), None
    if not Path(name).is_dir():
        raise ValueError(
            f"{name!r} is neither a network ({', '.join(MODELS)}) nor the folder of a run"
        )
    _, settings, model = load_run(name)
    return model, settings
