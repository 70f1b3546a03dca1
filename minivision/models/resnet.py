"""ResNet: layers learn what to add to their input, which makes a hundred of them trainable.

A block computes relu(x + branch(x)). If the branch is zero the block does nothing, and the gradient
bypasses the branch and reaches x undiminished. The networks in this file are the paper's networks
for CIFAR. They begin with a 3x3 convolution. Then come three stages, with 16, 32 and 64 filters on
32x32, 16x16 and 8x8 pixels; each stage has n blocks of two 3x3 convolutions. The mean of every map
goes into one linear layer. This makes 6n + 2 layers with weights. (He, Zhang, Ren & Sun 2016,
§4.2.)

At the start of the second and third stages, x has twice the height and width of the branch's
output, and half as many maps. So every second pixel of x is taken, and maps of zeros are added:
this is the paper's option A, which needs no parameters. The paper does not say where the zeros go;
here half of them precede the maps of x and half follow.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from minivision import functional as F
from minivision.backend import array_module
from minivision.errors import refuses_rng
from minivision.nn import BatchNorm2d, Conv2d, DropPath, Linear, Module, Sequential
from minivision.tensor import Tensor

STAGES = 3


@refuses_rng
def cifar_resnet(
    depth: int,
    classes: int = 10,
    *,
    in_channels: int = 3,
    width: int = 16,
    drop_path: float = 0.0,
) -> ResNet:
    """The ResNet with `depth` = 6n + 2 layers, such as resnet20, resnet32 and resnet56.

    x (N, 3, 32, 32) -> logits (N, 10); 32 -> 16 -> 8 -> mean. Images of other sizes work too.

    width: the filters of the first stage; the other stages have two and four times as many.
    drop_path: the probability that the branch of the last block is skipped during training, drawn
        separately for each image. For block l of L the probability is l / L times as large (Huang
        et al. 2016, "linear decay"; in their paper a whole batch skips the branch, and outputs are
        scaled in evaluation).

    Weights are He-normal. Raises ValueError if depth is not 6n + 2.

    >>> cifar_resnet(20).parameter_count()
    269722
    """
    blocks, rest = divmod(depth - 2, 2 * STAGES)
    if blocks < 1 or rest:
        raise ValueError(f"cifar_resnet: depth is {depth}; expected 6n + 2, such as 20, 32 or 56")
    return ResNet(blocks, classes, in_channels, width, drop_path)


resnet20, resnet32, resnet56 = (partial(cifar_resnet, depth) for depth in (20, 32, 56))


class ResNet(Module):
    """x (N, C, H, W) -> logits (N, K), with `blocks` residual blocks in each of three stages.

    The parts have torchvision's names: conv1, bn1, layer1.0.conv1, …, fc.
    """

    def __init__(self, blocks: int, classes: int, in_channels: int, width: int, drop_path: float):
        self.input_shape, self.pixel_range, self.loss = (in_channels, 32, 32), None, F.cross_entropy
        self.conv1 = Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = BatchNorm2d(width)
        drops = drop_path * np.arange(1, STAGES * blocks + 1) / (STAGES * blocks)

        def stage(number: int) -> Sequential:
            filters, first = width * 2**number, blocks * number
            parts = []
            for i in range(blocks):
                halve = number > 0 and i == 0
                channels = filters // 2 if halve else filters
                drop = float(drops[first + i])
                parts.append(Block(channels, filters, 1 + halve, drop))
            return Sequential(*parts)

        self.layer1, self.layer2, self.layer3 = (stage(number) for number in range(STAGES))
        self.fc = Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(axis=(2, 3)))


class Block(Module):
    """relu(shortcut + branch): x (N, C, H, W) -> (N, F, H / stride, W / stride).

    The branch is conv-bn-relu-conv-bn, left out with probability `drop` in training.
    """

    def __init__(self, channels: int, filters: int, stride: int, drop: float):
        self.stride = stride
        self.conv1 = Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(filters)
        self.conv2 = Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(filters)
        self.drop_path = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = self.drop_path(self.bn2(self.conv2(branch)))
        if self.stride > 1:
            x = shortcut(x, self.stride)
        return F.relu(x + branch)


def shortcut(x: Tensor, stride: int = 2) -> Tensor:
    """Every second pixel, plus as many maps of zeros as x has maps (option A).

    x (N, C, H, W) -> (N, 2·C, H / stride, W / stride). Average pooling with 1x1 windows picks the
    pixels.
    """
    x = F.avg_pool2d(x, 1, stride)
    C = x.shape[1]
    # zeros_like keeps the memory layout of x, to which the zeros are joined.
    zeros = array_module(x.data).zeros_like(x.data)
    return F.concatenate([zeros[:, : C // 2], x, zeros[:, C // 2 :]], axis=1)
