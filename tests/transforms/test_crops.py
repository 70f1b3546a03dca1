"""Five and ten crops: where they are cut, and what they show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import crop_offsets, five_crops, ten_crops


def numbered(H, W, C=1):
    """An image whose pixels all differ, as far as bytes allow."""
    return (np.arange(H * W * C) % 251).astype(np.uint8).reshape(H, W, C)


@pytest.mark.parametrize(
    ("size", "far", "centre"), [(224, 32, 16), (227, 29, 14), (256, 0, 0), (255, 1, 0)]
)
def test_crop_offsets_of_256_pixels_are_those_of_the_paper(size, far, centre):
    assert crop_offsets((256, 256), (size, size)) == [
        (0, 0),
        (0, far),
        (far, 0),
        (far, far),
        (centre, centre),
    ]


@given(st.integers(1, 7), st.integers(1, 8), st.sampled_from([1, 3, 4]), st.data())
def test_ten_crops_are_the_corners_the_centre_and_their_mirror_images(H, W, C, data):
    OH, OW = data.draw(st.integers(1, H)), data.draw(st.integers(1, W))
    image = numbered(H, W, C)
    before = image.copy()
    crops = ten_crops(image, (OH, OW))
    assert crops.shape == (10, OH, OW, C)
    assert crops.dtype == np.uint8
    down, right = H - OH, W - OW
    begins = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    for i, (top, left) in enumerate(begins):
        for y in range(OH):
            for x in range(OW):
                assert (crops[i, y, x] == image[top + y, left + x]).all()
                assert (crops[5 + i, y, OW - 1 - x] == image[top + y, left + x]).all()
    np.testing.assert_array_equal(five_crops(image, (OH, OW)), crops[:5])
    crops[...] = 0
    np.testing.assert_array_equal(image, before)
