"""No command replaces a pipe or a link with its output."""

import argparse
import os
import stat
from importlib import import_module

import cv2
import numpy as np
import pytest

from minivision import cli
from minivision.cli import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run, and a folder of images."""
    place = tmp_path_factory.mktemp("outputs")
    train = ["train", "--model", "softmax_regression", "--epochs", "1", "--limit", "40"]
    assert main([*train, "--out", str(place / "run")]) == 0
    rng = np.random.default_rng(0)
    for name in ("a/1", "a/2", "a/3", "a/4", "a/5", "b/1", "b/2", "b/3", "b/4", "b/5"):
        (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (28, 28), dtype=np.uint8)
        cv2.imwrite(str(place / "photos" / f"{name}.png"), image)
    return place


RUN, PHOTOS, PHOTO = "{run}", "{photos}", "{photos}/a/1.png"
QUICK = ["--epochs", "1"]
COMMANDS = {
    "train": ["train", *QUICK, "--out"],
    "evaluate": ["evaluate", RUN, "--out"],
    "predict": ["predict", RUN, PHOTO, "--out"],
    "transfer": ["transfer", RUN, "--dataset", PHOTOS, *QUICK, "--out"],
    "distill": ["distill", RUN, *QUICK, "--out"],
    "forget-less": ["forget-less", RUN, "--dataset", PHOTOS, *QUICK, "--out"],
    "pseudo-label": ["pseudo-label", "--labelled", "digits", "--labels", "20", *QUICK, "--out"],
    "self-train": ["self-train", "--labelled", "digits", "--labels", "20", *QUICK, "--out"],
    "explain": ["explain", RUN, PHOTO, "--out"],
    "receptive-field": ["receptive-field", "lenet5", "--layer", "features.0", "--out"],
    "augment": ["augment", PHOTO, "--out"],
    "search-augmentation": ["search-augmentation", *QUICK, "--budget", "2", "--out"],
    "search-images": ["search-images", PHOTOS, PHOTO, "--out"],
    "backward": ["backward", "x * y", "x=2", "y=3", "--out"],
}
FILES = (
    "evaluate",
    "predict",
    "explain",
    "receptive-field",
    "augment",
    "search-images",
    "backward",
)


def words(place, command, out):
    given = [word.format(run=place / "run", photos=place / "photos") for word in COMMANDS[command]]
    return [*given, str(out)]


@pytest.mark.parametrize("linked", [False, True], ids=["pipe", "link to a pipe"])
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_do_not_replace_a_pipe(place, tmp_path, capsys, command, linked):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    out = tmp_path / "link.png" if linked else pipe
    if linked:
        out.symlink_to(pipe)
    assert main(words(place, command, out)) == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert str(out) in error
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert out.is_symlink() == linked
    assert len(list(tmp_path.iterdir())) == 1 + linked


@pytest.mark.parametrize("command", FILES)
def test_commands_write_through_a_link_to_its_target(place, tmp_path, command):
    link, target = tmp_path / "link.png", tmp_path / "target"
    target.write_bytes(b"old")
    link.symlink_to(target)
    assert main(words(place, command, link)) == 0
    assert link.is_symlink()
    assert target.read_bytes() not in (b"old", b"")


def test_commands_accept_links_as_pictures_of_a_run(place, tmp_path):
    pages = {"evaluate": "confusion.png", "predict": "predictions.png"}
    for command, name in pages.items():
        target = tmp_path / name
        (place / "run" / name).unlink(missing_ok=True)
        (place / "run" / name).symlink_to(target)
        image = [str(place / "photos" / "a" / "1.png")] if command == "predict" else []
        assert main([command, str(place / "run"), *image]) == 0
        assert (place / "run" / name).is_symlink()
        assert target.stat().st_size > 1000
        (place / "run" / name).unlink()
        os.mkfifo(place / "run" / name)
        assert main([command, str(place / "run"), *image]) == 2
        assert stat.S_ISFIFO((place / "run" / name).lstat().st_mode)


def test_commands_with_the_option_out_are_all_tried_here():
    having = []
    for name in cli.COMMANDS:
        parser = argparse.ArgumentParser()
        module = import_module(f"minivision.cli.{name.replace('-', '_')}")
        module.add_arguments(parser)
        having += [name] if "--out" in parser.format_usage() else []
    assert having == list(COMMANDS)
