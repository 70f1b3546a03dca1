"""Adapt a trained network to a new task that has few images.

What a network has learned about images also helps with other classes. Its old head is removed, and
a new one is trained: either alone, on the frozen backbone, or together with the backbone at a low
learning rate. The baseline is the same network, trained from scratch with the same number of
updates.

  minivision train --dataset mnist                          the old network, runs/lenet5-mnist-1
  minivision transfer runs/lenet5-mnist-1 --dataset my_letters
  minivision transfer runs/lenet5-mnist-1 --dataset my_letters --layers 3 --hidden 64

--layers says how many fully connected layers to remove. The last layer is the most specific to the
old classes; if the old and new classes have little in common, removing more layers may help.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from minivision.backend import resolve_device
from minivision.cli.argument_types import positive
from minivision.cli.comparison import (
    OLD,
    accuracy_on,
    add_shared_arguments,
    begin,
    compare,
    new_task,
    open_folder,
    trainer,
)
from minivision.cli.first_loss import watched
from minivision.cli.optimization import learning_rate
from minivision.cli.policy import EXPLAINED, STEPS
from minivision.cli.setup import build_model, load_run, loader, open_run
from minivision.cli.train import test_result
from minivision.methods import RecordedBatches, rate_groups, record_responses
from minivision.models import BackboneAndHead, cut, with_new_head
from minivision.optim import Adam
from minivision.random import manual_seed
from minivision.training import Run, classification_loss
from minivision.training.loop import History

DEFAULTS: dict[str, Any] = {
    "run_folder": None, "dataset": None, "epochs": 20, "batch_size": 32, "lr": None,
    "limit": None, "seed": 0,
    "skip_unreadable": False, "approach": "all", "layers": 1, "hidden": None, "backbone_rate": 0.1,
    "layer_decay": 1.0, "augment": "none",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, "the old network")
    add = parser.add_argument
    add(
        "--approach", choices=["frozen", "fine-tuned", "all"],
        help="in addition to scratch (default: all)",
    )  # fmt: skip
    add("--layers", type=positive(int), help="fully connected layers to remove (default: 1)")
    add(
        "--hidden",
        type=positive(int),
        help="units in an adaptation layer (default: no such layer)",
    )
    add(
        "--backbone-rate",
        type=positive(float),
        help="fine-tuned: the backbone's learning rate, as a fraction of --lr (default: 0.1)",
    )
    add("--layer-decay", type=positive(float), help="fine-tuned: factor per layer (default: 1)")
    add("--augment", metavar="POLICY", help=f"names joined by +, from {', '.join(STEPS)}")
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    usual = {}
    if arguments.run_folder is not None:
        usual = {"lr": learning_rate(open_run(arguments.run_folder)[1].model, "adam")}
    folder = open_folder(arguments, "transfer", DEFAULTS | usual, OLD)
    options = folder.settings
    lr, seed = options["lr"], options["seed"]
    old_run, old, network = load_run(options["run_folder"])
    hidden = [options["hidden"]] if options["hidden"] else []
    cut(network, options["layers"])  # raises an error now if the network cannot be cut there
    # A network that was transferred before already has a backbone and a head.
    layers = options["layers"] if old.head is None else old.head["layers"]
    splits, settings = new_task(
        folder, (old_run, old), optimizer="adam", augment=options["augment"]
    )
    settings = replace(settings, head={"layers": layers, "hidden": hidden})
    folder = begin(folder, arguments, settings)
    K, test = len(splits.train.classes), loader(splits.test, settings, "dataset")
    print(
        f"{old.model} of {options['run_folder']}: {len(old.classes)} old classes; "
        f"{options['dataset']}: {len(splits.train):,} training images of {K} new classes"
    )
    images = loader(splits.train, settings, "training")
    validate = accuracy_on(splits.validation, settings)
    fit = trainer(settings, device, validate)

    def headed(network: Any, layers: int) -> BackboneAndHead:
        with manual_seed(seed, 1):  # random numbers other than the backbone's
            model = with_new_head(network, K, layers=layers, hidden=hidden)
        model.to(device)
        return model

    def scratch(run: Run) -> tuple[BackboneAndHead, History]:
        """train the same network from scratch, as a baseline"""
        model = headed(build_model(settings), layers)
        loss, rule = watched(classification_loss, K), Adam(model.parameters(), lr)
        return model, fit(model, images, loss, rule, run=run)

    def frozen(run: Run) -> tuple[BackboneAndHead, History]:
        """train a new head on the frozen backbone"""
        model = headed(load_run(options["run_folder"])[2], options["layers"])
        model.backbone.freeze()
        rule = Adam(model.head.parameters(), lr)
        if options["augment"] != "none":
            return model, fit(model, images, classification_loss, rule, run=run)
        features = RecordedBatches(record_responses(model.backbone, images), images)
        return model, fit(
            model.head, features, classification_loss, rule, run=run,
            validate=lambda head: validate(model),
        )  # fmt: skip

    def fine_tuned(run: Run) -> tuple[BackboneAndHead, History]:
        """train everything, the backbone at a lower learning rate"""
        model = headed(load_run(options["run_folder"])[2], options["layers"])
        groups = rate_groups(model, lr, options["backbone_rate"], options["layer_decay"])
        return model, fit(model, images, classification_loss, Adam(groups, lr), run=run)

    def measure(model: BackboneAndHead) -> dict[str, Any]:
        found = test_result(model, test, settings.classes)
        trained = sum(p.size for p in model.parameters() if p.requires_grad)
        kept = {key: found[key] for key in ("test_accuracy", "test_loss", "test_images")}
        return kept | {"trained_parameters": trained}

    variants = {"scratch": scratch, "frozen": frozen, "fine-tuned": fine_tuned}
    if options["approach"] != "all":
        variants = {name: variants[name] for name in ("scratch", options["approach"])}
    title = f"{old.model} on {Path(options['dataset']).name}"
    compare(folder, variants, settings, measure, title, tests=[splits.test])
    print(
        f"each is saved as a run; try: minivision predict {folder.path}/{list(variants)[-1]} IMAGE"
    )
