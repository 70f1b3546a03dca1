"""What a small student learns from a large teacher's outputs, on MNIST: Hinton's tables, smaller.

    python examples/measure_distillation.py [--only PART ...] [--seeds 0 1 2] [--device auto]

The teacher has two hidden layers of 1,200 units with dropout, and is trained on all training
images; the students have two hidden layers without dropout. The measurements have these parts
(recorded names call the teacher's outputs "answers"):

    temperature   a student of 2 x 100 units, 1,800 images: labels alone; outputs alone at several
                  temperatures T; both, with several weights; outputs for other images (control)
    unlabelled    the same student, T = 4, with more and more images, which need no labels
    omitted       a student of 2 x 300 units that sees no 3, or only 7s and 8s, with labels or with
                  outputs, before and after its biases are corrected
    other classes a LeNet-5 that knows 0 to 4 produces outputs for images of 5 to 9; a new network
                  learns to imitate them, and its backbone gets a new head from a few labels

If a learning rate is chosen, it is the one in RATES with the best accuracy on the validation images
with the seed CHOOSING. Only the runs with the given seeds use the test images, once each; a seed
determines the images, the initial weights and the order of the images. The teachers are saved in
runs/, so an interrupted script does not train them again. Finished rows are kept. Writes
docs/results/distillation.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from recording import RESULTS, ROOT, Table

from minivision import manual_seed
from minivision.analysis.summary import summary
from minivision.autograd import no_grad
from minivision.backend import resolve_device, to_device
from minivision.datasets import DataLoader, OnlyClasses, Subset, load_dataset, stratified_split
from minivision.methods import RecordedBatches, bias_for_share, distillation, record_responses
from minivision.models import lenet5, with_new_head
from minivision.models.network import Network
from minivision.nn import Dropout, Linear, ReLU, Sequential
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.tensor import Tensor
from minivision.training import Run, classification_loss, evaluate, fit, predict_logits
from minivision.transforms import Compose, Normalize, ToArray

RESULT = RESULTS / "distillation.json"
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
RATES = (0.001, 0.003)
BATCH_SIZE = 64
NUMBERS = Compose([ToArray(), Normalize((0.1307,), (0.3081,))])
TEACHER, TEACHER_EPOCHS, TEACHER_RATE = (1200, 1200), 10, 0.001


def layers(units, classes=10, dropout=0.0):
    """Fully connected hidden layers with these units; pixels are dropped with 0.4 of the chance."""
    parts, inputs = [Dropout(0.4 * dropout)] if dropout else [], 28 * 28
    for width in units:
        parts += [Linear(inputs, width), ReLU()]
        parts += [Dropout(dropout)] if dropout else []
        inputs = width
    return Network(Sequential(), Sequential(*parts, Linear(inputs, classes)), (1, 28, 28))


def batches(dataset, seed=0, shuffle=True):
    size = BATCH_SIZE if shuffle else 500
    return DataLoader(
        dataset, size, shuffle=shuffle, seed=seed, transform=NUMBERS, with_indices=True
    )


def teacher_of(name, network, dataset, epochs):
    """A trained teacher, kept in runs/."""
    with manual_seed(CHOOSING):
        model = network()
    path = ROOT / "runs" / f"teacher-{name}"
    run = (
        Run.open(path) if (path / "settings.json").exists() else Run.create(path, {"teacher": name})
    )
    rule = Adam(model.parameters(), TEACHER_RATE)
    options = {"schedule": cosine(epochs), "seed": CHOOSING, "run": run, "device": device}
    fit(model, batches(dataset, CHOOSING), classification_loss, rule, epochs, **options)
    return model


def accuracy(model, dataset):
    return evaluate(model, batches(dataset, shuffle=False))["accuracy"]


def agreement(model, answers, dataset):
    """How often a student predicts the same class as the teacher."""
    logits, _ = predict_logits(model, batches(dataset, shuffle=False))
    return float((logits.argmax(axis=1) == answers.argmax(axis=1)).mean())


def epochs_for(steps, images):
    return -(-steps // -(-images // BATCH_SIZE))


def learned(student, images, seed, rate, steps, *, answers=None, alpha=0.0, **settings):
    """The student after this many steps on labels, on the teacher's outputs, or on both."""
    epochs = epochs_for(steps, len(images))
    rule = Adam(student.parameters(), rate)
    loss = classification_loss
    if answers is not None:
        loss = distillation(answers, alpha=alpha, **settings)
    options = {"schedule": cosine(epochs), "seed": seed, "device": device}
    fit(student, batches(images, seed), loss, rule, epochs, **options)
    return student


# ── temperature, and unlabelled images ───────────────────────────────────────────────────────────

