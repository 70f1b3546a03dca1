"""Descriptions edited by hand: any value of a setting works, or an error names the setting."""

from dataclasses import fields

import numpy as np
import pytest

from minivision.transforms import Compose, Normalize, ToArray, describe, from_description
from tests.transforms.examples import EXAMPLES

EDGES = [
    None, True, 0, -1, 2.9, 100_000, 10**9, 2**63, 10**400, -1e308, 1e308, 5e-324, float("nan"),
    float("inf"), "", "0", "nearest", [], [1], [1, "x"], [None, None], [-1, 5], [0, 0], [[1]], {},
    [1e308, 1e308], [5e-324, 5e-324], [30_000, 30_000], [10**400, 1], {"": 0},
]  # fmt: skip


@pytest.mark.timeout(60)  # a count of 10⁴⁰⁰ operations would never end
@pytest.mark.parametrize("example", [e for e in EXAMPLES if not isinstance(e, Compose)], ids=repr)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_from_description_accepts_a_setting_or_names_it(example):
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    image = ToArray()(image) if isinstance(example, Normalize) else image
    for setting in fields(example):
        for edge in EDGES:
            try:
                step = from_description(describe(example) | {setting.name: edge})
                step(image, np.random.default_rng(0))
            except ValueError as error:
                assert setting.name in str(error), edge  # noqa: PT017
