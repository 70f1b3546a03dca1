"""PCA colour: the formula, the draw, and the components of a set of images."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import ColorShift, PCAColor, color_components
from tests.transforms.examples import random_image


class Given(np.random.Generator):
    """A generator whose normal draws are given."""

    def __init__(self, *alpha):
        super().__init__(np.random.PCG64(0))
        self.alpha, self.asked = np.array(alpha), []

    def normal(self, mean, sigma, count):
        self.asked.append((mean, sigma, count))
        return self.alpha


def test_color_shift_is_the_papers_formula_with_imagenets_components():
    """By hand, for red, green and blue; the eigenvalue multiplies, not its root."""
    rng = Given(0.1, -0.2, 0.3)
    shift = PCAColor().draw((5, 7), rng)
    assert rng.asked == [(0, 0.1, 3)]
    a, b, c = 0.1 * 0.2175, -0.2 * 0.0188, 0.3 * 0.0045
    assert shift.red == pytest.approx(255 * (-0.5675 * a + 0.7192 * b + 0.4009 * c))
    assert shift.green == pytest.approx(255 * (-0.5808 * a - 0.0045 * b - 0.8140 * c))
    assert shift.blue == pytest.approx(255 * (-0.5836 * a - 0.6948 * b + 0.4203 * c))


def test_color_shift_has_a_normal_alpha_drawn_once_per_image():
    """With the identity for components the shift is 255·α·λ."""
    transform = PCAColor(0.3, (1.0, 2.0, 0.5), np.eye(3))
    rng = np.random.default_rng(0)
    shifts = [transform.draw((4, 4), rng) for _ in range(4000)]
    for name, value in (("red", 1.0), ("green", 2.0), ("blue", 0.5)):
        drawn = np.array([getattr(shift, name) for shift in shifts]) / (255 * value)
        assert abs(drawn.mean()) < 4 * 0.3 / math.sqrt(4000)
        assert drawn.std() == pytest.approx(0.3, rel=4 / math.sqrt(8000))
    flat = np.full((6, 8, 3), 100, np.uint8)
    changed = PCAColor(1.0)(flat, np.random.default_rng(1))
    assert (changed == changed[0, 0]).all()
    assert (changed != flat).any()


@given(st.integers(0, 99), st.floats(-300, 300), st.floats(-300, 300), st.floats(-300, 300))
def test_color_shift_moves_every_pixel_then_rounds_and_clips(seed, red, green, blue):
    image = random_image(3, 4, seed=seed)
    before = image.copy()
    y = PCAColor().apply(image, ColorShift(red, green, blue))
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    for i in range(3):
        for j in range(4):
            for c, shift in enumerate((red, green, blue)):
                exact = min(max(int(image[i, j, c]) + shift, 0), 255)
                assert abs(float(y[i, j, c]) - exact) <= 0.5 + 1e-4


def test_color_shift_can_be_replayed_and_depends_on_the_generator():
    image, transform = random_image(5, 7), PCAColor(2.0)
    shift = transform.draw((5, 7), np.random.default_rng(3))
    replayed = transform.apply(image, shift)
    np.testing.assert_array_equal(transform(image, np.random.default_rng(3)), replayed)
    assert (transform(image, np.random.default_rng(4)) != replayed).any()
    assert str(shift).startswith("ColorShift(red=")


def test_color_shift_is_0_for_sigma_0():
    image = random_image(5, 7)
    np.testing.assert_array_equal(PCAColor(0.0)(image, np.random.default_rng(0)), image)


# ── components ───────────────────────────────────────────────────────────────────────────────


def test_color_components_are_those_of_all_pixels_of_all_images_together():
    """Against NumPy's covariance; images of several sizes, so a mean of means would be wrong."""
    images = [random_image(3, 5, seed=1), random_image(6, 2, seed=2) // 3, random_image(1, 1)]
    values, vectors = color_components(iter(images))
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]) / 255
    covariance = np.cov(pixels.T, bias=True)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert values[0] > values[1] > values[2] > 0
    for i in range(3):
        assert vectors[abs(vectors[:, i]).argmax(), i] > 0


def test_color_components_of_one_colour_shift_images_along_it():
    """Pixels on a line from black to orange: the shift is a multiple of orange."""
    steps = np.arange(0, 101, 4)[:, None, None]
    image = (steps * np.array([2, 1, 0])).astype(np.uint8)
    values, vectors = color_components([image])
    np.testing.assert_allclose(vectors[:, 0], np.array([2, 1, 0]) / math.sqrt(5), atol=1e-12)
    assert values[1:] == pytest.approx(0, abs=1e-12)
    shift = PCAColor(0.5, values, vectors).draw((1, 1), np.random.default_rng(0))
    assert abs(shift.red) > 0.1
    assert (shift.green, shift.blue) == pytest.approx((shift.red / 2, 0), abs=1e-9)
