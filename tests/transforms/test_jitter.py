"""ColorJitter: what it draws, what it leaves alone, and how it refuses."""

import re

import numpy as np
import pytest

from minivision.transforms import Change, ColorJitter, describe, from_description
from minivision.transforms.light import brightness, color, contrast

IMAGE = np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8)
FULL = ColorJitter((0.5, 1.5), (0.2, 0.9), (1.0, 3.0))


def test_the_changes_are_made_in_the_order_in_which_they_were_drawn():
    parameters = (Change("saturation", 2.5), Change("brightness", 0.4), Change("contrast", 1.7))
    expected = contrast(brightness(color(IMAGE, 2.5), 0.4), 1.7)
    assert (FULL.apply(IMAGE, parameters) == expected).all()
    other_way = FULL.apply(IMAGE, parameters[::-1])
    assert (other_way != expected).any()


def test_factors_fill_their_ranges_and_every_order_comes_up():
    rng = np.random.default_rng(0)
    draws = [FULL.draw((6, 9), rng) for _ in range(600)]
    assert len({tuple(change.name for change in draw) for draw in draws}) == 6
    for name, (low, high) in {"brightness": (0.5, 1.5), "contrast": (0.2, 0.9)}.items():
        factors = [dict(draw)[name] for draw in draws]
        assert low <= min(factors) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(factors) <= high


def test_what_is_none_is_never_drawn():
    draw = ColorJitter(contrast=(2, 2)).draw((6, 9), np.random.default_rng(1))
    assert draw == (Change("contrast", 2.0),)
    nothing = ColorJitter()
    image = nothing(IMAGE, np.random.default_rng(1))
    assert (image == IMAGE).all()
    assert image is not IMAGE


def test_the_same_seed_gives_the_same_image_and_the_input_stays():
    before = IMAGE.copy()
    first, second = (FULL(IMAGE, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all()
    assert (before == IMAGE).all()


def test_a_description_rebuilds_it():
    jitter = ColorJitter(saturation=(0.5, 2.0))
    assert from_description(describe(jitter)) == jitter


@pytest.mark.parametrize("bad", [0.4, (0.6,), (1.4, 0.6), (-0.1, 1), ("a", "b"), (1, np.inf)])
def test_a_range_that_is_none_is_named(bad):
    with pytest.raises(ValueError, match=re.escape(f"ColorJitter: contrast is {bad!r}")):
        ColorJitter(contrast=bad)


def test_without_a_generator_it_says_what_it_needs():
    with pytest.raises(ValueError, match=r"ColorJitter.*rng"):
        FULL(IMAGE)
