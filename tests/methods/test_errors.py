"""Errors of the methods name the function, the argument, and the value that came."""

from functools import partial

import numpy as np

from minivision import nn
from minivision.datasets import ArrayDataset, DataLoader, Subset
from minivision.methods import (
    DeepFeatures,
    FeatureFusion,
    Grid,
    RandomSequences,
    RecordedBatches,
    bias_for_share,
    distillation,
    filter_and_balance,
    hide_labels,
    lwf_loss,
    pseudo_label_batches,
    pseudo_label_loss,
    ramp,
    record_responses,
    search,
    with_new_task,
)
from minivision.methods.checks import check_classes
from minivision.methods.features import (
    ClassicFeatures,
    average_precision,
    interest_points,
    patch_descriptors,
    precision_at_k,
    ranking,
)
from minivision.methods.joint_batches import joined
from minivision.methods.noisy_student import labelled_by
from minivision.methods.responses import looked_up
from minivision.models import MultiHead, lenet5, softmax_regression
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods import test_distillation as distilling
from tests.methods import test_joint_batches as joint
from tests.methods import test_learning_without_forgetting as lwf
from tests.methods import test_pseudo_label as pseudo_labels
from tests.methods.old_network import network
from tests.methods.test_augmentation_search import Locked, length_of
from tests.methods.test_feature_fusion import parts
from tests.methods.test_features import photo
from tests.methods.test_noisy_student import chain
from tests.methods.unlabelled import CLASSES, stripes
from tests.refusals import refused, table_of_errors

NAN, INF = float("nan"), float("inf")
DRAWS = Compose([RandomTranslate(1), ToArray()])
DATA = stripes(12, 0)
SURE = np.array([[0.9, 0.1, 0.0], [0.1, 0.65, 0.25]])  # no image of the third class
RELEVANT = np.ones((2, 5), bool)
few_candidates = partial(search, RandomSequences(), processes=0)
one_generation = partial(chain, steps=1, epochs=1)


def scoring(score):
    """A search whose first candidate has this score."""
    return few_candidates(lambda policy, seed: score, 2)


def images_of(*classes):
    """The stripes, reduced to these classes."""
    return Subset(DATA, np.flatnonzero(np.isin(DATA.labels, classes)))


def blank(N, H, W):
    return ArrayDataset(np.zeros((N, H, W, 1), np.uint8), np.zeros(N, int), ("none",))


def pseudo_labelled(unlabelled):
    few = pseudo_labels.loaders()[0]
    batches = pseudo_label_batches(few, DataLoader(unlabelled, 2))
    return pseudo_labels.trained(pseudo_labels.network(), batches)


class SaysNothing:
    """A transform that does not say whether it is random."""

    def __call__(self, image, rng):
        return ToArray()(image)


