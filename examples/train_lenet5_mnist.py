"""LeNet-5 on the 60,000 digits of MNIST, three seeds, recorded.

    python examples/train_lenet5_mnist.py [--seeds 0 1 2] [--runs runs] [--device auto]

Each seed is one `minivision train --dataset mnist --seed N`; a seed that was interrupted goes on, a
finished one is not repeated. The settings are the command's defaults for MNIST; they were fixed
beforehand and compared with no others on the validation split. The test set is read once a run,
after the last epoch. Writes docs/results/lenet5_mnist.json, where `commit` is the one checked out
when a row was written.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

from minivision.cli import main
from minivision.nn.weights import write_atomically
from minivision.training import Run

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "docs" / "results" / "lenet5_mnist.json"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs' folders lie")
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()

rows = []
for seed in arguments.seeds:
    folder = arguments.runs / f"lenet5-mnist-seed-{seed}"
    command = ["train", "--dataset", "mnist", "--seed", str(seed)]
    begun = (folder / "settings.json").exists()
    if not (folder / "result.json").exists():
        words = ["train", "--resume"] if begun else command
        if main([*words, "--out", str(folder), "--device", arguments.device]):
            raise SystemExit(f"seed {seed} did not finish")
    run = Run.open(folder)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    rows.append(
        {
            "seed": seed,
            "command": " ".join(["minivision", *command]),
            **run.read_result(),
            "validation_accuracy": run.history()[-1]["validation_accuracy"],
            "commit": commit,
            "settings": run.settings,
        }
    )
    write_atomically(RESULT, json.dumps(rows, indent=2).encode() + b"\n")

accuracies = np.array([row["test_accuracy"] for row in rows])
spread = accuracies.std(ddof=1) if len(rows) > 1 else float("nan")
print(f"test accuracy {accuracies.mean():.2%} ± {spread:.2%} over {len(rows)} seeds: {RESULT}")
