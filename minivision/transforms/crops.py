"""Five crops or ten: five views of the same image, and the mirror image of each view.

If a network was trained on random crops, averaging its predictions for several crops lets it see
more of an image and be right more often (Krizhevsky et al. 2012, §4.1); `training/ten_crops.py`
does this. Since they turn one image into several, the following are plain functions, not transforms
for a pipeline.
"""

from __future__ import annotations

import numpy as np

from minivision.transforms.checks import check_image, check_size


def crop_offsets(image_size: tuple[int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
    """The top left corners (y, x) of five crops: in the image's four corners, then in the centre.

    If the centre falls between two pixels, the upper or left one is used.

    >>> crop_offsets((256, 256), (224, 224))
    [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
    """
    check_size("crop_offsets", "size", size)
    spare_y, spare_x = image_size[0] - size[0], image_size[1] - size[1]
    if min(spare_y, spare_x) < 0:
        raise ValueError(
            f"crop_offsets: size is {size}, larger than the image {tuple(image_size)}; "
            "resize the image first"
        )
    corners = [(y, x) for y in (0, spare_y) for x in (0, spare_x)]
    return [*corners, (spare_y // 2, spare_x // 2)]


def five_crops(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The four corners and the centre: uint8 (H, W, C) -> (5, OH, OW, C), (OH, OW) = size."""
    check_image("five_crops", image)
    offsets = crop_offsets(image.shape[:2], size)
    OH, OW = size
    return np.stack([image[y : y + OH, x : x + OW] for y, x in offsets])


def ten_crops(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`five_crops` and the mirror image of each: uint8 (H, W, C) -> (10, OH, OW, C).

    Crop i + 5 is the mirror image of crop i. (torchvision takes its second five from the mirrored
    image, so its left and right ones are swapped.)

    >>> ten_crops(np.arange(6, dtype=np.uint8).reshape(2, 3, 1), (1, 2))[[0, 5], 0, :, 0]
    array([[0, 1],
           [1, 0]], dtype=uint8)
    """
    check_image("ten_crops", image)
    five = five_crops(image, size)
    return np.concatenate([five, five[:, :, ::-1]])