@table_of_errors(
    # Responses
    (
        lambda: record_responses(None, DataLoader(DATA, 2, transform=DRAWS)),
        ValueError, "record_responses: the loader's transform", "random", "without augmentation",
    ),
    (
        lambda: record_responses(None, DataLoader(DATA, 2, transform=SaysNothing())),
        ValueError, "record_responses", "loader's transform", "random", "without augmentation",
    ),
    (
        lambda: looked_up(np.zeros((3, 2)), None, np.zeros(1)),
        ValueError, "looked_up", "no indices", "DataLoader(…, with_indices=True)",
    ),
    (
        lambda: looked_up(np.zeros((3, 2)), np.array([0, 7]), np.zeros(1)),
        ValueError, "looked_up: responses", "3", "image 7",
    ),
    (
        lambda: RecordedBatches(np.zeros((4, 2)), DataLoader(stripes(5, 0), 2)),
        ValueError, "RecordedBatches: responses", "4", "5",
    ),
    # The classes of a head
    (
        lambda: check_classes("f", network(classes=4), DATA),
        ValueError, "f: the head", "4", "3 classes", "left, top, bottom", "with_new_head",
        "with_new_task",
    ),
    (lambda: check_classes("f", network(), images_of(0, 2)), ValueError, "f: ", "image of top;"),
    (lambda: check_classes("f", network(), images_of(0)), ValueError, "f: ", "of top, bottom;"),
    # Distillation
    (lambda: distillation(None, 0), ValueError, "distillation: temperature", "0", "0.001 to 1000"),
    (lambda: distillation(None, 1e8), ValueError, "distillation: temperature", "100000000", "1000"),
    (lambda: distillation(None, -1.0), ValueError, "distillation: temperature", "-1.0", "0.001"),
    (lambda: distillation(None, NAN), ValueError, "distillation: temperature", "nan", "1000"),
    (lambda: distillation(None, INF), ValueError, "distillation: temperature", "inf", "1000"),
    (lambda: distillation(None, alpha=1.5), ValueError, "distillation: alpha", "1.5", "0 to 1"),
    (lambda: distillation(None, alpha=-0.1), ValueError, "distillation: alpha", "-0.1", "0 to 1"),
    (lambda: distillation(None, alpha=NAN), ValueError, "distillation: alpha", "nan", "0 to 1"),
    (
        lambda: distilling.distilled(network(), np.zeros((5, 3), np.float32)),
        ValueError, "looked_up: responses", "5", "one row per image",
    ),
    (
        lambda: distilling.distilled(
            network(), network(7), recorded=True, batches=hide_labels(distilling.loader(DRAWS))
        ),
        ValueError, "record_responses: the loader's transform", "without augmentation",
    ),
    (lambda: bias_for_share(SURE, 3, 0.5), ValueError, "bias_for_share: k", "3", "0 to 2"),
    (lambda: bias_for_share(SURE, -1, 0.5), ValueError, "bias_for_share: k", "-1", "0 to 2"),
    (lambda: bias_for_share(SURE, 0, 1.1), ValueError, "bias_for_share: share", "1.1", "0 to 1"),
    (lambda: bias_for_share(SURE, 0, NAN), ValueError, "bias_for_share: share", "nan", "0 to 1"),
    # Joint training
    (
        lambda: joined([joint.batch(np.zeros((2, 1, 6, 5))), joint.batch(np.zeros((2, 1, 7, 5)))]),
        ValueError, "joined", "loader 1", "(1, 7, 5)", "loader 0", "(1, 6, 5)", "Resize((H, W))",
    ),
    (
        lambda: joint.together(joint.two_tasks(), {"old": joint.two_loaders()["old"]}),
        ValueError, "joint_loss", "old, new", "1 loaders", "per head",
    ),
    # Learning without forgetting
    (lambda: lwf_loss({}, old_weight=-1), ValueError, "lwf_loss: old_weight", "-1", "at least 0"),
    (lambda: lwf_loss({}, old_weight=NAN), ValueError, "lwf_loss: old_weight", "nan", "at least 0"),
    (lambda: lwf_loss({}, 0), ValueError, "lwf_loss: temperature", "0", "0.001 to 1000"),
    (lambda: lwf_loss({}, INF), ValueError, "lwf_loss: temperature", "inf", "0.001 to 1000"),
    (
        lambda: lwf.learned(
            MultiHead(lwf.two_tasks().backbone, {"new": lwf.two_tasks().heads["new"]}),
            warm_up=0, old_outputs={"old": np.zeros((22, 4), "f")},
        ),
        ValueError, "lwf_loss: old_outputs", "old", "only one task",
    ),
    (lambda: with_new_task(lwf.two_tasks(), 3), ValueError, "with_new_task", "'new'", "name"),
    # Pseudo-labels
    (lambda: pseudo_label_loss(1.0, 1.2), ValueError, "pseudo_label_loss: threshold", "1.2"),
    (lambda: pseudo_label_loss(1.0, -0.1), ValueError, "pseudo_label_loss: threshold", "-0.1"),
    (lambda: pseudo_label_loss(1.0, NAN), ValueError, "pseudo_label_loss: threshold", "nan"),
    (lambda: ramp(7, 5), ValueError, "ramp: first is 7", "last 5"),
    (
        lambda: pseudo_labels.trained(pseudo_labels.network(), truth=np.zeros(5, int)),
        ValueError, "looked_up: responses", "5",
    ),
    (lambda: pseudo_labelled(blank(4, 9, 9)), ValueError, "loader 1", "(1, 9, 9)"),
    (lambda: pseudo_labelled(blank(0, 6, 5)), ValueError, "DataLoader: dataset", "empty"),
    # Noisy student
    (
        lambda: filter_and_balance(np.array([[0.6, 0.4]] * 4), 0.9),
        ValueError, "filter_and_balance", "all 4", "0.9", "0.6",
    ),
    (
        lambda: filter_and_balance(SURE, 0.95, allow_missing=True),
        ValueError, "filter_and_balance", "all 2", "0.95", "0.9",
    ),
    (
        lambda: filter_and_balance(SURE, 0.3, classes=CLASSES),
        ValueError, "filter_and_balance", "bottom", "0.250", "--allow-missing",
    ),
    (
        lambda: labelled_by(network(), DataLoader(DATA, 7, transform=DRAWS)),
        ValueError, "record_responses: the loader's transform", "random",
    ),
    (lambda: one_generation(floor=1.5), ValueError, "filter_and_balance: floor", "1.5", "0 to 1"),
    (lambda: one_generation(floor=0.9999), ValueError, "filter_and_balance", "0.9999", "highest"),
    (lambda: one_generation(weighting="sum"), ValueError, "self_train: weighting", "'sum'"),
    (lambda: one_generation(()), ValueError, "self_train: networks", "empty"),
    (
        lambda: one_generation([lambda: nn.Linear(3, 4)]),
        ValueError, "self_train: the head", "4", "3 classes",
    ),
    # The search for a policy
    (lambda: few_candidates(length_of, 1), ValueError, "search: budget is 1", "2"),
    (
        lambda: search(RandomSequences(), length_of, 2, processes=-1),
        ValueError, "search: processes", "-1", "0",
    ),
    (
        lambda: search(Grid((1, 3), (5, 10.5, 20)), length_of, 8, processes=0),
        ValueError, "Grid: number", "6 pairs", "budget", "7",
    ),
    (lambda: scoring(NAN), ValueError, "search: candidate 0 (none)", "nan", "finite"),
    (lambda: scoring(None), ValueError, "search: candidate 0 (none)", "None", "finite"),
    (lambda: scoring("0.5"), ValueError, "search: candidate 0 (none)", "'0.5'", "finite"),
    (
        lambda: search(RandomSequences(), Locked(), 2, processes=1),
        TypeError, "search: ", "Locked", "processes=0",
    ),
    # Features
    (lambda: interest_points(photo(0), -1), ValueError, "interest_points: most", "-1", ">= 0"),
    (lambda: patch_descriptors(photo(0), [(-1, 0)]), ValueError, "point (-1, 0)", "48x60"),
    (lambda: patch_descriptors(photo(0), [(0, 48)]), ValueError, "point (0, 48)", "48x60"),
    (lambda: patch_descriptors(photo(0), [(60, 3)]), ValueError, "point (60, 3)", "48x60"),
    (lambda: patch_descriptors(photo(0), [(NAN, 3)]), ValueError, "point (nan, 3", "48x60"),
    (lambda: patch_descriptors(photo(0), [(3, 3)], 0), ValueError, "descriptors: patch", "0"),
    (lambda: patch_descriptors(photo(0), [(3, 3)], 0.5), ValueError, "descriptors: patch", "0.5"),
    (lambda: patch_descriptors(photo(0), [(3, 3)], -4), ValueError, "descriptors: patch", "-4"),
    (lambda: ClassicFeatures()([]), ValueError, "ClassicFeatures: images", "empty"),
    (
        lambda: ClassicFeatures()([np.zeros((2, 30, 1), np.uint8)]),
        ValueError, "lbp_codes: image", "2x30", "3x3",
    ),
    (
        lambda: ClassicFeatures()([np.zeros((20, 30), np.uint8)]),
        ValueError, "ClassicFeatures: image", "(20, 30)", "(H, W, C)",
    ),
    (
        lambda: ClassicFeatures()([np.zeros((20, 30, 3))]),
        ValueError, "ClassicFeatures: image", "float64", "uint8",
    ),
    (
        lambda: ClassicFeatures()([np.zeros((20, 30, 4), np.uint8)]),
        ValueError, "ClassicFeatures: image", "(20, 30, 4)", "alpha",
    ),
    (
        lambda: DeepFeatures(softmax_regression(), ToArray()),
        ValueError, "DeepFeatures: the model", "no convolution",
    ),
    (lambda: DeepFeatures(lenet5(), ToArray())([]), ValueError, "DeepFeatures: images", "empty"),
    # Fusion and retrieval
    (lambda: FeatureFusion(1.5), ValueError, "FeatureFusion: local_weight", "1.5", "0 to 1"),
    (lambda: FeatureFusion(components=0), ValueError, "FeatureFusion: components", "0", "1"),
    (lambda: FeatureFusion().transform(parts(0)), ValueError, "FeatureFusion.transform", "fit"),
    (
        lambda: FeatureFusion().fit({"local": np.ones((2, 3))}),
        ValueError, "FeatureFusion.fit", "'global'", "missing",
    ),
    (lambda: FeatureFusion().fit(parts(0, N=0)), ValueError, "FeatureFusion.fit", "(0, 7)"),
    (
        lambda: FeatureFusion().fit(parts(0) | {"global": np.ones((3, 5))}),
        ValueError, "FeatureFusion.fit", "'local' has 30", "'global' has 3",
    ),
    (
        lambda: FeatureFusion().fit(parts(0)).transform(parts(0, D=8)),
        ValueError, "FeatureFusion.transform", "'local'", "8", "7",
    ),
    (
        lambda: ranking(np.ones((3, 2)), np.ones((3, 4))),
        ValueError, "ranking: features", "(3, 2)", "queries", "(3, 4)",
    ),
    (lambda: precision_at_k(RELEVANT, 6), ValueError, "precision_at_k: k", "6", "1 to 5"),
    (lambda: precision_at_k(RELEVANT, 0), ValueError, "precision_at_k: k", "0", "1 to 5"),
    (lambda: precision_at_k(np.ones((2, 5)), 1), ValueError, "relevant", "float64 (2, 5)", "bool"),
    (lambda: average_precision(RELEVANT[:0]), ValueError, "relevant", "bool (0, 5)", "(M, N)"),
    (
        lambda: average_precision(np.array([[True, False], [False, False]])),
        ValueError, "average_precision", "query 1", "2",
    ),
)  # fmt: skip
def test_methods_errors_name_the_argument_and_the_value(call, error, fragments):
    with refused(error, *fragments):
        call()
