"""LeNet-5 as it was in 1998: sparse connections, trainable sub-sampling, radial basis outputs.

    C1  6 maps 5x5     S2  sub-sampling     C3  16 maps 5x5, by the table     S4  sub-sampling
    C5  120 maps 5x5   F6  84 units, a picture of 7x12 pixels                 10 distances

LeCun, Bottou, Bengio & Haffner 1998, §II-B: 60,000 trainable parameters, 340,908 connections.

Differences from the paper: the ten pictures are redrawn (the paper shows its own only in a figure);
the sub-sampling starts as an average; training uses the optimisers of `minivision.optim`, not the
paper's stochastic diagonal Levenberg-Marquardt method.
"""

from __future__ import annotations

import numpy as np

from minivision import functional as F
from minivision.backend import Array, array_module
from minivision.errors import refuses_rng
from minivision.models.network import Network
from minivision.nn import (
    Conv2d,
    Linear,
    Module,
    ScaledTanh,
    Sequential,
    initialize,
    skip_init,
)
from minivision.nn.initializers import Initializer, Weighted, fans
from minivision.nn.module import Buffer, Parameter
from minivision.tensor import Tensor
from minivision.windows import Window

# Which maps of S2 (rows) each map of C3 (columns) sees: the paper's table I.
C3_TABLE = """
    X . . . X X X . . X X X X . X X
    X X . . . X X X . . X X X X . X
    X X X . . . X X X . . X . X X X
    . X X X . . X X X X . . X . X X
    . . X X X . . X X X X . X X . X
    . . . X X X . . X X X X . X X X
"""

