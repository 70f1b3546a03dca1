"""AlexNet on two cards: two towers that form one network and exchange maps at only a few layers.

The graphics cards of the time had 3 GB of memory, too little for the network and its activations.
So each of two cards held half of the filters and half of the hidden units, and used the other
card's maps in only a few layers, because sending them is slow. (Krizhevsky, Sutskever & Hinton
2012, §3.5.) On one card, a convolution in two groups does the same, as in `alexnet`.

    conv1, conv2, conv4, conv5   nothing crosses: a tower sees the image, or its own maps
    conv3, fc6, fc7              each tower sends everything to the other
    fc8                          the second tower sends its units to the first, which decides
    norm1, norm2                 the windows next to the border extend across it

The paper's list of the layers in which the towers communicate does not include norm1 and norm2. But
its formula normalises over all maps of a layer, as `alexnet` does, and a window of five maps at the
border then needs two maps from the other tower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import Array
from minivision.errors import refuses_rng
from minivision.functional.inputs import sizes
from minivision.models.alexnet import HIDDEN, alexnet, times_width
from minivision.models.network import Network
from minivision.nn import (
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    skip_init,
)
from minivision.tensor import Tensor


@refuses_rng
def alexnet_two_tower(
    classes: int = 1000, *, in_channels: int = 3, width: float = 1.0, norm_across: bool = True
) -> TwoTower:
    """AlexNet in two towers: the same function as `alexnet`, with the same weights.

    x (N, 3, 227, 227) -> logits (N, 1000). The same seed draws the same weights as for `alexnet`,
    and a state_dict of either network can be loaded into the other. Each tower draws its own
    dropout masks.

    norm_across: see `TwoTower`.
    """
    n = times_width("alexnet_two_tower", width)
    with skip_init():
        first, second = (tower(in_channels, n) for _ in range(2))
        first.classifier = Sequential(*first.classifier, Linear(n(HIDDEN), classes))  # fc8
    towers = TwoTower(first, second, norm_across)
    towers.load_state_dict(alexnet(classes, in_channels=in_channels, width=width).state_dict())
    return towers


def tower(in_channels: int, n: Callable[[int], int]) -> Network:
    """One card's half: half of the filters of each convolution and half of the hidden units.

    n: see `times_width`. Where the towers exchange maps, a layer sees the maps of both towers.
    """

    def half(count: int) -> int:
        return n(count) // 2

    return Network(
        features=Sequential(
            *(Conv2d(in_channels, half(96), 11, stride=4), ReLU()),
            *(LocalResponseNorm(), MaxPool2d(3, 2)),
            *(Conv2d(half(96), half(256), 5, padding=2), ReLU()),
            *(LocalResponseNorm(), MaxPool2d(3, 2)),
            *(Conv2d(n(256), half(384), 3, padding=1), ReLU()),  # both towers' maps
            *(Conv2d(half(384), half(384), 3, padding=1), ReLU()),
            *(Conv2d(half(384), half(256), 3, padding=1), ReLU()),
            MaxPool2d(3, 2),
        ),
        classifier=Sequential(
            *(Linear(n(256) * 6 * 6, half(HIDDEN)), ReLU(), Dropout(0.5)),  # both towers' maps
            *(Linear(n(HIDDEN), half(HIDDEN)), ReLU(), Dropout(0.5)),  # both towers' units
        ),
        input_shape=(in_channels, 227, 227),
    )


class TwoTower(Module):
    """Two towers that together form one network; the first also has the last layer.

    Everything that one tower sends to the other passes through `_send`: on two devices, this is
    where the transfer would happen.

    crossed: the bytes that the last forward pass sent, by layer. The backward pass sends back one
    gradient for each number, which doubles the traffic.
    norm_across: False makes each tower normalise only its own maps. Then norm1 and norm2 send
    nothing, and their results differ from the whole network's in the two maps on either side of
    the border.

    state_dict() and load_state_dict() use the names and shapes of the whole network.
    """

    def __init__(self, first: Network, second: Network, norm_across: bool = True):
        self.input_shape, self.pixel_range = first.input_shape, first.pixel_range
        self.loss, self.norm_across = first.loss, norm_across
        self.towers = [first, second]
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
                f"TwoTower: images of {H}x{W} give {first.shape[1]} features in each tower, but "
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

        Before the first layer, both halves are the image. Layers are numbered as in the whole
        network.
        """
        first, second = halves
        one, other = (tower.features for tower in self.towers)
        stop = len(one) if stop is None else stop
        for i in range(start, stop):
            upper, lower = one[i], other[i]
            if isinstance(upper, LocalResponseNorm) and self.norm_across:
                # The windows at the border need the nearest maps from the other tower.
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
        """Send each part to the other tower, and count its bytes."""
        self.crossed[name] = self.crossed.get(name, 0) + sum(part.data.nbytes for part in parts)
        return parts

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all weights, with the names and shapes of the whole network."""
        one, other = (tower.state_dict() for tower in self.towers)
        return {
            name: np.concatenate([array, other[name]]) if name in other else array
            for name, array in one.items()
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Load a state_dict of the whole network: each tower takes its half of every array.

        Raises ValueError, and changes nothing, if the state does not fit.
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


def _name(features: Sequential, i: int, kind: str) -> str:
    """conv3 for the third convolution, norm1 for the first normalization layer."""
    return f"{kind}{sum(type(layer) is type(features[i]) for layer in features[: i + 1])}"
