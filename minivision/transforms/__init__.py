"""Image transforms: uint8 images (H, W, C) in, then float32 arrays (C, H, W) for the network.

In reading order: `pipeline` defines what a transform is, chains several and makes the final array,
and `checks` has the error messages. `resampling` reads an image between its pixels, `pixel_maps`
defines how images, points, masks and boxes follow a map, and `geometry` to `windows` (shifts,
flips, rotations, perspective, elastic distortion, crops) are such maps. `handwriting` frames a
photographed digit like the training images, and `crops` takes five or ten crops from an image.
`light` and `tables` have plain functions that change the light, `color` and `jitter` draw such
changes at random, and `nearest` moves whole pixels. `randaugment` draws from all of these, whereas
`policy` applies a fixed list of them. `mixing` and `erasing` change a whole batch. The table of
names below makes it possible to save a run's preprocessing as plain JSON in its settings, and to
rebuild it later.

>>> import json
>>> transform = Compose([Resize((32, 32)), ToArray()])
>>> text = json.dumps(describe(transform))
>>> text
'[{"transform": "Resize", "size": [32, 32]}, {"transform": "ToArray"}]'
>>> from_description(json.loads(text)) == transform
True
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from minivision.transforms.color import ColorShift, PCAColor, color_components
from minivision.transforms.crops import crop_offsets, five_crops, ten_crops
from minivision.transforms.elastic import Displacement, ElasticDistortion
from minivision.transforms.erasing import Cutout, ErasedBatch
from minivision.transforms.flips import RandomVerticalFlip, Rotate90
from minivision.transforms.from_points import (
    Perspective,
    affine_from_points,
    perspective_from_points,
)
from minivision.transforms.geometry import Pad, Resize, Scale, Translate
from minivision.transforms.handwriting import FrameDigit
from minivision.transforms.jitter import Change, ColorJitter
from minivision.transforms.mixing import (
    Box,
    CutMix,
    MixedBatch,
    Mixing,
    Mixup,
)
from minivision.transforms.pipeline import Compose, Normalize, ToArray, Transform
from minivision.transforms.pixel_maps import PixelMap, Projection
from minivision.transforms.policy import OperationSequence
from minivision.transforms.randaugment import RandAugment
from minivision.transforms.random_geometry import (
    RandomCrop,
    RandomHorizontalFlip,
    RandomScale,
    RandomTranslate,
)
from minivision.transforms.random_warps import RandomAffine, RandomPerspective, RandomRotation
from minivision.transforms.warps import Affine, Rotate, Warp
from minivision.transforms.windows import CenterCrop, RandomResizedCrop

# The only names allowed in a description, so that a settings file cannot run any other code.
TRANSFORMS: dict[str, Any] = {
    "ToArray": ToArray,
    "Normalize": Normalize,
    "Resize": Resize,
    "Pad": Pad,
    "Translate": Translate,
    "Scale": Scale,
    "RandomTranslate": RandomTranslate,
    "RandomScale": RandomScale,
    "RandomHorizontalFlip": RandomHorizontalFlip,
    "RandomCrop": RandomCrop,
    "RandomVerticalFlip": RandomVerticalFlip,
    "Rotate90": Rotate90,
    "Rotate": Rotate,
    "Affine": Affine,
    "Warp": Warp,
    "Perspective": Perspective,
    "RandomRotation": RandomRotation,
    "RandomAffine": RandomAffine,
    "RandomPerspective": RandomPerspective,
    "ElasticDistortion": ElasticDistortion,
    "CenterCrop": CenterCrop,
    "RandomResizedCrop": RandomResizedCrop,
    "FrameDigit": FrameDigit,
    "PCAColor": PCAColor,
    "ColorJitter": ColorJitter,
    "RandAugment": RandAugment,
    "OperationSequence": OperationSequence,
}


def describe(transform: Any) -> list | dict:
    """The transform as plain JSON: a dict with its name and settings, or a list for a Compose.

    Raises ValueError if the transform is not in the table `TRANSFORMS`.
    """
    if isinstance(transform, Compose):
        return [describe(step) for step in transform.transforms]
    name = type(transform).__name__
    if TRANSFORMS.get(name) is not type(transform):
        raise ValueError(
            f"describe: transform is {transform!r}, which is not in TRANSFORMS; "
            f"expected Compose or one of {', '.join(TRANSFORMS)}"
        )
    settings = {field.name: getattr(transform, field.name) for field in fields(transform)}
    return {"transform": name} | {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()
    }


def from_description(description: list | dict) -> Any:
    """Rebuild a transform from the output of `describe`.

    Raises ValueError if a name is unknown, if a setting is unknown or missing, or if a value has
    the wrong type.
    """
    if isinstance(description, list):
        return Compose([from_description(step) for step in description])
    if not isinstance(description, dict) or "transform" not in description:
        raise ValueError(
            f"from_description: description is {description!r}; "
            'expected a list, or a dict with the key "transform"'
        )
    settings = dict(description)
    name = settings.pop("transform")
    if not isinstance(name, str) or name not in TRANSFORMS:
        raise ValueError(
            f"from_description: transform is {name!r}; expected one of {', '.join(TRANSFORMS)}"
        )
    kind = TRANSFORMS[name]
    expected = [field.name for field in fields(kind)]
    if sorted(settings) != sorted(expected):
        raise ValueError(
            f"from_description: {name} has the settings {sorted(settings)}; "
            f"expected {sorted(expected)}"
        )
    # JSON has no tuples: it turned them into lists.
    return kind(
        **{
            key: tuple(value) if isinstance(value, list) else value
            for key, value in settings.items()
        }
    )


__all__ = [
    "Transform",
    "Compose",
    "ToArray",
    "Normalize",
    "Pad",
    "PixelMap",
    "Projection",
    "Resize",
    "Translate",
    "Scale",
    "RandomTranslate",
    "RandomScale",
    "RandomHorizontalFlip",
    "RandomCrop",
    "RandomVerticalFlip",
    "Rotate90",
    "Rotate",
    "Affine",
    "Warp",
    "Perspective",
    "affine_from_points",
    "perspective_from_points",
    "RandomRotation",
    "RandomAffine",
    "RandomPerspective",
    "ElasticDistortion",
    "Displacement",
    "CenterCrop",
    "RandomResizedCrop",
    "FrameDigit",
    "crop_offsets",
    "five_crops",
    "ten_crops",
    "PCAColor",
    "ColorJitter",
    "Change",
    "ColorShift",
    "color_components",
    "RandAugment",
    "OperationSequence",
    "CutMix",
    "Mixup",
    "Cutout",
    "Mixing",
    "MixedBatch",
    "ErasedBatch",
    "Box",
    "TRANSFORMS",
    "describe",
    "from_description",
]