# What F6 should show for each digit, 7 pixels wide and 12 high.
PICTURES = """
    ....... ....... ....... ....... ....... ....... ....... ....... ....... .......
    ..###.. ...##.. .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
    .#...#. ..###.. ##...## ##...## ....##. ##..... .##.... .....## ##...## ##...##
    ##...## .####.. .....## .....## ...###. ##..... ##..... .....## ##...## ##...##
    ##...## ...##.. .....## .....## ..##.#. ##..... ##..... ....##. ##...## ##...##
    ##...## ...##.. ....##. ..####. .##..#. ######. ######. ....##. .#####. ##...##
    ##...## ...##.. ...##.. ..####. ##...#. .....## ##...## ...##.. .#####. .######
    ##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
    ##...## ...##.. .##.... .....## .....#. .....## ##...## ..##... ##...## .....##
    .#...#. ...##.. ##..... ##...## .....#. ##...## ##...## ..##... ##...## ....##.
    ..###.. .###### ####### .#####. .....#. .#####. .#####. ..##... .#####. .####..
    ....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


@refuses_rng
def lenet5_original(classes: int = 10, *, in_channels: int = 1) -> Network:
    """The LeNet-5 of 1998, for grey images of digits, with 60,000 trainable parameters.

    x (N, 1, 32, 32) -> logits (N, 10), the negative squared distances of F6 to the ten pictures;
    32 -> 28 -> 14 -> 10 -> 5 -> 1. As in the paper, the background is -0.1 and the ink 1.175.

    The network is trained with `map_loss`, the paper's equation 9, which makes F6 draw the right
    picture. Cross-entropy has no "rubbish" class, so with it F6 need only make the pictures
    distinguishable.

    Raises ValueError unless there are ten classes, one for each picture, and one channel.

    >>> lenet5_original().parameter_count()
    60000
    """
    if classes != 10 or in_channels != 1:
        raise ValueError(
            f"lenet5_original: classes is {classes} and in_channels {in_channels}; expected 10 "
            "and 1, since its pictures are of ten digits (lenet5 takes any number)"
        )
    with skip_init():
        network = Network(
            features=Sequential(
                *(Conv2d(1, 6, 5), ScaledTanh()),  # C1: 28x28
                *(Subsampling(6), ScaledTanh()),  # S2: 14x14
                *(TableConv2d(C3_TABLE, 5), ScaledTanh()),  # C3: 10x10
                *(Subsampling(16), ScaledTanh()),  # S4: 5x5
                *(Conv2d(16, 120, 5), ScaledTanh()),  # C5: 1x1
            ),
            classifier=Sequential(
                *(Linear(120, 84), ScaledTanh()),  # F6
                RadialBasis(pictures()),
            ),
            input_shape=(1, 32, 32),
            pixel_range=(-0.1, 1.175),
            loss=map_loss,
        )
    initialize(network, uniform_by_fan_in)
    return network


class Subsampling(Module):
    """The sum of 2x2 pixels, times one coefficient per map, plus one bias per map; stride 2.

    x (N, C, H, W) -> (N, C, H/2, W/2). The coefficient starts at 1/4, which gives the average.
    """

    def __init__(self, channels: int):
        self.weight = Parameter(np.full((channels, 1, 1), 0.25, np.float32))
        self.bias = Parameter(np.zeros((channels, 1, 1), np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 2) * self.weight + self.bias


class TableConv2d(Weighted):
    """A convolution in which each filter sees only the channels that a table assigns to it.

    table: text with one row for each channel and one column for each filter; an X is a connection.
    Each connection has one kernel: weight (connections, K, K), ordered by filter, then channel.

    >>> TableConv2d(C3_TABLE, 5).parameter_count()
    1516
    """

    @refuses_rng
    def __init__(self, table: str, kernel_size: int):
        rows = [line.split() for line in table.strip().splitlines()]
        self.connected = np.array([[mark == "X" for mark in row] for row in rows]).T
        self.out_channels, self.in_channels = self.connected.shape
        self.window = Window((kernel_size, kernel_size))
        shape = (int(self.connected.sum()), kernel_size, kernel_size)
        super().__init__(shape, (self.out_channels,), uniform_by_fan_in)

    def draw(self, initializer: Initializer) -> None:
        """Draw as for a full convolution, but keep only the connected kernels.

        A filter with fewer channels has a smaller fan-in, so the rule 1 / fan-in makes its weights
        correspondingly larger.
        """

        def connected(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
            full = initializer((*self.connected.shape, *shape[1:]), rng)
            share = self.connected.mean(axis=1, dtype=np.float32)[:, None, None, None]
            return (full / share)[self.connected]

        super().draw(connected)

    def forward(self, x: Tensor) -> Tensor:
        # Entry 0 of the list is a kernel of zeros, which represents every missing connection.
        place = np.cumsum(self.connected).reshape(self.connected.shape) * self.connected
        zeros = F.pad(self.weight, ((1, 0), (0, 0), (0, 0)))
        return F.conv2d(x, zeros[place], self.bias)

    def extra_repr(self) -> str:
        connections = int(self.connected.sum())
        return f"{self.in_channels}, {self.out_channels}, {connections} connections"


class RadialBasis(Module):
    """How far a vector is from each of K fixed centres, as logits: -Σ_j (x_j - w_kj)².

    x (N, I) -> (N, K); centres (K, I). The nearest centre has the largest logit.
    """

    def __init__(self, centres: Array):
        self.centres = Buffer(centres)

    def forward(self, x: Tensor) -> Tensor:
        N, I = x.shape
        apart = x.reshape(N, 1, I) - self.centres.data
        return -(apart * apart).sum(axis=2)


def map_loss(logits: Tensor, targets: Array, j: float = 1.0) -> Tensor:
    """The paper's equation 9, the negative log posterior with a "rubbish" class at distance j.

        E = mean over the batch of  y_D + log(e^-j + Σ_i e^-y_i),      y = -logits

    y_D is the distance to the right picture. As long as all pictures are farther away than j, E is
    about y_D - j, which pulls F6 towards the right picture. Without the rubbish class (j = ∞), only
    the differences between distances count. The paper gives no value for j > 0; 1 is our choice.
    """
    rubbish = array_module(logits.data).full((len(logits), 1), -j, logits.dtype)
    return F.cross_entropy(F.concatenate([logits, rubbish], axis=1), targets)


def pictures() -> Array:
    """The ten digits float32 (10, 84): +1 for ink and -1 for paper, row by row."""
    rows = [line.split() for line in PICTURES.strip().splitlines()]
    ink = [[[mark == "#" for mark in row[k]] for row in rows] for k in range(10)]
    return np.where(np.array(ink).reshape(10, 84), 1, -1).astype(np.float32)


def uniform_by_fan_in(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """U(-2.4/I, 2.4/I), where I is the number of inputs of a unit (the paper's rule)."""
    fan_in = fans(shape)[0]
    return rng.uniform(-2.4 / fan_in, 2.4 / fan_in, shape).astype(np.float32)
