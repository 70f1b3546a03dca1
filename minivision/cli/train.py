"""Train a network on a dataset and save everything about the run in one folder.

  minivision train                                    LeNet-5 on the bundled digits, 20 s
  minivision train --dataset mnist --seed 1           60,000 digits (MINIVISION_DATA or download)
  minivision train --dataset my_photos --epochs 30    a folder with one folder per class
  minivision train --dataset my_photos.tar.gz         the same in one file
  minivision train --dataset cifar10 --augment flip+crop+randaugment   never the same image twice
  minivision train --weights vgg16.safetensors --model vgg16 --dataset my_photos   not from scratch
  minivision train --epochs 100 --patience 10         stop when the validation loss stops improving
  minivision train --out runs/mine --resume           continue a run that was stopped
  minivision train --out runs/mine --resume --epochs 40    train a finished run for more epochs

The folder contains settings.json, metrics.jsonl (one line per epoch), checkpoint.safetensors,
result.json (measured on the test set, which is used once, at the end), curves.png and
confusion.png. With --patience, the checkpoint also has the weights of the best epoch, and these are
the weights that are tested and used.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from minivision.analysis import plots
from minivision.backend import resolve_device
from minivision.cli.argument_types import positive, whole
from minivision.cli.first_loss import watched
from minivision.cli.images import (
    TRAINED,
    Images,
    beside_accuracy,
    new_images,
    run_images,
    untested,
)
from minivision.cli.optimization import (
    MOMENTUM,
    add_learning_arguments,
    check_beginning,
    learning_rate,
    load_first_weights,
    make_loss,
    make_optimizer,
    make_schedule,
    make_stopping,
    sha256,
    start_of,
    weights_file,
)
from minivision.cli.policy import EXPLAINED, MIXERS, NAMES, read_policy
from minivision.cli.recorded import result_of
from minivision.cli.setup import (
    build_model,
    loader,
    note_versions,
    open_run,
    preprocessing,
    same_options,
    same_version,
    to_resume,
    undrawn,
    versions,
)
from minivision.datasets import DATASETS, Splits, stratified_split
from minivision.functional import cross_entropy
from minivision.models import MODELS
from minivision.training import (
    Run,
    evaluate,
    fit,
    next_run_path,
    predict_logits,
)
from minivision.training.checkpoint import finished_epochs
from minivision.training.metrics import accuracy, confusion_matrix
from minivision.training.settings import RunSettings
from minivision.transforms import RandomTranslate


class Defaults(NamedTuple):
    """The default options for training on a dataset."""

    epochs: int
    batch_size: int
    shift: int  # random shifts in pixels, the one augmentation that suits all digits


DEFAULTS = {
    "digits": Defaults(20, 32, 2),
    "mnist": Defaults(5, 64, 1),
    "fashion_mnist": Defaults(5, 64, 0),
    "cifar10": Defaults(5, 64, 0),
    "cifar10-jpeg": Defaults(5, 64, 0),
}
USUAL = Defaults(20, 32, 0)
# The options that affect a run's final weights: a resumed run must use the same ones.
DECIDED = (
    "model", "dataset", "epochs", "batch_size", "lr", "optimizer", "shift", "augment", "seed",
    "start", "limit", "skip_unreadable", "momentum", "weight_decay", "schedule", "class_weights",
    "patience", "weights",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", help=f"{', '.join(MODELS)} (default: lenet5)")
    add(
        "--dataset", metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or a folder or tar of class folders (default: digits)",
    )  # fmt: skip
    add("--epochs", type=positive(int), help="passes over the data (default: 20; large sets: 5)")
    add("--batch-size", type=positive(int), help="images per step (default: 32; large sets: 64)")
    add_learning_arguments(parser)
    add(
        "--shift", type=whole,
        help="shift images at random by up to N pixels (default: 2 for digits and 1 for mnist if "
        "there is no --augment, otherwise 0)",
    )  # fmt: skip
    add(
        "--augment", metavar="POLICY",
        help=f"names joined by +, from {', '.join(NAMES)} (see below); or a file from "
        "search-augmentation",
    )  # fmt: skip
    add("--device", default="auto", help="cpu, gpu, gpu:N or auto (default)")
    add("--seed", type=whole, help="random seed (default: 0)")
    add("--out", type=Path, help="the run's folder (default: runs/MODEL-DATASET-N)")
    add("--resume", action="store_true", help="continue the run in --out, with its settings")
    add("--limit", type=positive(int), help="use only N training images, from all classes")
    add("--workers", type=whole, help="threads that prepare images (default: 0)")
    add(
        "--skip-unreadable", action="store_true", default=None,
        help="skip unreadable images in your own dataset, and list them",
    )  # fmt: skip
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> None:
    device = resolve_device(arguments.device)
    if arguments.resume:
        folder, settings = resumed(arguments)
        if settings is None:
            return
        splits = run_images(settings, folder.path, unchanged=TRAINED).splits
        done = finished_epochs(folder.checkpoint_path)
        print(f"continuing {folder.path}: {done} epochs are done")
        note_versions(settings.versions)
    else:
        arguments.model = arguments.model or "lenet5"
        arguments.dataset = arguments.dataset or "digits"
        images = new_images(arguments.dataset, arguments.model, bool(arguments.skip_unreadable))
        splits = images.splits
        if images.skipped:
            print(f"skipped, because they cannot be read ({len(images.skipped)} in all):")
            for file, reason in images.skipped.items():
                print(f"  {file} {reason}")
        settings = make_settings(arguments, images)
        check_beginning(settings, training_images(settings, splits).labels)
        name = f"{arguments.model}-{Path(arguments.dataset).resolve().name}"
        folder = Run.create(arguments.out or next_run_path(name), settings.plain())
    with folder.locked():
        if settings.epochs != folder.settings["epochs"]:  # a finished run gets more epochs
            folder.rewrite_settings(settings.plain())
        folder.result_path.unlink(missing_ok=True)  # it is the result after fewer epochs
        train(folder, settings, splits, device)


def resumed(arguments: argparse.Namespace) -> tuple[Run, RunSettings | None]:
    """The run in --out and its settings, with more epochs if --epochs asks for them.

    If the run is finished, its result is printed, and None is returned instead of the settings. Any
    options given must match the run's.
    """
    folder, settings = open_run(to_resume(arguments.out))
    same_version(folder.path, settings.versions)
    folder.check_settings()
    epochs, found = arguments.epochs, {}
    if folder.result_path.exists():
        found = result_of(folder, "test_accuracy")
    # If the process was killed, the result may still be that of fewer epochs than the settings say.
    early = found.get("stopped_early", False)
    finished = early or found.get("epochs") == settings.epochs
    given = {name: getattr(arguments, name) for name in DECIDED}
    if given["dataset"] is not None:
        given["dataset"] = absolute(given["dataset"])
    if given["weights"] is not None:
        given["weights"] = weights_file(given["weights"])
    longer = finished and epochs is not None and epochs > settings.epochs
    if longer:
        del given["epochs"]
    same_options(folder.path, given, settings.plain())
    if longer:
        if early:
            raise ValueError(
                f"{folder.path} stopped early, after epoch {found['epochs']} (--patience "
                f"{settings.patience}), so more epochs would change nothing; start another run "
                "with more patience"
            )
        settings = replace(settings, epochs=epochs)
    elif finished:  # the test set is used only once
        with suppress(OSError), folder.locked():  # locking cleans up after a killed process
            pass
        absent = beside_accuracy(found.get("untested_classes", []))
        print(f"{folder.path} is finished: test accuracy {found['test_accuracy']:.2%}{absent}")
        return folder, None
    if arguments.workers is not None:
        settings = replace(settings, workers=arguments.workers)
    return folder, settings


def train(folder: Run, settings: RunSettings, splits: Splits, device: str) -> None:
    """The heart of this file: data, model, optimizer, fit, and one look at the test set."""
    classes, epochs, K = settings.classes, settings.epochs, len(settings.classes)
    training = training_images(settings, splits)
    model, stopping = build_model(settings), make_stopping(settings)
    if settings.weights is not None and not folder.checkpoint_path.exists():
        load_first_weights(model, settings)
    print(
        f"{settings.model}: {model.parameter_count():,} parameters; {settings.dataset}: "
        f"{len(training):,} training, {len(splits.validation):,} validation and "
        f"{len(splits.test):,} test images of {K} classes; on {device}"
    )
    validation = loader(splits.validation, settings, "dataset")
    history = fit(
        model,
        loader(training, settings, "training"),
        watched(make_loss(settings, training.labels), K),
        make_optimizer(settings, model),
        epochs,
        schedule=make_schedule(settings),
        validate=lambda model: evaluate(model, validation),
        batch_transform=MIXERS[settings.mixer](K) if settings.mixer else None,
        early_stopping=stopping,
        seed=settings.seed,
        run=folder,
        device=device,
    )
    found: dict[str, Any] = {"epochs": len(history)}
    if stopping is not None:
        found |= {
            "best_epoch": stopping.best_epoch(history),
            "stopped_early": len(history) < epochs,
        }
        print(f"epoch {found['best_epoch']} of {len(history)} was the best; its weights are kept")
    test = test_result(model, loader(splits.test, settings, "dataset"), classes)
    confusion = test.pop("confusion")
    seconds = round(sum(history["seconds"]), 1)
    absent = untested(splits.test)
    if absent:
        test["untested_classes"] = absent
    title = f"{settings.model} on {Path(settings.dataset).name}"
    plots.save_figure(plots.plot_history(history, title), folder.path / "curves.png")
    plots.save_figure(plots.plot_confusion(confusion, classes), folder.path / "confusion.png")
    # Write the result last: a run that has one counts as finished, and a run that was killed
    # earlier can be resumed.
    folder.write_result({**test, **found, "training_seconds": seconds})
    print(
        f"test accuracy {test['test_accuracy']:.2%} on {test['test_images']:,} images it has never "
        f"seen{beside_accuracy(absent)}, after {seconds:.0f} s of training"
    )
    print(f"see {folder.path / 'curves.png'}; try: minivision predict {folder.path} IMAGE.png")


def training_images(settings: RunSettings, splits: Splits) -> Any:
    """The images to train on: the whole training split, or as many images as --limit allows."""
    if settings.limit is None:
        return splits.train
    return stratified_split(splits.train, (min(settings.limit, len(splits.train)),))[0]


def test_result(model: Any, batches: Any, classes: list[str]) -> dict[str, Any]:
    """The entries of a run's result.json, and the confusion matrix (K, K)."""
    logits, labels = predict_logits(model, batches)
    return {
        "test_accuracy": accuracy(logits, labels),
        "test_loss": cross_entropy(logits, labels).item(),
        "test_images": len(labels),
        "confusion": confusion_matrix(logits.argmax(axis=1), labels, len(classes)),
    }


