"""Ten looks at every image: average the network's predictions for ten crops.

The crops are the four corners and the centre, and the mirror images of all five. Probabilities are
averaged rather than scores, so that a crop counts as one vote, however large its scores are.
(Krizhevsky et al. 2012, §4.1.)
"""

from __future__ import annotations

import numpy as np

from minivision import functional as F
from minivision.autograd import no_grad
from minivision.backend import Array, device_of, to_device, to_host
from minivision.errors import kind
from minivision.fast import one_blas_thread
from minivision.functional.inputs import pair
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.transforms.crops import crop_offsets


@one_blas_thread()
def ten_crop_probabilities(model: Module, images: Array, size: int | tuple[int, int]) -> np.ndarray:
    """The mean of softmax over ten crops of each image, in evaluation mode, on the host.

    images float32 (N, C, H, W), larger than the crops -> probabilities (N, K)

    size: the size of the crops, on which the network was trained: one number, or (height, width).
    All images are processed together, so pass one batch at a time.

    >>> from minivision.nn import Flatten, Linear, Sequential
    >>> model = Sequential(Flatten(), Linear(12, 5))
    >>> ten_crop_probabilities(model, np.zeros((1, 3, 4, 5), np.float32), 2)
    array([[0.2, 0.2, 0.2, 0.2, 0.2]], dtype=float32)
    """
    if getattr(images, "ndim", None) != 4:
        came = getattr(images, "shape", kind(images))
        raise ValueError(f"ten_crop_probabilities: images is {came}; expected (N, C, H, W)")
    OH, OW = pair("ten_crop_probabilities", "size", size, least=1)
    first = next(iter(model.parameters()), None)
    if first is not None:
        images = to_device(images, device_of(first.data))
    crops = [
        images[:, :, y : y + OH, x : x + OW] for y, x in crop_offsets(images.shape[2:], (OH, OW))
    ]
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            answers = [
                F.softmax(model(Tensor(seen))).data
                for crop in crops
                for seen in (crop, crop[:, :, :, ::-1])
            ]
    finally:
        model.train(was_training)
    return to_host(sum(answers[1:], answers[0]) / len(answers))
