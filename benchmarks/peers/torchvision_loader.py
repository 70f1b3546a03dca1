"""torchvision's transforms on Pillow images in PyTorch's DataLoader, whose workers are processes.

The transforms are those of torchvision's own training scripts; the workers stay between epochs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.serving import Step, serve

# Next to a PyTorch without CUDA the compiled operators of torchvision's wheel cannot be loaded, and
# its import needs these two. Transforms of Pillow images use none.
if torch.version.cuda is None:
    OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TRANSFORMS: dict[str, list[Any]] = {
    "plain": [],
    "cifar": [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.RandAugment(2, 9)],
    "imagenet": [
        v2.RandomResizedCrop(224),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.4, 0.4, 0.4),
    ],
}
NUMBERS = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]


class Images(Dataset):
    """Pillow images of an array (N, H, W, 3) or of files, transformed."""

    def __init__(self, images: Any, transform: Any):
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.images[index]
        if isinstance(image, Path):
            with Image.open(image) as file:
                picture = file.convert("RGB")
        else:
            picture = Image.fromarray(image)
        return self.transform(picture), 0


def epoch(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    torch.set_num_threads(1)
    folder = Path(settings["folder"])
    images: Any = sorted(folder.glob("*.jpg"))
    if settings["pipeline"] != "imagenet":
        images = np.load(folder / "images.npy")
    loader = DataLoader(
        Images(images, v2.Compose([*TRANSFORMS[settings["pipeline"]], *NUMBERS])),
        settings["batch_size"],
        shuffle=True,
        num_workers=settings["workers"],
        persistent_workers=settings["workers"] > 0,
    )

    def step() -> None:
        for _ in loader:
            pass

    shapes = [images.shape for images, _ in loader]
    return step, {"check": [sum(N for N, *_ in shapes), *shapes[0][1:]]}


if __name__ == "__main__":
    serve({"loader": epoch}, "torch", "torchvision", "pillow")
