"""ColorJitter: what it draws, and what it leaves alone."""

import numpy as np

from minivision.transforms import Change, ColorJitter
from minivision.transforms.light import brightness, color, contrast

IMAGE = np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8)
FULL = ColorJitter((0.5, 1.5), (0.2, 0.9), (1.0, 3.0))


def test_color_jitter_applies_changes_in_the_order_drawn():
    parameters = (Change("saturation", 2.5), Change("brightness", 0.4), Change("contrast", 1.7))
    expected = contrast(brightness(color(IMAGE, 2.5), 0.4), 1.7)
    assert (FULL.apply(IMAGE, parameters) == expected).all()
    other_way = FULL.apply(IMAGE, parameters[::-1])
    assert (other_way != expected).any()


def test_color_jitter_fills_its_ranges_and_draws_every_order():
    rng = np.random.default_rng(0)
    draws = [FULL.draw((6, 9), rng) for _ in range(600)]
    assert len({tuple(change.name for change in draw) for draw in draws}) == 6
    for name, (low, high) in {"brightness": (0.5, 1.5), "contrast": (0.2, 0.9)}.items():
        factors = [dict(draw)[name] for draw in draws]
        assert low <= min(factors) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(factors) <= high


def test_color_jitter_never_changes_what_is_none():
    draw = ColorJitter(contrast=(2, 2)).draw((6, 9), np.random.default_rng(1))
    assert draw == (Change("contrast", 2.0),)
    nothing = ColorJitter()
    image = nothing(IMAGE, np.random.default_rng(1))
    assert (image == IMAGE).all()
    assert image is not IMAGE
