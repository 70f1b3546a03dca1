"""What several tests of commands start from: trained networks, and images in folders."""

import shutil

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from minivision.cli import main
from minivision.datasets import digits
from tests.cli.command_lines import edit

SAVEFIG = Figure.savefig


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures are not drawn, which takes most of the time of a short command."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **options: file.write(b"PNG"))


def trained_in(folder, *options):
    assert main(["train", *map(str, options), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A short run of LeNet-5 on all training digits: good enough to read most of them."""
    return trained_in(tmp_path_factory.mktemp("runs") / "lenet5", "--epochs", 5)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Digits as colour images in folders, and a network for some of them.

    low, high     24 images of each class 0 to 4, and 5 to 9
    few, many     14 labelled images of each class 0 to 2; 30 of each without labels
    old           a run of LeNet-5 on low
    """
    place = tmp_path_factory.mktemp("place")
    data = digits().train
    for k in range(10):
        images = [data[i][0] for i in np.flatnonzero(data.labels == k)]
        write_images(place / ("low" if k < 5 else "high") / str(k), images[:24])
        if k < 3:
            write_images(place / "few" / str(k), images[:14])
            write_images(place / "many" / f"camera {k}", images[14:44])
    trained_in(place / "old", "--dataset", place / "low", "--epochs", 4, "--batch-size", 8)
    return place


def write_images(folder, images):
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i}.png"), image)


@pytest.fixture(scope="session")
def broken_place(place, trained, tmp_path_factory):
    """`place`, with more that commands must refuse.

    digits            the run `trained`
    digit.png         one that it can read; white.png, broken.png: two that it cannot
    half_empty        two class folders; 6 has no images
    empty, unreadable folders without an image, or with one that cannot be read
    lecture           the run `old`, whose settings name another network
    cut_settings, cut_checkpoint     the run `old` with a truncated file
    """
    folder = tmp_path_factory.mktemp("broken") / "place"
    shutil.copytree(place, folder)
    shutil.copytree(trained, folder / "digits")
    write_images(folder / "half_empty" / "5", [image for image, _ in (digits().test[0],) * 12])
    for name in ("half_empty/6", "empty", "unreadable"):
        (folder / name).mkdir()
    (folder / "unreadable" / "a.png").write_bytes(b"?")
    cv2.imwrite(str(folder / "digit.png"), 255 - digits().test[0][0])
    cv2.imwrite(str(folder / "white.png"), np.full((50, 50), 255, np.uint8))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    for name in ("lecture", "cut_settings", "cut_checkpoint"):
        shutil.copytree(folder / "old", folder / name)
    edit(folder / "lecture", model="lenet5_lecture")
    for run, name in (
        ("cut_settings", "settings.json"),
        ("cut_checkpoint", "checkpoint.safetensors"),
    ):
        path = folder / run / name
        path.write_bytes(path.read_bytes()[:-40])
    return folder


@pytest.fixture(scope="session")
def lines(place):
    """A short call of each command that keeps a folder, without --out, by name."""
    old, short = str(place / "old"), ["--epochs", "2", "--limit", "40", "--batch-size", "20"]
    new = ["--dataset", str(place / "high"), *short]
    few = ["--labelled", str(place / "few"), "--unlabelled", str(place / "many"), "--epochs", "2"]
    few += ["--model", "lenet5_lecture", "--batch-size", "8", "--lr", "0.005"]
    tiny = ["--model", "softmax_regression", "--limit", "20", "--batch-size", "10", "--epochs"]
    student = ["--student", "lenet5_lecture"]
    return {
        "train": ["train", *tiny, "4"],
        "train, cutmix": ["train", "--limit", "40", "--epochs", "2", "--augment", "flip+cutmix"],
        "transfer": ["transfer", old, *new],
        "transfer, augmented": ["transfer", old, *new, "--augment", "crop", "--layers", "2"],
        "distill": ["distill", old, *student, *short],
        "distill, unlabelled": ["distill", old, *student, "--no-labels", *new],
        "forget-less": ["forget-less", old, *new],
        "pseudo-label": ["pseudo-label", *few],
        "self-train": ["self-train", *few, "--iterations", "1", "--allow-missing"],
        "search-augmentation": [
            "search-augmentation", "--budget", "2", "--processes", "1", *tiny, "1",
        ],
    }  # fmt: skip


@pytest.fixture(scope="session")
def done(lines, tmp_path_factory):
    """done(name) is the folder that this call leaves if nothing interrupts it."""
    place = tmp_path_factory.mktemp("done")

    def finished(name):
        if not (place / name).exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Figure, "savefig", SAVEFIG)  # also in tests with `no_pictures`
                assert main([*lines[name], "--out", str(place / name)]) == 0
        return place / name

    return finished
