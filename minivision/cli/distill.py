"""Teach a small network, the student, to answer as a large one, the teacher, does.

The teacher's answers say more about an image than a label: what else it might have been. A
temperature above 1 makes that visible, and the student learns it, with labels or without any. The
same student from labels alone is trained beside it, and all three are compared: size, work, time
and accuracy.

  minivision train --dataset mnist --model lenet5                  a teacher, runs/lenet5-mnist-1
  minivision distill runs/lenet5-mnist-1 --student lenet5_lecture
  minivision distill runs/lenet5-mnist-1 --student lenet5_lecture --no-labels --limit 2000
  minivision distill runs/lenet5-mnist-1 --student lenet5_lecture --temperature 8 --alpha 0.5

The teacher sees each image once, as it is; the student may see it augmented. Where the teacher's
classes are others than the images', distil with --no-labels: the student answers in the teacher's
classes then, and `minivision transfer` gives it the new ones.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np

from minivision.analysis.summary import summary
from minivision.autograd import no_grad
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
from minivision.functional.softmax import positive_temperature
from minivision.methods import distill, hide_labels, record_responses
from minivision.models import MODELS
from minivision.nn import Module
from minivision.optim import Adam, cosine
from minivision.tensor import Tensor
from minivision.training import Run, classification_loss, evaluate, fit, predict_logits
from minivision.training.loop import History
from minivision.training.metrics import accuracy

DEFAULTS: dict[str, Any] = {
    "run_folder": None, "dataset": None, "epochs": 20, "batch_size": 32, "lr": 2e-3,
    "limit": None, "seed": 0,
    "skip_unreadable": False, "student": "lenet5", "temperature": 4.0, "alpha": None,
    "no_labels": False, "augment": "none",
}  # fmt: skip
TIMED = 30  # images, one at a time; the median counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, "the teacher")
    add = parser.add_argument
    add("--student", help=f"{', '.join(MODELS)} (default: lenet5)")
    add("--temperature", type=float, help="T, above 0; large ones smooth (default: 4)")
    add("--alpha", type=float, help="weight of the labels, 0 to 1 (default: 0.1)")
    add(
        "--no-labels", action="store_true", default=None,
        help="learn from the teacher's answers alone; the labels are only used to measure",
    )  # fmt: skip
    add("--augment", metavar="POLICY", help=f"names joined by +, of {', '.join(STEPS)}")
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    if arguments.dataset is None and arguments.run_folder is not None:
        arguments.dataset = load_run(arguments.run_folder)[0].settings["dataset"]
    folder = open_folder(arguments, "distill", DEFAULTS, OLD)
    settings = folder.settings
    positive_temperature("--temperature", settings["temperature"])
    alpha = settings["alpha"]
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"--alpha is {alpha}; expected a weight from 0 to 1")
    if alpha and settings["no_labels"]:
        raise ValueError("--alpha weighs labels, and --no-labels has none; leave out one of them")
    source, teacher = load_run(settings["run_folder"])
    classes = source.settings["classes"]
    shown, of_teacher = new_task(folder, source, optimizer="adam")
    apart = list(shown.train.classes) != classes
    if apart and not settings["no_labels"]:
        raise ValueError(
            f"the teacher knows {', '.join(classes)}, but {settings['dataset']} has "
            f"{', '.join(shown.train.classes)}; distil with --no-labels, and give the student the "
            "new classes with minivision transfer"
        )
    splits, of_run = new_task(
        folder, source, optimizer="adam", model=settings["student"], augment=settings["augment"]
    )
    of_run["classes"] = classes
    folder = begin(folder, arguments, of_run)
    teacher.to(device)
    print(
        f"teacher: {source.settings['model']} of {settings['run_folder']}; student: "
        f"{settings['student']}; {len(splits.train):,} images of {settings['dataset']}"
    )
    answers = {
        part: record_responses(teacher, loader(getattr(shown, part), of_teacher, "dataset"))
        for part in ("train", "test")
    }

    def train(name: str, run: Run) -> tuple[Module, History]:
        student = build_model(of_run["model"], len(classes), of_run["channels"], settings["seed"])
        images = loader(splits.train, of_run, "training")
        held_out = loader(splits.validation, of_run, "dataset")
        shared: dict[str, Any] = {
            "schedule": cosine(settings["epochs"]),
            "validate": None if apart else lambda model: evaluate(model, held_out),
            "seed": settings["seed"],
            "run": run,
            "device": device,
        }
        rule, epochs = Adam(student.parameters(), settings["lr"]), settings["epochs"]
        if name == "labels alone":
            return student, fit(student, images, classification_loss, rule, epochs, **shared)
        labels = None if settings["no_labels"] else splits.train.labels
        temperature = settings["temperature"]
        return student, distill(
            student, answers["train"], images, epochs, rule,
            labels=labels, temperature=temperature, alpha=alpha, **shared,
        )  # fmt: skip

    def measure(model: Any) -> dict[str, Any]:
        logits, _ = predict_logits(model, hide_labels(loader(splits.test, of_run, "dataset")))
        return scores(logits) | cost(model)

    def scores(logits: np.ndarray) -> dict[str, Any]:
        same = logits.argmax(axis=1) == answers["test"].argmax(axis=1)
        known = {} if apart else {"test_accuracy": accuracy(logits, splits.test.labels)}
        return known | {"agreement": float(same.mean())}

    ways = {"labels alone": "the student from labels, the baseline"}
    if apart:
        ways = {}
    ways["distilled"] = f"the student from the teacher's answers at T = {settings['temperature']:g}"
    beside = {"teacher": scores(answers["test"]) | cost(teacher)}
    results = compare(
        folder,
        [Way(name, about, of_run, partial(train, name), measure) for name, about in ways.items()],
        f"{of_run['model']} taught by {source.settings['model']}",
        beside=beside,
        tests=[] if apart else [splits.test],
    )
    teachers, students = results["teacher"], results["distilled"]
    parts = [
        f"{students[name] / teachers[name]:.0%} of the teacher's {name.replace('_', ' ')}"
        for name in ("parameters", "multiply_adds", "milliseconds")
    ]
    print(f"an image costs the student {', '.join(parts)}")
    print(f"try: minivision predict {folder.path}/distilled IMAGE")


def cost(model: Any) -> dict[str, Any]:
    """Parameters, multiply-adds of an image, and the median time of one image alone, on the CPU."""
    counted, times = summary(model), []
    image = Tensor(np.zeros((1, *counted.input_shape), np.float32))
    model.to("cpu").eval()
    with no_grad():
        for _ in range(TIMED):
            begun = time.perf_counter()
            model(image)
            times.append(time.perf_counter() - begun)
    return {
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "milliseconds": round(1000 * float(np.median(times)), 3),
    }
