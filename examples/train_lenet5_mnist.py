"""The modern LeNet-5 and that of 1998 on the 60,000 digits of MNIST, with three seeds each.

    python examples/train_lenet5_mnist.py [--models lenet5 lenet5_original] [--seeds 0 1 2]

Every row is the result of one `minivision train --dataset mnist …`. An interrupted run resumes; a
finished run is not repeated. For each model, every candidate is trained with the first seed, and
the one with the best validation accuracy is then trained with the other seeds. All other settings
are the command's defaults for MNIST: Adam, a half-cosine schedule, shifts by one pixel. The test
set is read once per run, after the last epoch, and is not used to choose anything.

Writes docs/results/lenet5_mnist.json, where `commit` is the commit that was checked out when a row
was written, and `chosen` says whether the row's candidate was selected.
"""

import argparse
from pathlib import Path

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision.cli import main
from minivision.training import Run

RESULT = RESULTS / "lenet5_mnist.json"
CANDIDATES = {
    "lenet5": ("--epochs 5", "--epochs 20"),
    "lenet5_original": ("--epochs 10", "--epochs 10 --lr 0.005"),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--models", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--runs", type=Path, default=Path("runs"), help="parent folder of the runs")
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()


def trained(model, candidate, seed):
    """The row of one run, which is trained or resumed if it is not finished."""
    words = candidate.replace("--", "").replace(" ", "-")
    folder = arguments.runs / f"{model}-mnist-{words}-seed-{seed}"
    command = ["train", "--dataset", "mnist", "--model", model, *candidate.split()]
    command += ["--seed", str(seed)]
    if not (folder / "result.json").exists():
        begun = (folder / "settings.json").exists()
        start = ["train", "--resume"] if begun else command
        if main([*start, "--out", str(folder), "--device", arguments.device]):
            raise SystemExit(f"{folder} did not finish")
    run = Run.open(folder)
    return {
        "model": model,
        "candidate": candidate,
        "seed": seed,
        "command": " ".join(["minivision", *command]),
        **run.read_result(),
        "validation_accuracy": run.history()[-1]["validation_accuracy"],
        "settings": run.settings,
    } | provenance()


rows = read_rows(RESULT)
for model in arguments.models:
    rows = [row for row in rows if row["model"] != model]
    first, *others = arguments.seeds
    tried = [trained(model, candidate, first) for candidate in CANDIDATES[model]]
    best = max(tried, key=lambda row: row["validation_accuracy"])["candidate"]
    tried += [trained(model, best, seed) for seed in others]
    rows += [{**row, "chosen": row["candidate"] == best} for row in tried]
    write_rows(RESULT, rows)
    found = np.array([row["test_accuracy"] for row in tried if row["candidate"] == best])
    spread = found.std(ddof=1) if len(found) > 1 else float("nan")
    print(f"{model} {best}: test accuracy {found.mean():.2%} ± {spread:.2%}, {len(found)} seeds")
