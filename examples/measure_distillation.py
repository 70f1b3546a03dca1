"""What a small student learns from a large teacher's outputs, on MNIST: Hinton's tables, smaller.

    python examples/measure_distillation.py [--only PART ...] [--seeds 0 1 2 3 4]

The large teacher has two hidden layers of 1,200 units with dropout, and is trained on all training
images; the students have two hidden layers without dropout.

    temperature    a student of 2 x 100 units, 1,800 images: labels alone; outputs alone at several
                   temperatures T; both, with several weights; outputs for other images (control)
    unlabelled     the same student, trained longer, with T = 4 and more and more images, which need
                   no labels; for comparison, 1,800 labels alone
    weak teacher   a teacher trained on 500 images. The same student learns 500 others from the
                   teacher's outputs (T = 8) and from labels, which have the weight alpha
    omitted        a student of 2 x 300 units that sees no 3, or only 7s and 8s, with labels or with
                   outputs, before and after its biases are corrected. One rate, which was not tuned
    other classes  a LeNet-5 that knows 0 to 4 produces outputs for images of 5 to 9; a new network
                   learns to imitate them, and its backbone gets a new head from a few labels
    sizes          parameters, multiply-adds and time of teacher and student

Learning rates are chosen as described in experiment.py. For the weak teacher (together with alpha)
and for the heads of other classes, three seeds are used. A seed determines the images, the initial
weights and the order of the images, and the weak teacher. The large teacher is saved in runs/, so
an interrupted script does not train it again. Writes docs/results/distillation.json.
"""

import time
from functools import cache, partial

import numpy as np
from experiment import CHOOSING, Experiment, work_of
from recording import ROOT

from minivision import manual_seed
from minivision.analysis.summary import summary
from minivision.autograd import no_grad
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

NUMBERS = Compose([ToArray(), Normalize((0.1307,), (0.3081,))])
TEACHER, STUDENT, WIDE, EPOCHS = (1200, 1200), (100, 100), (300, 300), 10

TEMPERATURES, WEIGHTS = (1, 2, 4, 8, 20), (0.1, 0.5, 0.9)
VARIANTS = {"labels": {"alpha": 1}} | {f"T={T}": {"temperature": T} for T in TEMPERATURES}
VARIANTS |= {f"T=8, alpha {a}": {"temperature": 8, "alpha": a} for a in WEIGHTS}
VARIANTS |= {"T=8, shuffled outputs": {"temperature": 8}}
IMAGES, UPDATES = 1_800, 1_200
MORE, LONGER = (1_800, 10_000, 55_000), 6_000

WEAK_IMAGES, WEAK_EPOCHS = 500, 60
ALPHAS = {"outputs": (0,), "outputs and labels": (0.1, 0.3, 0.5, 0.7, 0.9), "labels": (1,)}

SEEN = {"no 3": ("012456789", 4), "only 7 and 8": ("78", 8)}  # the digits, and the temperature
OMITTED_UPDATES = 3_000

BACKBONES = ("fresh", "shuffled outputs", "imitates the teacher", "teacher's own")
LABELS, IMITATION_UPDATES, HEAD_UPDATES = (2, 10), 2_000, 300


def layers(units, dropout=0.0):
    """Fully connected hidden layers with these units; pixels are dropped with 0.4 of the chance."""
    parts, inputs = [Dropout(0.4 * dropout)] if dropout else [], 28 * 28
    for width in units:
        parts += [Linear(inputs, width), ReLU()]
        parts += [Dropout(dropout)] if dropout else []
        inputs = width
    return Network(Sequential(), Sequential(*parts, Linear(inputs, 10)), (1, 28, 28))


def batches(images, seed=None):
    """Batches of 64 in the order that a seed determines, or of 500 in the order of the dataset."""
    shuffle = seed is not None
    return DataLoader(
        images, 64 if shuffle else 500, shuffle=shuffle, seed=seed or 0, transform=NUMBERS,
        with_indices=True,
    )  # fmt: skip


def scores(model, images, seed):
    """The accuracy on the training and validation images, and for most seeds on test images."""
    parts = {"train": images, "validation": OnlyClasses(splits.validation, images.classes)}
    if seed not in CHOOSING:
        parts["test"] = OnlyClasses(splits.test, images.classes)
    return {
        f"{name}_accuracy": evaluate(model, batches(part))["accuracy"]
        for name, part in parts.items()
    }