STUDENT, STEPS, IMAGES = (100, 100), 1_200, 1_800
VARIANTS = {"labels": {}} | {f"T={T}": {"temperature": T} for T in (1, 2, 4, 8, 20)}
VARIANTS |= {f"T=8, alpha {a}": {"temperature": 8, "alpha": a} for a in (0.1, 0.5, 0.9)}
VARIANTS |= {"T=8, shuffled answers": {"temperature": 8}}
MORE = (1_800, 10_000, 55_000)
LONGER = 6_000


def of_temperature(variant, rate, seed):
    begun = time.perf_counter()
    (images,) = stratified_split(splits.train, (IMAGES,), seed=seed)
    with manual_seed(seed):
        student = layers(STUDENT)
    settings = dict(VARIANTS[variant])
    if variant != "labels":
        settings["answers"] = answers_of("train")[images.indices]
        if "shuffled" in variant:
            rng = np.random.default_rng(seed)
            settings["answers"] = rng.permutation(settings["answers"])
    learned(student, images, seed, rate, STEPS, **settings)
    return scores(student, seed) | {
        "images": IMAGES, "steps": STEPS, "units": STUDENT,
        "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


def of_unlabelled(count, rate, seed):
    begun = time.perf_counter()
    count = min(count, len(splits.train))
    (images,) = stratified_split(splits.train, (count,), seed=seed)
    with manual_seed(seed):
        student = layers(STUDENT)
    answers = answers_of("train")[images.indices]
    learned(student, images, seed, rate, LONGER, answers=answers, temperature=4)
    return scores(student, seed) | {
        "images": count, "steps": LONGER, "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


def scores(student, seed):
    row = {"validation_accuracy": accuracy(student, splits.validation)}
    if seed != CHOOSING:
        row["test_accuracy"] = accuracy(student, splits.test)
        row["test_agreement"] = agreement(student, answers_of("test"), splits.test)
    return row


def chosen(part, variant, measure, seeds):
    """The rows of a variant at the rate that is best with the choosing seed."""
    key = {"part": part, "variant": variant}

    def row(rate, seed):
        return table.row(key | {"lr": rate, "seed": seed}, partial(measure, variant, rate, seed))

    tried = {rate: row(rate, CHOOSING) for rate in RATES}
    rate = max(RATES, key=lambda rate: tried[rate]["validation_accuracy"])
    return [row(rate, seed) for seed in seeds]


# ── a digit that the student never saw ───────────────────────────────────────────────────────────

SEEN = {"no 3": ("012456789", 4), "only 7 and 8": ("78", 8)}
WIDE, OMITTED_RATE, OMITTED_STEPS = (300, 300), 0.001, 3_000


def of_omitted(which, source, seed):
    """A student that saw some of the digits, and its biases corrected by counting predictions.

    The correction uses the validation images without their labels: it makes the student predict
    each digit as often as it occurs, which is assumed to be known.
    """
    begun = time.perf_counter()
    seen, T = SEEN[which]
    keep = np.flatnonzero(np.isin(splits.train.labels, [int(digit) for digit in seen]))
    images = Subset(splits.train, keep)
    with manual_seed(seed):
        student = layers(WIDE)
    settings = (
        {} if source == "labels" else {"answers": answers_of("train")[keep], "temperature": T}
    )
    learned(student, images, seed, OMITTED_RATE, OMITTED_STEPS, **settings)
    omitted = [k for k in range(10) if str(k) not in seen]
    found = {"before": of_digits(student, omitted)}
    bias = student.classifier[-1].bias
    # Few classes too few: raise those; few classes too many: lower these, in turns.
    turned = omitted if len(omitted) < 5 else [k for k in range(10) if k not in omitted]
    shares = np.bincount(splits.train.labels, minlength=10) / len(splits.train)
    logits, _ = predict_logits(student, batches(splits.validation, shuffle=False))
    total = np.zeros(10, logits.dtype)
    for _ in range(5):
        for k in turned:
            total[k] += bias_for_share(logits + total, k, shares[k])
    bias.data = bias.data + to_device(total, device)
    found["corrected"] = of_digits(student, omitted)
    row = {f"{when}_{name}": value for when, d in found.items() for name, value in d.items()}
    return row | {
        "temperature": T, "steps": OMITTED_STEPS, "units": WIDE, "lr": OMITTED_RATE,
        "bias_added": {str(k): round(float(total[k]), 3) for k in turned},
        "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


def of_digits(student, digits):
    logits, labels = predict_logits(student, batches(splits.test, shuffle=False))
    right = logits.argmax(axis=1) == labels
    return {
        "test_accuracy": float(right.mean()),
        "omitted_accuracy": float(right[np.isin(labels, digits)].mean()),
    }


# ── a teacher whose classes are others ───────────────────────────────────────────────────────────

BODIES = ("fresh", "shuffled answers", "imitates the teacher", "teacher's own")
LABELS, IMITATION_STEPS, HEAD_STEPS = (2, 10), 2_000, 300


def of_other_classes(body, count, seed):
    """A new head for 5 to 9 from `count` labels per class, on a frozen body without any label."""
    begun = time.perf_counter()
    train, test = (OnlyClasses(part, "56789") for part in (splits.train, splits.test))
    with manual_seed(seed):
        model = lenet5(5)
    if body == "teacher's own":
        model = knows_0_to_4()
    elif body != "fresh":
        answers = record_responses(knows_0_to_4(), batches(train, shuffle=False))
        if body == "shuffled answers":
            answers = np.random.default_rng(seed).permutation(answers)
        learned(model, train, seed, 0.002, IMITATION_STEPS, answers=answers, temperature=4)
    few = [np.flatnonzero(train.labels == k) for k in range(5)]
    rng = np.random.default_rng((seed, count))
    few = Subset(train, np.concatenate([rng.choice(mine, count, replace=False) for mine in few]))
    with manual_seed(seed, 1):
        model = with_new_head(model, 5, layers=2)
    epochs = epochs_for(HEAD_STEPS, len(few))
    features = RecordedBatches(
        record_responses(model.backbone, batches(few, seed)), batches(few, seed)
    )
    rule = Adam(model.head.parameters(), 0.003)
    options = {"schedule": cosine(epochs), "seed": seed, "device": device}
    fit(model.head, features, classification_loss, rule, epochs, **options)
    return {
        "test_accuracy": accuracy(model, test), "steps": IMITATION_STEPS,
        "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


# ── teacher and student side by side ─────────────────────────────────────────────────────────────


def side_by_side(model, name):
    """Size, work and time of a network; the time of one image, alone, is a median of 200."""
    counted, times = summary(model), []
    image = Tensor(np.zeros((1, 1, 28, 28), np.float32))
    model.to("cpu").eval()
    with no_grad():
        for _ in range(220):
            begun = time.perf_counter()
            model(image)
            times.append(time.perf_counter() - begun)
    return {
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "milliseconds_an_image": round(1000 * float(np.median(times[20:])), 4),
    }


PARTS = ("temperature", "unlabelled", "omitted", "other classes", "sizes")
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

table, kept = Table(arguments.result), {}
splits = load_dataset("mnist")


def teacher():
    if "teacher" not in kept:
        network = partial(layers, TEACHER, dropout=0.5)
        kept["teacher"] = teacher_of("mnist", network, splits.train, TEACHER_EPOCHS)
    return kept["teacher"]


def knows_0_to_4():
    if "0 to 4" not in kept:
        dataset = OnlyClasses(splits.train, "01234")
        kept["0 to 4"] = teacher_of("mnist-0-to-4", partial(lenet5, 5), dataset, 2)
    return kept["0 to 4"]


def answers_of(part):
    """The teacher's logits for every image of a part."""
    if part not in kept:
        kept[part] = record_responses(teacher(), batches(getattr(splits, part), shuffle=False))
    return kept[part]


def measure_teacher():
    return {
        "test_accuracy": accuracy(teacher(), splits.test),
        "validation_accuracy": accuracy(teacher(), splits.validation),
        "units": TEACHER, "epochs": TEACHER_EPOCHS, "dropout": 0.5,
    }  # fmt: skip


table.row({"part": "teacher"}, measure_teacher)
if "temperature" in arguments.only:
    for variant in VARIANTS:
        chosen("temperature", variant, of_temperature, arguments.seeds)
if "unlabelled" in arguments.only:
    for count in MORE:
        chosen("unlabelled", count, of_unlabelled, arguments.seeds)
if "omitted" in arguments.only:
    for which in SEEN:
        for source in ("labels", "answers"):
            for seed in arguments.seeds:
                key = {"part": "omitted", "which": which, "source": source, "seed": seed}
                table.row(key, partial(of_omitted, which, source, seed))
if "other classes" in arguments.only:
    for count in LABELS:
        for body in BODIES:
            for seed in arguments.seeds:
                key = {"part": "other classes", "body": body, "labels": count, "seed": seed}
                table.row(key, partial(of_other_classes, body, count, seed))
if "sizes" in arguments.only:
    for name, model in (("teacher", teacher()), ("student", layers(STUDENT))):
        table.row({"part": "sizes", "network": name}, partial(side_by_side, model, name))
print(arguments.result)
