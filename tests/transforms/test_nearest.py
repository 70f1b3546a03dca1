"""Shear, translate and rotate with the nearest pixel: their exact bytes, and what holds for all."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import nearest
from tests.strategies import seeds
from tests.transforms.examples import images, reference_image


# Sums and CRC-32 of the bytes that Pillow 13 computes from the reference image.
@pytest.mark.parametrize(
    ("move", "amount", "fill", "total", "checksum"),
    [
        (nearest.shear_x, 0.2, 0, 106778, 1966440797),
        (nearest.shear_y, -0.2, 128, 116313, 2464573509),
        (nearest.translate_x, 4, 0, 93392, 1847506121),
        (nearest.translate_y, -3, 128, 116750, 2725522535),
        (nearest.rotate, 15, 0, 104186, 4154228285),
        (nearest.rotate, -30, 128, 117325, 3048216865),
    ],
)
def test_nearest_gives_the_bytes_of_pillow(move, amount, fill, total, checksum):
    y = move(reference_image(), amount, fill)
    assert y.sum(dtype=int) == total
    assert zlib.crc32(y.tobytes()) == checksum


MOVES = [nearest.shear_x, nearest.shear_y, nearest.translate_x, nearest.translate_y, nearest.rotate]
each = pytest.mark.parametrize("move", MOVES)


@each
@given(image=images)
def test_nearest_with_amount_0_copies_the_image(move, image):
    image.flags.writeable = False
    y = move(image, 0.0)
    np.testing.assert_array_equal(y, image)
    assert not np.shares_memory(y, image)


@each
@given(image=images, amount=st.floats(-40, 40), fill=st.integers(0, 255))
def test_nearest_returns_pixels_of_the_image_or_the_fill_only(move, image, amount, fill):
    y = move(image, amount, fill)
    assert (y.shape, y.dtype) == (image.shape, np.uint8)
    known = {tuple(pixel) for pixel in image.reshape(-1, image.shape[2]).tolist()}
    known.add((fill,) * image.shape[2])
    assert {tuple(pixel) for pixel in y.reshape(-1, image.shape[2]).tolist()} <= known


@given(image=images, pixels=st.integers(-10, 10))
def test_nearest_translations_by_whole_pixels_are_slices(image, pixels):
    """Positive to the left and up, as in Pillow."""
    H, W, _ = image.shape
    for move, axis, length in ((nearest.translate_x, 1, W), (nearest.translate_y, 0, H)):
        y = move(image, pixels, 7)
        for i in range(length):
            source = i + pixels
            expected = image.take(source, axis) if 0 <= source < length else 7
            np.testing.assert_array_equal(y.take(i, axis), expected)


@given(H=st.integers(1, 8), W=st.integers(1, 8), seed=seeds)
def test_nearest_rotations_by_half_and_quarter_turns_lose_no_pixel(H, W, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
    np.testing.assert_array_equal(nearest.rotate(image, 180), image[::-1, ::-1])
    square = rng.integers(0, 256, (H, H, 3), dtype=np.uint8)
    np.testing.assert_array_equal(nearest.rotate(square, 90), np.rot90(square))
    np.testing.assert_array_equal(nearest.rotate(square, -90), np.rot90(square, -1))
    np.testing.assert_array_equal(nearest.rotate(square, 360), square)


def test_affine_nearest_takes_the_map_from_the_result_to_the_image():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    twice = nearest.affine_nearest(image, (0.5, 0, 0, 0, 0.5, 0))  # magnified by 2
    assert twice[:, :, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [4, 4, 5, 5]]
