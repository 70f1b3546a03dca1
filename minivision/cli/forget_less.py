"""Teach an old network a new task, and let it keep the old one.

Training on new images alone pulls the weights away from what the old task needs. Learning without
forgetting writes down the old network's answers to the new images before anything changes, and has
its old head go on giving them while a new head learns. Beside it are what it is compared with:
training the new head alone, training on without care, and training with the old images at hand.

  minivision train --dataset my_birds                                 an old network
  minivision forget-less runs/lenet5-my_birds-1 --dataset my_beetles  both, in one network
  minivision forget-less … --old-weight 3                             care more for the old task

The old images are needed to measure what was forgotten, and for joint training. Where they are
gone both are left out. Each task is asked through its own head:
minivision predict runs/NAME/learning-without-forgetting/old IMAGE.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from minivision.analysis.comparison import plot_two_tasks
from minivision.analysis.plots import save_figure
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
from minivision.cli.images import TRAINED, ChangedImagesError, run_images
from minivision.cli.setup import load_run, loader
from minivision.cli.train import positive, whole
from minivision.datasets import Splits
from minivision.functional.softmax import positive_temperature
from minivision.methods import learn_without_forgetting, train_jointly, with_new_task
from minivision.methods.learning_without_forgetting import PAPERS_OPTIMIZER
from minivision.models import MultiHead
from minivision.optim import cosine
from minivision.random import manual_seed
from minivision.training import Run, evaluate, save_model
from minivision.training.loop import History

WAYS = {
    "feature extraction": "a new head alone; the rest stays as it is",
    "fine-tuning": "body and new head, without a thought of the old task",
    "learning without forgetting": "body and both heads, with the old answers written down",
    "joint training": "body and both heads, with the old images at hand",
}
DEFAULTS: dict[str, Any] = {
    "run_folder": None, "dataset": None, "epochs": 20, "batch_size": 32, "lr": 0.01,
    "limit": None, "seed": 0,
    "skip_unreadable": False, "old_weight": 1.0, "temperature": 2.0, "warm_up": 1,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, "the old network")
    add = parser.add_argument
    add("--old-weight", type=positive(float), help="lambda, of the old answers (default: 1)")
    add("--temperature", type=float, help="T of the old answers, above 0 (default: 2)")
    add("--warm-up", type=whole, help="epochs for the new head alone, before (default: 1)")


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = open_folder(arguments, "forget-less", DEFAULTS, OLD)
    settings = folder.settings
    positive_temperature("--temperature", settings["temperature"])
    source, network = load_run(settings["run_folder"])
    splits, of_new = new_task(folder, source, optimizer="sgd")
    of_old = source.settings | {"head": source.settings["head"] or {"layers": 1, "hidden": []}}
    of_new["head"] = {"layers": of_old["head"]["layers"], "hidden": []}  # on the same body
    folder = begin(folder, arguments, of_new)
    old = old_images(source)
    plain = source.settings["preprocessing"]["dataset"]
    of_joint = of_new | {"preprocessing": {"training": plain}}
    K = len(splits.train.classes)
    print(
        f"{source.settings['model']} of {settings['run_folder']} knows "
        f"{', '.join(source.settings['classes'])}; to learn: {', '.join(splits.train.classes)}"
    )
    held_out = {"new": loader(splits.validation, of_new, "dataset")}
    tests = {"new": loader(splits.test, of_new, "dataset")}
    if old is not None:
        tests["old"] = loader(old.test, source.settings, "dataset")

    def train(name: str, run: Run) -> tuple[MultiHead, History]:
        _, network = load_run(settings["run_folder"])
        with manual_seed(settings["seed"]):
            model = with_new_task(network, K)
        images = loader(splits.train, of_new, "training")
        epochs, warm_up = settings["epochs"], settings["warm_up"]
        shared: dict[str, Any] = {
            "lr": settings["lr"],
            "validate": lambda model: evaluate(model.task("new"), held_out["new"]),
            "seed": settings["seed"],
            "run": run,
            "device": device,
        }
        if name == "joint training":
            assert old is not None
            known = loader(old.train, of_joint, "training")
            loaders = {"old": known, "new": images}
            schedule, rule = cosine(epochs + warm_up), PAPERS_OPTIMIZER
            both = train_jointly(
                model, loaders, epochs + warm_up, schedule=schedule, optimizer=rule, **shared
            )
            return model, both
        if name == "feature extraction":
            epochs, warm_up = 0, epochs + warm_up
        weight = settings["old_weight"] if name == "learning without forgetting" else 0
        return model, learn_without_forgetting(
            model, images, epochs, warm_up=warm_up, old_weight=weight,
            temperature=settings["temperature"], schedule=cosine(max(epochs, 1)), **shared,
        )  # fmt: skip

    def keep(run: Run, model: MultiHead) -> None:
        for task, of_task in (("old", of_old), ("new", of_new)):
            save_model(run.stage(task, of_task).checkpoint_path, model.task(task))

    def measure(model: MultiHead) -> dict[str, Any]:
        return {
            f"{task}_test_accuracy": evaluate(model.task(task), tests[task])["accuracy"]
            for task in sorted(tests, reverse=True)
        }

    network.to(device)
    before = {"old_test_accuracy": evaluate(network, tests["old"])["accuracy"]} if old else {}
    ways = [name for name in WAYS if old is not None or name != "joint training"]
    rows = compare(
        folder,
        [Way(name, WAYS[name], of_new, partial(train, name), measure) for name in ways],
        f"{source.settings['model']}: the new task, {settings['dataset']}",
        beside={"before": before},
        tests=[splits.test] + ([old.test] if old is not None else []),
        keep=keep,
    )
    if old is not None:
        both = {
            name: (rows[name]["old_test_accuracy"], rows[name]["new_test_accuracy"])
            for name in ways
        }
        title = "test accuracy on both tasks: up and to the right is better"
        figure = plot_two_tasks(both, before["old_test_accuracy"], title)
        picture = folder.path / "two_tasks.png"
        save_figure(figure, picture)
        print(f"see {picture}")
    print(f"try: minivision predict {folder.path}/learning-without-forgetting/old IMAGE")


def old_images(source: Run) -> Splits | None:
    """The old task's images, or None, with a note, if they cannot be read any more.

    Raises ValueError if they can be read, but are not those that the old network learned from.
    """
    try:
        return run_images(source.settings, source.path, unchanged=TRAINED).splits
    except ChangedImagesError:
        raise
    except (OSError, ValueError) as error:
        print(f"the old images cannot be read ({error}): no joint training, no old accuracy")
        return None
