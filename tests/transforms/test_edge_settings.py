"""Descriptions edited by hand: any value of a setting works, or is refused by an error message."""

from dataclasses import fields

import numpy as np
import pytest

from minivision.transforms import (
    TRANSFORMS,
    Affine,
    CenterCrop,
    ColorJitter,
    ElasticDistortion,
    FrameDigit,
    Normalize,
    OperationSequence,
    Pad,
    PCAColor,
    Perspective,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomTranslate,
    RandomVerticalFlip,
    Resize,
    Rotate,
    Rotate90,
    Scale,
    ToArray,
    Translate,
    Warp,
    describe,
    from_description,
)

SQUARE = ((0, 0), (9, 0), (9, 9), (0, 9))
EXAMPLES = [
    ToArray(), Normalize(0.5, 0.5), Resize((8, 8)), Pad((32, 32)), Translate(1, 2), Scale(1.5),
    RandomTranslate(3), RandomScale(0.5, 2), RandomHorizontalFlip(), RandomCrop((12, 12), 2),
    RandomVerticalFlip(), Rotate90(1), Rotate(10), Affine(5, (1, 2)), Warp(np.eye(3).tolist()),
    Perspective(SQUARE, SQUARE), RandomRotation(5), RandomAffine(5, 1, (0.9, 1.1), 0.1),
    RandomPerspective(0.3), ElasticDistortion(), CenterCrop((4, 4)), RandomResizedCrop((8, 8)),
    FrameDigit(), PCAColor(), ColorJitter((0.5, 2)), RandAugment(),
    OperationSequence([("rotate", 5)]),
]  # fmt: skip
EDGES = [
    None, True, 0, -1, 2.9, 100_000, 10**9, 2**63, 10**400, -1e308, 1e308, 5e-324, float("nan"),
    float("inf"), "", "0", "nearest", [], [1], [1, "x"], [None, None], [-1, 5], [0, 0], [[1]], {},
    [1e308, 1e308], [5e-324, 5e-324], [30_000, 30_000], [10**400, 1], {"": 0},
]  # fmt: skip


def test_every_transform_that_can_be_described_has_an_example():
    assert {type(example).__name__ for example in EXAMPLES} == set(TRANSFORMS)


@pytest.mark.timeout(60)  # a count of 10⁴⁰⁰ operations would never end
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_value_of_a_setting_works_or_is_refused_by_name(example):
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    image = ToArray()(image) if isinstance(example, Normalize) else image
    for setting in fields(example):
        for edge in EDGES:
            try:
                step = from_description(describe(example) | {setting.name: edge})
                step(image, np.random.default_rng(0))
            except ValueError as error:
                assert setting.name in str(error), edge  # noqa: PT017
