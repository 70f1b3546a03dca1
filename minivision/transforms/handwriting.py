"""Frame a photographed or scanned digit like the training images.

A network trained on bright 20-pixel digits in the middle of dark 28x28 images cannot read a large
black digit in the corner of a white page. So we frame the digit as the makers of MNIST framed their
scans: cut out the ink, scale it to fit a box, and put its centre of mass in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from minivision.transforms.checks import check_count, check_image, check_size


@dataclass(frozen=True)
class FrameDigit:
    """Turn a grey image of one digit, uint8 (H, W, 1), into bright ink on black of `size` (H, W).

    We take the median grey of the border for the colour of the paper; whatever is darker or
    brighter is ink. If an image already has the right size, we only make sure that the ink is
    bright. Any other image is cropped to its ink, scaled so that the longer side of the ink is
    `extent` pixels long, and placed on black with its centre of mass in the middle (LeCun et al.
    1998, §III-A).

    Raises ValueError if the image has only one grey level.
    """

    size: tuple[int, int] = (28, 28)
    extent: int = 20

    random: ClassVar[bool] = False
    takes_batches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_size("FrameDigit", "size", self.size)
        check_count("FrameDigit", "extent", self.extent)
        if not 1 <= self.extent <= min(self.size):
            raise ValueError(
                f"FrameDigit: extent is {self.extent}; "
                f"expected an integer from 1 to {min(self.size)}"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_image("FrameDigit", image)
        ink = ink_of(image)
        if image.shape[:2] == self.size:
            bright_on_dark = ink.any() and image[ink > 128].mean() > image[ink < 128].mean()
            return image.copy() if bright_on_dark else 255 - image
        ys, xs = np.nonzero(without_specks(ink > 64))  # a quarter of full ink is more than noise
        cut = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        return self.lay_down(cut)[:, :, None]

    def lay_down(self, ink: np.ndarray) -> np.ndarray:
        """Scale the cropped ink and place it on black, shifted if necessary so that it fits."""
        factor = self.extent / max(ink.shape)
        H, W = (max(1, round(n * factor)) for n in ink.shape)
        shrinks = factor < 1
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        ink = cv2.resize(ink, (W, H), interpolation=method)
        page = np.zeros(self.size, np.uint8)
        total = max(float(ink.sum(dtype=np.float64)), 1.0)
        rows, columns = np.arange(H) + 0.5, np.arange(W) + 0.5
        centre_y = (ink.sum(axis=1, dtype=np.float64) * rows).sum() / total
        centre_x = (ink.sum(axis=0, dtype=np.float64) * columns).sum() / total
        top = round(min(max(self.size[0] / 2 - centre_y, 0), self.size[0] - H))
        left = round(min(max(self.size[1] / 2 - centre_x, 0), self.size[1] - W))
        page[top : top + H, left : left + W] = ink
        return page


def ink_of(image: np.ndarray) -> np.ndarray:
    """How much each pixel differs from the paper: (H, W), from 0 to 255 for the strongest ink.

    >>> page = np.full((5, 5, 1), 250, np.uint8)
    >>> page[2, 2] = 30
    >>> int(ink_of(page)[2, 2]), int(ink_of(page)[0, 0])
    (255, 0)
    """
    grey = image.astype(np.int16).mean(axis=2)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    darker, brighter = paper - grey.min(), grey.max() - paper
    if max(darker, brighter) < 16:
        raise ValueError(
            f"FrameDigit: image has grey levels from {grey.min():.0f} to {grey.max():.0f} only; "
            "expected a digit that stands out from its background"
        )
    ink = paper - grey if darker > brighter else grey - paper
    return np.rint(ink.clip(0) * (255 / ink.max())).astype(np.uint8)


def without_specks(ink: np.ndarray) -> np.ndarray:
    """A mask (H, W) without specks: connected components far smaller than the largest."""
    count, parts, sizes, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    areas = sizes[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    return np.isin(parts, np.flatnonzero(areas > areas.max() / 20))


def extents(images: np.ndarray) -> list[int]:
    """For each image uint8 (N, H, W, 1), the longer side of the area brighter than 64.

    Images without such pixels are skipped.

    >>> images = np.zeros((2, 28, 28, 1), np.uint8)
    >>> images[0, 4:24, 10:16] = 255
    >>> extents(images)
    [20]
    """
    bright = images[..., 0] > 64
    return [
        int(max(np.ptp(np.flatnonzero(b.any(1))), np.ptp(np.flatnonzero(b.any(0)))) + 1)
        for b in bright
        if b.any()
    ]
