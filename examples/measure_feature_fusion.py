"""Do local and global features together find more than either alone? Classic and deep features.

    python examples/measure_feature_fusion.py [--only NAME ...] [--seeds 0 1 2 3 4] [--device auto]

There are three collections. The seed splits each into four disjoint parts: `train`, the images for
training the network; `index`, the images that are searched; and `validation` and `test`, the
queries. A search result is right if it has the query's label. SOURCES lists the sources of the
features: the classic recipe; the network trained on `train`; and three controls, which are the same
network with its initial weights, the raw pixels, and random numbers, which show what guessing
gives. If a source has two parts, there is a row for the local part alone, the global part alone,
and both. The weight for both is the one of 0.1, 0.2, …, 0.9 with the largest mean average precision
for the validation queries in the index. The test queries are searched once. Every vector from the
first three sources is reduced to 64 principal components of the index, or to as many as there are.
Finished rows are kept. Writes docs/results/feature_fusion.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import ArrayDataset, DataLoader, load_dataset, stratified_split
from minivision.datasets.shapes import ShapeDataset
from minivision.fast import worker_count
from minivision.methods import ClassicFeatures, DeepFeatures, FeatureFusion, choose_weight
from minivision.methods.features import mean_average_precision, precision_at_k, ranking
from minivision.models import KNearestNeighbors, Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

RESULT = RESULTS / "feature_fusion.json"
PARTS = ("train", "index", "validation", "test")
COLLECTIONS = {  # images of each part
    "cifar10-jpeg": (5_000, 2_000, 500, 1_000),
    "shapes": (2_000, 1_000, 300, 1_000),
    "digits": (500, 700, 197, 400),
}
SOURCES = ("classic", "deep", "untrained network", "pixels", "chance")
K = 10  # images on the first page, and neighbours that vote
COMPONENTS = 64
EPOCHS, BATCH_SIZE, RATE, WIDTHS, HIDDEN = 8, 64, 0.002, (16, 32, 64), 128
BY_CHANCE = 1  # the first word of the keys of the numbers by chance


def collection(name, seed):
    """The four parts of a collection, each (images uint8, labels)."""
    sizes = COLLECTIONS[name]
    if name == "shapes":
        data = ShapeDataset(sum(sizes), seed=seed)
        ends = np.cumsum(sizes)
        cut = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        return {p: (data.images[i], data.labels[i]) for p, i in zip(PARTS, cut, strict=True)}
    splits = load_dataset(name)
    if name == "digits":
        images, labels = (
            np.concatenate([getattr(part, what) for part in splits])
            for what in ("images", "labels")
        )
        found = stratified_split(ArrayDataset(images, labels, splits.train.classes), sizes, seed)
    else:
        *found, _ = stratified_split(
            splits.train, (*sizes[:3], len(splits.train) - sum(sizes[:3])), seed
        )
        found += stratified_split(splits.test, sizes[3:], seed)
    batches = [part.batch(np.arange(len(part))) for part in found]
    return dict(zip(PARTS, batches, strict=True))


def network(shape, classes):
    """Convolution, batch normalisation, ReLU and pooling, three times; two linear layers."""
    layers = []
    H, W, channels = shape
    for filters in WIDTHS:
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        H, W, channels = H // 2, W // 2, filters
    hidden = Linear(H * W * channels, HIDDEN)
    head = Sequential(hidden, ReLU(), Linear(HIDDEN, classes))
    return Network(Sequential(*layers), head, (shape[2], *shape[:2]))


def deep_features(data, seed, trained):
    """The network's two parts of an image's description, and how well it classifies."""
    images, labels = data["train"]
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    pixels = images / np.float32(255)
    mean, std = (getattr(pixels, f)(axis=(0, 1, 2), dtype=np.float64) for f in ("mean", "std"))
    prepare = Compose([ToArray(), Normalize(tuple(mean.round(4)), tuple(std.round(4)))])
    with manual_seed(seed):
        model = network(images.shape[1:], len(classes)).to(device)
    told = {}
    if trained:
        fit(
            model,
            DataLoader(ArrayDataset(images, labels, classes), BATCH_SIZE, shuffle=True, seed=seed,
                       transform=prepare),
            classification_loss,
            Adam(model.parameters(), RATE),
            EPOCHS,
            schedule=cosine(EPOCHS),
            seed=seed,
            device=device,
        )  # fmt: skip
        test = DataLoader(ArrayDataset(*data["test"], classes), 250, transform=prepare)
        told["network_test_accuracy"] = evaluate(model, test)["accuracy"]
    return DeepFeatures(model, prepare), told


def scores(index, queries, labels, query_labels):
    """How good the results of the queries are."""
    relevant = labels[ranking(index, queries)] == query_labels[:, None]
    votes = KNearestNeighbors(K).fit(index, labels).predict(queries)
    return {
        f"precision_at_{K}": precision_at_k(relevant, K),
        "mean_average_precision": mean_average_precision(relevant),
        "neighbor_accuracy": float((votes == query_labels).mean()),
    }


def measured(source, data, seed):
    """The rows of one source of features: what differs between them, and the scores."""
    images, labels = ({part: data[part][i] for part in PARTS} for i in (0, 1))
    if source in ("pixels", "chance"):
        rng = np.random.default_rng((BY_CHANCE, seed))
        index, test = (
            images[part].reshape(len(images[part]), -1) / 255
            if source == "pixels"
            else rng.normal(size=(len(images[part]), COMPONENTS))
            for part in ("index", "test")
        )
        found = scores(index, test, labels["index"], labels["test"])
        return [{"part": "all", "features": index.shape[1], **found}]
    told = {}
    if source == "classic":
        features = ClassicFeatures()
    else:
        features, told = deep_features(data, seed, trained=source == "deep")
    index, validation, test = (features(images[part]) for part in PARTS[1:])
    tried = choose_weight(
        index, labels["index"], validation, labels["validation"], components=COMPONENTS
    )
    found = []
    for part, weight in (("local", 1.0), ("global", 0.0), ("both", next(iter(tried)))):
        fusion = FeatureFusion(weight, COMPONENTS).fit(index)
        vectors = fusion.transform(index), fusion.transform(test)
        row = {"part": part, "local_weight": weight, "features": vectors[0].shape[1]}
        if part == "both":
            row["validation_mean_average_precision"] = {f"{w:g}": tried[w] for w in sorted(tried)}
        found.append(row | scores(*vectors, labels["index"], labels["test"]) | told)
    return found


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=COLLECTIONS, default=list(COLLECTIONS))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)

rows = read_rows(arguments.result)
finished = {(row["collection"], row["seed"], row["source"]) for row in rows}
for name in arguments.only:
    for seed in arguments.seeds:
        missing = [source for source in SOURCES if (name, seed, source) not in finished]
        data = collection(name, seed) if missing else {}
        for source in missing:
            begun = time.perf_counter()
            found = measured(source, data, seed)
            common = {
                "seconds": round(time.perf_counter() - begun, 1),
                "kernel_workers": worker_count(),
                "settings": {
                    "images": dict(zip(PARTS, COLLECTIONS[name], strict=True)),
                    "k": K,
                    "components": COMPONENTS,
                    "classic": ClassicFeatures().describe(),
                    "network": {"widths": WIDTHS, "hidden": HIDDEN, "epochs": EPOCHS,
                                "batch_size": BATCH_SIZE, "adam": RATE, "schedule": "cosine"},
                },
                "command": f"python examples/measure_feature_fusion.py --only {name} "
                f"--seeds {seed} --device {device}",
            }  # fmt: skip
            which = {"collection": name, "seed": seed, "source": source}
            rows += [which | row | common | provenance() for row in found]
            write_rows(arguments.result, rows)
            for row in found:
                print(
                    f"{name:<13}seed {seed}  {source:<18}{row['part']:<7}"
                    f"precision {row[f'precision_at_{K}']:.1%}  "
                    f"mAP {row['mean_average_precision']:.1%}  "
                    f"{K} neighbours {row['neighbor_accuracy']:.1%}  {common['seconds']} s",
                    flush=True,
                )
print(arguments.result)
