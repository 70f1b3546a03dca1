"""Does CutMix make a network look at more of the object? Boxes around its evidence on `shapes`.

    python examples/measure_cutmix_localization.py [--only NAME ...] [--seeds 0 1 2 3 4]
        [--device auto]

A small network with global average pooling is trained on 2,000 images of the five shapes, with and
without CutMix; it is never told where the shapes are. In the scene "plain", only the outline gives
the class away. In "spotted", every shape also has a spot of 4x4 pixels whose colour gives the class
away: a small part of the object that suffices to recognise it, like the face of a cat.

The class activation map for the true class is thresholded at a fraction of the way from its
smallest to its largest value, and the box around the largest connected component is compared with
the true box (Zhou et al. 2016, §3.2). Two numbers are recorded: the mean overlap (intersection over
union), and the fraction of boxes with an overlap of at least one half. Both variants are trained at
each learning rate in RATES with the seed CHOOSING, and use the rate with the best *accuracy* on the
validation images. Every run uses the threshold in SHARES with the best mean overlap on the
validation images; the results with the paper's 0.2 are recorded as well. Only the runs with the
chosen rate and the given seeds use the test images, once each. A seed determines the initial
weights, the order of the images and the boxes of CutMix. Training takes 20 epochs of Adam with
batches of 50 and a half-cosine schedule. Finished rows are kept, including those with other rates.
Writes docs/results/cutmix_localization.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.analysis.activation_maps import class_activation_map
from minivision.analysis.localization import box_overlap, boxes_around_evidence
from minivision.backend import resolve_device
from minivision.datasets import ArrayDataset, DataLoader, Splits, load_dataset
from minivision.fast import worker_count
from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, CutMix, Normalize, ToArray

RESULT = RESULTS / "cutmix_localization.json"
AUGMENTATIONS = {"none": None, "CutMix": CutMix(classes=5)}
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PAPERS_SHARE = 0.2
RATES = (0.003, 0.01)
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
EPOCHS, BATCH_SIZE = 20, 50
WIDTHS = (16, 32, 64)
SCENES = ("plain", "spotted")
SPOT = 4  # pixels per side
SPOTS = ((255, 60, 60), (60, 220, 60), (80, 80, 255), (240, 220, 40), (240, 60, 240))


class Scene(NamedTuple):
    """The three parts of a dataset, and the boxes of each, in the same order."""

    splits: Splits
    boxes: dict[str, np.ndarray]


def spotted(data, first):
    """The same images with a spot in the middle part of each box; its colour is the class's."""
    images = data.images.copy()
    for n, (x0, y0, x1, y1) in enumerate(data.boxes):
        share = np.random.default_rng((first, n)).uniform(0.3, 0.7, 2)
        x, y = (np.array([x0, y0]) + share * (x1 - x0, y1 - y0)).astype(int) - SPOT // 2
        images[n, max(y, 0) : y + SPOT, max(x, 0) : x + SPOT] = SPOTS[data.labels[n]]
    return ArrayDataset(images, data.labels, data.classes)


def made(scene):
    """The scene of this name."""
    parts = load_dataset("shapes")
    boxes = {name: getattr(parts, name).boxes for name in parts._fields}
    if scene == "spotted":
        parts = Splits(*(spotted(part, first) for first, part in enumerate(parts)))
    return Scene(parts, boxes)


def network():
    """Three convolutions, the last one's maps 8x8; their averages, and one linear layer."""
    layers, channels = [], 3
    for i, filters in enumerate(WIDTHS):
        layers += [MaxPool2d(2)] if i else []
        convolution = Conv2d(channels, filters, 3, padding=1, bias=False)
        layers += [convolution, BatchNorm2d(filters), ReLU()]
        channels = filters
    head = Sequential(Linear(channels, 5))
    return Network(Sequential(*layers, AdaptiveAvgPool2d(1)), head, (3, 32, 32))


def evidence(model, data, prepare):
    """The class activation maps (N, H, W) of the images for their true classes."""
    found = []
    for start in range(0, len(data), 250):
        part = slice(start, start + 250)
        images = prepare(data.images[part])
        found.append(class_activation_map(model, images, data.labels[part]))
    return np.concatenate(found)


