"""Commands say what they found in a folder, and what they did not read."""

import numpy as np
import pytest

from minivision.cli import main
from tests.damage import saved, write


def fill(folder, names, kind="PNG"):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(i).integers(0, 256, (28, 28, 3), np.uint8)
        write(folder / name, saved(image, kind))


@pytest.fixture
def photos(tmp_path):
    """Twelve images in two formats, in nested folders, with three files that are not read."""
    folder = tmp_path / "photos"
    fill(folder, [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(4)])
    fill(folder, [f"cat/tabby/{i}.webp" for i in range(4)], "WEBP")
    for name in ("cat/a.heic", "dog/b.HEIC", "labels.csv"):
        (folder / name).write_text("x")
    return folder


def train(folder, tmp_path):
    words = ["--model", "softmax_regression", "--epochs", "1", "--out", str(tmp_path / "run")]
    return main(["train", "--dataset", str(folder), *words])


def test_train_says_what_it_found_by_kind_and_what_it_did_not_read(photos, tmp_path, capsys):
    assert train(photos, tmp_path) == 0
    said = capsys.readouterr().out
    found = "12 images (8 .png, 4 .webp) of 2 classes: cat, dog; not read: 1 .csv, 2 .heic"
    assert f"{photos}: {found}\n" in said
    assert "note:" not in said


def test_train_notes_a_folder_whose_images_are_all_one_level_deeper(tmp_path, capsys):
    """The years are probably not meant as classes."""
    years = tmp_path / "years"
    fill(
        years, [f"{y}/{c}/{i}.png" for y in (2023, 2024) for c in ("cat", "dog") for i in range(4)]
    )
    assert train(years, tmp_path) == 0
    said = capsys.readouterr().out
    assert "of 2 classes: 2023, 2024" in said
    assert "note: every image is in a folder inside a class folder" in said


def test_pseudo_label_prints_what_it_found(photos, tmp_path, capsys):
    words = ["--labelled", str(photos), "--unlabelled", str(photos), "--epochs", "1"]
    words += ["--model", "softmax_regression", "--out", str(tmp_path / "run")]
    assert main(["pseudo-label", *words]) == 0
    found = "12 images (8 .png, 4 .webp); not read: 1 .csv, 2 .heic"
    assert f"{photos}: {found}\n" in capsys.readouterr().out
