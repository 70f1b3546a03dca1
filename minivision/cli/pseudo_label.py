"""Learn from few labels and many images without: the network's own decisions serve as labels.

On an unlabelled image the network decides, and then learns its decision as if it were a label. So
the border between classes moves to where few images are; it also repeats its errors, and with very
few labels that may outweigh the gain. FixMatch decides on a weakly augmented image, and only where
it is sure, and learns from a strongly augmented one. The networks from labels alone, with either
augmentation and as many updates, are always trained beside them.

  minivision pseudo-label --labelled mnist --labels 100       60,000 digits, 100 with labels
  minivision pseudo-label --labelled my_few --unlabelled my_many
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from minivision.backend import resolve_device
from minivision.cli.comparison import Way, begin, compare
from minivision.cli.few_labels import SHARED, add_shared_arguments, ask, few_labels
from minivision.cli.setup import build_model, loader
from minivision.cli.train import test_result
from minivision.datasets import DataLoader
from minivision.methods import ramp, train_with_pseudo_labels
from minivision.optim import Adam, cosine
from minivision.training import Run, evaluate
from minivision.training.loop import History

WAYS = {
    "supervised": "from the labels alone, weakly augmented",
    "supervised strong": "from the labels alone, strongly augmented",
    "pseudo-labels": "and from all its own decisions, which count more and more (Lee 2013)",
    "fixmatch": "and from its sure decisions, for strongly augmented images (Sohn 2020)",
}
DEFAULTS: dict[str, Any] = SHARED | {"threshold": 0.95}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser)
    parser.add_argument(
        "--threshold", type=float, help="fixmatch: the least probability, 0 to 1 (default: 0.95)"
    )


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = ask(arguments, "pseudo-label", DEFAULTS)
    settings = folder.settings
    threshold = settings["threshold"]
    if not 0 <= threshold <= 1:
        raise ValueError(f"--threshold is {threshold}; expected a probability from 0 to 1")
    data = few_labels(folder)
    folder = begin(folder, arguments, data.settings)
    splits, seed, epochs = data.splits, settings["seed"], settings["epochs"]
    classes = list(splits.train.classes)

    def train(name: str, run: Run) -> tuple[Any, History]:
        model = build_model(settings["model"], len(classes), data.settings["channels"], seed)
        size, ratio = settings["batch_size"], settings["ratio"]
        shown = data.strong if name == "supervised strong" else data.weak
        labelled = DataLoader(splits.train, size, shuffle=True, seed=seed, transform=shown)
        unlabelled = DataLoader(
            data.unlabelled, ratio * size, shuffle=True, seed=seed, transform=data.weak
        )
        updates = epochs * len(unlabelled)
        held_out = loader(splits.validation, data.settings, "dataset")
        weight: Any = {"pseudo-labels": ramp(updates // 5, updates), "fixmatch": 1.0}.get(name, 0)
        records = train_with_pseudo_labels(
            model, labelled, unlabelled, epochs, Adam(model.parameters(), settings["lr"]),
            weight=weight,
            threshold=threshold if name == "fixmatch" else 0.0,
            strong=data.strong if name == "fixmatch" else None,
            truth=data.truth,
            schedule=cosine(epochs),
            validate=lambda model: evaluate(model, held_out),
            seed=seed, run=run, device=device,
        )  # fmt: skip
        if records[-1].get("mask_rate") == 0:
            print(
                f"no decision reached the threshold of {threshold}: the highest probability was "
                f"{records[-1]['confidence']:.3f} on average; fixmatch was supervised training"
            )
        return model, records

    def measure(model: Any) -> dict[str, Any]:
        found = test_result(model, loader(splits.test, data.settings, "dataset"), classes)
        return {key: found[key] for key in ("test_accuracy", "test_loss", "test_images")}

    ways = [
        Way(name, about, data.settings, partial(train, name), measure)
        for name, about in WAYS.items()
    ]
    title = f"{settings['model']}, {len(splits.train):,} labels"
    compare(folder, ways, title, tests=[splits.test])
    print(f"each is a run of its own: minivision predict {folder.path}/fixmatch IMAGE")
