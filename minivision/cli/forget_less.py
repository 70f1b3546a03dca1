"""Teach a trained network a new task without losing the old one.

Training on new images alone pulls the weights away from what the old task needs. Learning without
forgetting records the old network's outputs for the new images before any weight changes, and then
trains the old head to keep producing them while a new head learns the new task. The command
compares this method with three baselines: training only the new head, plain fine-tuning, and
training jointly with the old images.

  minivision train --dataset my_birds                                 the old network
  minivision forget-less runs/lenet5-my_birds-1 --dataset my_beetles  both, in one network
  minivision forget-less … --old-weight 3                             give the old task more weight

The old images are needed only for joint training and to measure how much was forgotten. If they are
no longer available, these two steps are skipped. Each task has its own head. To use the old one:
minivision predict runs/NAME/learning-without-forgetting/old IMAGE.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from minivision.analysis.comparison import plot_two_tasks
from minivision.analysis.plots import save_figure
from minivision.backend import resolve_device
from minivision.cli.argument_types import positive, whole
from minivision.cli.comparison import (
    OLD,
    Variant,
    accuracy_on,
    add_shared_arguments,
    begin,
    compare,
    new_task,
    open_folder,
    trainer,
)
from minivision.cli.images import TRAINED, ChangedImagesError, run_images
from minivision.cli.setup import load_run, loader
from minivision.datasets import Splits
from minivision.functional.loss_checks import checked_temperature
from minivision.methods import JointBatches, joint_loss, lwf_loss, record_responses, with_new_task
from minivision.models import MultiHead
from minivision.optim import SGD, cosine
from minivision.random import manual_seed
from minivision.training import Run, evaluate, save_model
from minivision.training.loop import History, Loss
from minivision.training.settings import RunSettings

DEFAULTS: dict[str, Any] = {
    "run_folder": None, "dataset": None, "epochs": 20, "batch_size": 32, "lr": 0.01,
    "limit": None, "seed": 0,
    "skip_unreadable": False, "old_weight": 1.0, "temperature": 2.0, "warm_up": 1,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, "the old network")
    add = parser.add_argument
    add("--old-weight", type=positive(float), help="lambda, weight of the old outputs (default: 1)")
    add("--temperature", type=float, help="T for the old outputs, 0.001 to 1000 (default: 2)")
    add("--warm-up", type=whole, help="epochs for the new head alone at the start (default: 1)")


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = open_folder(arguments, "forget-less", DEFAULTS, OLD)
    options = folder.settings
    checked_temperature("--temperature", options["temperature"])
    old_run, old, network = load_run(options["run_folder"])
    splits, settings = new_task(folder, (old_run, old), optimizer="sgd")
    head = old.head or {"layers": 1, "hidden": []}
    old = replace(old, head=head)
    settings = replace(settings, head={"layers": head["layers"], "hidden": []})  # the same backbone
    folder = begin(folder, arguments, settings)
    K, old_splits = len(splits.train.classes), old_images(old_run, old)
    print(
        f"{old.model} of {options['run_folder']} knows {', '.join(old.classes)}; new classes: "
        f"{', '.join(splits.train.classes)}"
    )
    images = loader(splits.train, settings, "training")
    tests = {"new": loader(splits.test, settings, "dataset")}
    if old_splits is not None:
        tests["old"] = loader(old_splits.test, old, "dataset")
    on_new = accuracy_on(splits.validation, settings)
    fit = trainer(settings, device, lambda model: on_new(model.task("new")))
    epochs, warm_up = options["epochs"], options["warm_up"]

    def new_model() -> MultiHead:
        with manual_seed(settings.seed):
            model = with_new_task(load_run(options["run_folder"])[2], K)
        model.to(device)
        return model

    def train(
        model: MultiHead, loss: Loss, warm_up: int, epochs: int, run: Run
    ) -> tuple[MultiHead, History]:
        """Train the new head alone for the warm-up epochs, and then everything."""
        history = History()
        if warm_up:
            model.freeze()
            model.heads["new"].unfreeze()
            rule, stage = optimizer(model.heads["new"], settings), run.stage("warm-up")
            history = fit(model, images, loss, rule, epochs=warm_up, schedule=None, run=stage)
            model.unfreeze()
        if epochs:
            rule, stage = optimizer(model, settings), run.stage("training")
            history = fit(model, images, loss, rule, epochs=epochs, run=stage)
        return model, history

    def feature_extraction(run: Run) -> tuple[MultiHead, History]:
        """train the new head and nothing else"""
        return train(new_model(), lwf_loss({}), epochs + warm_up, 0, run)

    def fine_tuning(run: Run) -> tuple[MultiHead, History]:
        """train the backbone and the new head, with no regard for the old task"""
        return train(new_model(), lwf_loss({}), warm_up, epochs, run)

    def learning_without_forgetting(run: Run) -> tuple[MultiHead, History]:
        """train the backbone and both heads, using the recorded outputs of the old network"""
        model = new_model()
        outputs = {"old": record_responses(model.task("old"), images)}
        loss = lwf_loss(outputs, options["temperature"], options["old_weight"])
        return train(model, loss, warm_up, epochs, run)

    variants: dict[str, Variant] = {
        "feature extraction": feature_extraction,
        "fine-tuning": fine_tuning,
        "learning without forgetting": learning_without_forgetting,
    }
    if old_splits is not None:
        as_new = replace(settings, preprocessing=as_training(old.preprocessing))
        both = JointBatches([loader(old_splits.train, as_new, "training"), images])

        def joint_training(run: Run) -> tuple[MultiHead, History]:
            """train the backbone and both heads, using the old images as well"""
            model, N = new_model(), epochs + warm_up
            rule = optimizer(model, settings)
            return model, fit(
                model, both, joint_loss, rule, epochs=N, schedule=cosine(N), run=run
            )  # fmt: skip

        variants["joint training"] = joint_training

    def keep(run: Run, model: MultiHead) -> None:
        for task, of_task in (("old", old), ("new", settings)):
            save_model(run.stage(task, of_task.plain()).checkpoint_path, model.task(task))

    def measure(model: MultiHead) -> dict[str, Any]:
        return {
            f"{task}_test_accuracy": evaluate(model.task(task), tests[task])["accuracy"]
            for task in sorted(tests, reverse=True)
        }

    network.to(device)
    before = {}
    if old_splits is not None:
        before = {"old_test_accuracy": evaluate(network, tests["old"])["accuracy"]}
    rows = compare(
        folder, variants, settings, measure,
        f"{old.model}: the new task, {options['dataset']}",
        known={"before": before},
        tests=[splits.test] + ([old_splits.test] if old_splits is not None else []),
        keep=keep,
    )  # fmt: skip
    if old_splits is not None:
        pairs = {
            name: (rows[name]["old_test_accuracy"], rows[name]["new_test_accuracy"])
            for name in variants
        }
        title = "test accuracy on both tasks: up and to the right is better"
        picture = folder.path / "two_tasks.png"
        save_figure(plot_two_tasks(pairs, before["old_test_accuracy"], title), picture)
        print(f"see {picture}")
    print(f"try: minivision predict {folder.path}/learning-without-forgetting/old IMAGE")


def optimizer(part: Any, settings: RunSettings) -> SGD:
    """The paper's optimizer."""
    return SGD(part.parameters(), settings.lr, momentum=0.9, weight_decay=5e-4)


def as_training(preprocessing: dict[str, Any]) -> dict[str, Any]:
    """The same preprocessing, but without augmentation in training."""
    return preprocessing | {"training": preprocessing["dataset"]}


def old_images(run: Run, settings: RunSettings) -> Splits | None:
    """The old task's images; if they can no longer be read, print a note and return None.

    Raises ValueError if they can be read, but are not the ones that the old network was trained on.
    """
    try:
        return run_images(settings, run.path, unchanged=TRAINED).splits
    except ChangedImagesError:
        raise
    except (OSError, ValueError) as error:
        print(f"the old images cannot be read ({error}); skipping joint training")
        return None
