"""Errors of the analysis room: who complains, about which argument, and what came."""

import numpy as np

from minivision import Tensor, manual_seed, record
from minivision import functional as F
from minivision.analysis.activation_maps import class_activation_map, grad_cam
from minivision.analysis.augmentation import plot_augmented
from minivision.analysis.backward_page import story
from minivision.analysis.confusion_pairs import confused_pairs
from minivision.analysis.contact_sheet import plot_contact_sheet
from minivision.analysis.effective_field import effective_field, layer_field
from minivision.analysis.embedding import embedding
from minivision.analysis.explanation import explain
from minivision.analysis.expression import Evaluation
from minivision.analysis.graph import plot_graph
from minivision.analysis.localization import box_overlap, boxes_around_evidence
from minivision.analysis.occlusion import occlusion
from minivision.analysis.plots import plot_confusion, plot_history, plot_images, plot_predictions
from minivision.analysis.policies import plot_search
from minivision.analysis.receptive_field import receptive_fields
from minivision.analysis.saliency import feature_maps, first_layer_filters, saliency
from minivision.analysis.summary import summary
from minivision.models import lenet5, softmax_regression
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm1d,
    Conv2d,
    Flatten,
    Linear,
    Module,
    ReLU,
    Sequential,
)
from tests.analysis.models import averaging, awkward_model
from tests.refusals import refused, table_of_errors


class Gate(Module):
    """Multiplies maps by their mean: two paths with different strides meet."""

    def forward(self, x):
        return x * F.adaptive_avg_pool2d(x, 1)


class Mirrored(Module):
    """Moves positions."""

    def forward(self, x):
        return x[:, :, ::-1]


class Mystery(Module):
    """Calls a function that no table knows."""

    def forward(self, x):
        def mystery():
            def backward(dy):
                return (dy,)

            return record(x.data, (x,), backward)

        return mystery()


class Aside(Module):
    """Has a convolution whose output is not used."""

    def __init__(self):
        self.used, self.unused = Linear(60, 3), Conv2d(2, 2, 3)

    def forward(self, x):
        self.unused(x)
        return self.used(F.flatten(x))


with manual_seed(0):
    LENET, SOFTMAX, AVERAGING = lenet5(), softmax_regression(), averaging()
    CONVOLUTIONS = Sequential(Conv2d(2, 1, 3), ReLU())
    AWKWARD = awkward_model(np.random.default_rng(0))
FIELDS = receptive_fields(LENET)
DIGITS = np.zeros((3, 1, 28, 28), np.float32)
IMAGES = np.zeros((3, 2, 6, 5), np.float32)  # for AVERAGING and Aside
IMAGE = np.zeros((3, 5, 6), np.float32)  # for AWKWARD
GREY, FED = np.zeros((1, 4, 4)), np.zeros((1, 1, 4, 4))
BOX = [[0, 0, 1, 1]]
RNG = np.random.default_rng(0)


def refuse_size(wrong):
    return lambda: receptive_fields(CONVOLUTIONS, wrong)


def refuse_classes(wrong):
    return lambda: saliency(LENET, DIGITS, wrong)


def refuse_expression(text, x=(1.0, 2.0), requires_grad=True):
    given = {"x": Tensor(np.array(x, np.float32), requires_grad=requires_grad)}
    return lambda: story(Evaluation(text, given))


