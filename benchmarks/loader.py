"""Time preparing images for training, compared with torchvision and with a training step.

    cifar-W       crop with padding, flip, RandAugment(2, 9), normalise; 2,048 images, 32x32
    imagenet-W    decode a 500x375 JPEG, random crop resized to 224, flip, jitter; 128 images
    plain-0       grey 28x28 images in memory, no augmentation; compared with a step of LeNet-5
    cifar-0       as cifar, in the training thread; compared with a step of the small VGG

W is the number of workers, which are threads in minivision and processes in torchvision; 0 means
none. Times are per epoch, and for the last two lines per batch; there the ratio is the time of the
preparation divided by that of a training step, measured in turn.


    python -m benchmarks loader --model imagenet-2
"""

from __future__ import annotations

import contextlib
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import report
from benchmarks.networks import NETWORKS
from benchmarks.processes import PAUSE, alternate, running

# Pipeline, workers, and the network whose step it is compared with (None: the peer).
RUNS: dict[str, tuple[str, int, str | None]] = {
    "cifar-1": ("cifar", 1, None),
    "cifar-2": ("cifar", 2, None),
    "imagenet-1": ("imagenet", 1, None),
    "imagenet-2": ("imagenet", 2, None),
    "plain-0": ("plain", 0, "lenet5"),
    "cifar-0": ("cifar", 0, "vgg_small"),
}
MODELS, PEERS = list(RUNS), ["torchvision"]
SMALL, LARGE, LARGE_BATCH = 2048, 128, 32


def measure(options: Namespace) -> None:
    """Write loader.json."""
    path = options.out / "loader.json"
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        for model in options.model:
            if options.missing and report.is_there(path, model=model):
                continue
            rows, settings, versions = measure_one(model, folder, options)
            report.merge(path, rows, ("model", "peer"), settings, versions)


def measure_one(model: str, folder: str, options: Namespace) -> tuple[list, dict, dict]:
    """Measure one line of RUNS and print the ratio; return rows, settings and versions."""
    pipeline, workers, network = RUNS[model]
    batch_size = NETWORKS[network]["batch"][0] if network else LARGE_BATCH
    count = LARGE if pipeline == "imagenet" else SMALL
    settings: dict[str, Any] = {
        "task": "loader", "pipeline": pipeline, "workers": workers, "batch_size": batch_size,
        "seconds": options.seconds, "least": 1, "folder": folder,
    }  # fmt: skip
    training = settings | {"task": "steps", "network": NETWORKS[network] if network else None}
    started: dict[str, tuple[str, dict]] = {"minivision": ("minivision-loader", settings)}
    if network:
        started["training step"] = ("minivision", training)
    else:
        started |= {name: (name, settings) for name in options.peer if name in PEERS}
    with contextlib.ExitStack() as stack:
        opened = {k: stack.enter_context(running(*v)) for k, v in started.items()}
        facts = {name: said for name, (_, said) in opened.items()}
        checks = [said["check"] for name, said in facts.items() if name != "training step"]
        assert checks.count(checks[0]) == len(checks), f"different images: {checks}"
        gave = alternate({name: process for name, (process, _) in opened.items()}, options.rounds)
    batches = count / batch_size if network else 1
    times = {
        name: [r["ms"] / (batches if name == "minivision" else 1) for r in rounds]
        for name, rounds in gave.items()
    }
    rows = []
    for name, values in times.items():
        row = {"model": model, "peer": name, "ms": report.spread(values)}
        if name != "training step":
            images = batch_size if network else count
            row["images_per_second"] = report.spread([1000 * images / ms for ms in values])
        if name != "minivision":
            ratios = [a / b for a, b in zip(times["minivision"], values, strict=True)]
            row["ratio_of_minivision"] = report.spread(ratios)
        rows.append(row)
    print_rows(rows)
    versions = {name: said["versions"] for name, said in facts.items()}
    kept = {"seconds": options.seconds, "rounds": options.rounds, "pause_s": PAUSE}
    return rows, kept, versions


def write_images(folder: Path) -> None:
    """Write noisy clouds of colour, whose JPEG files are as large as those of photographs."""
    rng = np.random.default_rng(0)
    small = np.stack([clouds((32, 32), 8, rng) for _ in range(SMALL)])
    np.save(folder / "images.npy", small)
    for i in range(LARGE):
        cv2.imwrite(str(folder / f"{i:03}.jpg"), clouds((375, 500), 40, rng))


def clouds(size: tuple[int, int], cell: int, rng: np.random.Generator) -> np.ndarray:
    H, W = size
    coarse = rng.uniform(0, 255, (H // cell + 2, W // cell + 2, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (W, H), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 8, (H, W, 3)), 0, 255).astype(np.uint8)


def print_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        speed, ratio = row.get("images_per_second"), row.get("ratio_of_minivision")
        line = f"{row['model']:<12} {row['peer']:<15} {row['ms']['median']:9.2f} ms"
        line += f" {speed['median']:9,.0f} images/s" if speed else ""
        if ratio:
            low, high = ratio["quartiles"]
            line += f"  minivision / this {ratio['median']:.3f} ({low:.3f} to {high:.3f})"
        print(line)
