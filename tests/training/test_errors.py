"""Errors of the training room name the function, the argument, and the value that came."""

import numpy as np

from minivision.nn import Linear
from minivision.optim import SGD
from minivision.tensor import Tensor
from minivision.training import EarlyStopping, classification_loss, fit, in_order
from minivision.training.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    per_class_accuracy,
    top_k_accuracy,
)
from minivision.training.ten_crops import ten_crop_probabilities
from tests.refusals import refused, table_of_errors
from tests.training.test_evaluation import images

LOGITS, LABELS = np.eye(3), np.arange(3)
NAN = np.eye(6)
NAN[3, 2] = np.nan
IMAGES = np.zeros((3, 3, 9, 11), np.float32)


def fitted(batches=None, loss=classification_loss, device="cpu", **options):
    """One epoch of a Linear layer, on one batch of two images unless others are given."""
    model = Linear(3, 2)
    usual = [(np.ones((2, 3), np.float32), np.array([0, 1]))]
    batches = (lambda epoch: usual) if batches is None else batches
    fit(model, batches, loss, SGD(model.parameters(), 0.1), 1, device=device, **options)


def reporting(name):
    """A loss that reports a number under this name."""
    return lambda model, batch: (model(batch.images).sum(), {name: 1.0})


@table_of_errors(
    # fit
    (lambda: fitted([1, 2]), TypeError, "fit: batches", "list", "batches(epoch)"),
    (lambda: fitted(lambda epoch: []), ValueError, "fit: batches", "smaller than one batch"),
    (lambda: fitted(loss=lambda *_: None), TypeError, "fit: loss", "None", "Tensor"),
    (lambda: fitted(loss=lambda *_: Tensor(np.ones((8, 2)))), TypeError, "fit: loss", "(8, 2)"),
    (lambda: fitted(loss=reporting("epoch")), ValueError, "fit: loss", "'epoch'"),
    (lambda: fitted(loss=reporting("seconds")), ValueError, "fit: loss", "'seconds'"),
    (lambda: fitted(loss=reporting("train_loss")), ValueError, "fit: loss", "'train_loss'"),
    (lambda: fitted(loss=reporting("validation_loss")), ValueError, "fit: loss", "'validation_los"),
    (lambda: fitted(device="tpu"), ValueError, "device", "tpu", '"cpu", "gpu"'),
    # Early stopping
    (lambda: EarlyStopping(0), ValueError, "EarlyStopping: patience", "0", "1 epoch"),
    (lambda: EarlyStopping(-1), ValueError, "EarlyStopping: patience", "-1", "1 epoch"),
    (lambda: EarlyStopping(1.5), ValueError, "EarlyStopping: patience", "1.5", "1 epoch"),
    (lambda: EarlyStopping(True), ValueError, "EarlyStopping: patience", "True", "1 epoch"),
    (
        lambda: fitted(early_stopping=EarlyStopping(1)),
        ValueError, "EarlyStopping", "'validation_loss'", "validate is None",
    ),
    (
        lambda: fitted(early_stopping=EarlyStopping(1, "train_los")),
        ValueError, "EarlyStopping", "'train_los'", "epoch, train_loss",
    ),
    # Evaluation
    (lambda: in_order(images(0, 10)), ValueError, "in_order: dataset", "empty"),
    (lambda: ten_crop_probabilities(None, IMAGES[0], 6), ValueError, "images", "(3, 9, 11)"),
    (lambda: ten_crop_probabilities(None, "cat.png", 6), ValueError, "images", "str", "(N, C, H"),
    (lambda: ten_crop_probabilities(Linear(2, 2), IMAGES, 10), ValueError, "(10, 10)", "(9, 11)"),
    (lambda: ten_crop_probabilities(None, IMAGES, 0), ValueError, "crop_probabilities: size", "0"),
    # Metrics
    (lambda: accuracy(LOGITS[0], LABELS), ValueError, "accuracy: logits", "(3,)", "(N, K)"),
    (lambda: accuracy(LOGITS[:0], LABELS[:0]), ValueError, "accuracy: logits", "(0, 3)", "image"),
    (lambda: accuracy(LOGITS.tolist(), LABELS), TypeError, "accuracy: logits", "list", "NumPy"),
    (lambda: accuracy(LOGITS.astype(object), LABELS), ValueError, "accuracy: logits", "object"),
    (lambda: accuracy(LOGITS, LABELS[:2]), ValueError, "accuracy", "logits", "3", "labels", "2"),
    (lambda: accuracy(LOGITS, LABELS * 1.0), ValueError, "accuracy: labels", "float64", "integer"),
    (lambda: accuracy(LOGITS, np.eye(3, dtype=int)), ValueError, "accuracy: labels", "(3, 3)"),
    (lambda: accuracy(LOGITS, LABELS + 1), ValueError, "accuracy: labels", "1 to 3", "0 … 2"),
    (lambda: accuracy(LOGITS, LABELS - 1), ValueError, "accuracy: labels", "-1 to 1", "0 … 2"),
    (lambda: accuracy(NAN, np.arange(6)), ValueError, "accuracy: logits[3]", "NaN"),
    (lambda: top_k_accuracy(LOGITS, LABELS), ValueError, "top_k_accuracy: k", "5", "1 … 3"),
    (lambda: top_k_accuracy(LOGITS, LABELS, k=0), ValueError, "top_k_accuracy: k", "0", "1 … 3"),
    (lambda: top_k_accuracy(NAN, np.arange(6)), ValueError, "top_k_accuracy: logits[3]", "NaN"),
    (
        lambda: confusion_matrix(LABELS, LABELS, classes=2),
        ValueError, "confusion_matrix: predictions", "0 to 2", "0 … 1",
    ),
    (
        lambda: confusion_matrix(LABELS, LABELS[:1], classes=3),
        ValueError, "confusion_matrix: predictions", "3", "labels", "1",
    ),
    (
        lambda: per_class_accuracy(np.ones((2, 3))),
        ValueError, "per_class_accuracy: confusion", "(2, 3)", "(K, K)",
    ),
    (
        lambda: expected_calibration_error(5 * LOGITS, LABELS),
        ValueError, "expected_calibration_error: probabilities", "5", "softmax",
    ),
    (
        lambda: expected_calibration_error(-LOGITS, LABELS),
        ValueError, "expected_calibration_error: probabilities", "-1", "negative",
    ),
    (
        lambda: expected_calibration_error(LOGITS, LABELS, bins=0),
        ValueError, "expected_calibration_error: bins", "0", "1",
    ),
    (
        lambda: expected_calibration_error(NAN, np.arange(6)),
        ValueError, "expected_calibration_error: probabilities[3]", "NaN",
    ),
)  # fmt: skip
def test_training_errors_name_the_argument_and_the_value(call, error, fragments):
    with refused(error, *fragments):
        call()
