"""Measure a trained run on its test set: accuracy, loss, and which classes it confuses.

  minivision evaluate runs/lenet5-digits-1

The dataset and the preprocessing are those of the run. If the run used your own images, the command
uses the ones that were set aside for testing, and says which of them are missing, changed or new.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from minivision.analysis import plots
from minivision.backend import resolve_device
from minivision.cli.images import beside_accuracy, run_images, untested
from minivision.cli.setup import add_picture, load_run, loader, save_picture
from minivision.functional import cross_entropy, softmax
from minivision.training import predict_logits
from minivision.training.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    per_class_accuracy,
    top_k_accuracy,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a training run")
    parser.add_argument("--device", default="auto", help="cpu, gpu, gpu:N or auto (default)")
    add_picture(parser, "confusion.png")


def run(arguments: argparse.Namespace) -> None:
    run, settings, model = load_run(arguments.folder)
    model.to(resolve_device(arguments.device))
    classes = settings.classes
    splits = run_images(settings, run.path).splits
    test = splits.test
    logits, labels = predict_logits(model, loader(test, settings, "dataset"))
    probabilities = softmax(logits).numpy()
    confusion = confusion_matrix(logits.argmax(axis=1), labels, len(classes))
    absent = beside_accuracy(untested(test))
    top = min(3, len(classes))
    print(f"{settings.model} on {len(labels):,} test images of {settings.dataset}")
    print(f"  accuracy            {accuracy(logits, labels):.2%}{absent}")
    print(f"  top-{top} accuracy      {top_k_accuracy(logits, labels, top):.2%}")
    print(f"  loss                {cross_entropy(logits, labels).item():.4f} nats")
    print(f"  calibration error   {expected_calibration_error(probabilities, labels):.2%}")
    print("  class               images  correct")
    for name, images, share in zip(
        classes, confusion.sum(axis=1), per_class_accuracy(confusion), strict=True
    ):
        shown = f"{share:.1%}" if images else "-"
        print(f"    {name:<16} {images:>8} {shown:>8}")
    mistakes = confusion - np.diag(confusion.diagonal())
    for cell in np.argsort(-mistakes, axis=None, kind="stable")[:3]:
        true, predicted = divmod(int(cell), len(classes))
        if mistakes[true, predicted]:
            times = mistakes[true, predicted]
            print(f"  {classes[true]} was classified as {classes[predicted]} {times} times")
    figure = plots.plot_confusion(confusion, classes)
    save_picture(figure, arguments.out, run.path / "confusion.png")
