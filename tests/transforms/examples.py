"""What the tests of transforms share: random images, and one or more of every transform."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minivision.transforms import (
    Affine,
    CenterCrop,
    ColorJitter,
    Compose,
    ElasticDistortion,
    FrameDigit,
    Normalize,
    OperationSequence,
    Pad,
    PCAColor,
    Perspective,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomTranslate,
    RandomVerticalFlip,
    Resize,
    Rotate,
    Rotate90,
    Scale,
    ToArray,
    Translate,
    Warp,
)

sides = st.integers(1, 14)
channels = st.sampled_from([1, 3, 4])
images = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])).flatmap(
    lambda shape: arrays(np.uint8, shape)
)


def random_image(H, W, C=3, seed=0):
    """A read-only image: a transform that writes into its input fails."""
    image = np.random.default_rng(seed).integers(0, 256, (H, W, C), dtype=np.uint8)
    image.flags.writeable = False
    return image


def reference_image():
    """(37y + 59x + 83c + 7xy) mod 200 + 20, 16 rows of 20 pixels."""
    y, x, c = np.ogrid[:16, :20, :3]
    return ((37 * y + 59 * x + 83 * c + 7 * x * y) % 200 + 20).astype(np.uint8)


EXAMPLES = [
    ToArray(),
    Normalize((0.1, 0.2, 0.4), (0.3, 0.4, 0.2)),
    Normalize(0.5, np.float64(0.25)),
    Resize((3, 5)),
    Pad((40, 50), fill=3),
    Translate(2, -1, fill=7),
    Translate(0.5, 0.25),
    Scale(1.25, fill=3),
    RandomTranslate(3, fill=1),
    RandomScale(0.7, 1.4, fill=5),
    RandomHorizontalFlip(0.25),
    RandomCrop((4, 6), padding=2, fill=9),
    CenterCrop((4, 6)),
    RandomResizedCrop((8, 6), (0.2, 0.9), (0.5, 2.0)),
    RandomVerticalFlip(0.75),
    Rotate90(3),
    Rotate(12.5, interpolation="nearest", border="edge"),
    Affine(5.0, (1.0, -2.0), 1.1, (0.1, 0.2), border="reflect"),
    Warp(((1, 0.5, 0), (0, 1, 0), (0, 0.001, 1)), size=(7, 9), fill=8),
    Warp(np.eye(3)),
    Perspective([[0, 0], [9, 1], [9, 9], [0, 8]], ((0, 0), (4, 0), (4, 4), (0, 4)), (5, 5)),
    RandomRotation(30, fill=3),
    RandomRotation(30, "nearest", "edge"),
    RandomAffine(20, 3, (0.7, 1.2), 0.3, border="reflect"),
    RandomPerspective(0.5),
    RandomPerspective(0.6, "nearest"),
    ElasticDistortion(20.0, 3.0, border="reflect"),
    FrameDigit((20, 24), extent=16),
    PCAColor(0.2, (0.3, 0.2, 0.1), ((1, 0, 0), (0, 0, 1), (0, 1, 0))),
    ColorJitter((0.6, 1.4), None, (0.5, 2.0)),
    RandAugment(3, 5.0, "noisy_student", fill=0),
    OperationSequence([["rotate", 9], ("color", 2.5)], 0.5, fill=0),
    Compose([RandomTranslate(1), Compose([ToArray(), Normalize(0, 1)])]),
]
