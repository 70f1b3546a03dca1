"""RandAugment: N random operations, all of the same magnitude M. Two numbers replace a search.

For each image, N operations are drawn uniformly from a list, with replacement. (Cubuk et al.
2020.) The meaning of M differs between libraries; here two tables define it.

    "monotone"       The paper's 14 operations. M is from 0 to 30: at 0, operations that have a
                     strength do nothing, and a larger M is always stronger. The ranges are
                     torchvision's, except that the threshold of solarize starts from 256, where
                     solarize does nothing.
    "noisy_student"  16 operations with the strengths in the code behind Noisy Student (Xie et al.
                     2020), where M is usually 27. Posterize and solarize get weaker as M grows, and
                     the four blends do nothing at M = 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from minivision.errors import require_one_of
from minivision.transforms import light, nearest, tables
from minivision.transforms.checks import check_count, check_fill, check_light, needed_rng
from minivision.transforms.pipeline import Transform


class Step(NamedTuple):
    """One operation as drawn: its name, its amount, and for cutout its position (y, x)."""

    name: str
    amount: float | None = None
    place: tuple[int, int] | None = None

    def __str__(self) -> str:
        return self.name if self.amount is None else f"{self.name} {self.amount:.4g}"


class Steps(tuple[Step, ...]):
    """The operations drawn for one image, in order."""

    def __str__(self) -> str:
        return ", ".join(map(str, self)) or "nothing"


Change: TypeAlias = Callable[[np.ndarray, Any, int], np.ndarray]  # image, step, fill -> image


class Operation(NamedTuple):
    """An operation: its function, its amount at a magnitude, and its possible signs."""

    change: Change
    amount: Callable[[float, int], float] | None = None  # magnitude, height or width -> amount
    sign: str = ""  # "±": the amount or its negative; "1 ±": 1 plus or minus the amount
    unit: str = ""
    along: int = 1  # the axis whose length is passed to amount: 0 height, 1 width


def _alone(function: Callable) -> Change:
    return lambda image, step, fill: function(image)


def _by(function: Callable) -> Change:
    return lambda image, step, fill: function(image, step.amount)


def _moved(function: Callable) -> Change:
    return lambda image, step, fill: function(image, step.amount, fill)


def _cut_out(image: np.ndarray, step: Step, fill: int) -> np.ndarray:
    """Fill a square of twice the amount around the step's position, clipped at the border."""
    assert step.place is not None  # drawn for every cutout
    (y, x), half = step.place, int(step.amount or 0)
    result = image.copy()
    result[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = fill
    return result


def _contrast_of_the_code(image: np.ndarray, step: Any, fill: int) -> np.ndarray:
    """Contrast about (number of pixels) / 256, which Noisy Student's code uses as the mean."""
    H, W, _ = image.shape
    return light.blend(np.full_like(image, min(H * W // 256, 255)), image, step.amount)


MONOTONE = {
    "identity": Operation(_alone(np.copy)),
    "autocontrast": Operation(_alone(tables.autocontrast)),
    "equalize": Operation(_alone(tables.equalize)),
    "rotate": Operation(_moved(nearest.rotate), lambda M, _: M, "±", "degrees"),
    "solarize": Operation(_by(tables.solarize), lambda M, _: 256 * (1 - M / 30), "", "and above"),
    "posterize": Operation(_by(tables.posterize), lambda M, _: 8 - round(4 * M / 30), "", "bits"),
    "color": Operation(_by(light.color), lambda M, _: 0.9 * M / 30, "1 ±"),
    "contrast": Operation(_by(light.contrast), lambda M, _: 0.9 * M / 30, "1 ±"),
    "brightness": Operation(_by(light.brightness), lambda M, _: 0.9 * M / 30, "1 ±"),
    "sharpness": Operation(_by(light.sharpness), lambda M, _: 0.9 * M / 30, "1 ±"),
    "shear_x": Operation(_moved(nearest.shear_x), lambda M, _: 0.3 * M / 30, "±"),
    "shear_y": Operation(_moved(nearest.shear_y), lambda M, _: 0.3 * M / 30, "±"),
    "translate_x": Operation(
        _moved(nearest.translate_x), lambda M, W: 150 / 331 * W * M / 30, "±", "pixels"
    ),
    "translate_y": Operation(
        _moved(nearest.translate_y), lambda M, H: 150 / 331 * H * M / 30, "±", "pixels", along=0
    ),
}

NOISY_STUDENT = {
    "autocontrast": Operation(_alone(tables.autocontrast)),
    "equalize": Operation(_alone(tables.equalize)),
    "invert": Operation(_alone(tables.invert)),
    "rotate": Operation(_moved(nearest.rotate), lambda M, _: 3 * M, "±", "degrees"),
    # From M = 20 on, the shift by 8 - bits in their code would be negative; we keep all 8 bits.
    "posterize": Operation(_by(tables.posterize), lambda M, _: min(int(0.4 * M), 8), "", "bits"),
    "solarize": Operation(_by(tables.solarize), lambda M, _: int(25.6 * M), "", "and above"),
    "color": Operation(_by(light.color), lambda M, _: 0.1 + 0.18 * M),
    "contrast": Operation(_contrast_of_the_code, lambda M, _: 0.1 + 0.18 * M),
    "brightness": Operation(_by(light.brightness), lambda M, _: 0.1 + 0.18 * M),
    "sharpness": Operation(_by(light.sharpness), lambda M, _: 0.1 + 0.18 * M),
    "shear_x": Operation(_moved(nearest.shear_x), lambda M, _: 0.03 * M, "±"),
    "shear_y": Operation(_moved(nearest.shear_y), lambda M, _: 0.03 * M, "±"),
    "translate_x": Operation(_moved(nearest.translate_x), lambda M, _: 10 * M, "±", "pixels"),
    "translate_y": Operation(_moved(nearest.translate_y), lambda M, _: 10 * M, "±", "pixels"),
    "cutout": Operation(_cut_out, lambda M, _: int(4 * M), "", "pixels around a point"),
    "solarize_add": Operation(
        _by(tables.solarize_add), lambda M, _: min(int(11 * M), 255), "", "below 128"
    ),
}

PRESETS = {"monotone": MONOTONE, "noisy_student": NOISY_STUDENT}
LARGEST = 30.0
MOST = 100  # operations per image


@dataclass(frozen=True)
class RandAugment(Transform):
    """Apply N = `count` operations of magnitude M = `magnitude`, drawn separately for every image.

    preset: the table of operations, "monotone" or "noisy_student"; see above.
    fill: the byte value of pixels from outside the image.

    >>> steps = RandAugment(2, 9).draw((32, 32), np.random.default_rng(2))
    >>> print(steps)
    shear_y -0.09, rotate 9
    >>> image = np.zeros((32, 32, 3), np.uint8)
    >>> RandAugment(2, 9).apply(image, steps).shape  # the same again
    (32, 32, 3)
    """

    count: int = 2
    magnitude: float = 9.0
    preset: str = "monotone"
    fill: int = 128

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("RandAugment", "count", self.count)
        if self.count > MOST:
            raise ValueError(f"RandAugment: count is {self.count:,}; expected at most {MOST}")
        check_fill("RandAugment", self.fill)
        check_preset("RandAugment", self.preset)
        check_magnitude("RandAugment", "magnitude", self.magnitude)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Steps:
        rng, names = needed_rng("RandAugment", rng), list(PRESETS[self.preset])
        drawn = []
        for _ in range(self.count):
            name = names[rng.integers(len(names))]
            drawn.append(draw_step(name, self.magnitude, self.preset, size, rng))
        return Steps(drawn)

    def apply(self, image: np.ndarray, parameters: Sequence[Step]) -> np.ndarray:
        check_light("RandAugment", image)
        return apply_steps("RandAugment", image, parameters, self.preset, self.fill)

    def describe(self, size: tuple[int, int] = (32, 32)) -> str:
        """One line per operation, with its strength at this magnitude on images of size (H, W).

        >>> print(RandAugment(2, 15).describe().splitlines()[3])
        rotate         ±15 degrees
        """
        table = PRESETS[self.preset]
        return "\n".join(strength(table, name, self.magnitude, size) for name in table)


def draw_step(
    name: str, magnitude: float, preset: str, size: tuple[int, int], rng: np.random.Generator
) -> Step:
    """Draw an operation's sign, and for cutout its position, for an image of size (H, W)."""
    operation = PRESETS[preset][name]
    if operation.amount is None:
        return Step(name)
    amount = operation.amount(magnitude, size[operation.along])
    if operation.sign and rng.random() < 0.5:
        amount = -amount
    if operation.sign == "1 ±":
        amount += 1
    if operation.change is not _cut_out:
        return Step(name, amount)
    return Step(name, amount, (int(rng.integers(size[0])), int(rng.integers(size[1]))))


def apply_steps(
    function: str, image: np.ndarray, steps: Sequence[Step], preset: str, fill: int
) -> np.ndarray:
    """Apply the steps to the image in order; ValueError for an unknown operation."""
    table, changed = PRESETS[preset], image.copy()
    for step in steps:
        if step.name not in table:
            raise ValueError(
                f"{function}: preset {preset!r} has no operation {step.name!r}; "
                f"expected one of {', '.join(table)}"
            )
        changed = table[step.name].change(changed, step, fill)
    return changed


def strength(
    table: dict[str, Operation], name: str, magnitude: float, size: tuple[int, int]
) -> str:
    """One line with an operation and its strength at this magnitude on images of size (H, W)."""
    operation, words = table[name], ""
    if operation.amount is not None:
        amount = operation.amount(magnitude, size[operation.along])
        words = f"{operation.sign}{amount:.4g} {operation.unit}"
    return f"{name:<14} {words}".rstrip()


def check_preset(name: str, preset: object) -> None:
    """Raise ValueError unless the preset is one of `PRESETS`."""
    require_one_of(f"{name}: preset", preset, PRESETS)


def check_magnitude(name: str, argument: str, magnitude: object) -> None:
    """Raise ValueError unless the magnitude is a number from 0 to 30."""
    number = isinstance(magnitude, int | float | np.integer | np.floating)
    if not number or not 0 <= magnitude <= LARGEST:  # type: ignore[operator]
        raise ValueError(
            f"{name}: {argument} is {magnitude!r}; expected a number from 0 to {LARGEST:g}"
        )
