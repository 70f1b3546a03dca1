"""Train a small network, the student, to imitate a large one, the teacher.

The teacher's outputs say more about an image than its label does: they also say which other classes
it resembles. A temperature above 1 brings this out, and the student learns it, with or without
labels. As a baseline, the same student is trained on labels alone. The command compares all three
networks in size, work, time and accuracy.

  minivision train --dataset mnist --model lenet5                  a teacher, runs/lenet5-mnist-1
  minivision distill runs/lenet5-mnist-1 --student lenet5_lecture
  minivision distill runs/lenet5-mnist-1 --student lenet5_lecture --no-labels --limit 2000
  minivision distill runs/lenet5-mnist-1 --student lenet5_lecture --temperature 8 --alpha 0.5

The teacher sees each image once, without augmentation; the student may see it augmented. If the
classes of the images are not the teacher's, distil with --no-labels: the student then predicts the
teacher's classes, and `minivision transfer` can teach it the new ones.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np

from minivision.analysis.summary import summary
from minivision.autograd import no_grad
from minivision.backend import resolve_device
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
from minivision.cli.setup import build_model, load_run, loader
from minivision.errors import require_probability
from minivision.functional.loss_checks import checked_temperature
from minivision.methods import distillation, hide_labels, record_responses
from minivision.models import MODELS
from minivision.nn import Module
from minivision.optim import Adam
from minivision.tensor import Tensor
from minivision.training import Run, classification_loss, predict_logits
from minivision.training.loop import History
from minivision.training.metrics import accuracy

DEFAULTS: dict[str, Any] = {
    "run_folder": None, "dataset": None, "epochs": 20, "batch_size": 32, "lr": None,
    "limit": None, "seed": 0,
    "skip_unreadable": False, "student": "lenet5", "temperature": 4.0, "alpha": None,
    "no_labels": False, "augment": "none",
}  # fmt: skip
USUAL_ALPHA = 0.1
TIMED = 30  # images timed one at a time; the median is reported


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, "the teacher")
    add = parser.add_argument
    add("--student", help=f"{', '.join(MODELS)} (default: lenet5)")
    add("--temperature", type=float, help="T, from 0.001 to 1000; higher is softer (default: 4)")
    add("--alpha", type=float, help="weight of the labels, 0 to 1 (default: 0.1)")
    add(
        "--no-labels", action="store_true", default=None,
        help="learn from the teacher's outputs alone; use labels only to measure accuracy",
    )  # fmt: skip
    add("--augment", metavar="POLICY", help=f"names joined by +, from {', '.join(STEPS)}")
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    if arguments.dataset is None and arguments.run_folder is not None:
        arguments.dataset = load_run(arguments.run_folder)[1].dataset
    usual = {"lr": learning_rate(arguments.student or DEFAULTS["student"], "adam")}
    folder = open_folder(arguments, "distill", DEFAULTS | usual, OLD)
    options = folder.settings
    T, alpha, lr = options["temperature"], options["alpha"], options["lr"]
    checked_temperature("--temperature", T)
    if alpha is not None:
        require_probability("--alpha", alpha)
    if alpha and options["no_labels"]:
        raise ValueError(
            "--alpha weights the labels, but --no-labels uses none; leave one of them out"
        )
    if alpha is None:
        alpha = 0.0 if options["no_labels"] else USUAL_ALPHA
    source = load_run(options["run_folder"])
    teacher, known = source[2], source[1].classes
    as_shown, of_teacher = new_task(folder, source[:2], optimizer="adam")
    other_classes = of_teacher.classes != known
    if other_classes and not options["no_labels"]:
        raise ValueError(
            f"the teacher was trained on {', '.join(known)}, but {options['dataset']} has "
            f"{', '.join(of_teacher.classes)}; distil with --no-labels, and give the student the "
            "new classes with minivision transfer"
        )
    splits, settings = new_task(
        folder, source[:2],
        optimizer="adam", model=options["student"], augment=options["augment"],
    )  # fmt: skip
    settings = replace(settings, classes=known)
    folder = begin(folder, arguments, settings)
    teacher.to(device)
    print(
        f"teacher: {source[1].model} of {options['run_folder']}; student: {options['student']}; "
        f"{len(splits.train):,} images of {options['dataset']}"
    )
    outputs = {
        part: record_responses(teacher, loader(getattr(as_shown, part), of_teacher, "dataset"))
        for part in ("train", "test")
    }
    images = loader(splits.train, settings, "training")
    test = hide_labels(loader(splits.test, settings, "dataset"))
    validate = None if other_classes else accuracy_on(splits.validation, settings)
    fit = trainer(settings, device, validate)

    def labels_alone(run: Run) -> tuple[Module, History]:
        """train the student on the labels alone, as a baseline"""
        student, loss = build_model(settings), watched(classification_loss, len(known))
        return student, fit(student, images, loss, Adam(student.parameters(), lr), run=run)

    def distilled(run: Run) -> tuple[Module, History]:
        student, loss = build_model(settings), distillation(outputs["train"], T, alpha)
        batches = hide_labels(images) if options["no_labels"] else images
        return student, fit(student, batches, loss, Adam(student.parameters(), lr), run=run)

    distilled.__doc__ = f"train the student on the teacher's outputs at T = {T:g}"

    def measure(model: Any) -> dict[str, Any]:
        return scores(predict_logits(model, test)[0]) | cost(model)

    def scores(logits: np.ndarray) -> dict[str, Any]:
        same = logits.argmax(axis=1) == outputs["test"].argmax(axis=1)
        right = {} if other_classes else {"test_accuracy": accuracy(logits, splits.test.labels)}
        return right | {"agreement": float(same.mean())}

    variants = {"labels alone": labels_alone, "distilled": distilled}
    if other_classes:
        del variants["labels alone"]
    results = compare(
        folder, variants, settings, measure,
        f"{settings.model} taught by {source[1].model}",
        known={"teacher": scores(outputs["test"]) | cost(teacher)},
        tests=[] if other_classes else [splits.test],
    )  # fmt: skip
    teachers, students = results["teacher"], results["distilled"]
    print("the student, compared with the teacher:")
    for name in ("parameters", "multiply_adds", "milliseconds"):
        print(f"  {ratio_in_words(students[name] / teachers[name], name.replace('_', ' '))}")
    print(f"try: minivision predict {folder.path}/distilled IMAGE")


def ratio_in_words(ratio: float, what: str) -> str:
    """How much of something the student needs, compared with the teacher.

    >>> ratio_in_words(0.123, "parameters"), ratio_in_words(7.86, "milliseconds")
    ('12% of the parameters', '7.9 times as many milliseconds')
    """
    return f"{ratio:.0%} of the {what}" if ratio <= 1 else f"{ratio:.1f} times as many {what}"


def cost(model: Any) -> dict[str, Any]:
    """Parameters, multiply-adds per image, and the median time for a single image on the CPU."""
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
