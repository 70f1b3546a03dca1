"""What unlabelled images add to a few labelled ones, on MNIST: pseudo-labels and FixMatch.

    python examples/measure_pseudo_labels.py [--only PART ...] [--seeds 0 1 2 3 4]

    lee       one hidden layer of 1,000 units, with dropout of 0.2 at the input and 0.5 in the
              hidden layer; 4,000 updates, each with 32 labelled and 256 unlabelled images. The
              weight of the pseudo-labels rises from 0 to 3 between 20 and 80 % of the updates
    fixmatch  LeNet-5; 600 updates, each with 32 labelled and 64 unlabelled images, shifted
              by up to two pixels (weak augmentation); for strong augmentation, RandAugment(2, 9)
              follows the shift

Each part is compared with training on the labelled images alone: the same network and number of
updates, with strong augmentation in the part fixmatch. There are 20,000 unlabelled images. The
learning rate is chosen as described in experiment.py for every number of labels, with three seeds
if there are at most FEW_LABELS. A seed determines the labelled images, the initial weights and the
order of the images. Writes docs/results/pseudo_labels.json.
"""

import time
from functools import partial
from typing import Any, NamedTuple

from experiment import CHOOSING, Experiment, work_of

from minivision import manual_seed
from minivision.datasets import DataLoader, Subset, WithoutLabels, load_dataset, stratified_split
from minivision.methods import pseudo_label_batches, pseudo_label_loss, ramp
from minivision.models import lenet5
from minivision.models.network import Network
from minivision.nn import Dropout, Linear, ReLU, Sequential
from minivision.optim import Adam, cosine
from minivision.training import evaluate, fit
from minivision.transforms import Compose, Normalize, RandAugment, RandomTranslate, ToArray

FEW_LABELS, UNLABELLED, EPOCHS = 600, 20_000, 10
NUMBERS = [ToArray(), Normalize((0.1307,), (0.3081,))]
PLAIN = Compose(NUMBERS)
WEAK = Compose([RandomTranslate(2), *NUMBERS])
STRONG = Compose([RandomTranslate(2), RandAugment(2, 9), *NUMBERS])


def hidden_layer():
    """One hidden layer of 1,000 units, with dropout."""
    layers = Dropout(0.2), Linear(28 * 28, 1000), ReLU(), Dropout(0.5), Linear(1000, 10)
    return Network(Sequential(), Sequential(*layers), (1, 28, 28))


class Part(NamedTuple):
    """A network, how long it is trained, and its two ways of seeing images."""

    network: Any
    steps: int
    batch: int  # unlabelled images per update
    labels: tuple[int, ...]  # how many labelled images
    ways: dict[str, dict[str, Any]]


PARTS = {
    "lee": Part(
        hidden_layer, 4_000, 256, (600, 3_000, 100),
        {"labels alone": {}, "pseudo-labels": {"weight": ramp(800, 3_200, 3.0)}},
    ),
    "fixmatch": Part(
        lenet5, 600, 64, (100,),
        {
            "labels alone": {"labelled": STRONG},
            "FixMatch": {"labelled": WEAK, "unlabelled": WEAK, "strong": STRONG,
                         "weight": 1.0, "threshold": 0.95},
        },
    ),
}  # fmt: skip


def measure(part, labels, device, rate, seed, *, labelled=PLAIN, unlabelled=PLAIN, strong=None,
            weight=0.0, threshold=0.0):  # fmt: skip
    """One row: a network trained on this many labelled images, and perhaps on unlabelled ones."""
    begun = time.perf_counter()
    few, many = stratified_split(splits.train, (labels, UNLABELLED), seed=seed)
    rest = Subset(splits.train, many.indices)
    with manual_seed(seed):
        model = part.network()
    batches = pseudo_label_batches(
        DataLoader(few, 32, shuffle=True, seed=seed, transform=labelled),
        DataLoader(WithoutLabels(rest), part.batch, shuffle=True, seed=seed, transform=unlabelled),
        strong,
        part.steps // EPOCHS,
    )
    records = fit(
        model, batches, pseudo_label_loss(weight, threshold, rest.labels),
        Adam(model.parameters(), rate), EPOCHS, schedule=cosine(EPOCHS), seed=seed, device=device,
    )  # fmt: skip
    seen = part.steps * (32 + (part.batch if weight else 0))
    row = work_of(model, part.steps, seen)
    parts = {"train": few, "validation": splits.validation}
    if seed not in CHOOSING:
        parts["test"] = splits.test
    for name, images in parts.items():
        found = evaluate(model, DataLoader(images, 500, transform=PLAIN))
        row[f"{name}_accuracy"] = found["accuracy"]
    for column in ("mask_rate", "pseudo_label_accuracy"):
        if column in records[-1]:
            row[column] = [record.get(column) for record in records]
    return row | {"seconds": round(time.perf_counter() - begun, 1)}


if __name__ == "__main__":
    experiment, splits = Experiment(__doc__, "pseudo_labels", PARTS), load_dataset("mnist")
    for name in experiment.only:
        part = PARTS[name]
        for labels in part.labels:
            for way, options in part.ways.items():
                key = {"part": name, "way": way, "labels": labels}
                trained = partial(measure, part, labels, experiment.device, **options)
                choosing = 1 if labels > FEW_LABELS else 3
                experiment.compare(key, trained, 0.001, choosing=choosing)
