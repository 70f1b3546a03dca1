"""Network: convolutions that extract features, and fully connected layers that classify them.

Most networks in this package have these two parts, under PyTorch's names: `features`, whose output
is flattened, and `classifier`. In all of them, `features.0.weight` belongs to the first layer.

The other files write a network as its figure shows it, with one row for each stage: Python's star
in `*(Conv2d(1, 6, 5), ReLU(), MaxPool2d(2))` passes three layers on one line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minivision.functional import cross_entropy
from minivision.nn import Flatten, Module, Sequential
from minivision.nn.sizes import explained
from minivision.tensor import Tensor


class Network(Module):
    """x (N, C, H, W) -> logits (N, K): features, flatten, classifier.

    input_shape: (C, H, W) of the images that the network is made for. If an image does not fit, the
    error message shows its size after each layer.
    pixel_range: the values that black and white pixels are mapped to, if the paper gives them;
    None if images are standardised to mean 0 and variance 1.
    loss: (logits, targets) -> Tensor, which training minimises.
    """

    def __init__(
        self,
        features: Sequential,
        classifier: Sequential,
        input_shape: tuple[int, int, int],
        pixel_range: tuple[float, float] | None = None,
        loss: Callable[[Tensor, Any], Tensor] = cross_entropy,
    ):
        self.input_shape, self.pixel_range, self.loss = input_shape, pixel_range, loss
        self.features = features
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        layers = [*self.features, Flatten(), *self.classifier]
        with explained(layers, x):  # adds the sizes to the error if an image does not fit
            for layer in layers:
                x = layer(x)
        return x