def trained(build, images, loss, rate, seed, epochs, run=None):
    """A trained network, and its row."""
    with manual_seed(seed):
        model = build()
    loader, rule = batches(images, seed), Adam(model.parameters(), rate)
    row = work_of(model, epochs * len(loader), epochs * len(images))
    fit(
        model, loader, loss, rule, epochs,
        schedule=cosine(epochs), seed=seed, run=run, device=experiment.device,
    )  # fmt: skip
    return model, row | scores(model, images, seed)


def student_of(outputs, build, images, rate, seed, updates, *, temperature=1, alpha=0):
    """A student that learned a teacher's outputs for its images, their labels, or both."""
    epochs = -(-updates // len(batches(images, seed)))
    return trained(build, images, distillation(outputs, temperature, alpha), rate, seed, epochs)


def timed(measure, *arguments):
    """A row with its seconds."""
    begun = time.perf_counter()
    row = measure(*arguments)
    return row | {"seconds": round(time.perf_counter() - begun, 1)}


# ── temperature, and unlabelled images ───────────────────────────────────────────────────────────


@cache
def teacher():
    """The large teacher, and its row."""
    path = ROOT / "runs" / "teacher-mnist"
    run = Run.open(path) if path.exists() else Run.create(path, {"units": TEACHER})
    build = partial(layers, TEACHER, dropout=0.5)
    loss, seed = classification_loss, CHOOSING[0]
    model, row = trained(build, splits.train, loss, 0.001, seed, EPOCHS, run)
    return model, row | scores(model, splits.train, seed=None)


@cache
def outputs_for(part):
    """The teacher's logits for every image of a part."""
    return record_responses(teacher()[0], batches(getattr(splits, part)))


def of_temperature(variant, images, updates, rate, seed):
    (train,) = stratified_split(splits.train, (images,), seed=seed)
    outputs, build = outputs_for("train")[train.indices], partial(layers, STUDENT)
    if "shuffled" in variant:
        outputs = np.random.default_rng(seed).permutation(outputs)
    student, row = student_of(outputs, build, train, rate, seed, updates, **VARIANTS[variant])
    if seed not in CHOOSING:  # how often the student predicts the same class as the teacher
        logits, _ = predict_logits(student, batches(splits.test))
        same = logits.argmax(axis=1) == outputs_for("test").argmax(axis=1)
        row["test_agreement"] = float(same.mean())
    return row


def compare_students(part, variant, images, updates):
    key = {"part": part, "variant": variant, "images": images}
    experiment.compare(key, partial(timed, of_temperature, variant, images, updates), 0.003)


def temperature():
    experiment.table.row({"part": "teacher"}, partial(timed, lambda: teacher()[1]))
    for variant in VARIANTS:
        compare_students("temperature", variant, IMAGES, UPDATES)


def unlabelled():
    compare_students("unlabelled", "labels", IMAGES, LONGER)
    for images in MORE:
        compare_students("unlabelled", "T=4", images, LONGER)


# ── a teacher with errors of its own ─────────────────────────────────────────────────────────────


@cache
def weak_teacher(seed):
    """The student's images of a seed, a teacher's outputs for them, and the row of the teacher."""
    images, others = stratified_split(splits.train, (WEAK_IMAGES, WEAK_IMAGES), seed=seed)
    build = partial(layers, TEACHER, dropout=0.5)
    model, row = trained(build, images, classification_loss, 0.001, seed, WEAK_EPOCHS)
    return others, record_responses(model, batches(others)), row


def of_alpha(alpha, rate, seed):
    images, outputs, _ = weak_teacher(seed)
    build, settings = partial(layers, STUDENT), {"temperature": 8, "alpha": alpha}
    return student_of(outputs, build, images, rate, seed, UPDATES, **settings)[1]


def weak():
    for seed in (*CHOOSING, *experiment.seeds):
        key = {"part": "weak teacher", "variant": "teacher", "seed": seed}
        experiment.table.row(key, partial(timed, lambda seed: weak_teacher(seed)[-1], seed))
    for variant, alphas in ALPHAS.items():
        for alpha in alphas:
            key = {"part": "weak teacher", "variant": variant, "alpha": alpha}
            experiment.compare(key, partial(timed, of_alpha, alpha), 0.003, choosing=3)


# ── a digit that the student never saw ───────────────────────────────────────────────────────────


def of_omitted(which, source, seed):
    """A student that saw some of the digits, before and after its biases are corrected.

    The correction counts predictions for the validation images without their labels: each digit is
    to be predicted as often as it occurs, which is assumed to be known.
    """
    seen, T = SEEN[which]
    digits = [int(digit) for digit in seen]
    keep = np.flatnonzero(np.isin(splits.train.labels, digits))
    images, outputs = Subset(splits.train, keep), outputs_for("train")[keep]
    build, settings = partial(layers, WIDE), {"temperature": T, "alpha": int(source == "labels")}
    student, row = student_of(outputs, build, images, 0.001, seed, OMITTED_UPDATES, **settings)
    # Few classes too few: raise those; few classes too many: lower these, in turns.
    omitted = [k for k in range(10) if k not in digits]
    turned = min(omitted, digits, key=len)
    shares = np.bincount(splits.train.labels, minlength=10) / len(splits.train)
    logits, _ = predict_logits(student, batches(splits.validation))
    bias = np.zeros(10, logits.dtype)
    for _ in range(5):
        for k in turned:
            bias[k] += bias_for_share(logits + bias, k, shares[k])
    row["bias_added"] = {str(k): round(float(bias[k]), 3) for k in turned}
    logits, labels = predict_logits(student, batches(splits.test))
    for when, added in (("before", 0), ("corrected", bias)):
        right = (logits + added).argmax(axis=1) == labels
        row[f"{when}_test_accuracy"] = float(right.mean())
        row[f"{when}_omitted_accuracy"] = float(right[np.isin(labels, omitted)].mean())
    return row


def omitted():
    for which in SEEN:
        for source in ("labels", "outputs"):
            for seed in experiment.seeds:
                key = {"part": "omitted", "which": which, "source": source, "seed": seed}
                experiment.table.row(key, partial(timed, of_omitted, which, source, seed))


# ── a teacher whose classes are others ───────────────────────────────────────────────────────────


@cache
def knows_0_to_4():
    """A LeNet-5 for the digits 0 to 4, and its row."""
    low = OnlyClasses(splits.train, "01234")
    return trained(partial(lenet5, 5), low, classification_loss, 0.001, CHOOSING[0], 2)


@cache
def without_labels(backbone, seed):
    """A network that has seen no label of 5 to 9, and its row."""
    if backbone == "teacher's own":
        return knows_0_to_4()
    if backbone == "fresh":
        with manual_seed(seed):
            model = lenet5(5)
        return model.to(experiment.device), work_of(model, 0, 0)
    high, build = OnlyClasses(splits.train, "56789"), partial(lenet5, 5)
    outputs = record_responses(knows_0_to_4()[0], batches(high))
    if backbone == "shuffled outputs":
        outputs = np.random.default_rng(seed).permutation(outputs)
    return student_of(outputs, build, high, 0.002, seed, IMITATION_UPDATES, temperature=4)


def of_other_classes(backbone, labels, rate, seed):
    """A new head for 5 to 9, from a few labels per class, on a frozen backbone."""
    model, row = without_labels(backbone, seed)
    high, rng = OnlyClasses(splits.train, "56789"), np.random.default_rng((seed, labels))
    of_class = [np.flatnonzero(high.labels == k) for k in range(5)]
    few = Subset(high, np.concatenate([rng.choice(m, labels, replace=False) for m in of_class]))
    with manual_seed(seed, 1):
        model = with_new_head(model, 5, layers=2)
    loader = batches(few, seed)
    features = RecordedBatches(record_responses(model.backbone, loader), loader)
    epochs = -(-HEAD_UPDATES // len(loader))
    fit(
        model.head, features, classification_loss, Adam(model.head.parameters(), rate), epochs,
        schedule=cosine(epochs), seed=seed, device=experiment.device,
    )  # fmt: skip
    updates = row["updates"] + epochs * len(loader)
    return row | {"updates": updates} | scores(model, few, seed)


def other_classes():
    for labels in LABELS:
        for backbone in BACKBONES:
            key = {"part": "other classes", "backbone": backbone, "labels": labels}
            measure = partial(timed, of_other_classes, backbone, labels)
            experiment.compare(key, measure, 0.003, choosing=3)


# ── teacher and student side by side ─────────────────────────────────────────────────────────────


def side_by_side(model):
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


def sizes():
    for name, units in (("teacher", TEACHER), ("student", STUDENT)):
        key = {"part": "sizes", "network": name}
        experiment.table.row(key, partial(side_by_side, layers(units)))


PARTS = {
    "temperature": temperature,
    "unlabelled": unlabelled,
    "weak teacher": weak,
    "omitted": omitted,
    "other classes": other_classes,
    "sizes": sizes,
}

if __name__ == "__main__":
    experiment, splits = Experiment(__doc__, "distillation", PARTS), load_dataset("mnist")
    for part in experiment.only:
        PARTS[part]()
