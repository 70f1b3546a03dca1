"""`minivision augment` from the command line, and the sheets it draws."""

import cv2
import numpy as np
import pytest

from minivision.analysis.augmentation import MAGNITUDES, plot_augmented, plot_magnitudes
from minivision.cli import main
from minivision.transforms import RandAugment


def picture(H=20, W=30, C=3):
    return np.random.default_rng(0).integers(0, 256, (H, W, C), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), picture())
    return path


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_plot_augmented_shows_the_image_and_copies_with_their_draws():
    transform = RandAugment(2, 9)
    figure = plot_augmented(picture(), transform, 8, seed=3)
    drawn = [transform.draw((20, 30), np.random.default_rng((3, i))) for i in range(8)]
    assert titles(figure) == ["original", *("\n".join(map(str, steps)) for steps in drawn)]
    shown = figure.axes[4].images[0].get_array()
    np.testing.assert_array_equal(shown, transform.apply(picture(), drawn[3]))


def test_plot_augmented_with_more_copies_keeps_the_first_ones():
    few, many = (plot_augmented(picture(), RandAugment(), n) for n in (2, 9))
    assert titles(many)[:3] == titles(few)


@pytest.mark.parametrize(("preset", "rows"), [("monotone", 11), ("noisy_student", 13)])
def test_plot_magnitudes_has_a_row_for_every_operation_with_a_strength(preset, rows):
    figure = plot_magnitudes(picture(C=1), preset)
    assert len(titles(figure)) == rows * len(MAGNITUDES)
    assert titles(figure)[0] == "M = 0: rotate 0"


def test_augment_writes_the_sheet_and_prints_its_path(photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["augment", str(photo), "--copies", "3"]) == 0
    assert capsys.readouterr().out == "see augmented-photo.png\n"
    assert main(["augment", str(photo), "--sweep", "--out", "all.png"]) == 0
    for name in ("augmented-photo.png", "all.png"):
        assert cv2.imread(str(tmp_path / name)) is not None


def test_augment_describe_prints_the_strengths_with_and_without_an_image(photo, tmp_path, capsys):
    assert main(["augment", "--describe", "--magnitude", "30"]) == 0
    assert "translate_x    ±14.5 pixels" in capsys.readouterr().out
    out = str(tmp_path / "sheet.png")
    assert main(["augment", str(photo), "--describe", "--copies", "1", "--out", out]) == 0
    assert "on an image of 20x30, magnitude 9:" in capsys.readouterr().out
