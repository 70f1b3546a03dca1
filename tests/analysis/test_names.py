"""Names in any script: fonts are found for them, and letters that no font has are reported once."""

import json
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from minivision.analysis import names
from minivision.analysis.names import fonts_for, readable
from minivision.analysis.plots import plot_confusion, save_figure
from minivision.cli import main

NO_FONT_HAS = "\U000f0123\U000f0124"  # from Unicode's private use area


@pytest.fixture(autouse=True)
def nothing_noted(monkeypatch):
    monkeypatch.setattr(names, "NOTED", set())


def saved(figure, path):
    """The picture as written, uint8 (H, W, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, path)
    return cv2.imread(str(path))


def figure_of(text):
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.4, text, fontsize=20)
    return figure


def test_save_figure_finds_a_font_for_letters_that_the_usual_one_lacks(tmp_path, capsys):
    """Matplotlib's own fonts: cmtt10 has no Greek, DejaVu Sans has."""
    with rc_context({"font.family": ["cmtt10"]}):
        picture = saved(figure_of("αβγ"), tmp_path / "a.png")
        families, lacking = fonts_for("αβγ")
    assert not lacking
    assert len(families) > 1
    with rc_context({"font.family": families}):
        np.testing.assert_array_equal(picture, saved(figure_of("αβγ"), tmp_path / "b.png"))
    assert capsys.readouterr().err == ""


def test_save_figure_says_once_which_letters_no_font_has(tmp_path, capsys):
    for name in ("a.png", "b.png"):
        picture = saved(plot_confusion(np.eye(2, dtype=int), [NO_FONT_HAS, "dog"]), tmp_path / name)
        assert picture is not None
    said = capsys.readouterr().err
    assert said.count("no installed font has") == 1
    assert NO_FONT_HAS in said


def test_save_figure_passes_other_warnings_on(tmp_path):
    class Warns(Figure):
        def draw(self, renderer):
            warnings.warn("mind the gap", stacklevel=1)
            super().draw(renderer)

    with pytest.warns(UserWarning, match="mind the gap"):
        save_figure(Warns(), tmp_path / "a.png")


def test_readable_replaces_bytes_that_are_not_text():
    assert readable(os.fsdecode(b"caf\xe9")) == "caf?"
    assert readable("猫 né") == "猫 né"


@pytest.mark.parametrize("pair", [(b"caf\xe9", "猫".encode()), (b"new\nline", b"a $x$ b")])
def test_names_of_folders_and_files_may_have_any_letters(tmp_path, capsys, pair):
    """Trained, evaluated, predicted, explained and searched, with nothing but text on stderr."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    classes = [os.fsdecode(name) for name in pair]
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(6):
            data = cv2.imencode(".png", rng.integers(0, 256, (28, 28), np.uint8))[1].tobytes()
            (folder / name / f"{i}{name}.png").write_bytes(data)
    run, image = tmp_path / "run", next((folder / classes[0]).iterdir())
    model = ["--model", "lenet5", "--epochs", "1", "--out", str(run)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["train", "--dataset", str(folder), *model]) == 0
        assert main(["evaluate", str(run)]) == 0
        assert main(["predict", str(run), str(image)]) == 0
        assert main(["explain", str(run), str(image)]) == 0
        sheet = ["--out", str(tmp_path / "found.png")]
        assert main(["search-images", str(folder), str(image), *sheet]) == 0
        assert main(["train", *model, "--dataset", str(folder), "--resume"]) == 0
    pictures = {path.name for path in run.glob("*.png")}
    assert {"curves.png", "confusion.png", "predictions.png"} < pictures
    recorded = json.loads(Path(run / "settings.json").read_text())["classes"]
    assert recorded == sorted(classes)
    assert "Traceback" not in capsys.readouterr().err