def make_settings(arguments: argparse.Namespace, images: Images) -> RunSettings:
    """The settings that are needed to repeat the run."""
    usual = DEFAULTS.get(arguments.dataset, USUAL)
    # A policy given by the user replaces the default shift.
    shift = 0 if arguments.augment else usual.shift
    if arguments.shift is not None:
        shift = arguments.shift
    splits = images.splits
    first = splits.train[0][0]
    policy = read_policy("--augment", arguments.augment or "none", first.shape)
    augmentation = [RandomTranslate(shift), *policy.steps] if shift else policy.steps
    optimizer, momentum = arguments.optimizer or "adam", arguments.momentum
    if optimizer == "sgd" and momentum is None:
        momentum = MOMENTUM
    weights = weights_file(arguments.weights) if arguments.weights else None
    return RunSettings(
        model=arguments.model,
        dataset=absolute(arguments.dataset),
        classes=list(splits.train.classes),
        channels=first.shape[2],
        preprocessing=preprocessing(splits, undrawn(arguments.model), augmentation),
        epochs=arguments.epochs or usual.epochs,
        batch_size=arguments.batch_size or usual.batch_size,
        lr=arguments.lr or learning_rate(arguments.model, optimizer),
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=arguments.weight_decay,
        schedule=arguments.schedule or "cosine",
        class_weights=arguments.class_weights,
        patience=arguments.patience,
        weights=weights,
        weights_sha256=sha256(weights) if weights else None,
        seed=arguments.seed or 0,
        start=arguments.start or start_of(arguments.model),
        limit=arguments.limit,
        workers=arguments.workers or 0,
        shift=shift,
        augment=arguments.augment or "none",
        skip_unreadable=bool(arguments.skip_unreadable),
        mixer=policy.mixer,
        skipped=images.skipped,
        images=images.record,
        versions=versions(),
    )


def absolute(dataset: str) -> str:
    """The name of a built-in dataset unchanged, or a path made absolute."""
    return dataset if dataset in DATASETS else str(Path(dataset).resolve())
