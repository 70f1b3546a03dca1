"""Framing a handwritten digit: any size, any polarity, dust and all."""

import cv2
import numpy as np
import pytest

from minivision.transforms.handwriting import FrameDigit, extents


def stroke():
    """A bright L on black, 28x28, its longer side 20 pixels, off-centre."""
    image = np.zeros((28, 28, 1), np.uint8)
    image[2:22, 4:8] = 180
    image[18:22, 4:16] = 180
    return image


@pytest.mark.parametrize("image", [stroke(), 255 - stroke()], ids=["bright", "dark"])
def test_frame_digit_of_the_right_size_changes_only_the_polarity(image):
    np.testing.assert_array_equal(FrameDigit()(image), stroke())


@pytest.mark.parametrize("dark_on_light", [True, False])
@pytest.mark.parametrize("size", [(100, 100), (300, 120), (60, 200)], ids=str)
def test_frame_digit_centres_a_digit_from_anywhere_on_a_page_of_any_size(size, dark_on_light):
    page = np.zeros((*size, 1), np.uint8)
    page[-50:-10, -58:-50] = 200  # the same L, twice as large
    page[-18:-10, -58:-34] = 200
    page = 255 - page if dark_on_light else page
    framed = FrameDigit(extent=20)(page)
    assert framed.shape == (28, 28, 1)
    bright = framed[..., 0] > 128
    ys, xs = np.nonzero(bright)
    assert (ys.max() - ys.min() + 1, xs.max() - xs.min() + 1) == (20, 12)
    assert abs(np.average(ys) - 13.5) <= 1
    assert abs(np.average(xs) - 13.5) <= 1


def test_frame_digit_ignores_a_speck_of_dust():
    page = np.full((200, 200, 1), 240, np.uint8)
    page[60:140, 90:110] = 20
    clean = FrameDigit()(page)
    page[5:7, 190:192] = 30
    np.testing.assert_array_equal(FrameDigit()(page), clean)


def test_frame_digit_does_not_change_its_input():
    page = cv2.resize(255 - stroke()[:, :, 0], (90, 120))[:, :, None]
    before = page.copy()
    FrameDigit()(page)
    np.testing.assert_array_equal(page, before)


def test_extents_are_the_longer_sides_of_the_bright_areas():
    images = np.zeros((4, 28, 28, 1), np.uint8)
    for image, side in zip(images, (6, 20, 22), strict=False):
        image[2 : 2 + side, 3:7] = 255
    assert extents(images) == [6, 20, 22]  # the last is empty