@table_of_errors(
    # Receptive fields.
    (refuse_size(None), ValueError, "receptive_fields: input_size", "None", "(C, H, W)"),
    (refuse_size(0), ValueError, "receptive_fields: input_size", "0", "(C, H, W)"),
    (refuse_size((1, 2, 3, 4)),
     ValueError, "receptive_fields: input_size", "(1, 2, 3, 4)", "(C, H, W)"),
    (refuse_size(("a", "b")),
     ValueError, "receptive_fields: input_size", "('a', 'b')", "(C, H, W)"),
    (lambda: receptive_fields(LENET, 12), ValueError, "linear: x", "12 -> 12 -> 6 -> 2 -> 1"),
    (lambda: receptive_fields(Gate(), 8),
     ValueError, "receptive_fields: multiply", "(1, 1)", "(0, 0)"),
    (lambda: receptive_fields(AdaptiveAvgPool2d(3), (13, 12)),
     ValueError, "receptive_fields", "13x12", "3x3"),
    (lambda: receptive_fields(AdaptiveAvgPool2d(3), (12, 13)),
     ValueError, "receptive_fields", "12x13", "3x3"),
    (lambda: receptive_fields(Mirrored(), 4), ValueError, "receptive_fields: getitem", "(1, 4, 4)"),
    (lambda: receptive_fields(Mystery(), 4), ValueError, "receptive_fields: mystery", "(1, 4, 4)"),
    (lambda: FIELDS["features.2"].box(14, 0), ValueError, "features.2", "(14, 0)", "14x14"),
    (lambda: FIELDS["features.2"].pixels(0, -1), ValueError, "features.2", "(0, -1)", "14x14"),
    (lambda: FIELDS["features.2"].units_seeing(28, 0), ValueError, "the image", "(28, 0)", "28x28"),
    (lambda: layer_field(FIELDS, "conv1"),
     ValueError, "layer", "'conv1'", "features.0, features.1"),
    (lambda: effective_field(LENET, "features.3", 1, 2, DIGITS, rng=RNG),
     ValueError, "effective_field", "(1, 2)", "features.3"),
    # Saliency and feature maps.
    *[(refuse_classes(wrong), ValueError, "saliency: classes", repr(wrong), "0 to 9", "N = 3")
      for wrong in (10, -1, 0.5, [0, 1], [[0, 1, 2]], "7", [0, 1, 10], True)],
    (lambda: saliency(LENET, DIGITS[0]), ValueError, "saliency: images", "(1, 28, 28)", "4 axes"),
    (lambda: saliency(CONVOLUTIONS, IMAGES), ValueError, "saliency", "(3, 1, 4, 3)", "(N, K)"),
    (lambda: feature_maps(CONVOLUTIONS, IMAGES, "conv1"),
     ValueError, "feature_maps", "'conv1'", "0, 1"),
    (lambda: first_layer_filters(SOFTMAX),
     ValueError, "first_layer_filters: model", "no convolution", "(F, C, KH, KW)"),
    # Grad-CAM and class activation maps.
    (lambda: grad_cam(AVERAGING, IMAGES, "conv"), ValueError, "grad_cam", "'conv'", "0, 1, 2"),
    (lambda: grad_cam(AVERAGING, IMAGES, "7"),
     ValueError, "grad_cam: layer", "'7' (Linear)", "(5,)", "0, 1, 2"),
    (lambda: grad_cam(AVERAGING, IMAGES, classes=5),
     ValueError, "grad_cam: classes", "5", "0 to 4"),
    (lambda: grad_cam(SOFTMAX, DIGITS), ValueError, "grad_cam: model", "no convolution"),
    (lambda: grad_cam(Aside(), IMAGES), ValueError, "grad_cam: layer", "'unused'", "logits"),
    (lambda: class_activation_map(AVERAGING, IMAGES, 5),
     ValueError, "class_activation_map: classes", "5", "0 to 4"),
    # Boxes around evidence.
    (lambda: boxes_around_evidence(np.zeros((4, 4))),
     ValueError, "boxes_around_evidence: maps", "(4, 4)", "(N, H, W)"),
    (lambda: boxes_around_evidence(np.zeros((1, 4, 4)), 0.0),
     ValueError, "boxes_around_evidence: share", "0.0", "above 0"),
    (lambda: boxes_around_evidence(np.zeros((1, 4, 4)), 1.5),
     ValueError, "boxes_around_evidence: share", "1.5", "at most 1"),
    (lambda: boxes_around_evidence(np.full((1, 4, 4), np.nan)),
     ValueError, "boxes_around_evidence: maps[0]", "NaN"),
    (lambda: box_overlap(BOX[0], BOX), ValueError, "box_overlap: boxes", "(4,)", "(N, 4)"),
    (lambda: box_overlap(BOX, BOX * 2), ValueError, "box_overlap", "1 boxes", "2 others"),
    (lambda: box_overlap(BOX, [[3, 0, 3, 1]]),
     ValueError, "box_overlap: others[0]", "[3 0 3 1]", "x0 < x1"),
    # Occlusion.
    (lambda: occlusion(AWKWARD, IMAGE, 6), ValueError, "occlusion: patch", "6x6", "5x6"),
    (lambda: occlusion(AWKWARD, IMAGE, 0), ValueError, "occlusion: patch", "0", "integer"),
    (lambda: occlusion(AWKWARD, IMAGE, 2, 0), ValueError, "occlusion: stride", "0", "integer"),
    (lambda: occlusion(AWKWARD, IMAGE, 2, class_index=7),
     ValueError, "occlusion: classes", "7", "0 to 6"),
    (lambda: occlusion(AWKWARD, IMAGE, 2, fill=np.zeros(2)),
     ValueError, "occlusion: fill", "(2,)", "3 channels"),
    (lambda: occlusion(AWKWARD, IMAGE[None], 2),
     ValueError, "occlusion: image", "(1, 3, 5, 6)", "3 axes"),
    # Confused pairs, embedding, explanation.
    (lambda: confused_pairs(np.eye(3), np.arange(2)),
     ValueError, "confused_pairs: logits", "(3, 3)", "(2,)"),
    (lambda: confused_pairs(np.eye(3), np.array([0, 1, 3])),
     ValueError, "labels", "0 to 3", "3 classes"),
    (lambda: confused_pairs(np.eye(3), np.arange(3), pairs=0),
     ValueError, "confused_pairs: pairs", "0", "at least 1"),
    (lambda: embedding(LENET, DIGITS, 0), ValueError, "embedding: components", "0", "1 to 3", "84"),
    (lambda: embedding(LENET, DIGITS, 4), ValueError, "embedding: components", "4", "1 to 3", "84"),
    (lambda: embedding(CONVOLUTIONS[0], IMAGES), ValueError, "embedding: model", "one layer", "2"),
    (lambda: embedding(LENET, DIGITS, layer="x"), ValueError, "'x'", "features.0, features.1"),
    (lambda: explain(LENET, DIGITS[0], 10), ValueError, "explain: classes", "10", "0 to 9"),
    # Summary.
    (lambda: summary(LENET, 32), ValueError, "linear: x", "32 -> 32 -> 16", "28x28"),
    (lambda: summary(CONVOLUTIONS), ValueError, "summary: input_size", "None", "(C, H, W)"),
    (lambda: summary(LENET, images=0), ValueError, "summary: images", "0", "at least 1"),
    (lambda: summary(Sequential(Flatten(), BatchNorm1d(12)), (3, 4)),
     ValueError, "batch_norm: x", "(1, 12)", "variance"),
    # The graph, and the page of its backward pass.
    (lambda: plot_graph(Tensor([1.0])), ValueError, "plot_graph", "1 nodes", "2 to 200"),
    (refuse_expression("x * y"), ValueError, "y", "no value", "y=2"),
    (refuse_expression("(0 * ones).sum()"), ValueError, "ones", "no value", "ones=2"),
    (refuse_expression("relu"), ValueError, "relu", "function", "relu(…)"),
    (refuse_expression("conv(x)"), ValueError, "function", "'conv'", "conv2d?"),
    (refuse_expression("__import__('os')"), ValueError, "function", "'__import__'", "relu"),
    (refuse_expression("x.relu()"), ValueError, "method", "'relu'", "exp, log"),
    (refuse_expression("x.data.fill(0)"), ValueError, "'x.data'", "not supported"),
    (refuse_expression("().__class__"), ValueError, "'().__class__'", "not supported"),
    (refuse_expression("[y for y in x]"), ValueError, "'[y for y in x]'", "not supported"),
    (refuse_expression("lambda: x"), ValueError, "'lambda: x'", "not supported"),
    (refuse_expression("import os"), ValueError, "'import os'", "NAME ="),
    (refuse_expression("x.sum("), ValueError, "'x.sum('", "'(' was never closed"),
    (refuse_expression("2 + 2"), ValueError, "'2 + 2'", "Tensor"),
    (refuse_expression("x[7]"), ValueError, "x[7]", "index 7"),
    (refuse_expression("relu(x, 3)"), ValueError, "relu(x, 3)", "1 positional argument"),
    (refuse_expression("x * x"), ValueError, "result", "(2,)", ".sum()"),
    (refuse_expression("x.sum()", np.ones(201)), ValueError, "given value", "201", "200"),
    (refuse_expression("; ".join(["x = x + x"] * 40) + "; x.sum()", [1]),
     ValueError, "graph", "42 nodes", "40"),
    (refuse_expression("x.sum()", requires_grad=False), ValueError, "result", "no gradient"),
    # Plots.
    (lambda: plot_history([]), ValueError, "plot_history", "0 records", '"train_loss"'),
    (lambda: plot_history([{"epoch": 1, "seconds": 2.0, "train_loss": None}]),
     ValueError, "plot_history", "1 records", '"train_loss"'),
    (lambda: plot_confusion(np.ones((2, 3)), ["a", "b"]),
     ValueError, "plot_confusion: matrix", "(2, 3)", "2 names", "(K, K)"),
    (lambda: plot_confusion(np.ones((0, 0)), []),
     ValueError, "plot_confusion", "0 names", "K at least 1"),
    (lambda: plot_images([]), ValueError, "plot_images", "0 images", "8 columns"),
    (lambda: plot_images(GREY, columns=0), ValueError, "plot_images", "1 images", "0 columns"),
    (lambda: plot_images(GREY, ["a", "b"]), ValueError, "plot_images", "1 images", "2 titles"),
    (lambda: plot_images(np.zeros((1, 3, 8, 8))),
     ValueError, "plot_images", "(3, 8, 8)", "(H, W, 3)", "moveaxis"),
    (lambda: plot_images(np.zeros((1, 4, 4), int)), ValueError, "plot_images", "int64", "uint8"),
    (lambda: plot_images(GREY * np.nan), ValueError, "plot_images", "NaN"),
    (lambda: plot_predictions(GREY, FED[0], np.ones((1, 1)), "a", "n"),
     ValueError, "plot_predictions", "fed (1, 4, 4)", "(N, C, H, W)"),
    (lambda: plot_predictions(GREY, FED, np.ones((1, 1)), "a", "nm"),
     ValueError, "plot_predictions", "1 originals", "2 names"),
    (lambda: plot_predictions(GREY, FED, np.ones((1, 2)), "a", "n"),
     ValueError, "plot_predictions: probabilities", "(1, 2)", "(1, 1)"),
    (lambda: plot_augmented(GREY, None, 0),
     ValueError, "plot_augmented: count", "0", "at least one"),
    (lambda: plot_search([None], ["none"], [0.5, 0.6], 10),
     ValueError, "plot_search: policies", "1, 1 and 2", "at least 2"),
    (lambda: plot_contact_sheet([(GREY, "a")], [[]]),
     ValueError, "plot_contact_sheet: queries", "1", "answers 1", "at least one"),
)  # fmt: skip
def test_analysis_errors_name_the_argument(call, error, fragments):
    with refused(error, *fragments):
        call()
