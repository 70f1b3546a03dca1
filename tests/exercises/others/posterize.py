"""Posterize by the engine, and written in other ways."""

import numpy as np

from minivision.transforms import RandAugment
from minivision.transforms.randaugment import MONOTONE, Step


def engine(image, magnitude):
    bits = MONOTONE["posterize"].amount(magnitude, 0)
    return RandAugment(1, magnitude).apply(image, [Step("posterize", bits)])


def with_a_mask(image, magnitude):
    bits = 8 - round(4 * magnitude / 30)
    return image & np.uint8(256 - 2 ** (8 - bits))


def with_division(image, magnitude):
    step = 2 ** round(4 * magnitude / 30)
    return image // step * step


def with_the_remainder(image, magnitude):
    return image - image % 2 ** int(magnitude * 4 / 30 + 0.5)


def with_binary_strings(image, magnitude):
    dropped, result = round(magnitude / 7.5), image.copy()
    for place in np.ndindex(image.shape):
        digits = f"{image[place]:08b}"
        result[place] = int(digits[: 8 - dropped] + "0" * dropped, 2)
    return result


def with_a_table(image, magnitude):
    step = 2 ** round(4 * magnitude / 30)
    table = np.repeat(np.arange(0, 256, step, dtype=np.uint8), step)
    return table[image]
