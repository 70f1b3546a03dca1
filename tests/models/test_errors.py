"""Errors of the models: who complains, about which argument, and what came.

For an image that does not fit, the message shows the sizes that led there and one that fits.
"""

import math

import numpy as np

from minivision import Tensor
from minivision.models import (
    MODELS,
    BackboneAndHead,
    KNearestNeighbors,
    MultiHead,
    alexnet,
    alexnet_one_weird_trick,
    alexnet_small,
    alexnet_two_tower,
    cifar_resnet,
    cut,
    first_layer_network,
    fully_convolutional,
    lenet5,
    lenet5_lecture,
    lenet5_original,
    new_head,
    resnet20,
    softmax_regression,
    vgg_network,
    vgg_small,
    with_new_head,
)
from minivision.nn import AdaptiveAvgPool2d, Flatten, Linear, ReLU, Sequential, skip_init
from minivision.nn.sizes import SizeError
from tests.refusals import refused, table_of_errors

BYTES = np.random.default_rng(0).integers(0, 256, (40, 2, 3, 1)).astype(np.uint8)
LABELS = np.arange(40) % 4
QUERIES = BYTES[:9]
NEIGHBORS = KNearestNeighbors(5).fit(BYTES, LABELS)


def with_nan(images):
    images = images.astype(np.float32)
    images[3, 0, 0, 0] = np.nan
    return images


def blank(*shape):
    return Tensor(np.zeros(shape, np.float32))


def undrawn(build, *arguments, **settings):
    """Large networks are built without drawing their weights."""
    with skip_init():
        return build(*arguments, **settings)


def two_heads():
    backbone = Sequential(Flatten(), Linear(12, 5), ReLU())
    return MultiHead(backbone, {"a": new_head(5, 3), "b": new_head(5, 2)})


def vgg_for_64_pixels():
    model = vgg_small()
    model.input_shape = (3, 64, 64)
    return model


def vgg_pooled_to_2x2():
    model = vgg_small(head="average")
    model.features._modules[-1] = AdaptiveAvgPool2d(2)
    return model


