"""Code shared by the commands that compare ways of training: one folder, with one run per variant.

The folder's settings.json has the options of the command. Each variant is a function in the
command's file, and has its own subfolder with the metrics and the checkpoint of its training and,
once it is done, the network and its result. So a command that was stopped continues with --resume:
finished variants are read from disk, and the interrupted one continues from its last epoch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from minivision.analysis import plots
from minivision.analysis.comparison import plot_comparison
from minivision.cli.argument_types import positive, whole
from minivision.cli.images import (
    TRAINED,
    Images,
    Recorded,
    beside_accuracy,
    new_images,
    run_images,
    untested,
)
from minivision.cli.optimization import start_of
from minivision.cli.policy import read_policy
from minivision.cli.recorded import check_options, result_of
from minivision.cli.setup import (
    loader,
    note_versions,
    preprocessing,
    same_options,
    same_version,
    to_resume,
    undrawn,
    versions,
)
from minivision.datasets import DATASETS, Splits, open_class_folders, stratified_split
from minivision.datasets.class_folders import PARTS
from minivision.datasets.fingerprint import check_fingerprint
from minivision.optim import cosine
from minivision.training import Run, evaluate, fit, next_run_path, save_model
from minivision.training.loop import History
from minivision.training.settings import RunSettings
from minivision.transforms import Normalize, from_description

PLACES = ("run_folder", "dataset", "labelled", "unlabelled")  # options that may be paths
OLD = {
    "run_folder": "RUN, the folder of the run to start from",
    "dataset": "--dataset NAME|PATH, the images to learn",
}
# One way of training: variant(run) -> the trained model and its history. Training continues from
# the state saved in the run. The docstring says what the variant does, and is printed.
Variant = Callable[[Run], tuple[Any, History]]


def add_shared_arguments(parser: argparse.ArgumentParser, old: str) -> None:
    """Add the options that all these commands have; `old` says whose run RUN is."""
    add = parser.add_argument
    add("run_folder", type=Path, nargs="?", metavar="RUN", help=f"the run of {old}")
    add(
        "--dataset", metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or a folder or tar of class folders",
    )  # fmt: skip
    add("--epochs", type=positive(int), help="passes over the images (default: 20)")
    add("--batch-size", type=positive(int), help="images per step (default: 32)")
    add("--lr", type=positive(float), help="initial learning rate")
    add("--limit", type=positive(int), help="use only N training images, from all classes")
    add_folder_arguments(parser)


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the results folder, the seed, the device and unreadable files."""
    add = parser.add_argument
    add("--seed", type=whole, help="random seed (default: 0)")
    add("--device", default="auto", help="cpu, gpu, gpu:N or auto (default)")
    add("--out", type=Path, help="the results folder (default: runs/COMMAND-DATASET-N)")
    add("--resume", action="store_true", help="continue the results in --out, with their settings")
    add(
        "--skip-unreadable", action="store_true", default=None,
        help="skip unreadable images in your own dataset",
    )  # fmt: skip


def open_folder(
    arguments: argparse.Namespace,
    command: str,
    defaults: Mapping[str, Any],
    needed: Mapping[str, str],
) -> Run:
    """The results folder with the given options or, with --resume, with its original options.

    defaults: the default value of every option that affects the results. needed: the required
    options, each with its description; the folder is named after the last of them.
    """
    given = {name: getattr(arguments, name) for name in defaults}
    for name in PLACES:
        if given.get(name) is not None and given[name] not in DATASETS:
            given[name] = str(Path(given[name]).resolve())
    for name in ("augment", "unlabelled_augment"):
        if str(given.get(name)).endswith(".json"):  # so that it can be found from any folder
            given[name] = str(Path(given[name]).resolve())
    if arguments.resume:
        folder = Run.open(to_resume(arguments.out))
        if folder.settings.get("command") != command:
            raise ValueError(f"{folder.path} was not written by minivision {command}")
        file = folder.path / "settings.json"
        for name in (*defaults, "images", "skipped"):
            if name not in folder.settings:
                raise ValueError(
                    f"{file}: {name!r} is missing; the file was not written by {command}"
                )
        same_version(folder.path, folder.settings.get("versions", {}))
        folder.check_settings()
        check_options(file, folder.settings, list(defaults))
        same_options(folder.path, given, folder.settings)
        check_fingerprint(file, folder.settings["images"])
        note_versions(folder.settings.get("versions", {}))
        return folder
    options = {n: defaults[n] if value is None else value for n, value in given.items()}
    for name, what in needed.items():
        if options[name] is None:
            raise ValueError(f"give {what}")
    *_, last = needed
    path = Path(arguments.out or next_run_path(f"{command}-{Path(options[last]).name}"))
    return Run(path, {"command": command, **options, "versions": versions()})


