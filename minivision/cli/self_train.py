"""Self-training with a noisy student: a network labels images for its successor, again and again.

A teacher learns from the labelled images and labels the others. A student, equal or larger, learns
from both under noise: augmentation, dropout, stochastic depth. It becomes the teacher of the next.
The same chain without noise is trained beside it; the first line of each is the network from
labels alone.

  minivision self-train --labelled mnist --labels 100 --iterations 3
  minivision self-train --labelled my_few --unlabelled my_many --student vgg_small
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from minivision.backend import resolve_device
from minivision.cli.comparison import begin, print_table
from minivision.cli.few_labels import (
    SHARED,
    FewLabels,
    add_shared_arguments,
    ask,
    few_labels,
)
from minivision.cli.train import positive
from minivision.datasets import DataLoader
from minivision.methods import self_train
from minivision.models import MODELS
from minivision.training import evaluate, save_model
from minivision.transforms import ColorJitter, Compose, Rotate, Translate

CHANGES: dict[str, list[Any]] = {
    "test": [],
    "shifted": [Translate(dx=3, dy=3)],
    "dark": [ColorJitter(brightness=(0.4, 0.4))],
    "turned": [Rotate(20)],
}
DEFAULTS: dict[str, Any] = SHARED | {
    "student": None, "iterations": 2, "floor": 0.3, "hard_labels": False
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser)
    add = parser.add_argument
    add("--student", help="the students' network (default: that of --model, the teacher's)")
    add("--iterations", type=positive(int), help="students, one after the other (default: 2)")
    add("--floor", type=float, help="least probability of a pseudo-label, 0 to 1 (default: 0.3)")
    add(
        "--hard-labels", action="store_true", default=None,
        help="learn the teacher's decisions instead of its probabilities",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = ask(arguments, "self-train", DEFAULTS)
    settings = folder.settings
    data = few_labels(folder)
    K, channels = len(data.splits.train.classes), data.settings["channels"]
    names = [settings["model"]] + [settings["student"] or settings["model"]] * settings[
        "iterations"
    ]
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ValueError(f"--student is {unknown[0]!r}; expected one of {', '.join(MODELS)}")
    if not 0 <= settings["floor"] <= 1:
        raise ValueError(f"--floor is {settings['floor']}; expected a probability from 0 to 1")
    folder = begin(folder, arguments, data.settings)
    step = settings["batch_size"] * settings["ratio"]
    rows: dict[str, dict[str, Any]] = {}
    for chain, noise in (("with noise", data.strong), ("without noise", None)):
        print(f"{chain}: a teacher and {settings['iterations']} students")
        generations = self_train(
            [partial(MODELS[name], K, in_channels=channels) for name in names],
            data.splits.train,
            data.unlabelled,
            clean=data.clean,
            noise=noise,
            steps=-(-len(data.unlabelled) // step),
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            ratio=settings["ratio"],
            lr=settings["lr"],
            soft=not settings["hard_labels"],
            floor=settings["floor"],
            measure=partial(robustness, data),
            truth=data.truth,
            seed=settings["seed"],
            run=folder.stage(chain.replace(" ", "-")),
            device=device,
        )
        for generation in generations:
            record = dict(generation.record)
            number = record.pop("generation")
            rows[f"{chain}, " + (f"student {number}" if number else "teacher")] = record
        last = folder.stage(
            f"student-{chain.replace(' ', '-')}", data.settings | {"model": names[-1]}
        )
        save_model(last.checkpoint_path, generations[-1].model)
    folder.write_result(rows)
    print()
    print_table(rows, [data.splits.test])
    print(f"the last students are runs: minivision predict {folder.path}/student-with-noise IMAGE")


def robustness(data: FewLabels, model: Any) -> dict[str, float]:
    """Accuracy on the test images as they are, and moved, darkened and turned."""
    found = {}
    for name, changes in CHANGES.items():
        changed = Compose([*changes, *data.clean.transforms])
        batches = DataLoader(data.splits.test, 250, transform=changed)
        found[f"{name}_accuracy"] = evaluate(model, batches)["accuracy"]
    return found
