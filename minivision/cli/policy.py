"""Augmentation policies for `--augment` and `--policy`: names joined by plus signs, or a file.

  flip+crop+jitter     one after the other, each drawn again for every image
  flip+crop+cutmix     cutmix mixes the images in a batch, and their labels
  best.json            the result of `minivision search-augmentation`, or any transform as JSON

What each name does, and how strongly (an eighth means an eighth of the shorter side):

  flip            flipped left to right, half of the time
  vertical-flip   flipped upside down, half of the time
  crop            padded with black by an eighth, and cropped to its size at a random position
  translate       moved by up to an eighth: another name for what crop does
  rotate          rotated by up to 15 degrees
  shear           slanted along x and along y, by up to a fifth of a pixel for each pixel
  affine          rotated by up to 10 degrees, moved by up to a tenth, magnified by 0.9 to 1.1 and
                  slanted by up to a tenth, in one map
  perspective     seen at an angle: each corner moves inwards, by up to 15 % of the sides
  elastic         stretched like rubber: displacements of strength 8, smoothed over 4 pixels
  brightness      every byte times 0.6 to 1.4
  jitter          brightness, contrast and saturation times 0.6 to 1.4, in any order
  pca-colour      different light: one colour is added to all pixels, drawn along ImageNet's
                  principal components with AlexNet's sigma of 0.1, about 3 of 255 levels; RGB only
  cutout          a square, half as long as the shorter side (240 pixels at most), covered with
                  middle grey, or with black if the images are grey
  randaugment     two RandAugment operations of magnitude 9 (out of 30)
  cutmix          a box from another image pasted in; labels mixed in proportion to the area
  mixup           two images blended, and their labels
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from minivision.training.plain_json import parse_json
from minivision.transforms import (
    ColorJitter,
    Compose,
    CutMix,
    ElasticDistortion,
    Mixup,
    OperationSequence,
    PCAColor,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomTranslate,
    RandomVerticalFlip,
    from_description,
)

USUAL = (0.6, 1.4)  # factors of brightness, contrast and saturation
Shape = tuple[int, ...]  # (H, W, C)


def affine(shape: Shape) -> RandomAffine:
    return RandomAffine(degrees=10, translate=min(shape[:2]) / 10, scale=(0.9, 1.1), shear=0.1)


def cutout(shape: Shape) -> OperationSequence:
    """Cutout from Noisy Student's RandAugment, which covers 4M pixels around a random position.

    The batch transform `Cutout` runs after the images are standardised, but this transform is a
    step like all the others: every command can use it, and `minivision augment` can show it.
    """
    magnitude = min(min(shape[:2]) / 4 / 4, 30)
    fill = 0 if shape[2] == 1 else 128
    return OperationSequence([("cutout", magnitude)], preset="noisy_student", fill=fill)


def eighth(shape: Shape) -> int:
    return max(1, min(shape[:2]) // 8)


# Each entry creates its transform for images of shape (H, W, C).
STEPS: dict[str, Callable[[Shape], Any]] = {
    "flip": lambda shape: RandomHorizontalFlip(),
    "vertical-flip": lambda shape: RandomVerticalFlip(),
    "crop": lambda shape: RandomCrop(shape[:2], padding=eighth(shape)),  # type: ignore[arg-type]
    "translate": lambda shape: RandomTranslate(eighth(shape)),
    "rotate": lambda shape: RandomRotation(15),
    "shear": lambda shape: RandomAffine(shear=0.2),
    "affine": affine,
    "perspective": lambda shape: RandomPerspective(0.3),
    "elastic": lambda shape: ElasticDistortion(alpha=8, sigma=4),
    "brightness": lambda shape: ColorJitter(brightness=USUAL),
    "jitter": lambda shape: ColorJitter(USUAL, USUAL, USUAL),
    "pca-colour": lambda shape: PCAColor(),
    "cutout": cutout,
    "randaugment": lambda shape: RandAugment(2, 9),
}
MIXERS = {"cutmix": CutMix, "mixup": Mixup}
NAMES = (*STEPS, *MIXERS)
EXPLAINED = __doc__  # printed at the end of --help


class Policy(NamedTuple):
    """Transforms for single images, and the name of a batch mixer in MIXERS, or None."""

    steps: list[Any]
    mixer: str | None = None

    def without_mixer(self, option: str) -> list[Any]:
        """The transforms; ValueError if there is a mixer, which only `train` can use."""
        if self.mixer:
            raise ValueError(f"{option}: {self.mixer} mixes labels; use it with minivision train")
        return self.steps


def read_policy(option: str, text: str, shape: Shape) -> Policy:
    """The policy that `text` names, for images of shape (H, W, C); ValueErrors name `option`.

    >>> read_policy("--augment", "flip+mixup", (32, 32, 3))
    Policy(steps=[RandomHorizontalFlip(p=0.5)], mixer='mixup')
    """
    if text.endswith(".json"):
        policy = Policy(_read_file(option, Path(text)))
    else:
        policy = _read_names(option, text, shape)
    if shape[2] != 3 and any(isinstance(step, PCAColor) for step in policy.steps):
        raise ValueError(
            f"{option}: {text!r} contains pca-colour, which needs red, green and blue, but these "
            "images are grey; leave it out (brightness also works on grey images)"
        )
    return policy


def _read_names(option: str, text: str, shape: Shape) -> Policy:
    names = [] if text == "none" else text.split("+")
    for name in names:
        if name not in NAMES:
            raise ValueError(
                f"{option}: {text!r} contains {name!r}; expected none, a file NAME.json, or some "
                f"of {', '.join(NAMES)}, joined by +"
            )
    mixers = [name for name in names if name in MIXERS]
    if len(mixers) > 1:
        raise ValueError(f"{option}: {text!r} mixes a batch twice; keep one of {', '.join(MIXERS)}")
    steps = [STEPS[name](shape) for name in names if name in STEPS]
    return Policy(steps, mixers[0] if mixers else None)


def _read_file(option: str, path: Path) -> list[Any]:
    try:
        content = parse_json(f"{option}: {path}", path.read_bytes())
    except OSError as error:
        raise ValueError(f"{option}: {path} cannot be read as JSON: {error.strerror}") from error
    # The file written by a search has other entries besides the policy.
    described = content.get("policy", content) if isinstance(content, dict) else content
    try:
        transform = from_description(described)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{option}: {path} does not describe a transform: {error}") from error
    return list(transform.transforms) if isinstance(transform, Compose) else [transform]
