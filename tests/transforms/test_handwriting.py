"""Framing a digit: any size, any polarity, dust and all."""

import cv2
import numpy as np
import pytest

from minivision.transforms.handwriting import FrameDigit, extents


def stroke():
    """A bright L on black, 28x28, its longer side 20 pixels, off the middle."""
    image = np.zeros((28, 28, 1), np.uint8)
    image[2:22, 4:8] = 180
    image[18:22, 4:16] = 180
    return image


def test_an_image_of_the_right_size_and_polarity_is_left_as_it_is():
    np.testing.assert_array_equal(FrameDigit()(stroke()), stroke())


def test_an_image_of_the_right_size_is_only_inverted():
    np.testing.assert_array_equal(FrameDigit()(255 - stroke()), stroke())


@pytest.mark.parametrize("dark_on_light", [True, False])
@pytest.mark.parametrize("size", [(100, 100), (300, 120), (60, 200)], ids=str)
def test_a_digit_anywhere_on_a_page_of_any_size_is_framed_alike(size, dark_on_light):
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


def test_a_speck_of_dust_does_not_shrink_the_digit():
    page = np.full((200, 200, 1), 240, np.uint8)
    page[60:140, 90:110] = 20
    clean = FrameDigit()(page)
    page[5:7, 190:192] = 30
    np.testing.assert_array_equal(FrameDigit()(page), clean)


def test_the_page_that_came_in_is_not_changed():
    page = cv2.resize(255 - stroke()[:, :, 0], (90, 120))[:, :, None]
    before = page.copy()
    FrameDigit()(page)
    np.testing.assert_array_equal(page, before)


def test_an_empty_page_is_refused():
    with pytest.raises(ValueError, match=r"all of one grey \(255 to 255\)"):
        FrameDigit()(np.full((50, 40, 1), 255, np.uint8))


@pytest.mark.parametrize("extent", [0, 29])
def test_an_extent_that_does_not_fit_is_refused(extent):
    with pytest.raises(ValueError, match=f"extent is {extent}; expected 1 to 28"):
        FrameDigit(extent=extent)


def test_extents_are_the_longer_sides_of_what_is_bright():
    images = np.zeros((4, 28, 28, 1), np.uint8)
    for image, side in zip(images, (6, 20, 22), strict=False):
        image[2 : 2 + side, 3:7] = 255
    assert extents(images) == [6, 20, 22]  # the last is empty
