"""A map of the images as the network sees them: the inputs to its last layer, drawn in the plane.

The second-to-last layer describes an image by a hundred numbers or so, and the last layer separates
the classes linearly in that space. Principal components are the directions in which these numbers
vary most; two of them make a map on which similar images are close together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivision.analysis.activation_maps import averaged_maps
from minivision.analysis.passes import borrowed, images_like, watched
from minivision.analysis.saliency import feature_maps
from minivision.backend import Array
from minivision.functional.inputs import sizes
from minivision.nn import Module
from minivision.tensor import Tensor


class Embedding(NamedTuple):
    """points (N, D); shares (D,): the fraction of the features' variance along each direction."""

    points: np.ndarray
    shares: np.ndarray


def embedding(
    model: Module, images: Array, components: int = 2, layer: str | None = None
) -> Embedding:
    """The images as points: the principal components of a layer's outputs.

    images (N, C, H, W) -> points (N, D), shares (D,), D = components

    layer: the layer whose outputs to use, flattened. By default, use the inputs to the last layer:
    the outputs of the layer before it, or the averages of that layer's maps.

    The sign of a component is arbitrary; we choose it so that the largest of its weights in
    absolute value is positive. The shares tell how much of the variance the map shows; if it is
    only a third, distances on the map are misleading.

    Raises ValueError if the layer is unknown, or for more components than images or features.
    Pearson 1901.
    """
    sizes("embedding", "images", images, "N C H W")
    averaged = False
    if layer is None:
        layer, averaged = layer_before_the_last(model, images.shape[1:])
    found = feature_maps(model, images, layer)
    features = found.mean(axis=(2, 3)) if averaged else found.reshape(len(images), -1)
    features = features.astype(np.float64)
    if not 1 <= components <= min(features.shape):
        raise ValueError(
            f"embedding: components is {components}; expected 1 to {min(features.shape)} for "
            f"{features.shape[0]} images with {features.shape[1]} features each"
        )
    centred = features - features.mean(axis=0)
    # The rows of v are the directions, at right angles; u·s are the images' coordinates along them.
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    strongest = np.abs(v[:components]).argmax(axis=1)
    signs = np.where(v[np.arange(components), strongest] < 0, -1, 1)
    variance = s**2
    shares = variance[:components] / max(variance.sum(), np.finfo(float).tiny)
    return Embedding(u[:, :components] * s[:components] * signs, shares)


def layer_before_the_last(model: Module, image_shape: tuple[int, ...]) -> tuple[str, bool]:
    """The layer that feeds the last one, and whether its maps are averaged first."""
    with borrowed(model, trainable=False):
        empty = images_like(model, (0, *image_shape))
        calls = watched(model, Tensor(empty, requires_grad=True))
    if len(calls) < 2:
        raise ValueError(
            "embedding: model has only one layer; expected at least 2, since the inputs to the "
            "last one are drawn"
        )
    head = averaged_maps(calls)
    return (calls[-2].name, False) if head is None else (head[0].name, True)
