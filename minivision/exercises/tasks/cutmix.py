"""Write CutMix for a batch whose random numbers are already drawn.

Image n receives a box of pixels from its partner, image permutation[n], at the same place, and its
target becomes a mixture of both targets. The box is the same for all images.

lam (λ), from 0 to 1, says how much of each image should remain. So the box has √(1-λ) times the
sides of the image. From its centre (row, column) it extends in each direction by

    half_height = int(H·√(1-λ)) // 2        half_width = int(W·√(1-λ)) // 2

It covers the rows from row - half_height to row + half_height - 1, and likewise the columns. What
lies outside the image is cut off: rows below 0 or above H - 1, columns below 0 or above W - 1.

The targets are mixed according to what is really left, and so λ is computed again from the number
of pixels in the box after clipping:

    λ = 1 - pixels / (H·W)        target = λ · own target + (1 - λ) · partner's target

The results are new arrays; images and targets remain as they are.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def cutmix(images, targets, permutation, lam, centre):
    """images (N, C, H, W), targets (N, K), permutation (N,), lam, centre (row, column) ->
    mixed_images (N, C, H, W), mixed_targets (N, K). The rows of targets are probabilities.

    >>> images = np.array([1.0, 2.0]).reshape(2, 1, 1, 1) * np.ones((2, 1, 3, 4))
    >>> mixed, targets = cutmix(images, np.eye(2), np.array([1, 0]), 0.3, (0, 2))
    >>> mixed[0, 0]
    array([[1., 2., 2., 1.],
           [1., 1., 1., 1.],
           [1., 1., 1., 1.]])
    >>> targets.round(4)
    array([[0.8333, 0.1667],
           [0.1667, 0.8333]])
    """
    N, C, H, W = images.shape
    (row, column), side = centre, np.sqrt(1 - lam)
    half_height, half_width = int(H * side) // 2, int(W * side) // 2
    top, bottom = max(row - half_height, 0), min(row + half_height, H)
    left, right = max(column - half_width, 0), min(column + half_width, W)
    mixed = images.copy()
    mixed[:, :, top:bottom, left:right] = images[permutation, :, top:bottom, left:right]
    lam = 1 - (bottom - top) * (right - left) / (H * W)
    return mixed, lam * targets + (1 - lam) * targets[permutation]


@st.composite
def inputs(draw):
    N, C, K = draw(st.sampled_from((2, 3, 4, 1))), draw(st.integers(1, 2)), draw(st.integers(2, 3))
    # The sides differ by 2, so a box whose row and column are exchanged still touches the image.
    H, W = draw(st.sampled_from(((3, 5), (5, 3), (4, 6), (6, 4))))
    row, column = draw(st.integers(0, H - 1)), draw(st.integers(0, W - 1))
    lam = draw(st.sampled_from((0.3, 0.5, 0.1)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    circle, permutation = rng.permutation(N), np.arange(N)
    permutation[circle] = np.roll(circle, 1)  # no image is its own partner, unless N = 1
    counts = rng.integers(0, 4, (N, K)) + np.eye(K, dtype=int)[rng.integers(0, K, N)]
    images, targets = draw(numbers((N, C, H, W))), counts / counts.sum(axis=1, keepdims=True)
    return images, targets, permutation, lam, (row, column)


def targets_count_pixels(function, inputs):
    """Give each image a channel of its own, and each its own class."""
    images, _, *drawn = inputs
    N, _, H, W = images.shape
    own = np.eye(N)
    mixed, targets = function(own[:, :, None, None] * np.ones((H, W)), own, *drawn)
    return np.allclose(mixed.mean(axis=(2, 3)), targets)


EXERCISE = Exercise(
    cutmix,
    lesson=12,
    page="transforms/mixing.py",
    inputs=inputs(),
    returns=("mixed_images", "mixed_targets"),
    mistakes=(
        Mistake(
            "the first row of the box may be negative",
            "max(row - half_height, 0)",
            "(row - half_height)",
            "Which row is images[:, :, -1]?",
        ),
        Mistake(
            "the targets are mixed with the λ that was drawn",
            "    lam = 1 - (bottom - top) * (right - left) / (H * W)\n",
            "",
            "If half of the box is outside the image, how much of the partner do you see?",
        ),
        Mistake(
            "λ is computed from the box before it is clipped",
            "(bottom - top) * (right - left)",
            "4 * half_height * half_width",
            "How many pixels really come from the partner if the centre is in a corner?",
        ),
        Mistake(
            "the two targets have each other's weight",
            "lam * targets + (1 - lam) * targets[permutation]",
            "(1 - lam) * targets + lam * targets[permutation]",
            "If the box is tiny, is λ nearly 0 or nearly 1? Whose target should count most?",
        ),
        Mistake(
            "the targets are not mixed",
            "lam * targets + (1 - lam) * targets[permutation]",
            "targets",
            "Part of the image now shows something else. Does its target say so?",
        ),
        Mistake(
            "the sides of the box are 1 - λ times those of the image",
            "np.sqrt(1 - lam)",
            "(1 - lam)",
            "The box should cover a share of 1 - λ. What is the area of a box with half the sides?",
        ),
        Mistake(
            "the sides of the box are √λ times those of the image",
            "np.sqrt(1 - lam)",
            "np.sqrt(lam)",
            "Is λ the share of the image inside or outside the box?",
        ),
        Mistake(
            "the box extends by its whole side in each direction",
            "int(H * side) // 2, int(W * side) // 2",
            "int(H * side), int(W * side)",
            "How high is a box that extends by 2 both upwards and downwards?",
        ),
        Mistake(
            "the width of the box is computed from the height of the image",
            "int(W * side)",
            "int(H * side)",
            "In an image that is wider than it is high, what is the shape of the box?",
        ),
        Mistake(
            "the first number of centre is taken for the column",
            "(row, column), side",
            "(column, row), side",
            "In which order does NumPy index the pixels of an image?",
        ),
        Mistake(
            "image permutation[n] receives the box of image n, and not the other way round",
            "[permutation",
            "[np.argsort(permutation)",
            "If permutation is [1, 2, 0], which image is the partner of image 0?",
        ),
        Mistake(
            "some boxes are copied from images that have already received one",
            "mixed[:, :, top:bottom, left:right] = images[permutation, :, top:bottom, left:right]",
            "for n in range(N):\n"
            "        box = mixed[permutation[n], :, top:bottom, left:right]\n"
            "        mixed[n, :, top:bottom, left:right] = box",
            "Two images are each other's partners. When the second one is done, what is in the box "
            "of the first?",
        ),
    ),
    hints=(
        "First find four whole numbers: the rows from top to bottom - 1 and the columns from left "
        "to right - 1. max(…, 0) and min(…, H) cut off what lies outside.",
        "images[permutation] holds the partner of every image, in order. The same index works for "
        "targets.",
        "Copy images and write into the copy, but read the partners' pixels from images: there "
        "they are unchanged. (With np.clip, the sides of the box are NumPy integers, and so λ is a "
        "float64 that turns float32 targets into float64. int(…) or max and min avoid this.)",
        "Compute side = √(1-λ), the half-sides, and top, bottom, left, right. Copy images, and "
        "assign the box of images[permutation] to the box of the copy. Compute the new λ from "
        "(bottom - top) * (right - left), and mix targets and targets[permutation] with it.",
    ),
    laws=(
        Law("each target tells how many of the pixels are from each image", targets_count_pixels),
    ),
)
