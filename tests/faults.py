"""Thirty faults that a programmer could make: does a test notice each of them?

    python -m tests.faults              all of them, in a few minutes
    python -m tests.faults CutMix       those whose description contains this

Mutation testing covers the engine. In methods/, training/, transforms/ and datasets/ the faults are
chosen by hand: wrong but plausible, and none of them stops a program. A copy of the project gets
one fault, and the tests of its package run until the first failure.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Fault(NamedTuple):
    """`right` occurs once in the file `minivision/path`, and `wrong` takes its place."""

    what: str
    path: str
    right: str
    wrong: str


METHODS = [
    Fault(
        "learning without forgetting: the student's logits have no temperature",
        "methods/learning_without_forgetting.py",
        "outputs[name] / temperature", "outputs[name]",
    ),
    Fault(
        "learning without forgetting: the old network's logits have no temperature",
        "methods/learning_without_forgetting.py",
        "F.softmax(v, temperature=temperature)", "F.softmax(v)",
    ),
    Fault(
        "distillation: the soft loss is not weighted by 1 - alpha",
        "methods/distillation.py",
        "terms.append((1 - alpha) * soft)", "terms.append(soft)",
    ),
    Fault(
        "distillation: the teacher stays in training mode",
        "methods/distillation.py",
        "teacher.eval()", "teacher.train()",
    ),
    Fault(
        "pseudo-labels: the mean is over the accepted images only",
        "methods/pseudo_label.py",
        "(losses * accepted).mean()", "(losses * accepted).sum() / max(float(accepted.sum()), 1.0)",
    ),
    Fault(
        "pseudo-labels: a confidence equal to the threshold is rejected",
        "methods/pseudo_label.py",
        "confidence >= threshold", "confidence > threshold",
    ),
    Fault(
        "noisy student: the first teacher labels the images of every generation",
        "methods/noisy_student.py",
        "teacher = model  # step 5", "teacher = teacher or model  # step 5",
    ),
    Fault(
        "noisy student: the least confident images are taken",
        "methods/noisy_student.py",
        "np.argsort(-confidence[members]", "np.argsort(confidence[members]",
    ),
    Fault(
        "transfer: the learning rate decays towards the head",
        "methods/transfer.py",
        "layer_decay ** (len(layers) - number)", "layer_decay ** (number - 1)",
    ),
    Fault(
        "a frozen backbone moves: its running statistics follow the new images",
        "nn/module.py",
        "            module.frozen = frozen\n", "",
    ),
    Fault(
        "feature fusion: the parts are scaled by their weights, not by the roots of these",
        "methods/feature_fusion.py",
        "* weight**0.5", "* weight",
    ),
]  # fmt: skip
TRAINING = [
    Fault(
        "fit: the schedule changes once per epoch, not at every step",
        "training/loop.py",
        "schedule(epoch + i / steps)", "schedule(epoch)",
    ),
    Fault(
        "fit: dropout drops the same units in every epoch",
        "training/loop.py",
        "model.seed(seed, step)", "model.seed(seed, i)",
    ),
    Fault(
        "checkpoint: the running average is not restored",
        "training/checkpoint.py",
        '            average.load_state_dict(parts["average"])\n', "            pass\n",
    ),
    Fault(
        "early stopping: one epoch too late",
        "training/early_stopping.py",
        ">= self.patience", "> self.patience",
    ),
    Fault(
        "top-k accuracy: a tie counts against the true class",
        "training/metrics.py",
        "(np.arange(K) < labels[:, None])", "(np.arange(K) <= labels[:, None])",
    ),
    Fault(
        "ten crops: the second five are upside down",
        "training/ten_crops.py",
        "crop[:, :, :, ::-1]", "crop[:, :, ::-1]",
    ),
]  # fmt: skip
TRANSFORMS = [
    Fault(
        "random crop: the last row is never reached",
        "transforms/random_geometry.py",
        "int(rng.integers(spare_y, endpoint=True))", "int(rng.integers(max(spare_y, 1)))",
    ),
    Fault(
        "random flip: points are mirrored one pixel too far",
        "transforms/random_geometry.py",
        "scale_x=-1.0, shift_x=float(size[1] - 1)", "scale_x=-1.0, shift_x=float(size[1])",
    ),
    Fault(
        "CutMix: labels are not permuted",
        "transforms/mixing.py",
        "(1 - lam) * p[partner]", "(1 - lam) * p",
    ),
    Fault(
        "CutMix: lambda is not recomputed for a clipped box",
        "transforms/mixing.py",
        "Mixing(1 - box.area / (H * W), permutation, box)", "Mixing(lam, permutation, box)",
    ),
    Fault(
        "PCA colour: scaled by standard deviations, not by variances",
        "transforms/color.py",
        "(alpha * np.array(self.eigenvalues))", "(alpha * np.array(self.eigenvalues) ** 0.5)",
    ),
    Fault(
        "RandAugment: vertical shifts are in proportion to the width",
        "transforms/randaugment.py",
        '150 / 331 * H * M / 30, "±", "pixels", along=0', '150 / 331 * H * M / 30, "±", "pixels"',
    ),
    Fault(
        "random resized crop: wide windows are more frequent than tall ones",
        "transforms/windows.py",
        "math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))",
        "rng.uniform(*self.ratio)",
    ),
]  # fmt: skip
DATASETS = [
    Fault(
        "CIFAR-10: rows and columns are exchanged",
        "datasets/cifar.py",
        "planes.transpose(0, 2, 3, 1)", "planes.transpose(0, 3, 2, 1)",
    ),
    Fault(
        "IDX: 16-bit integers are read as little-endian",
        "datasets/idx.py",
        '0x0B: ">i2"', '0x0B: "<i2"',
    ),
    Fault(
        "splits: classes have their shares only on average",
        "datasets/splits.py",
        "np.arange(len(members)) + rng.random()", "len(members) * rng.random(len(members))",
    ),
    Fault(
        "loader: every epoch has the same order",
        "datasets/loader.py",
        "keyed(Key.ORDER, self.loader.seed, self.epoch)", "keyed(Key.ORDER, self.loader.seed, 0)",
    ),
    Fault(
        "loader: all images of an epoch are augmented in the same way",
        "datasets/loader.py",
        "self.loader.seed, self.epoch, index)", "self.loader.seed, self.epoch, 0)",
    ),
    Fault(
        "some classes only: labels in the dataset's order, not in the given one",
        "datasets/only_classes.py",
        "numbers[[known.index(name) for name in classes]]",
        "numbers[sorted(known.index(name) for name in classes)]",
    ),
]  # fmt: skip
ROOMS = {
    "methods": METHODS, "training": TRAINING, "transforms": TRANSFORMS, "datasets": DATASETS,
}  # fmt: skip


def copy_of_the_project(folder):
    """Copy the tracked files, which are enough to run the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)


