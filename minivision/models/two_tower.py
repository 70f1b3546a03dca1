"""AlexNet on two cards: two towers that compute one network and talk at a few layers only.

A graphics card of 2012 held 3 GB, too little for the network and its activations. So each of two
cards took half of the filters and half of the hidden units, and looked at the other's maps only
where it had to, because sending them is slow. (Krizhevsky, Sutskever & Hinton 2012, §3.5.) On one
card the same is called a convolution in two groups: `TwoTower` takes such a network apart.

    conv1, conv2, conv4, conv5   nothing crosses: a tower looks at the image, or at its own maps
    conv3, fc6, fc7              each tower sends all it has to the other
    fc8                          the second tower sends its units to the first, which decides
    norm1, norm2                 the windows of the maps at the border reach over it

The paper names the layers that cross without the last line. Its formula normalises over all maps
of a layer, as `alexnet` does, and then a window of five needs two maps of the other tower.

Read next: models/vgg.py
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import Array
from minivision.functional.inputs import sizes
from minivision.models.alexnet import alexnet
from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    Tanh,
)
from minivision.nn.module import Parameter
from minivision.random import refuses_rng
from minivision.tensor import Tensor

# Without weights, and the same for half of the maps.
COPIED = (
    *(ReLU, Tanh, Dropout, LocalResponseNorm),
    *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d),
)


@refuses_rng
def alexnet_two_tower(
    classes: int = 1000, *, in_channels: int = 3, width: float = 1.0, norm_across: bool = True
) -> TwoTower:
    """AlexNet in two towers: the function of `alexnet`, from the same weights.

    x (N, 3, 227, 227) -> logits (N, 1000). The same seed draws the same weights, and a
    state_dict of either can be loaded into the other. Dropout's masks are the towers' own.

    norm_across: see `TwoTower`.
    """
    network = alexnet(classes, in_channels=in_channels, width=width)
    return TwoTower(network, norm_across)


class TwoTower(Module):
    """Two towers, made of a network whose convolutions have one group or two. It is copied.

    Each tower holds half of the filters of every convolution and half of the units of every
    hidden layer; the last layer lies in the first tower. Everything that goes from one tower to
    the other passes `_send`: this is where two devices would be joined.

    crossed: the bytes that the last forward pass sent, by layer. The backward pass sends the
    gradients of the same numbers back, which is as much again.
    norm_across: False lets each tower normalise its own maps only. Then norm1 and norm2 send
    nothing, and differ from the whole network's at the two maps on either side of the border.

    state_dict() and load_state_dict() speak of the whole network, in its own names.
    """

    def __init__(self, network: Network, norm_across: bool = True):
        self.input_shape, self.pixel_range = network.input_shape, network.pixel_range
        self.loss, self.norm_across = network.loss, norm_across
        self.towers = [Tower(network, 0), Tower(network, 1)]
        self.crossed: dict[str, int] = {}

    def forward(self, x: Tensor) -> Tensor:
        N, C, H, W = sizes("TwoTower", "x", x, "N C H W")
        self.crossed = {}
        first, second = (F.flatten(maps) for maps in self.through((x, x)))
        one, other = self.towers
        number = sum(isinstance(layer, Conv2d) for layer in one.features)
        wanted = next(part for part in one.classifier if isinstance(part, Linear)).in_features
        if first.shape[1] + second.shape[1] != wanted:
            _, OH, OW = self.input_shape
            raise ValueError(
                f"TwoTower: images of {H}x{W} leave {first.shape[1]} numbers in each tower, but "
                f"fc{number + 1} expects {wanted // 2}; the network is made for {OH}x{OW}"
            )
        for upper, lower in zip(one.classifier, other.classifier, strict=False):
            if isinstance(upper, Linear):
                number += 1
                both = F.concatenate(self._send(f"fc{number}", first, second), axis=1)
                first, second = upper(both), lower(both)
            else:
                first, second = upper(first), lower(second)
        (second,) = self._send(f"fc{number + 1}", second)
        return one.classifier[-1](F.concatenate([first, second], axis=1))

    def through(
        self, halves: tuple[Tensor, Tensor], start: int = 0, stop: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """The towers' halves of the maps, after the layers start to stop of `features`.

        Into the first layer both halves are the image. Layers count as in the whole network.
        """
        first, second = halves
        one, other = (tower.features for tower in self.towers)
        stop = len(one) if stop is None else stop
        for i in range(start, stop):
            upper, lower = one[i], other[i]
            if isinstance(upper, LocalResponseNorm) and self.norm_across:
                # The windows at the border need the nearest maps of the other tower.
                C, reach = first.shape[1], upper.size // 2
                nearest = first[:, max(C - reach, 0) :], second[:, :reach]
                above, below = self._send(_name(one, i, "norm"), *nearest)
                first = upper(F.concatenate([first, below], axis=1))[:, :C]
                second = lower(F.concatenate([above, second], axis=1))[:, above.shape[1] :]
            elif isinstance(upper, Conv2d) and i > 0 and upper.in_channels > first.shape[1]:
                both = F.concatenate(self._send(_name(one, i, "conv"), first, second), axis=1)
                first, second = upper(both), lower(both)
            else:
                first, second = upper(first), lower(second)
        return first, second

    def _send(self, name: str, *parts: Tensor) -> tuple[Tensor, ...]:
        """Hand each part over to the other tower, and count its bytes."""
        self.crossed[name] = self.crossed.get(name, 0) + sum(part.data.nbytes for part in parts)
        return parts

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all weights in the names and shapes of the whole network."""
        one, other = (tower.state_dict() for tower in self.towers)
        return {
            name: np.concatenate([array, other[name]]) if name in other else array
            for name, array in one.items()
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Load a state of the whole network: each tower takes its half of every array.

        Raises ValueError, and changes nothing, where the state does not fit.
        """
        one, other = ({name for name, _ in tower.named_parameters()} for tower in self.towers)
        parts: dict[str, Any] = {}
        for name, array in state.items():
            if name in other:
                half = len(array) // 2
                parts |= {f"towers.0.{name}": array[:half], f"towers.1.{name}": array[half:]}
            else:
                parts[f"towers.0.{name}" if name in one else name] = array
        super().load_state_dict(parts)


class Tower(Module):
    """One tower's half of a network: half of the rows of all weights but the last layer's."""

    def __init__(self, network: Network, which: int):
        *hidden, last = network.classifier
        self.features = Sequential(*(_half(layer, which) for layer in network.features))
        self.classifier = Sequential(*(_half(layer, which) for layer in hidden))
        if which == 0:
            self.classifier = Sequential(*self.classifier, _part(last, slice(None)))


def _half(layer: Module, which: int) -> Module:
    if isinstance(layer, Conv2d | Linear):
        rows = len(layer.weight)
        if rows % 2 or getattr(layer, "groups", 1) > 2:
            raise ValueError(
                f"TwoTower: network has {layer!r}; expected an even number of filters or units, "
                "in one group or two"
            )
        return _part(layer, slice(which * rows // 2, (which + 1) * rows // 2))
    if not isinstance(layer, COPIED):
        raise ValueError(
            f"TwoTower: network has {layer!r}, which cannot be halved; expected layers as in "
            "alexnet"
        )
    return copy(layer)


def _part(layer: Module, rows: slice) -> Module:
    """A layer of its own with these rows of the weights."""
    own = copy(layer)
    for name, parameter in layer.named_parameters():
        setattr(own, name, Parameter(parameter.data[rows].copy()))
    if isinstance(own, Linear):
        own.out_features = len(own.weight)
    if isinstance(own, Conv2d):
        own.out_channels, own.in_channels = len(own.weight), own.weight.shape[1]
        own.groups = 1
    return own


def _name(features: Sequential, i: int, kind: str) -> str:
    """conv3 for the third convolution, norm1 for the first normalisation."""
    return f"{kind}{sum(type(layer) is type(features[i]) for layer in features[: i + 1])}"
