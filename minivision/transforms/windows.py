"""Windows cut out of an image: its centre, or a window of random size, resized to a given size.

Since GoogLeNet, networks have been trained on random windows of photographs, so that they see
objects large and small, whole and in part. They are tested on the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minivision.transforms.checks import check_size, needed_rng, numbers_of
from minivision.transforms.geometry import Resize
from minivision.transforms.pixel_maps import GeometricTransform, PixelMap, check_source

TRIES = 10  # windows to draw before falling back on the centre


@dataclass(frozen=True)
class CenterCrop(GeometricTransform):
    """Cut out the centre (H, W); an odd margin is larger below or on the right.

    Raises ValueError if the image is smaller than the crop.

    >>> CenterCrop((1, 2))(np.array([[[1], [2], [3], [4], [5]]], np.uint8))[0, :, 0]
    array([2, 3], dtype=uint8)
    """

    size: tuple[int, int]

    def __post_init__(self) -> None:
        check_size("CenterCrop", "size", self.size)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        spare_y, spare_x = size[0] - self.size[0], size[1] - self.size[1]
        if min(spare_y, spare_x) < 0:
            raise ValueError(
                f"CenterCrop: size is {self.size}, larger than the image {size}; "
                "use Resize or Pad first"
            )
        target = (self.size[0], self.size[1])
        return PixelMap(
            size, target, shift_x=float(-(spare_x // 2)), shift_y=float(-(spare_y // 2))
        )

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("CenterCrop", image, parameters)
        OH, OW = parameters.size
        top, left = -int(parameters.shift_y), -int(parameters.shift_x)
        return image[top : top + OH, left : left + OW].copy()


@dataclass(frozen=True)
class RandomResizedCrop(GeometricTransform):
    """Cut out a window of random area and shape anywhere in the image, and resize it to (H, W).

    The window's area, as a fraction of the image's, is uniform in the range `scale`; the logarithm
    of width / height is uniform in the range whose ends are the logarithms of `ratio`. If a window
    does not fit, a new one is drawn; after ten tries, we use the largest central window with an
    allowed shape. (Szegedy et al. 2015, §6, with PyTorch's ranges.) It is resized as in `Resize`.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_size("RandomResizedCrop", "size", self.size)
        for argument, least, most in (("scale", 1e-9, 1), ("ratio", 1e-9, 1e9)):
            numbers = numbers_of(getattr(self, argument))
            low, high = numbers.tolist() if numbers.shape == (2,) else (0, 0)
            if not least <= low <= high <= most:
                raise ValueError(
                    f"RandomResizedCrop: {argument} is {getattr(self, argument)!r:.60}; "
                    f"expected 0 < low <= high, at most {most:g}"
                )

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        top, left, height, width = self._window(size, needed_rng("RandomResizedCrop", rng))
        scale_y, scale_x = self.size[0] / height, self.size[1] / width
        target = (self.size[0], self.size[1])
        # The window's corner (left - ½, top - ½) becomes the result's (-½, -½).
        return PixelMap(
            size, target,
            scale_x, (0.5 - left) * scale_x - 0.5, scale_y, (0.5 - top) * scale_y - 0.5,
        )  # fmt: skip

    def _window(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
        H, W = size
        for _ in range(TRIES):
            area = H * W * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= W and 0 < height <= H:
                top = int(rng.integers(H - height, endpoint=True))
                left = int(rng.integers(W - width, endpoint=True))
                return top, left, height, width
        ratio = min(max(W / H, self.ratio[0]), self.ratio[1])
        width, height = min(W, max(1, round(H * ratio))), min(H, max(1, round(W / ratio)))
        return (H - height) // 2, (W - width) // 2, height, width

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("RandomResizedCrop", image, parameters)
        p = parameters
        height, width = round(p.size[0] / p.scale_y), round(p.size[1] / p.scale_x)
        top, left = (
            round(0.5 - (shift + 0.5) / scale)
            for shift, scale in ((p.shift_y, p.scale_y), (p.shift_x, p.scale_x))
        )
        window = np.ascontiguousarray(image[top : top + height, left : left + width])
        return Resize(p.size)(window)