def first_failure(folder, room, path):
    """The first test of a room that fails in this copy of the project, or None if all pass.

    The tests of the faulty module itself, if it has a file of its own, run first.
    """
    own = Path("tests", room, f"test_{Path(path).stem}.py")
    everything = [f"tests/{room}", f"minivision/{room}"]
    for tests in ([str(own)], everything) if (folder / own).exists() else (everything,):
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        ended = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": "."},
        )
        if ended.returncode not in (0, 1):
            raise RuntimeError(ended.stdout[-2000:] + ended.stderr[-2000:])
        if ended.returncode:
            failed = [line for line in ended.stdout.splitlines() if line.startswith("FAILED")]
            return failed[0].split(" - ")[0]
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="?", default="", help="only faults described by these words")
    words = parser.parse_args().words.lower()
    chosen = [
        (room, f) for room, faults in ROOMS.items() for f in faults if words in f.what.lower()
    ]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_project(folder)
        for room, fault in chosen:
            path = folder / "minivision" / fault.path
            source = path.read_text()
            if source.count(fault.right) != 1:
                raise ValueError(
                    f"{fault.path} has {fault.right!r} {source.count(fault.right)} times"
                )
            path.write_text(source.replace(fault.right, fault.wrong))
            failure = first_failure(folder, room, fault.path)
            path.write_text(source)
            unnoticed += failure is None
            print(f"{room:<11}{fault.what}\n           {failure or 'NOT NOTICED'}", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} faults noticed")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
