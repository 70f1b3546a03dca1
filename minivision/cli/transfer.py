"""Give an old network a new task that has few images.

What a network learned about images in general serves other classes, too. Its head, which knows
the old ones, is taken away, and a new one is trained: alone, on the frozen body, or with the body
following slowly. The same network from scratch, with as many updates, is trained beside them.

  minivision train --dataset mnist                          an old network, runs/lenet5-mnist-1
  minivision transfer runs/lenet5-mnist-1 --dataset my_letters
  minivision transfer runs/lenet5-mnist-1 --dataset my_letters --layers 3 --hidden 64

--layers says how many fully connected layers are taken away: the last one knows the classes best,
and where old and new classes have little in common, more of them are in the way.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from minivision.backend import resolve_device
from minivision.cli.comparison import (
    OLD,
    Way,
    add_shared_arguments,
    begin,
    compare,
    new_task,
    open_folder,
)
from minivision.cli.policy import EXPLAINED, STEPS
from minivision.cli.setup import build_model, load_run, loader
from minivision.cli.train import positive, test_result
from minivision.methods import extract_features, fine_tune
from minivision.models import cut, with_new_head
from minivision.nn import Module
from minivision.optim import Adam, cosine
from minivision.random import manual_seed
from minivision.training import Run, classification_loss, evaluate, fit
from minivision.training.loop import History

WAYS = {
    "scratch": "the same network from fresh weights, the baseline",
    "frozen": "a new head on the old body, which stays as it is",
    "fine-tuned": "everything is trained on, the body slowly",
}
DEFAULTS: dict[str, Any] = {
    "run_folder": None, "dataset": None, "epochs": 20, "batch_size": 32, "lr": 2e-3,
    "limit": None, "seed": 0,
    "skip_unreadable": False, "approach": "all", "layers": 1, "hidden": None, "body_rate": 0.1,
    "layer_decay": 1.0, "augment": "none",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, "the old network")
    add = parser.add_argument
    add(
        "--approach", choices=["frozen", "fine-tuned", "all"],
        help="beside scratch, which is always trained (default: all)",
    )  # fmt: skip
    add("--layers", type=positive(int), help="fully connected layers to take away (default: 1)")
    add(
        "--hidden", type=positive(int), help="units of an adaptation layer (default: no such layer)"
    )
    add(
        "--body-rate",
        type=positive(float),
        help="fine-tuned: rate of the body (default: 0.1 of lr)",
    )
    add("--layer-decay", type=positive(float), help="fine-tuned: factor a layer (default: 1)")
    add("--augment", metavar="POLICY", help=f"names joined by +, of {', '.join(STEPS)}")
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = open_folder(arguments, "transfer", DEFAULTS, OLD)
    settings = folder.settings
    source, network = load_run(settings["run_folder"])
    hidden = [settings["hidden"]] if settings["hidden"] else []
    head = {"layers": settings["layers"], "hidden": hidden}
    cut(network, head["layers"])  # or say now that it cannot be cut so
    if source.settings["head"] is not None:  # it was transferred before, and its body ends there
        head["layers"] = source.settings["head"]["layers"]
    splits, of_run = new_task(folder, source, optimizer="adam", augment=settings["augment"])
    of_run["head"] = head
    folder = begin(folder, arguments, of_run)
    K = len(splits.train.classes)
    wanted = [name for name in WAYS if settings["approach"] in ("all", name) or name == "scratch"]
    print(
        f"{source.settings['model']} of {settings['run_folder']}: "
        f"{len(source.settings['classes'])} old classes; {settings['dataset']}: "
        f"{len(splits.train):,} training images of {K} new classes"
    )

    def train(name: str, run: Run) -> tuple[Module, History]:
        _, model = load_run(settings["run_folder"])
        layers = settings["layers"]
        if name == "scratch":
            model = build_model(of_run["model"], K, of_run["channels"], settings["seed"])
            layers = head["layers"]
        with manual_seed(settings["seed"], 1):  # other numbers than the body's
            model = with_new_head(model, K, layers=layers, hidden=hidden)
        images = loader(splits.train, of_run, "training")
        held_out = loader(splits.validation, of_run, "dataset")
        shared: dict[str, Any] = {
            "schedule": cosine(settings["epochs"]),
            "validate": lambda model: evaluate(model, held_out),
            "seed": settings["seed"],
            "run": run,
            "device": device,
        }
        epochs, lr = settings["epochs"], settings["lr"]
        if name == "scratch":
            rule = Adam(model.parameters(), lr)
            return model, fit(model, images, classification_loss, rule, epochs, **shared)
        if name == "frozen":
            cached = not getattr(images.transform, "random", True)
            return model, extract_features(model, images, epochs, lr=lr, cached=cached, **shared)
        rates = {"body_rate": settings["body_rate"], "layer_decay": settings["layer_decay"]}
        return model, fine_tune(model, images, epochs, lr=lr, **rates, **shared)

    def measure(name: str, model: Any) -> dict[str, Any]:
        test = loader(splits.test, of_run, "dataset")
        found = test_result(model, test, list(splits.test.classes))
        trained = model.head if name == "frozen" else model
        kept = {key: found[key] for key in ("test_accuracy", "test_loss", "test_images")}
        return kept | {"trained_parameters": trained.parameter_count()}

    ways = [
        Way(name, WAYS[name], of_run, partial(train, name), partial(measure, name))
        for name in wanted
    ]
    title = f"{of_run['model']} on {settings['dataset']}"
    compare(folder, ways, title, tests=[splits.test])
    print(f"each is a run of its own: minivision predict {folder.path}/{wanted[-1]} IMAGE")
