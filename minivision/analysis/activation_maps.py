"""Where in the image is the evidence for a class? Class activation maps, and Grad-CAM.

The feature maps of the last convolution still have positions, and there are few enough of them to
weight each one. If the network only averages the maps before its last layer, that layer's weights
are the ones we need; in any other network, the gradient supplies them. The weighted sum of the
maps, stretched over the image, shows the evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from minivision.analysis.passes import Call, borrowed, images_like, watched, window_of
from minivision.analysis.saliency import Classes, called, class_of_each, score_backward
from minivision.backend import Array, to_host
from minivision.functional.inputs import sizes
from minivision.nn import Linear, Module
from minivision.tensor import Tensor

CONVOLUTIONS = {"conv2d", "locally_connected2d"}
MEANS = {"mean", "avg_pool2d", "adaptive_avg_pool2d"}
RESHAPES = {"reshape", "flatten"}


class Evidence(NamedTuple):
    """A layer's feature maps (N, F, OH, OW), and their weights (N, F) for the class."""

    layer: str
    maps: np.ndarray
    weights: np.ndarray

    def total(self) -> np.ndarray:
        """Σ_f weights[n, f] · maps[n, f], of shape (N, OH, OW)."""
        return np.einsum("nfij,nf->nij", self.maps, self.weights)


def grad_cam(
    model: Module, images: Array, layer: str | None = None, classes: Classes = None
) -> np.ndarray:
    """Where a layer's feature maps contain evidence for a class, stretched over the image.

    images (N, C, H, W) -> (N, H, W), non-negative, on the host

        α_f = mean over i, j of ∂s/∂A_f[i, j]        L = max(Σ_f α_f A_f, 0)

    A: the maps of `layer`, by default those of the last convolution after its ReLU. s: the logit
    of the class; classes as in `saliency`. The values have no absolute scale, so compare positions
    only within one image. In a network with global average pooling, L is the class activation map,
    clipped at 0 and divided by the number of positions. The model is left unchanged.

    Raises ValueError if the layer is unknown or has no maps, or if a class does not exist.
    Selvaraju et al. 2017, §3.
    """
    evidence = grad_cam_evidence(model, images, layer, classes)
    return stretched(np.maximum(evidence.total(), 0), images.shape[2:])


def grad_cam_evidence(
    model: Module, images: Array, layer: str | None = None, classes: Classes = None
) -> Evidence:
    """The maps that `grad_cam` adds up, and their weights α, before the ReLU."""
    sizes("grad_cam", "images", images, "N C H W")
    with borrowed(model, trainable=False):
        x = Tensor(images_like(model, images.shape, images), requires_grad=True)
        calls = watched(model, x)
        layer = last_maps(calls) if layer is None else layer
        if layer is None:
            raise ValueError("grad_cam: model has no convolution; expected one that returns maps")
        call = called("grad_cam", calls, layer)
        if call.result.ndim != 4:
            raise ValueError(
                f"grad_cam: layer is {call.name!r} ({type(call.layer).__name__}), whose outputs "
                f"{call.result.shape[1:]} have no positions; expected a layer with maps, one of "
                f"{', '.join(c.name for c in calls if c.result.ndim == 4) or 'none'}"
            )
        call.result.retain_grad()
        score_backward("grad_cam", calls[-1].result, classes)
    if call.result.grad is None:
        raise ValueError(f"grad_cam: layer is {call.name!r}, on which the logits do not depend")
    gradient = to_host(call.result.grad)
    return Evidence(call.name, to_host(call.result.data), gradient.mean(axis=(2, 3)))


def class_activation_map(model: Module, images: Array, classes: Classes = None) -> np.ndarray:
    """Evidence for and against a class at each position, if the network averages its last maps.

    images (N, C, H, W) -> (N, H, W), stretched from Σ_f w[k, f] A_f, on the host

    A: the maps that are averaged; w: the weight of the single linear layer that follows. Before
    stretching, the mean of the result over all positions is the logit without its bias: it is the
    network's own sum, broken down by position. The model is left unchanged.

    Raises ValueError if anything but global average pooling and one linear layer follows the maps;
    use `grad_cam` then. Zhou et al. 2016, §2.
    """
    evidence = class_activation_evidence(model, images, classes)
    return stretched(evidence.total(), images.shape[2:])


def class_activation_evidence(model: Module, images: Array, classes: Classes = None) -> Evidence:
    """The maps that `class_activation_map` adds up, and the class's weights."""
    sizes("class_activation_map", "images", images, "N C H W")
    with borrowed(model, trainable=False):
        calls = watched(model, Tensor(images_like(model, images.shape, images), requires_grad=True))
    found = averaged_maps(calls)
    if found is None:
        raise ValueError(
            "class_activation_map: model does not end with global average pooling and one linear "
            "layer (grad_cam takes any network)"
        )
    maps, head = found
    chosen = class_of_each("class_activation_map", calls[-1].result, classes)
    weights = to_host(head.weight.data)[chosen]
    return Evidence(maps.name, to_host(maps.result.data), weights)


def last_maps(calls: list[Call]) -> str | None:
    """The last layer that returns maps of the last convolution's shape, before pooling; or None."""
    maps = [call for call in calls if call.result.ndim == 4 and call.result.shape[2:] != (1, 1)]
    made = [call for call in maps if call.result.node.name in CONVOLUTIONS]
    if not made:
        return None
    return [call.name for call in maps if call.result.shape == made[-1].result.shape][-1]


def averaged_maps(calls: list[Call]) -> tuple[Call, Linear] | None:
    """The layer whose maps are averaged and the linear layer that follows, or None."""
    head = calls[-1].layer
    below = calls[-1].result.node.parents[0]
    while below is not None and below.name in RESHAPES:
        below = below.parents[0]
    if isinstance(head, Linear) and below is not None and below.name in MEANS:
        averaged = below.parents[0]
        maps = next((call for call in reversed(calls) if call.result.node is averaged), None)
        if maps is not None and maps.result.ndim == 4:
            window = window_of(below, maps.result.shape)
            if (window.kernel, window.padding) == (maps.result.shape[2:], (0, 0)):
                return maps, head
    return None


def stretched(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (N, OH, OW) -> (N, H, W), interpolated between the centres of their positions.

    The maps are stretched over the whole image, as in the papers. If the convolutions are not
    padded, the units are in fact a little further from the edge; `receptive_fields` gives their
    exact positions.
    """
    H, W = size
    large = [cv2.resize(each, (W, H), interpolation=cv2.INTER_LINEAR) for each in maps]
    return np.array(large, maps.dtype).reshape(len(maps), H, W)
