"""Dense evaluation: slide a network over a larger image by turning linear layers into convolutions.

A linear layer on flattened maps computes inner products with all of their values; a convolution
whose kernel is as large as the maps computes the same inner products, with the same weights. On an
image of the training size nothing changes. On a larger image the kernel slides, and each position
of the output scores a different part of the image. This is far cheaper than cropping out the parts
one by one, since neighbouring parts share their maps. (Simonyan & Zisserman 2014, §3.2; the idea
is from OverFeat: Sermanet et al. 2014.)
"""

from __future__ import annotations

from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    LeakyReLU,
    Linear,
    ReLU,
    ScaledTanh,
    Sequential,
    Sigmoid,
    Tanh,
    skip_init,
)
from minivision.nn.module import Parameter
from minivision.nn.sizes import output_shape

# Layers that do the same at every position.
EVERYWHERE_ALIKE = (ReLU, LeakyReLU, Tanh, ScaledTanh, Sigmoid, Dropout)


def fully_convolutional(model: Network) -> Sequential:
    """The same network without linear layers: x (N, C, H, W) -> class scores (N, K, OH, OW).

    For images of `model.input_shape` OH = OW = 1, and the scores are the logits. For larger images
    the paper takes the mean over all positions, `scores.mean(axis=(2, 3))`.

    Global average pooling at the end of the features is left out. If it is followed by a single
    linear layer, the mean of the scores equals the score of the mean. The logits, for images of any
    size, are then the mean of a score map that shows where the evidence for a class lies.

    The result shares the model's layers and weights (nothing is copied) and its mode: call
    `model.eval()` first, and call this function again after training, loading or moving the model.

    Raises ValueError if the classifier has a layer that needs vectors, or if the features end with
    adaptive pooling to a size other than one pixel or its input size.

    >>> import numpy as np
    >>> from minivision import Tensor
    >>> from minivision.models import lenet5
    >>> dense = fully_convolutional(lenet5())
    >>> dense(Tensor(np.zeros((2, 1, 28, 28), np.float32))).shape
    (2, 10, 1, 1)
    >>> dense(Tensor(np.zeros((2, 1, 40, 32), np.float32))).shape
    (2, 10, 4, 2)
    """
    for layer in model.classifier:
        if not isinstance(layer, (Linear, *EVERYWHERE_ALIKE)):
            raise ValueError(
                f"fully_convolutional: the classifier contains a {type(layer).__name__}; expected "
                "only Linear, activation and Dropout layers"
            )
    layers = list(model.features)
    last = layers[-1] if layers else None
    if isinstance(last, AdaptiveAvgPool2d):
        _, H, W = output_shape(layers[:-1], model.input_shape)
        if last.output_size not in ((1, 1), (H, W)):
            OH, OW = last.output_size
            raise ValueError(
                f"fully_convolutional: the last pooling turns maps of {H}x{W} into {OH}x{OW}; "
                f"expected 1x1 or {H}x{W}"
            )
        del layers[-1]
    C, H, W = output_shape(model.features, model.input_shape)
    for layer in model.classifier:
        if isinstance(layer, Linear):
            layers.append(_convolution(layer, (C, H, W)))
            C, H, W = layer.out_features, 1, 1
        else:
            layers.append(layer)
    return Sequential(*layers)


def _convolution(layer: Linear, maps: tuple[int, int, int]) -> Conv2d:
    """A linear layer on flattened maps (C, H, W) as a convolution with an HxW kernel."""
    C, H, W = maps
    if layer.in_features != C * H * W:
        raise ValueError(
            f"fully_convolutional: Linear expects {layer.in_features} features, but images of the "
            f"model's input_shape give {C}·{H}·{W} = {C * H * W}"
        )
    with skip_init():
        convolution = Conv2d(C, layer.out_features, (H, W), bias=False)
    convolution.weight = Parameter(layer.weight.data.reshape(layer.out_features, C, H, W))
    convolution.bias = layer.bias
    return convolution
