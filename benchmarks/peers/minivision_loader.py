"""minivision's DataLoader: an epoch of images, augmented and ready for the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.serving import Step, serve
from minivision.datasets import ArrayDataset, DataLoader
from minivision.datasets.file_dataset import FileDataset
from minivision.transforms import (
    ColorJitter,
    Compose,
    Normalize,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ToArray,
)

MEAN, STD, JITTER = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (0.6, 1.4)
TRANSFORMS = {
    "plain": [],
    "cifar": [RandomCrop((32, 32), padding=4), RandomHorizontalFlip(), RandAugment(2, 9)],
    "imagenet": [
        RandomResizedCrop((224, 224)),
        RandomHorizontalFlip(),
        ColorJitter(JITTER, JITTER, JITTER),
    ],
}


def epoch(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """Every image of the folder once; images.npy holds small ones, else each is a JPEG."""
    folder = Path(settings["folder"])
    mean, std = (0.5, 0.5) if settings["pipeline"] == "plain" else (MEAN, STD)
    dataset: Any
    if settings["pipeline"] == "imagenet":
        files = sorted(folder.glob("*.jpg"))
        dataset = FileDataset(files, np.zeros(len(files), np.int64), ("image",), size=None)
    else:
        images = np.load(folder / "images.npy")
        if settings["pipeline"] == "plain":  # what LeNet-5 reads
            images = np.ascontiguousarray(images[:, :28, :28, :1])
        dataset = ArrayDataset(images, np.zeros(len(images), np.int64), ("image",))
    loader = DataLoader(
        dataset,
        settings["batch_size"],
        shuffle=True,
        transform=Compose([*TRANSFORMS[settings["pipeline"]], ToArray(), Normalize(mean, std)]),
        workers=settings["workers"],
    )
    epochs = iter(range(10**9))

    def step() -> None:
        for _ in loader(next(epochs)):
            pass

    shapes = [images.shape for images, _ in loader]
    return step, {"check": [sum(N for N, *_ in shapes), *shapes[0][1:]]}


if __name__ == "__main__":
    serve({"loader": epoch}, "minivision", "opencv-python-headless")