@table_of_errors(
    # Nearest neighbours: settings, images to remember, queries.
    (lambda: KNearestNeighbors(k=0), ValueError, "KNearestNeighbors: k", "0", "integer"),
    (lambda: KNearestNeighbors(k=2.0), ValueError, "KNearestNeighbors: k", "2.0", "integer"),
    (lambda: KNearestNeighbors(k=True), ValueError, "KNearestNeighbors: k", "True", "integer"),
    (lambda: KNearestNeighbors(metric="l1"),
     ValueError, "KNearestNeighbors: metric", "'l1'", "l2, cosine"),
    (lambda: KNearestNeighbors(memory_budget=0),
     ValueError, "KNearestNeighbors: memory_budget", "0", "bytes"),
    (lambda: KNearestNeighbors(memory_budget=1e9),
     ValueError, "KNearestNeighbors: memory_budget", "1000000000.0", "bytes"),
    (lambda: KNearestNeighbors().fit(BYTES.tolist(), LABELS),
     TypeError, "KNearestNeighbors.fit: images", "list", "array (N, …)"),
    (lambda: KNearestNeighbors().fit(Tensor(BYTES.astype(np.float32)), LABELS),
     TypeError, "KNearestNeighbors.fit: images", "Tensor", "array (N, …)", "x.numpy()"),
    (lambda: KNearestNeighbors().predict(QUERIES),
     ValueError, "KNearestNeighbors.neighbors", "no images", "fit"),
    (lambda: KNearestNeighbors().nbytes,
     ValueError, "KNearestNeighbors.nbytes", "no images", "fit"),
    (lambda: KNearestNeighbors().multiply_adds,
     ValueError, "KNearestNeighbors.multiply_adds", "no images", "fit"),
    (lambda: NEIGHBORS.neighbors(QUERIES[:, :, :2]), ValueError,
     "KNearestNeighbors.neighbors: queries", "(9, 2, 2, 1)", "(2, 3, 1)", "(M, 2, 3, 1)"),
    (lambda: NEIGHBORS.predict(QUERIES[:, :1]), ValueError,
     "KNearestNeighbors.neighbors: queries", "(9, 1, 3, 1)", "(2, 3, 1)", "(M, 2, 3, 1)"),
    (lambda: NEIGHBORS.neighbors(QUERIES[0]), ValueError,
     "KNearestNeighbors.neighbors: queries", "has shape (2, 3, 1)", "(M, 2, 3, 1)"),
    (lambda: NEIGHBORS.predict(QUERIES[0, 0]), ValueError,
     "KNearestNeighbors.neighbors: queries", "has shape (3, 1)", "(M, 2, 3, 1)"),
    (lambda: NEIGHBORS.neighbors(with_nan(QUERIES)), ValueError,
     "KNearestNeighbors.neighbors: queries[3]", "NaN"),
    (lambda: NEIGHBORS.predict(with_nan(QUERIES)[1:]), ValueError,
     "KNearestNeighbors.neighbors: queries[2]", "NaN"),
    # One layer, and three first layers.
    (lambda: softmax_regression(size=0), ValueError, "softmax_regression: size", "0", "integer"),
    (lambda: first_layer_network("conv"),
     ValueError, "first_layer_network: kind", "'conv'", "dense, local, convolution"),
    (lambda: first_layer_network("local", size=(5, 8)),
     ValueError, "first_layer_network: kernel_size", "5", "1x4", "5x8", "2x2"),
    # LeNet.
    (lambda: lenet5_lecture()(blank(2, 1, 32, 32)),
     SizeError, "linear: x", "32 -> 28 -> 14 -> 10 -> 5 (", "256", "16·5·5 = 400", "28x28"),
    (lambda: lenet5_original(5), ValueError, "lenet5_original: classes", "5", "10", "lenet5"),
    (lambda: lenet5_original(in_channels=3),
     ValueError, "lenet5_original", "in_channels 3", "10", "lenet5"),
    # AlexNet. 224 pixels without padding leave 5x5 maps: a recurring question.
    (lambda: alexnet(width=0), ValueError, "alexnet: width", "0", "above 0"),
    (lambda: alexnet(width=-1), ValueError, "alexnet: width", "-1", "above 0"),
    (lambda: alexnet(width=math.nan), ValueError, "alexnet: width", "nan", "above 0"),
    (lambda: alexnet(width=math.inf), ValueError, "alexnet: width", "inf", "above 0"),
    (lambda: undrawn(alexnet, width=1 / 48)(blank(1, 3, 224, 224)),
     ValueError, "linear: x", "224 -> 54 -> 26 -> 26 -> 12 -> 12 -> 12 -> 12 -> 5 (", "227x227"),
    (lambda: undrawn(alexnet_one_weird_trick, 3).features(blank(1, 3, 62, 62)),
     ValueError, "max_pool2d", "62 -> 14", "63x63"),
    (lambda: alexnet_small(normalization="group"),
     ValueError, "alexnet_small: normalization", "'group'", "None, lrn, batch_norm"),
    (lambda: alexnet_small(activation="gelu"),
     ValueError, "alexnet_small: activation", "'gelu'", "relu, tanh"),
    (lambda: alexnet_small(head="max"),
     ValueError, "alexnet_small: head", "'max'", "flatten, average"),
    (lambda: alexnet_small(width=-1), ValueError, "alexnet_small: width", "-1", "above 0"),
    (lambda: alexnet_small(size=0), ValueError, "alexnet_small: size", "0", "integer"),
    (lambda: alexnet_small(size=7, pool=(2, 2)),
     SizeError, "7 -> 7 -> 3 -> 3 -> 1 ", "MaxPool2d", "8x8"),
    (lambda: alexnet_small()(blank(2, 3, 64, 64)),
     ValueError, "linear: x", "768", "48·8·8 = 3072", "25x25"),
    (lambda: undrawn(alexnet_two_tower, 3, width=1 / 16)(blank(1, 3, 224, 224)),
     ValueError, "TwoTower", "224x224", "200", "fc6 expects 288", "227x227"),
    # VGG, and its dense evaluation.
    (lambda: vgg_network("F"), ValueError, "vgg_network: configuration", "'F'", "A, A-LRN"),
    (lambda: MODELS["vgg11"](head="gap"),
     ValueError, "vgg_network: head", "'gap'", "flatten, average"),
    (lambda: undrawn(MODELS["vgg11"], head="average")(blank(2, 3, 31, 31)),
     SizeError, "max_pool2d", "31 -> 31", "32x32"),
    (lambda: undrawn(MODELS["vgg11"])(blank(2, 3, 64, 64)),
     SizeError, "linear: x", "25088", "64 ->", "224x224"),
    (lambda: vgg_small(head="gap"), ValueError, "vgg_small: head", "'gap'", "flatten, average"),
    (lambda: vgg_small(widths=()), ValueError, "vgg_small: widths", "()", "1 to 5"),
    (lambda: vgg_small(widths=(1, 2, 3, 4, 5, 6)),
     ValueError, "vgg_small: widths", "(1, 2, 3, 4, 5, 6)", "1 to 5"),
    (lambda: fully_convolutional(lenet5_original()),
     ValueError, "fully_convolutional", "RadialBasis", "Linear"),
    (lambda: fully_convolutional(vgg_for_64_pixels()),
     ValueError, "fully_convolutional", "2048", "128·8·8 = 8192"),
    (lambda: fully_convolutional(vgg_pooled_to_2x2()),
     ValueError, "fully_convolutional", "4x4", "2x2", "1x1"),
    # ResNet.
    (lambda: cifar_resnet(0), ValueError, "cifar_resnet: depth", "0", "6n + 2"),
    (lambda: cifar_resnet(2), ValueError, "cifar_resnet: depth", "2", "6n + 2"),
    (lambda: cifar_resnet(18), ValueError, "cifar_resnet: depth", "18", "6n + 2"),
    (lambda: cifar_resnet(21), ValueError, "cifar_resnet: depth", "21", "6n + 2"),
    (lambda: cifar_resnet(-4), ValueError, "cifar_resnet: depth", "-4", "6n + 2"),
    (lambda: resnet20(drop_path=1.0), ValueError, "DropPath: p", "1.0"),
    # Backbones and heads.
    (lambda: cut(lenet5(), 0), ValueError, "cut: layers", "0", "1 to 3"),
    (lambda: cut(lenet5(), 4), ValueError, "cut: layers", "4", "1 to 3"),
    (lambda: cut(resnet20(), 2), ValueError, "cut: layers", "2", "1 for a ResNet"),
    (lambda: cut(with_new_head(lenet5(), 3), 2),
     ValueError, "cut: layers", "2", "1 for a BackboneAndHead"),
    (lambda: cut(two_heads()),
     TypeError, "cut: model", "MultiHead", "Network", "ResNet", "BackboneAndHead"),
    (lambda: two_heads().task("c"), ValueError, "MultiHead: task", "'c'", "a, b"),
    (lambda: BackboneAndHead(cut(lenet5()).backbone, new_head(85, 3))(blank(2, 1, 28, 28)),
     ValueError, "linear: x", "84", "85"),
)  # fmt: skip
def test_models_errors_name_the_argument(call, error, fragments):
    with refused(error, *fragments):
        call()


