"""k-nearest neighbours on MNIST: accuracy, time and bytes against the number of stored digits.

    python examples/measure_knn_mnist.py [--seeds 0 1 2 3 4] [--device cpu]

A seed shuffles the 60,000 digits (the training and validation digits together), and the first n of
them are stored. k = 3 and the distance were fixed beforehand, so no digits are needed to choose
them. The queries are all 10,000 test digits. With n = 60,000, every seed stores the same digits, so
the accuracy has no spread. The seconds are processor time in one thread, not wall-clock time, so
other programs hardly affect them. Finished rows are kept. Writes docs/results/knn_mnist.json;
`commit` is the commit that was checked out when a row was written, and `changed_since_commit` says
whether source files differed from it.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported: processor time is one thread's

import argparse
import time

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision.backend import resolve_device, to_device
from minivision.datasets import load_dataset
from minivision.models import KNearestNeighbors

RESULT = RESULTS / "knn_mnist.json"
STORED = (100, 300, 1_000, 3_000, 10_000, 30_000, 60_000)
LARGE_END = 10_000  # the slope of time against n is fitted from here on
SETTINGS = {"dataset": "mnist", "k": 3, "metric": "l2", "memory_budget": 64 * 2**20}
ALONE = 20  # queries that are also run one by one


def measure(stored, seed, data, device):
    """One row: the first `stored` digits in this seed's order classify all test digits."""
    (train, validation, test), begun = data, time.perf_counter()
    images = np.concatenate([train.images, validation.images])
    labels = np.concatenate([train.labels, validation.labels])
    order = np.random.default_rng(seed).permutation(len(images))[:stored]
    model = KNearestNeighbors(SETTINGS["k"], SETTINGS["metric"], SETTINGS["memory_budget"])
    model.fit(to_device(images[order], device), labels[order])
    queries = to_device(test.images, device)
    start = time.process_time()
    predictions = model.predict(queries)
    together = time.process_time() - start
    alone = []
    for i in range(ALONE):
        start = time.process_time()
        model.predict(queries[i : i + 1])
        alone.append(time.process_time() - start)
    return {
        "stored": stored,
        "seed": seed,
        "test_accuracy": float((predictions == test.labels).mean()),
        "bytes": model.nbytes,
        "multiply_adds_per_query": model.multiply_adds,
        "processor_seconds_per_query": together / len(test),
        "processor_seconds_per_query_alone": float(np.median(alone)),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def slope(rows):
    """The exponent b of time ∝ n^b, fitted by least squares to the logarithms at the large end."""
    large = [row for row in rows if row["stored"] >= LARGE_END]
    n = np.log([row["stored"] for row in large])
    seconds = np.log([row["processor_seconds_per_query"] for row in large])
    return float(np.polyfit(n, seconds, 1)[0])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
parser.add_argument("--device", default="cpu")
arguments = parser.parse_args()
device = resolve_device(arguments.device)

rows = read_rows(RESULT)
finished = {(row["seed"], row["stored"]) for row in rows}
data = load_dataset("mnist")
for seed in arguments.seeds:
    for stored in STORED:
        if (seed, stored) in finished:
            continue
        row = measure(stored, seed, data, device)
        command = f"python examples/measure_knn_mnist.py --seeds {seed} --device {arguments.device}"
        rows.append(row | {"command": command, "settings": SETTINGS} | provenance())
        write_rows(RESULT, rows)
        print(
            f"seed {seed}  n {stored:>6,}  accuracy {row['test_accuracy']:.2%}  "
            f"{row['bytes'] / 1e6:7.2f} MB  "
            f"{row['processor_seconds_per_query'] * 1e3:.3f} ms a query, "
            f"{row['processor_seconds_per_query_alone'] * 1e3:.2f} ms alone",
            flush=True,
        )
print(f"time grows as n^{slope(rows):.2f} from n = {LARGE_END:,} on: {RESULT}")