def begin(folder: Run, arguments: argparse.Namespace, settings: RunSettings) -> Run:
    """Create the folder once all options have been checked; a resumed one already exists.

    The folder's settings record the same images as the settings of its runs.
    """
    if arguments.resume:
        return folder
    names = ("skipped", "images", "unlabelled_images")
    kept = {name: getattr(settings, name) for name in names}
    return Run.create(folder.path, folder.settings | kept)


def images_of(
    folder: Run,
    dataset: str,
    model: str,
    channels: int | None = None,
    source: tuple[Run, RunSettings] | None = None,
) -> Images:
    """The images for new results, or those recorded by resumed results or by the source's run.

    source: the run of the network to start from. If it was trained on the same dataset, its split
    is used again, because its test images must stay test images.
    """
    options = folder.settings
    if "images" in options:  # all rows of a table must be measured on the same test images
        begun = Recorded(dataset, model, channels, options["images"], options["skipped"])
        return run_images(begun, folder.path, unchanged=PARTS)
    if source is not None:
        run, then = source
        if (
            dataset not in DATASETS
            and then.dataset == dataset
            and then.classes == list(open_class_folders(dataset).class_names())
        ):
            same = Recorded(dataset, model, channels, then.images, then.skipped, then.classes)
            return run_images(same, run.path, unchanged=TRAINED)
    skip = bool(options["skip_unreadable"]) and dataset not in DATASETS
    return new_images(dataset, model, skip, channels)


def new_task(
    folder: Run,
    source: tuple[Run, RunSettings],
    *,
    optimizer: str,
    model: str | None = None,
    augment: str = "none",
) -> tuple[Splits, RunSettings]:
    """The new images, and the settings for a run that trains the source's network on them.

    Images get the size, the number of channels and the standardisation that the network expects.
    model: use this network instead of the source's; augment: a policy, as for --augment.
    """
    options, then = folder.settings, source[1]
    model = model or then.model
    images = images_of(folder, options["dataset"], model, then.channels, source)
    splits = images.splits
    (standardised,) = [
        step
        for step in from_description(then.preprocessing["dataset"]).transforms
        if isinstance(step, Normalize)
    ]
    if options["limit"] is not None:
        few = min(options["limit"], len(splits.train))
        splits = splits._replace(train=stratified_split(splits.train, (few,))[0])
    steps = read_policy("--augment", augment, splits.train[0][0].shape).without_mixer("--augment")
    return splits, RunSettings(
        model=model,
        dataset=options["dataset"],
        classes=list(splits.train.classes),
        channels=then.channels,
        preprocessing=preprocessing(splits, undrawn(model), steps, standardised),
        **{name: options[name] for name in ("epochs", "batch_size", "lr", "seed", "limit")},
        optimizer=optimizer,
        start=start_of(model),
        augment=augment,
        skipped=images.skipped,
        images=images.record,
        versions=versions(),
    )


