"""Self-training with a noisy student: a network labels images for its successor, again and again.

A teacher learns from the labelled images and labels the others. A student, of the same size or
larger, learns from both kinds of images, with noise: augmentation, dropout, stochastic depth. This
student becomes the teacher of the next. The same chain is trained without noise for comparison. The
first line for each chain is its first teacher, which is trained on labels alone.

  minivision self-train --labelled mnist --labels 100 --iterations 3
  minivision self-train --labelled my_few --unlabelled my_many --student vgg_small
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import Any

from minivision.backend import resolve_device
from minivision.cli.argument_types import positive
from minivision.cli.comparison import begin, print_table, trainer
from minivision.cli.few_labels import (
    SHARED,
    FewLabels,
    add_shared_arguments,
    ask,
    few_labels,
)
from minivision.cli.optimization import start_of
from minivision.cli.policy import read_policy
from minivision.cli.recorded import result_of
from minivision.cli.setup import new_network
from minivision.datasets import DataLoader
from minivision.errors import require_one_of, require_probability
from minivision.methods import filter_and_balance, self_train, without_noise
from minivision.models import MODELS
from minivision.nn import Module
from minivision.optim import Adam
from minivision.training import evaluate, save_model
from minivision.training.evaluation import images_at_once
from minivision.transforms import ColorJitter, Compose, Rotate, Translate

CHANGES: dict[str, list[Any]] = {
    "test": [],
    "shifted": [Translate(dx=3, dy=3)],
    "dark": [ColorJitter(brightness=(0.4, 0.4))],
    "turned": [Rotate(20)],
}
DEFAULTS: dict[str, Any] = SHARED | {
    "student": None, "iterations": 2, "floor": 0.3, "hard_labels": False,
    "unlabelled_augment": None, "per_class": None, "no_balance": False, "allow_missing": False,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser)
    add = parser.add_argument
    add("--student", help="the students' network (default: the same as the teacher's, --model)")
    add("--iterations", type=positive(int), help="number of students in a row (default: 2)")
    add("--floor", type=float, help="confidence threshold of pseudo-labels, 0 to 1 (default: 0.3)")
    add(
        "--hard-labels", action="store_true", default=None,
        help="learn from the teacher's predicted classes instead of its probabilities",
    )  # fmt: skip
    add(
        "--unlabelled-augment", metavar="POLICY",
        help="augmentation of the unlabelled images that a student sees; none is the paper's "
        "ablation (default: the same as for labelled images, plus RandAugment)",
    )  # fmt: skip
    add("--per-class", type=positive(int), help="pseudo-labels per class (default: the mean)")
    add(
        "--no-balance", action="store_true", default=None,
        help="use every image above the floor once, without balancing the classes",
    )  # fmt: skip
    add(
        "--allow-missing", action="store_true", default=None,
        help="continue if a class gets no pseudo-label (default: stop and name it)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    folder = ask(arguments, "self-train", DEFAULTS)
    options = folder.settings
    data = few_labels(folder)
    settings = data.settings
    students = [options["student"] or options["model"]] * options["iterations"]
    names = [options["model"], *students]
    require_one_of("--student", names[-1], MODELS)
    require_probability("--floor", options["floor"])
    unlabelled_noise = data.strong
    if options["unlabelled_augment"] is not None:
        policy = read_policy("--unlabelled-augment", options["unlabelled_augment"], data.shape)
        steps = policy.without_mixer("--unlabelled-augment")
        unlabelled_noise = Compose([*steps, *data.clean.transforms])
    folder = begin(folder, arguments, settings)
    size = options["batch_size"]
    loader = partial(DataLoader, shuffle=True, seed=settings.seed)
    choose = partial(
        filter_and_balance,
        floor=options["floor"],
        per_class=options["per_class"],
        balance=not options["no_balance"],
        allow_missing=bool(options["allow_missing"]),
        classes=settings.classes,
    )
    fit, rows = trainer(settings, device), {}

    def network(name: str, noise: bool) -> Module:
        model = new_network(name, len(settings.classes), settings.channels, start_of(name))
        return model if noise else without_noise(model)

    with folder.locked():
        for chain, noise in (("with noise", True), ("without noise", False)):
            print(f"{chain}: a teacher and {options['iterations']} students")
            run = folder.stage(chain.replace(" ", "-"))
            generations = self_train(
                [partial(network, name, noise) for name in names],
                loader(data.splits.train, size, transform=data.strong if noise else data.clean),
                loader(
                    data.unlabelled, size * options["ratio"],
                    transform=unlabelled_noise if noise else data.clean,
                ),
                data.clean,
                soft=not options["hard_labels"],
                choose=choose,
            )  # fmt: skip
            for generation in generations:
                number, model = generation.number, generation.model
                who = f"student {number}" if number else "teacher"
                stage = run.stage(f"{number}-{who.split()[0]}")
                rule = Adam(model.parameters(), settings.lr)
                fit(model, generation.batches, generation.loss, rule, run=stage)
                if not stage.result_path.exists():
                    stage.write_result(generation.report(data.truth) | robustness(data, model))
                rows[f"{chain}, {who}"] = result_of(stage, "generation")
                del rows[f"{chain}, {who}"]["generation"]
            last = replace(settings, model=names[-1]).plain()
            save_model(folder.stage(f"student-{run.path.name}", last).checkpoint_path, model)
    folder.write_result(rows)
    print()
    print_table(rows, [data.splits.test])
    print("each student is saved as a run; try: "
          f"minivision predict {folder.path}/student-with-noise IMAGE")  # fmt: skip


def robustness(data: FewLabels, model: Any) -> dict[str, float]:
    """Accuracy on the test images: unchanged, shifted, darkened and rotated."""
    found = {}
    for name, changes in CHANGES.items():
        changed = Compose([*changes, *data.clean.transforms])
        few = images_at_once(*model.input_shape[1:])
        batches = DataLoader(data.splits.test, few, transform=changed)
        found[f"{name}_accuracy"] = evaluate(model, batches)["accuracy"]
    return found
