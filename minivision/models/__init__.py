"""Models: from nearest neighbours to deep networks, each written out as its figure shows it.

    nearest_neighbors.py   KNearestNeighbors: no training and no weights, but it keeps all images
    softmax_regression.py  one fully connected layer; dense, local and convolutional first layers
    network.py             Network: features, flatten, classifier
    lenet.py               lenet5, lenet5_lecture
    lenet_original.py      lenet5_original, the network of 1998
    alexnet.py             alexnet, alexnet_caffenet, alexnet_one_weird_trick
    alexnet_small.py       alexnet_small, for images of 32x32
    two_tower.py           TwoTower, alexnet_two_tower: one network on two cards
    vgg.py                 vgg11, vgg13, vgg16, vgg19, …, each with _bn
    vgg_small.py           vgg_small, for images of 32x32
    dense_evaluation.py    fully_convolutional: a network slid over a larger image
    resnet.py              resnet20, resnet32, resnet56 for images of 32x32
    heads.py               split a network into backbone and head; attach a new head

`MODELS` names the networks for the command line.
"""

from collections.abc import Callable
from typing import Any

from minivision.models.alexnet import (
    alexnet,
    alexnet_caffenet,
    alexnet_one_weird_trick,
)
from minivision.models.alexnet_small import alexnet_small
from minivision.models.dense_evaluation import fully_convolutional
from minivision.models.heads import BackboneAndHead, MultiHead, cut, new_head, with_new_head
from minivision.models.lenet import lenet5, lenet5_lecture
from minivision.models.lenet_original import lenet5_original
from minivision.models.nearest_neighbors import KNearestNeighbors
from minivision.models.network import Network
from minivision.models.resnet import ResNet, cifar_resnet, resnet20, resnet32, resnet56
from minivision.models.softmax_regression import (
    LocallyConnected2d,
    first_layer_network,
    softmax_regression,
    templates,
)
from minivision.models.two_tower import TwoTower, alexnet_two_tower
from minivision.models.vgg import (
    vgg11,
    vgg11_bn,
    vgg11_lrn,
    vgg11_lrn_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg16_c,
    vgg16_c_bn,
    vgg19,
    vgg19_bn,
    vgg_network,
)
from minivision.models.vgg_small import vgg_small

# Each builds a Module with input_shape, pixel_range and loss, like Network.
MODELS: dict[str, Callable[..., Any]] = {
    "softmax_regression": softmax_regression,
    "lenet5": lenet5,
    "lenet5_lecture": lenet5_lecture,
    "lenet5_original": lenet5_original,
    "alexnet": alexnet,
    "alexnet_caffenet": alexnet_caffenet,
    "alexnet_one_weird_trick": alexnet_one_weird_trick,
    "alexnet_small": alexnet_small,
    "alexnet_two_tower": alexnet_two_tower,
    "vgg_small": vgg_small,
    "vgg11": vgg11,
    "vgg11_bn": vgg11_bn,
    "vgg11_lrn": vgg11_lrn,
    "vgg11_lrn_bn": vgg11_lrn_bn,
    "vgg13": vgg13,
    "vgg13_bn": vgg13_bn,
    "vgg16_c": vgg16_c,
    "vgg16_c_bn": vgg16_c_bn,
    "vgg16": vgg16,
    "vgg16_bn": vgg16_bn,
    "vgg19": vgg19,
    "vgg19_bn": vgg19_bn,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet56": resnet56,
}

__all__ = [
    "MODELS",
    "KNearestNeighbors",
    "softmax_regression",
    "templates",
    "LocallyConnected2d",
    "first_layer_network",
    "Network",
    "lenet5",
    "lenet5_lecture",
    "lenet5_original",
    "alexnet",
    "alexnet_caffenet",
    "alexnet_one_weird_trick",
    "alexnet_small",
    "alexnet_two_tower",
    "TwoTower",
    "vgg_network",
    "vgg11",
    "vgg11_bn",
    "vgg11_lrn",
    "vgg11_lrn_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16_c",
    "vgg16_c_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vgg_small",
    "fully_convolutional",
    "ResNet",
    "cifar_resnet",
    "resnet20",
    "resnet32",
    "resnet56",
    "BackboneAndHead",
    "MultiHead",
    "cut",
    "new_head",
    "with_new_head",
]
