"""What `--augment` and `--policy` understand: names joined by plus signs, or a file.

flip+crop            mirrored half of the time, and moved by up to an eighth
crop+randaugment     moved, then two operations of RandAugment
flip+crop+cutmix     the last mixes the images of a batch, and their labels
best.json            what `minivision search-augmentation` found, or any description as JSON
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from minivision.transforms import (
    ColorJitter,
    Compose,
    CutMix,
    ElasticDistortion,
    Mixup,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomVerticalFlip,
    from_description,
)

USUAL = (0.6, 1.4)  # factors of a colour jitter

# Each makes its transform for images of a size (H, W).
STEPS: dict[str, Callable[[tuple[int, int]], Any]] = {
    "flip": lambda size: RandomHorizontalFlip(),
    "vertical-flip": lambda size: RandomVerticalFlip(),
    "crop": lambda size: RandomCrop(size, padding=max(1, min(size) // 8)),
    "rotate": lambda size: RandomRotation(15),
    "perspective": lambda size: RandomPerspective(0.3),
    "elastic": lambda size: ElasticDistortion(alpha=8, sigma=4),
    "jitter": lambda size: ColorJitter(USUAL, USUAL, USUAL),
    "randaugment": lambda size: RandAugment(2, 9),
}
MIXERS = {"cutmix": CutMix, "mixup": Mixup}
NAMES = (*STEPS, *MIXERS)


class Policy(NamedTuple):
    """Transforms of single images, and the name in MIXERS of what mixes batches, or None."""

    steps: list[Any]
    mixer: str | None = None


def read_policy(option: str, text: str, size: tuple[int, int]) -> Policy:
    """The policy that `text` names, for images of a size (H, W); ValueError names `option`.

    >>> read_policy("--augment", "flip+mixup", (32, 32))
    Policy(steps=[RandomHorizontalFlip(p=0.5)], mixer='mixup')
    """
    if text.endswith(".json"):
        return Policy(_read_file(option, Path(text)))
    names = [] if text == "none" else text.split("+")
    for name in names:
        if name not in NAMES:
            raise ValueError(
                f"{option}: {text!r} has {name!r}; expected none, a file NAME.json, or some of "
                f"{', '.join(NAMES)}, joined by +"
            )
    mixers = [name for name in names if name in MIXERS]
    if len(mixers) > 1:
        raise ValueError(f"{option}: {text!r} mixes a batch twice; keep one of {', '.join(MIXERS)}")
    steps = [STEPS[name](size) for name in names if name in STEPS]
    return Policy(steps, mixers[0] if mixers else None)


def _read_file(option: str, path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{option}: {path} cannot be read as JSON: {error}") from error
    # A search's file has more to tell than its policy.
    described = content.get("policy", content) if isinstance(content, dict) else content
    try:
        transform = from_description(described)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{option}: {path} describes no transform: {error}") from error
    return list(transform.transforms) if isinstance(transform, Compose) else [transform]