def trainer(
    settings: RunSettings, device: str, validate: Callable[[Any], Mapping[str, float]] | None = None
) -> Callable[..., History]:
    """`fit` with the arguments that all variants of a command share.

    A variant calls fit(model, batches, loss, optimizer, run=run), and may pass epochs or a schedule
    of its own.
    """
    epochs = settings.epochs
    return partial(
        fit, epochs=epochs, schedule=cosine(epochs), validate=validate, seed=settings.seed,
        device=device,
    )  # fmt: skip


def accuracy_on(dataset: Any, settings: RunSettings) -> Callable[[Any], dict[str, float]]:
    """A function validate(model) that measures accuracy on these images, without augmentation."""
    batches = loader(dataset, settings, "dataset")
    return lambda model: evaluate(model, batches)


def keep_model(run: Run, model: Any) -> None:
    """Save the trained network where `evaluate` and `predict` will look for it."""
    save_model(run.checkpoint_path, model)


def compare(
    folder: Run,
    variants: Mapping[str, Variant],
    settings: RunSettings,
    measure: Callable[[Any], Mapping[str, Any]],
    title: str,
    *,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    tests: Sequence[Any] = (),
    keep: Callable[[Run, Any], None] = keep_model,
) -> dict[str, dict[str, Any]]:
    """Train and measure every unfinished variant; write result.json and comparison.png.

    settings: the settings of the variants' runs. measure(model) -> a row of the table.
    known: additional rows that have already been measured, such as the old network's.
    tests: the test sets; classes for which they have no images are named below the table.
    keep(run, model) writes the trained model into the variant's folder.
    """
    results, curves = {name: dict(row) for name, row in (known or {}).items()}, {}
    with folder.locked():
        for name, variant in variants.items():
            run = folder.stage(name.replace(" ", "-"), settings.plain())
            if run.result_path.exists():
                print(f"{name}: already done")
            else:
                print(f"{name}: {variant.__doc__}")
                model, history = variant(run.stage("training"))
                keep(run, model)
                curve = [record.get("validation_accuracy") for record in history]
                seconds = round(sum(record["seconds"] for record in history), 1)
                run.write_result({**measure(model), "training_seconds": seconds, "curve": curve})
            needed = {
                entry for row in (known or {}).values() for entry in row if row[entry] is not None
            }
            results[name] = result_of(run, "curve", *needed)
            curves[name] = results[name].pop("curve")
    folder.write_result(results)
    print()
    print_table(results, tests)
    # If the labels belong to other classes, there is no validation and therefore no curve.
    if any(value is not None for curve in curves.values() for value in curve):
        picture = folder.path / "comparison.png"
        plots.save_figure(plot_comparison(curves, title), picture)
        print(f"see {picture}")
    return results


def print_table(results: Mapping[str, Mapping[str, Any]], tests: Sequence[Any]) -> None:
    """Print the table, and the classes without test images, which its accuracies do not cover."""
    print(table(results))
    for dataset in tests:
        if untested(dataset):
            print("test accuracy:" + beside_accuracy(untested(dataset)))


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as text, one line per variant: fractions in percent, missing entries as hyphens.

    >>> print(table({"frozen": {"test_accuracy": 0.5, "trained_parameters": 1000}}))
                                  test accuracy  trained parameters
    frozen                               50.00%               1,000
    """
    columns = list(dict.fromkeys(name for row in results.values() for name in row))
    heads = [name.replace("_", " ") for name in columns]
    lines = [" " * 28 + "".join(f"  {head}" for head in heads).rstrip()]
    for way, row in results.items():
        cells = [
            f"  {_shown(name, row.get(name)):>{len(head)}}"
            for name, head in zip(columns, heads, strict=True)
        ]
        lines.append(f"{way:<28}" + "".join(cells))
    return "\n".join(lines)


def _shown(name: str, value: Any) -> str:
    if value is None or value != value:  # NaN: a fraction of no images
        return "-"
    if name.endswith(("accuracy", "agreement")):
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
