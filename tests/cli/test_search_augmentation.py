"""`minivision search-augmentation` from the command line."""

import json

import cv2
import numpy as np
import pytest

from minivision.analysis.policies import plot_search, standard_error
from minivision.cli import main, search_augmentation
from minivision.datasets import Splits, digits
from minivision.transforms import Compose, OperationSequence, RandAugment, from_description
from tests.refusals import refused

QUICK = ["search-augmentation", "--limit", "100", "--epochs", "1", "--processes", "2"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "grid"
    assert main([*QUICK, "--budget", "3", "--out", str(folder)]) == 0
    return folder


def records(folder):
    """The lines of a search in their order, without the times."""
    lines = map(json.loads, (folder / "candidates.jsonl").read_text().splitlines())
    return sorted(
        ({**line, "seconds": None} for line in lines), key=lambda line: line["candidate"]
    )  # fmt: skip


def test_search_augmentation_leaves_a_complete_folder(searched):
    names = ["best.json", "candidates.jsonl", "search.png", "settings.json"]
    assert sorted(path.name for path in searched.iterdir()) == names
    assert cv2.imread(str(searched / "search.png")).shape[1] > 400
    scores = [record["score"] for record in records(searched)]
    best = json.loads((searched / "best.json").read_text())
    assert best["validation_accuracy"] == max(scores)
    assert best["candidate"] == scores.index(max(scores))
    assert best["validation_accuracy_of_none"] == scores[0]


def test_search_augmentation_writes_the_best_policy_with_its_baseline(searched):
    best = json.loads((searched / "best.json").read_text())
    crop, *policy = from_description(best["policy"]).transforms
    assert crop.padding == 3
    found = records(searched)[best["candidate"]]["policy"]
    assert policy == ([from_description(found)] if found else [])


def test_train_uses_the_policy_that_was_found(searched, tmp_path):
    words = ["--limit", "60", "--epochs", "1", "--shift", "0", "--out", str(tmp_path / "run")]
    assert main(["train", "--augment", str(searched / "best.json"), *words]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    names = [step["transform"] for step in settings["preprocessing"]["training"]]
    policy = json.loads((searched / "best.json").read_text())["policy"]
    assert [step["transform"] for step in policy] == names[: len(policy)]


def test_print_table_ranks_the_candidates_and_prints_the_standard_error(searched, capsys):
    assert (
        main([*QUICK, "--budget", "3", "--out", str(searched)]) == 0
    )  # everything is done already
    lines = capsys.readouterr().out.splitlines()
    table = lines[2:5]
    ranked = sorted(records(searched), key=lambda r: (-r["score"], r["candidate"]))
    for rank, (line, record) in enumerate(zip(table, ranked, strict=True), 1):
        assert line.startswith(f"{rank:>4}  {record['name']} ")
        assert f"{record['score']:.2%}" in line
    error = 100 * standard_error(records(searched)[0]["score"], 180)
    assert f"on 180 images is {error:.2f} points" in lines[5]


def test_search_augmentation_searches_sequences_too(tmp_path, capsys):
    out = tmp_path / "sequences"
    words = ["--space", "sequences", "--budget", "2", "--baseline", "none", "--out", str(out)]
    assert main([*QUICK, *words]) == 0
    assert records(out)[1]["policy"]["transform"] == "OperationSequence"
    assert records(out)[1]["policy"]["fill"] == 0  # digits have a black background
    policy = from_description(json.loads((out / "best.json").read_text())["policy"])
    assert len(policy.transforms) <= 1


def test_search_augmentation_does_not_touch_the_test_images(monkeypatch):
    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError("the test images were touched")

        __len__ = __getitem__ = __getattr__

    train, validation, _ = digits()
    words = ["search-augmentation", "--out", "x"]
    parser = search_augmentation.argparse.ArgumentParser()
    search_augmentation.add_arguments(parser)
    arguments = parser.parse_args(words[1:])
    trial, _ = search_augmentation.make_trial(
        arguments, Splits(train, validation, Untouchable()), "cpu"
    )  # fmt: skip
    assert (len(trial.train), len(trial.validation)) == (len(train), len(validation))


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_plot_search_draws_a_grid_as_a_map_with_a_frame_around_the_best():
    policies = [Compose([]), RandAugment(1, 3), RandAugment(2, 9), RandAugment(1, 9)]
    figure = plot_search(policies, ["none", "a", "b", "c"], [0.5, 0.52, 0.46, 0.53], 100)
    assert texts(figure) == ["52.0%\n+2.0", "53.0%\n+3.0", "not tried", "46.0%\n-4.0"]
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == pytest.approx((0.51, -0.48))


def test_plot_search_draws_no_frame_if_nothing_is_better_than_none():
    policies = [Compose([]), RandAugment(1, 3)]
    assert not plot_search(policies, ["none", "a"], [0.5, 0.5], 100).axes[0].patches


def test_plot_search_draws_sequences_as_bars_from_worst_to_best():
    policies = [Compose([]), *(OperationSequence([("rotate", M)]) for M in (1, 2, 3))]
    names = ["none", "a", "b", "c"]
    axes = plot_search(policies, names, [0.5, 0.52, 0.46, 0.53], 100).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    widths = [bar.get_width() for bar in axes.containers[0]]
    assert np.allclose(widths, [-4, 2, 3])
    with refused(ValueError, "plot_search", "4, 3 and 4"):
        plot_search(policies, names[:3], [0.5] * 4, 100)