def measure(scene, name, rate, seed):
    """One row: a network trained on the shapes. The test images only for counted seeds."""
    begun = time.perf_counter()
    splits, boxes = scenes[scene]
    with manual_seed(seed):
        model, pixels = network(), splits.train.images / np.float32(255)
    prepare = Compose([ToArray(), Normalize(float(pixels.mean()), float(pixels.std()))])
    history = fit(
        model,
        DataLoader(splits.train, BATCH_SIZE, shuffle=True, seed=seed, transform=prepare),
        classification_loss,
        Adam(model.parameters(), rate),
        EPOCHS,
        schedule=cosine(EPOCHS),
        batch_transform=AUGMENTATIONS[name],
        seed=seed,
        device=device,
    )

    def overlaps(part, share):
        """How well the box around each image's evidence overlaps the true one (N,)."""
        return box_overlap(boxes_around_evidence(maps[part], share), boxes[part])

    parts = ("validation",) if seed == CHOOSING else ("validation", "test")
    maps = {part: evidence(model, getattr(splits, part), prepare) for part in parts}
    by_share = {s: float(overlaps("validation", s).mean()) for s in SHARES}
    share = max(SHARES, key=by_share.__getitem__)
    row = {
        "scene": scene,
        "augmentation": name,
        "lr": rate,
        "seed": seed,
        "images": len(splits.train),
        "epochs": EPOCHS,
        "parameters": model.parameter_count(),
        "share": share,
        "validation_overlap_by_share": {str(s): overlap for s, overlap in by_share.items()},
    }
    for part in parts:
        batches = DataLoader(getattr(splits, part), 250, transform=prepare)
        row[f"{part}_accuracy"] = evaluate(model, batches)["accuracy"]
    if seed != CHOOSING:
        for prefix, cut in (("", share), ("papers_share_", PAPERS_SHARE)):
            found = overlaps("test", cut)
            row[f"{prefix}test_overlap"] = float(found.mean())
            row[f"{prefix}test_boxes_right"] = float((found >= 0.5).mean())
    return {
        **row,
        "train_loss": history["train_loss"],
        "seconds": round(time.perf_counter() - begun, 1),
        "kernel_workers": worker_count(),
        "settings": {
            "dataset": f"shapes, {scene}",
            "widths": WIDTHS,
            "batch_size": BATCH_SIZE,
            "optimizer": "adam",
            "schedule": "half a cosine",
            "augmentation": repr(AUGMENTATIONS[name]),
        },
        "command": f"python examples/{Path(__file__).name} --seeds {seed} --device {device}",
    }


def trained(scene, name, rate, seed):
    """The row of this run; it is measured and written if it does not exist yet."""
    for row in rows:
        key = (row["scene"], row["augmentation"], row["lr"], row["seed"])
        if key == (scene, name, rate, seed):
            return row
    row = measure(scene, name, rate, seed) | provenance()
    rows.append(row)
    write_rows(arguments.result, rows)
    print(
        f"{scene:<8} {name:<7} rate {rate:g}, seed {seed:>3}: validation accuracy "
        f"{row['validation_accuracy']:.1%}, overlap "
        f"{row['validation_overlap_by_share'][str(row['share'])]:.3f} at a share of {row['share']} "
        f"in {row['seconds']:.0f} s",
        flush=True,
    )
    return row


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

rows = read_rows(arguments.result)
scenes = {scene: made(scene) for scene in arguments.only}
for scene in arguments.only:
    for name in AUGMENTATIONS:
        tried = {rate: trained(scene, name, rate, CHOOSING) for rate in RATES}
        best = max(RATES, key=lambda rate: tried[rate]["validation_accuracy"])
        counted = [trained(scene, name, best, seed) for seed in arguments.seeds]
        print(f"{scene}, {name}, rate {best:g}:", end="")
        for key in ("test_accuracy", "test_overlap", "test_boxes_right",
                    "papers_share_test_overlap", "papers_share_test_boxes_right"):  # fmt: skip
            values = np.array([row[key] for row in counted])
            spread = f" ± {values.std(ddof=1):.1%}" if len(values) > 1 else ""
            print(f"  {key.replace('_', ' ')} {values.mean():.1%}{spread}", end="")
        print(flush=True)
print(arguments.result)
