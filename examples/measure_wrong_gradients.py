"""The museum of lesson 3: wrong gradients and their controls, recorded with five seeds each.

    python examples/measure_wrong_gradients.py [--seeds 0 1 2 3 4]

The exhibits, the network and the settings are taken from the lesson, so the script measures exactly
what the lesson shows: it runs the lesson's imports, functions, classes and constants, but not its
experiments. The exhibits (those that train) and the size of the network were chosen by trials on
the validation digits; the other settings were not tuned. The test set is read once per run, after
the last epoch, and was not used to choose anything. Finished rows are kept, so remove the file
after changing the lesson's functions or settings. Writes docs/results/wrong_gradients.json;
`commit` is the commit that was checked out when a row was written, and `changed_since_commit` says
whether source files differed from it.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import ast
import time

import numpy as np
from recording import RESULTS, ROOT, provenance, read_rows, write_rows

from minivision.datasets import DataLoader, load_dataset
from minivision.training import evaluate

RESULT = RESULTS / "wrong_gradients.json"
LESSON = ROOT / "examples" / "plot_03_is_the_gradient_right.py"


def definitions(lesson):
    """What a lesson defines, as a dict of names, without its experiments."""

    def defines(statement):
        if isinstance(statement, ast.Assign):
            names = [node.id for node in ast.walk(statement.targets[0]) if hasattr(node, "id")]
            return all(name.isupper() for name in names)
        return isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)

    tree = ast.parse(lesson.read_text("utf-8"))
    tree.body = [statement for statement in tree.body if defines(statement)]
    names = {"__file__": str(lesson), "__name__": lesson.stem}
    exec(compile(tree, lesson, "exec"), names)
    return names


def measure(museum, name, seed, splits):
    """One row: an exhibit or a control, trained with one seed."""
    begun = time.perf_counter()
    network, history = museum["trained"](name, splits.train, seed)
    accuracies = {
        f"{part}_accuracy": evaluate(network, DataLoader(data, 256))["accuracy"]
        for part, data in (("validation", splits.validation), ("test", splits.test))
    }
    return {
        "name": name,
        "seed": seed,
        "wrong": {part: f.__name__ for part, f in museum["EXHIBITS"].get(name, {}).items()},
        "parameters": network.parameter_count(),
        "train_loss": history["train_loss"],
        **accuracies,
        "seconds": round(time.perf_counter() - begun, 1),
        "settings": {
            "dataset": "digits",
            "epochs": museum["EPOCHS"],
            "batch_size": museum["BATCH_SIZE"],
            "optimizer": "adam",
            "lr": museum["LEARNING_RATE"],
            "schedule": None,
        },
        "command": f"python examples/measure_wrong_gradients.py --seeds {seed}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    seeds = parser.parse_args().seeds
    museum, splits = definitions(LESSON), load_dataset("digits")
    names = (*museum["CONTROLS"], *museum["EXHIBITS"])
    rows = read_rows(RESULT)
    finished = {(row["name"], row["seed"]) for row in rows}
    for name in names:
        for seed in seeds:
            if (name, seed) not in finished:
                rows.append(measure(museum, name, seed, splits) | provenance())
                write_rows(RESULT, rows)
        found = np.array([row["test_accuracy"] for row in rows if row["name"] == name])
        spread = found.std(ddof=1) if len(found) > 1 else float("nan")
        print(f"{name}: test accuracy {found.mean():.2%} ± {spread:.2%}, {len(found)} seeds",
              flush=True)  # fmt: skip
    print(RESULT)


if __name__ == "__main__":
    main()
