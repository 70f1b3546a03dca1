"""Feature maps and saliency: the outputs of any layer, and which pixels change a class's score.

A trained network can be examined in three ways without taking it apart. The filters of its first
layer are small images themselves. The outputs of any layer can be drawn, map by map. And the
gradient that trains the weights can be carried one step further, down to the pixels: it shows which
of them a class's score is most sensitive to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivision.analysis.passes import Call, borrowed, images_like, watched
from minivision.autograd import no_grad
from minivision.backend import Array, to_device, to_host
from minivision.functional.inputs import sizes
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training.evaluation import images_at_once

Classes = int | Sequence[int] | np.ndarray | None


def saliency(model: Module, images: Array, classes: Classes = None) -> np.ndarray:
    """How much each pixel changes the score of a class.

    images (N, C, H, W) -> (N, H, W), on the host

        saliency[n, i, j] = max over c of |∂s_n/∂x[n, c, i, j]|,  s_n = logits[n, classes[n]]

    classes: one class for all images, one per image, or None for each image's likeliest. The score
    is the logit, not the probability, which also rises when other logits fall. The model runs in
    evaluation mode and is left unchanged.

    Raises ValueError if the images do not have four axes, or if a class does not exist.
    Simonyan, Vedaldi & Zisserman 2013, §3.

    >>> from minivision.nn import Flatten, Linear, Sequential
    >>> model = Sequential(Flatten(), Linear(2, 1))
    >>> model[1].weight.data[...] = [[0.5, -2.0]]
    >>> saliency(model, np.ones((1, 1, 1, 2)))
    array([[[0.5, 2. ]]], dtype=float32)
    """
    sizes("saliency", "images", images, "N C H W")
    with borrowed(model, trainable=False):
        x = Tensor(images_like(model, images.shape, images), requires_grad=True)
        score_backward("saliency", model(x), classes)
    return np.abs(to_host(x.grad)).max(axis=1)


def feature_maps(model: Module, images: Array, layer: str) -> np.ndarray:
    """The outputs of the layer with this name, as an array on the host.

    images (N, C, H, W) -> (N, F, OH, OW) for a layer with feature maps, (N, O) for a later one

    Raises ValueError if the layer is unknown; the message lists the existing ones.
    """
    N, _, H, W = sizes("feature_maps", "images", images, "N C H W")
    found, few = [], images_at_once(H, W)
    with borrowed(model), no_grad():
        for start in range(0, max(1, N), few):
            part = images[start : start + few]
            calls = watched(model, Tensor(images_like(model, part.shape, part)))
            found.append(to_host(called("feature_maps", calls, layer).result.data))
    return np.concatenate(found)


def first_layer_filters(model: Module) -> np.ndarray:
    """The filters of the first convolution as pictures: (F, KH, KW, C), on the host.

    If C is 1 or 3 they can be drawn, and show what the network looks for first: after training on
    photographs, edges in all directions and opponent colours. Filters of deeper layers look at
    feature maps instead of pixels, and cannot be drawn like this.

    Raises ValueError if there is no convolution.
    """
    weights = (getattr(layer, "weight", None) for layer in model.modules())
    weight = next((w for w in weights if isinstance(w, Tensor) and w.ndim == 4), None)
    if weight is None:
        raise ValueError(
            "first_layer_filters: model has no convolution; expected a layer with a weight "
            "(F, C, KH, KW)"
        )
    return np.moveaxis(to_host(weight.data), 1, -1).copy()


def called(function: str, calls: list[Call], layer: str) -> Call:
    """The call of the layer with this name; if there is none, the error lists the layers."""
    for call in calls:
        if call.name == layer:
            return call
    names = ", ".join(call.name for call in calls)
    raise ValueError(f"{function}: no layer is called {layer!r}; expected one of {names}")


def score_backward(function: str, logits: Tensor, classes: Classes) -> np.ndarray:
    """Run a backward pass from one logit per image; returns the classes (N,).

    In evaluation mode the images are independent, so one backward pass is enough for all of them:
    dy is 1 at the class of each image and 0 elsewhere.
    """
    chosen = class_of_each(function, logits, classes)
    dy = np.zeros(logits.shape, logits.dtype)
    dy[np.arange(len(dy)), chosen] = 1
    logits.backward(to_device(dy, logits.device))
    return chosen


def class_of_each(function: str, logits: Tensor, classes: Classes) -> np.ndarray:
    """The class chosen for each image, (N,); None chooses the likeliest."""
    N, K = sizes(function, "the model's output", logits, "N K")
    if classes is None:
        return to_host(logits.data).argmax(axis=1)
    k = np.asarray(classes)
    if k.dtype.kind not in "iu" or k.shape not in ((), (N,)) or np.any((k < 0) | (k >= K)):
        raise ValueError(
            f"{function}: classes is {classes!r}; expected None, a class from 0 to {K - 1}, or one "
            f"for each image (N = {N})"
        )
    return np.broadcast_to(k, (N,))