@table_of_errors(
    (lambda: (BYTES[:0], LABELS[:0]), ValueError, "images", "(0, 2, 3, 1)", "at least one"),
    (lambda: (BYTES[:4], LABELS[:4]), ValueError, "k", "5", "only 4 images"),
    (lambda: (BYTES, LABELS[:-1]), ValueError, "labels", "int64 (39,)", "integers (40,)"),
    (lambda: (BYTES, LABELS / 2), ValueError, "labels", "float64 (40,)", "integers (40,)"),
    (lambda: (with_nan(BYTES), LABELS), ValueError, "images[3]", "NaN, infinity"),
    (lambda: (np.full(BYTES.shape, 1.3e153), LABELS), ValueError, "images[0]", "too large"),
    (lambda: (BYTES[:, 0, 0, 0], LABELS), ValueError, "images", "uint8 (40,)", "(N, …)"),
    (lambda: (BYTES[:, :0], LABELS), ValueError, "images", "uint8 (40, 0, 3, 1)", "(N, …)"),
    (lambda: (BYTES.astype(str), LABELS), ValueError, "images", "<U3", "(N, …)"),
)
def test_nearest_neighbors_keeps_its_images_if_fit_fails(call, error, fragments):
    model = KNearestNeighbors(5).fit(BYTES, LABELS)
    expected = model.predict(QUERIES)
    first, *rest = fragments
    with refused(error, f"KNearestNeighbors.fit: {first}", *rest):
        model.fit(*call())
    np.testing.assert_array_equal(model.predict(QUERIES), expected)
