"""Cover part of the image and predict again: which parts can the network not do without?

This needs no gradient and no knowledge of the layers: a patch slides over the image, and the
network makes a prediction for each position of the patch. If the probability of the class falls,
the patch covers something that the prediction depends on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivision.analysis.passes import borrowed, images_like
from minivision.analysis.saliency import class_of_each
from minivision.autograd import no_grad
from minivision.backend import Array, to_host
from minivision.functional import softmax
from minivision.functional.inputs import pair, sizes
from minivision.nn import Module
from minivision.tensor import Tensor

BATCH = 64  # covered copies of the image per forward pass


class Occlusion(NamedTuple):
    """The probability of a class for each position of the patch, and without a patch.

    probabilities (OH, OW): the patch's first row and column are rows[i] and columns[j] of the
    image, (H, W) = image_size; whole: the probability without a patch.
    """

    probabilities: np.ndarray
    whole: float
    rows: np.ndarray
    columns: np.ndarray
    patch: tuple[int, int]
    image_size: tuple[int, int]

    def importance(self) -> np.ndarray:
        """How far the probability falls when a pixel is covered: (H, W).

        For each pixel, this is the mean of whole - probability over the patches that cover it. It
        is negative if the network is more confident with the pixel covered, and 0 if no patch
        covers the pixel.
        """
        fall, patches = np.zeros(self.image_size), np.zeros(self.image_size)
        for i, row in enumerate(self.rows):
            for j, column in enumerate(self.columns):
                covered = covered_by(self.patch, row, column)
                fall[covered] += self.whole - self.probabilities[i, j]
                patches[covered] += 1
        return fall / np.maximum(patches, 1)


def occlusion(
    model: Module,
    image: Array,
    patch: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    class_index: int | None = None,
    fill: float | np.ndarray = 0.0,
) -> Occlusion:
    """The probability of a class as a grey patch covers the image at one position after another.

    image (C, H, W) -> Occlusion, with (OH, OW) probabilities

    patch: its sides in pixels; stride: how far it moves. The last position is always at the edge,
    even if the stride would miss it, so every pixel is covered unless the stride is larger than the
    patch. class_index: the class, or None for the likeliest one without a patch. fill: the value of
    the patch, one number or one per channel; 0 is the mean colour of standardised images, grey. The
    patch is itself visible to the network, which never saw one in training and may mistake it for
    a feature of some class.

    The model runs in evaluation mode and is left unchanged. Raises ValueError if the patch does
    not fit in the image, or if the class does not exist. Zeiler & Fergus 2014, §4.2.
    """
    C, H, W = sizes("occlusion", "image", image, "C H W")
    PH, PW = pair("occlusion", "patch", patch, least=1)
    SH, SW = pair("occlusion", "stride", stride, least=1)
    if PH > H or PW > W:
        raise ValueError(
            f"occlusion: patch is {PH}x{PW}; expected at most the size of the image, {H}x{W}"
        )
    colour = np.asarray(fill, dtype=np.float64)
    if colour.shape not in ((), (C,)):
        raise ValueError(
            f"occlusion: fill has shape {colour.shape}; expected a number, or one for each of "
            f"the {C} channels"
        )
    rows, columns = _starts(H, PH, SH), _starts(W, PW, SW)
    corners = [(row, column) for row in rows for column in columns]
    with borrowed(model), no_grad():
        x = images_like(model, (1, C, H, W), image[None])
        logits = model(Tensor(x))
        (k,) = class_of_each("occlusion", logits, class_index)
        whole = softmax(logits).numpy()[0, k]
        found = []
        for start in range(0, len(corners), BATCH):
            places = corners[start : start + BATCH]
            copies = np.repeat(to_host(x), len(places), axis=0)
            for copy, (row, column) in zip(copies, places, strict=True):
                copy[:, *covered_by((PH, PW), row, column)] = colour.reshape(-1, 1, 1)
            answers = softmax(model(Tensor(images_like(model, copies.shape, copies))))
            found.append(answers.numpy()[:, k])
    probabilities = np.concatenate(found).reshape(len(rows), len(columns))
    return Occlusion(probabilities, float(whole), rows, columns, (PH, PW), (H, W))


def covered_by(patch: tuple[int, int], row: int, column: int) -> tuple[slice, slice]:
    """The rows and columns covered by a patch that starts at this row and column."""
    return slice(row, row + patch[0]), slice(column, column + patch[1])


def _starts(side: int, patch: int, stride: int) -> np.ndarray:
    """The positions of the patch along one side, the last at side - patch.

    >>> _starts(10, 3, 2)
    array([0, 2, 4, 6, 7])
    """
    return np.unique(np.append(np.arange(0, side - patch + 1, stride), side - patch))
