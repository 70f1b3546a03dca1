"""Learn from few labels and many unlabelled images: the network's own predictions serve as labels.

The network predicts the class of an unlabelled image, and then trains on its prediction as if it
were a label. This moves the boundaries between classes to where there are few images, but it also
reinforces errors, which may outweigh the gain if there are very few labels. In FixMatch, the
network labels a weakly augmented image, but only if it is confident, and trains on a strongly
augmented version of the same image. Two baselines are always included: they train on labels alone,
with weak or strong augmentation and the same number of updates.

  minivision pseudo-label --labelled mnist --labels 100       60,000 digits, 100 with labels
  minivision pseudo-label --labelled my_few --unlabelled my_many
"""

from __future__ import annotations

import argparse
from typing import Any

from minivision.backend import resolve_device
from minivision.cli.comparison import accuracy_on, begin, compare, trainer
from minivision.cli.few_labels import SHARED, add_shared_arguments, ask, few_labels
from minivision.cli.setup import build_model, loader
from minivision.cli.train import test_result
from minivision.datasets import DataLoader
from minivision.errors import require_probability
from minivision.methods import JointBatches, pseudo_label_batches, pseudo_label_loss, ramp
from minivision.optim import Adam
from minivision.training import Run
from minivision.training.loop import History, Loss

DEFAULTS: dict[str, Any] = SHARED | {"threshold": 0.95}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser)
    parser.add_argument(
        "--threshold", type=float, help="fixmatch: confidence threshold, 0 to 1 (default: 0.95)"
    )


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = ask(arguments, "pseudo-label", DEFAULTS)
    options = folder.settings
    threshold, size = options["threshold"], options["batch_size"]
    require_probability("--threshold", threshold)
    data = few_labels(folder)
    splits, settings = data.splits, data.settings
    folder = begin(folder, arguments, settings)
    fit = trainer(settings, device, accuracy_on(splits.validation, settings))
    test = loader(splits.test, settings, "dataset")

    def labelled(transform: Any) -> DataLoader:
        return DataLoader(
            splits.train, size, shuffle=True, seed=settings.seed, transform=transform
        )  # fmt: skip

    unlabelled = DataLoader(
        data.unlabelled, options["ratio"] * size,
        shuffle=True, seed=settings.seed, transform=data.weak,
    )  # fmt: skip
    updates = settings.epochs * len(unlabelled)

    def train(batches: JointBatches, loss: Loss, run: Run) -> tuple[Any, History]:
        model = build_model(settings)
        rule = Adam(model.parameters(), settings.lr)
        return model, fit(model, batches, loss, rule, run=run)

    def supervised(run: Run) -> tuple[Any, History]:
        """train on the labels alone, weakly augmented"""
        batches = pseudo_label_batches(labelled(data.weak), unlabelled)
        return train(batches, pseudo_label_loss(0), run)

    def supervised_strong(run: Run) -> tuple[Any, History]:
        """train on the labels alone, strongly augmented"""
        batches = pseudo_label_batches(labelled(data.strong), unlabelled)
        return train(batches, pseudo_label_loss(0), run)

    def pseudo_labels(run: Run) -> tuple[Any, History]:
        """train on all of its own predictions too, with growing weight (Lee 2013)"""
        batches = pseudo_label_batches(labelled(data.weak), unlabelled)
        alpha = ramp(updates // 5, updates)
        return train(batches, pseudo_label_loss(alpha, truth=data.truth), run)

    def fixmatch(run: Run) -> tuple[Any, History]:
        """train on its confident predictions too, with strong augmentation (Sohn 2020)"""
        batches = pseudo_label_batches(labelled(data.weak), unlabelled, data.strong)
        model, history = train(batches, pseudo_label_loss(1.0, threshold, data.truth), run)
        if history[-1].get("mask_rate") == 0:
            print(
                f"no prediction reached the threshold of {threshold}: the highest probability was "
                f"{history[-1]['confidence']:.3f} on average; fixmatch was only supervised training"
            )
        return model, history

    def measure(model: Any) -> dict[str, Any]:
        found = test_result(model, test, settings.classes)
        return {key: found[key] for key in ("test_accuracy", "test_loss", "test_images")}

    variants = {
        "supervised": supervised,
        "supervised strong": supervised_strong,
        "pseudo-labels": pseudo_labels,
        "fixmatch": fixmatch,
    }
    title = f"{settings.model}, {len(splits.train):,} labels"
    compare(folder, variants, settings, measure, title, tests=[splits.test])
    print(f"each is saved as a run; try: minivision predict {folder.path}/fixmatch IMAGE")
