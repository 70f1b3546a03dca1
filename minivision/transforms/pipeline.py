"""What a transform is, how several are chained, and the last two steps before the network.

An image is uint8 (H, W, C), RGB or grey, until `ToArray` converts it to float32 (C, H, W). A random
transform has two methods: `draw` chooses the parameters and `apply` uses them. So the parameters
can be printed, and applied again to a mask or to points that belong to the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minivision.transforms.checks import check_image, kind_of, numbers_of


class Transform:
    """A step from image to image, uint8 (H, W, C) -> uint8 (H', W', C), that may be random.

    A subclass defines `draw` and `apply`, and sets `random = True` if `draw` uses its `rng`.
    A transform never modifies its input. Calling it draws parameters and applies them to an image.
    """

    random: ClassVar[bool] = False
    # Whether the transform accepts a whole batch (N, H, W, C); used by the DataLoader.
    takes_batches: ClassVar[bool] = False

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Any:
        """Choose the parameters for one image of this size (H, W): a small frozen dataclass."""
        raise NotImplementedError(f"{type(self).__name__} has no draw method")

    def apply(self, image: np.ndarray, parameters: Any) -> np.ndarray:
        """The transformed image; the same parameters always give the same result."""
        raise NotImplementedError(f"{type(self).__name__} has no apply method")

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_image(type(self).__name__, image)
        H, W, _ = image.shape
        return self.apply(image, self.draw((H, W), rng))


@dataclass
class Compose:
    """Apply transforms one after another, all drawing from the same `rng`.

    Raises ValueError if one of them is not a transform.

    >>> image = np.zeros((4, 6, 1), np.uint8)
    >>> Compose([ToArray(), Normalize(0.5, 0.5)])(image).shape
    (1, 4, 6)
    """

    transforms: Sequence[Callable]

    def __post_init__(self) -> None:
        self.transforms = tuple(self.transforms)
        for i, step in enumerate(self.transforms):
            if isinstance(step, type) or not callable(step) or not hasattr(step, "random"):
                raise ValueError(
                    f"Compose: transforms[{i}] is {step!r}; expected a callable step(image, rng) "
                    "with the attributes `random` and `takes_batches`, such as ToArray()"
                )

    @property
    def random(self) -> bool:
        """Whether any step is random."""
        return any(step.random for step in self.transforms)  # type: ignore[attr-defined]

    @property
    def takes_batches(self) -> bool:
        """Whether every step accepts a whole batch instead of one image."""
        return all(getattr(step, "takes_batches", False) for step in self.transforms)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        for step in self.transforms:
            image = step(image, rng)
        return image


@dataclass
class ToArray:
    """Convert bytes to floats: uint8 (H, W, C) -> float32 (C, H, W), 0..255 -> 0..1.

    A whole batch is accepted too: (N, H, W, C) -> (N, C, H, W). torchvision calls this step
    ToTensor.

    >>> ToArray()(np.full((2, 3, 1), 255, np.uint8))
    array([[[1., 1., 1.],
            [1., 1., 1.]]], dtype=float32)
    """

    random: ClassVar[bool] = False
    takes_batches: ClassVar[bool] = True

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (3, 4):
            raise ValueError(
                f"ToArray: image is {kind_of(image)}; expected uint8 (H, W, C) or (N, H, W, C)"
            )
        channels_first = (
            image.transpose(2, 0, 1) if image.ndim == 3 else image.transpose(0, 3, 1, 2)
        )
        return np.divide(channels_first, np.float32(255), dtype=np.float32, order="C")


@dataclass
class Normalize:
    """Shift and scale each channel: y = (x - mean) / std, on float32 (C, H, W) or (N, C, H, W).

    `mean` and `std` are one number, or one per channel, in the units of `ToArray` (0..1).

    >>> Normalize(0.5, 0.25)(np.ones((1, 1, 2), np.float32))
    array([[[2., 2.]]], dtype=float32)
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]

    random: ClassVar[bool] = False
    takes_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.mean, self.std = (_channels(a, getattr(self, a)) for a in ("mean", "std"))
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"Normalize: mean has {len(self.mean)} numbers but std has {len(self.std)}; "
                "expected one per channel in both"
            )
        if not np.all(np.isfinite(self.mean + self.std)) or min(self.std) <= 0:
            raise ValueError(
                f"Normalize: mean is {self.mean} and std is {self.std}; "
                "expected finite numbers, and a positive std"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.float32
            or image.ndim not in (3, 4)
        ):
            raise ValueError(
                f"Normalize: image is {kind_of(image)}; expected float32 (C, H, W) or "
                "(N, C, H, W), as returned by ToArray"
            )
        mean = np.array(self.mean, np.float32)
        std = np.array(self.std, np.float32)
        C = image.shape[-3]
        if mean.size not in (1, C):
            raise ValueError(
                f"Normalize: image has {C} channels (shape {image.shape}), "
                f"but mean and std have {mean.size} numbers"
            )
        y = image - mean[:, None, None]
        y /= std[:, None, None]
        return y


def _channels(argument: str, given: Any) -> tuple[float, ...]:
    """One number, or one per channel, as a tuple."""
    numbers = numbers_of(given)
    if numbers.ndim > 1 or numbers.size == 0:
        raise ValueError(
            f"Normalize: {argument} is {given!r:.60}; expected one number, or one per channel"
        )
    return tuple(np.atleast_1d(numbers).tolist())
