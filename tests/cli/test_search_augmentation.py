"""`minivision search-augmentation`, as a user meets it: real processes, real interruptions."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from minivision.analysis.policies import plot_search, standard_error
from minivision.cli import main, search_augmentation
from minivision.datasets import Splits, digits
from minivision.transforms import Compose, OperationSequence, RandAugment, from_description

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


def test_it_leaves_a_complete_folder(searched):
    names = ["best.json", "candidates.jsonl", "search.png", "settings.json"]
    assert sorted(path.name for path in searched.iterdir()) == names
    assert cv2.imread(str(searched / "search.png")).shape[1] > 400
    scores = [record["score"] for record in records(searched)]
    best = json.loads((searched / "best.json").read_text())
    assert best["validation_accuracy"] == max(scores)
    assert best["candidate"] == scores.index(max(scores))
    assert best["validation_accuracy_of_none"] == scores[0]


def test_the_best_policy_is_what_the_candidate_was_with_its_baseline(searched):
    best = json.loads((searched / "best.json").read_text())
    crop, *policy = from_description(best["policy"]).transforms
    assert crop.padding == 3
    found = records(searched)[best["candidate"]]["policy"]
    assert policy == ([from_description(found)] if found else [])


def test_train_takes_what_was_found(searched, tmp_path):
    words = ["--limit", "60", "--epochs", "1", "--shift", "0", "--out", str(tmp_path / "run")]
    assert main(["train", "--augment", str(searched / "best.json"), *words]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    names = [step["transform"] for step in settings["preprocessing"]["training"]]
    policy = json.loads((searched / "best.json").read_text())["policy"]
    assert [step["transform"] for step in policy] == names[: len(policy)]


def test_the_table_ranks_the_candidates_and_says_what_is_chance(searched, capsys):
    assert main([*QUICK, "--budget", "3", "--out", str(searched)]) == 0  # nothing is left to do
    lines = capsys.readouterr().out.splitlines()
    table = lines[2:5]
    ranked = sorted(records(searched), key=lambda r: (-r["score"], r["candidate"]))
    for rank, (line, record) in enumerate(zip(table, ranked, strict=True), 1):
        assert line.startswith(f"{rank:>4}  {record['name']} ")
        assert f"{record['score']:.2%}" in line
    error = 100 * standard_error(records(searched)[0]["score"], 180)
    assert f"on 180 images is {error:.2f} points" in lines[5]


def test_sequences_are_searched_in_the_same_way(tmp_path, capsys):
    out = tmp_path / "sequences"
    words = ["--space", "sequences", "--budget", "2", "--baseline", "none", "--out", str(out)]
    assert main([*QUICK, *words]) == 0
    assert records(out)[1]["policy"]["transform"] == "OperationSequence"
    assert records(out)[1]["policy"]["fill"] == 0  # digits stand on black
    policy = from_description(json.loads((out / "best.json").read_text())["policy"])
    assert len(policy.transforms) <= 1


def test_a_search_that_was_killed_goes_on_to_the_same_end(searched, tmp_path):
    """kill -9 after the first candidate."""
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "minivision", *QUICK, "--budget", "3", "--out", str(out)]
    process = subprocess.Popen([*command, "--processes", "1"], stderr=subprocess.DEVNULL)
    lines = out / "candidates.jsonl"
    until = time.monotonic() + 60
    while not (lines.exists() and lines.read_bytes().count(b"\n")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 1 <= len(records(out)) < 3
    subprocess.run(command, check=True, capture_output=True)
    assert records(out) == records(searched)
    assert (out / "best.json").read_text() == (searched / "best.json").read_text().replace(
        str(searched), str(out)
    )


def test_the_test_images_are_not_touched(monkeypatch):
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--epochs", "2"], "search: epochs is 2, but GRID was begun with 1"),
        (["--space", "sequences"], "search: space is 'sequences', but GRID was begun with 'grid'"),
        (["--seed", "1"], "search: seed is 1, but GRID was begun with 0"),
        (["--budget", "14"], "a budget of at most 13"),
        (["--budget", "1"], "budget is 1; expected 2 or more"),
        (["--baseline", "cutmix"], "--baseline: cutmix mixes labels"),
        (["--baseline", "turn"], "--baseline: 'turn' has 'turn'; expected"),
        (["--model", "vgg17"], "model is 'vgg17'; expected one of"),
        (["--device", "tpu"], "device is 'tpu'; expected"),
    ],
)
def test_what_does_not_fit_is_one_sentence(words, sentence, searched, capsys):
    assert main([*QUICK, "--budget", "3", "--out", str(searched), *words]) == 2
    error = capsys.readouterr().err
    assert sentence.replace("GRID", str(searched)) in error
    assert error.count("\n") == 1


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_grid_becomes_a_map_with_a_frame_around_the_best():
    policies = [Compose([]), RandAugment(1, 3), RandAugment(2, 9), RandAugment(1, 9)]
    figure = plot_search(policies, ["none", "a", "b", "c"], [0.5, 0.52, 0.46, 0.53], 100)
    assert texts(figure) == ["52.0%\n+2.0", "53.0%\n+3.0", "not tried", "46.0%\n-4.0"]
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == pytest.approx((0.51, -0.48))


def test_there_is_no_frame_where_nothing_was_better_than_none():
    policies = [Compose([]), RandAugment(1, 3)]
    assert not plot_search(policies, ["none", "a"], [0.5, 0.5], 100).axes[0].patches


def test_sequences_become_bars_from_worst_to_best():
    policies = [Compose([]), *(OperationSequence([("rotate", M)]) for M in (1, 2, 3))]
    names = ["none", "a", "b", "c"]
    axes = plot_search(policies, names, [0.5, 0.52, 0.46, 0.53], 100).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    widths = [bar.get_width() for bar in axes.containers[0]]
    assert np.allclose(widths, [-4, 2, 3])
    with pytest.raises(ValueError, match=r"^plot_search: .* have 4, 3 and 4 entries"):
        plot_search(policies, names[:3], [0.5] * 4, 100)
