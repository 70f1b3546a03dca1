"""What the commands that compare ways of training share: one folder, and in it a run for each way.

The folder's settings.json says what was asked. Each way has a folder of its own inside: the metrics
and the checkpoint of its training, and, once it is done, the network and its result. So a command
that was stopped goes on with --resume: ways that are done are read, the one that was interrupted
goes on at its last epoch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minivision.analysis import plots
from minivision.analysis.comparison import plot_comparison
from minivision.cli.images import (
    TRAINED,
    Images,
    beside_accuracy,
    new_images,
    run_images,
    untested,
)
from minivision.cli.policy import read_policy
from minivision.cli.setup import preprocessing, undrawn, versions
from minivision.cli.train import positive, whole
from minivision.datasets import DATASETS, Splits, open_class_folders, stratified_split
from minivision.datasets.class_folders import PARTS
from minivision.datasets.fingerprint import check_fingerprint
from minivision.training import Run, next_run_path, save_model
from minivision.training.loop import History
from minivision.transforms import Normalize, from_description

PLACES = ("run_folder", "dataset", "labelled", "unlabelled")  # settings that may be paths
OLD = {
    "run_folder": "RUN, the folder of a run to begin from",
    "dataset": "--dataset NAME|PATH, the images to learn",
}


class Way(NamedTuple):
    """One way of training: the name of its folder, what it does, and its settings and functions.

    train(run) -> the trained model and its records, going on from what the run holds.
    measure(model) -> numbers for the table.
    """

    name: str
    about: str
    settings: Mapping[str, Any]
    train: Callable[[Run], tuple[Any, History]]
    measure: Callable[[Any], Mapping[str, Any]]


def add_shared_arguments(parser: argparse.ArgumentParser, old: str) -> None:
    """The options that all these commands have; old says what the RUN is to them."""
    add = parser.add_argument
    add("run_folder", type=Path, nargs="?", metavar="RUN", help=f"the run of {old}")
    add(
        "--dataset", metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or a folder or tar of class folders",
    )  # fmt: skip
    add("--epochs", type=positive(int), help="passes over the images (default: 20)")
    add("--batch-size", type=positive(int), help="images a step (default: 32)")
    add("--lr", type=positive(float), help="first learning rate")
    add("--limit", type=positive(int), help="use only N training images, of all classes")
    add_folder_arguments(parser)


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """The options about where results go, and what is done with files that cannot be read."""
    add = parser.add_argument
    add("--seed", type=whole, help="decides everything random (default: 0)")
    add("--device", default="auto", help="cpu, gpu, gpu:N or auto (default)")
    add("--out", type=Path, help="the folder of results (default: runs/COMMAND-DATASET-N)")
    add("--resume", action="store_true", help="go on with what is in --out, with its settings")
    add(
        "--skip-unreadable", action="store_true", default=None,
        help="of your own images leave out those that cannot be read",
    )  # fmt: skip


def open_folder(
    arguments: argparse.Namespace,
    command: str,
    defaults: Mapping[str, Any],
    needed: Mapping[str, str],
) -> Run:
    """The folder of results with the settings asked for, or, with --resume, as it was begun.

    defaults: of all settings that decide the results. needed: those without which nothing can
    begin, and what they are; the folder is named after the last.
    """
    if arguments.resume:
        if arguments.out is None:
            raise ValueError("--resume needs --out FOLDER, the results to go on with")
        given = [name for name in defaults if getattr(arguments, name) is not None]
        if given:
            named = "RUN" if given[0] == "run_folder" else f"--{given[0].replace('_', '-')}"
            raise ValueError(f"--resume keeps the settings it began with; leave out {named}")
        folder = Run.open(arguments.out)
        if folder.settings.get("command") != command:
            raise ValueError(f"{folder.path} was not written by minivision {command}")
        folder.settings.setdefault("images", None)  # folders from before images were recorded
        check_fingerprint(folder.path / "settings.json", folder.settings["images"])
        return folder
    asked = {name: getattr(arguments, name) for name in defaults}
    settings = {n: defaults[n] if value is None else value for n, value in asked.items()}
    for name, what in needed.items():
        if settings[name] is None:
            raise ValueError(f"give {what}")
    for name in PLACES:
        if settings.get(name) is not None and settings[name] not in DATASETS:
            settings[name] = str(Path(settings[name]).resolve())
    if str(settings.get("augment")).endswith(".json"):  # found again from another folder
        settings["augment"] = str(Path(settings["augment"]).resolve())
    *_, last = needed
    name = f"{command}-{Path(settings[last]).name}"
    path = Path(arguments.out or next_run_path(name))
    return Run(path, {"command": command, **settings})


def begin(folder: Run, arguments: argparse.Namespace, of_run: Mapping[str, Any]) -> Run:
    """Make the folder, once all that was asked has been looked at; a resumed one is there.

    It records the images that the settings of its runs record.
    """
    if arguments.resume:
        return folder
    names = ("skipped", "images", "unlabelled_images")
    kept = {name: of_run[name] for name in names if name in of_run}
    return Run.create(folder.path, folder.settings | kept)


def images_of(
    folder: Run, dataset: str, model: str, channels: int | None = None, source: Run | None = None
) -> Images:
    """The images of new results; or those of results that are continued, or of the source's run.

    source: the run of the network to begin from. Trained on the same dataset, it decides which
    images are for training: its test images must stay test images.
    """
    settings = folder.settings
    skip = bool(settings["skip_unreadable"]) and dataset not in DATASETS
    asked = {"dataset": dataset, "model": model, "channels": channels}
    if "images" in settings:
        skipped = settings.get("skipped")
        if skipped is None:  # results from before they recorded their images
            skipped = open_class_folders(dataset).unreadable() if skip else {}
        begun = {"images": settings["images"], "skipped": skipped}
        # Rows of one table are measured on the same test images.
        return run_images(asked | begun, folder.path, unchanged=PARTS)
    if (
        source is not None
        and dataset not in DATASETS
        and source.settings["dataset"] == dataset
        and source.settings["classes"] == list(open_class_folders(dataset).class_names())
    ):
        return run_images(source.settings | asked, source.path, unchanged=TRAINED)
    return new_images(dataset, model, skip, channels)


def new_task(
    folder: Run,
    source: Run,
    *,
    optimizer: str,
    model: str | None = None,
    augment: str = "none",
) -> tuple[Splits, dict[str, Any]]:
    """The new images, and the settings of a run on them by the network of the source's run.

    Images get the size, the number of channels and the standardisation that the network knows.
    model: another network than the source's; augment: as --augment says it.
    """
    settings, channels = folder.settings, source.settings["channels"]
    model = model or source.settings["model"]
    images = images_of(folder, settings["dataset"], model, channels, source)
    splits = images.splits
    (standardised,) = [
        step
        for step in from_description(source.settings["preprocessing"]["dataset"]).transforms
        if isinstance(step, Normalize)
    ]
    if settings["limit"] is not None:
        few = min(settings["limit"], len(splits.train))
        splits = splits._replace(train=stratified_split(splits.train, (few,))[0])
    policy = read_policy("--augment", augment, splits.train[0][0].shape)
    if policy.mixer:
        raise ValueError(f"--augment: {policy.mixer} mixes labels; use it with minivision train")
    shown = undrawn(model)
    return splits, {
        "model": model,
        "dataset": settings["dataset"],
        "classes": list(splits.train.classes),
        "channels": channels,
        "head": None,
        **{name: settings[name] for name in ("epochs", "batch_size", "lr", "seed", "limit")},
        "optimizer": optimizer,
        "skipped": images.skipped,
        "workers": 0,
        "preprocessing": preprocessing(splits, shown, policy.steps, standardised),
        "mixer": None,
        "versions": versions(),
        "images": images.record,
    }


def keep_model(run: Run, model: Any) -> None:
    """Write the trained network where evaluate and predict look for it."""
    save_model(run.checkpoint_path, model)


def compare(
    folder: Run,
    ways: Sequence[Way],
    title: str,
    *,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
    tests: Sequence[Any] = (),
    keep: Callable[[Run, Any], None] = keep_model,
) -> dict[str, dict[str, Any]]:
    """Train and measure every way that is not done yet; write result.json and comparison.png.

    beside: further lines of the table, known before, such as the old network's.
    tests: the datasets it is measured on; their classes without images are named under the table.
    keep(run, model) writes the trained model into the way's folder.
    """
    results, curves = {name: dict(row) for name, row in (beside or {}).items()}, {}
    for way in ways:
        run = folder.stage(way.name.replace(" ", "-"), way.settings)
        if run.result_path.exists():
            print(f"{way.name}: done before")
        else:
            print(f"{way.name}: {way.about}")
            model, records = way.train(run.stage("training"))
            keep(run, model)
            curve = [record.get("validation_accuracy") for record in records]
            seconds = round(sum(record["seconds"] for record in records), 1)
            run.write_result({**way.measure(model), "training_seconds": seconds, "curve": curve})
        results[way.name] = run.read_result()
        curves[way.name] = results[way.name].pop("curve")
    folder.write_result(results)
    print()
    print_table(results, tests)
    # Where the labels are of other classes, there is nothing to validate with, and no curve.
    if any(value is not None for curve in curves.values() for value in curve):
        picture = folder.path / "comparison.png"
        plots.save_figure(plot_comparison(curves, title), picture)
        print(f"see {picture}")
    return results


def print_table(results: Mapping[str, Mapping[str, Any]], tests: Sequence[Any]) -> None:
    """The table, and the classes that its accuracies say nothing about."""
    print(table(results))
    for dataset in tests:
        if untested(dataset):
            print("test accuracy:" + beside_accuracy(untested(dataset)))


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as text, a line for each way; shares in percent, no entry as a hyphen.

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
    if value is None or value != value:  # a share of nothing is not a result
        return "-"
    if name.endswith(("accuracy", "agreement")):
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
