"""`minivision explain` from the command line."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from minivision.cli.explain import class_number, page_of
from minivision.datasets import digits
from tests.cli.command_lines import printed, refuses
from tests.refusals import refused


@pytest.fixture
def digit(tmp_path):
    path = tmp_path / "digit.png"
    cv2.imwrite(str(path), 255 - digits().test[0][0])
    return path


def test_explain_draws_a_page_for_each_image_and_prints_its_path(trained, digit, tmp_path, capsys):
    other = tmp_path / "photo.jpg"
    cv2.imwrite(str(other), np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8))
    out = printed(capsys, "explain", trained, digit, other)
    for path in (digit, other):
        page = trained / f"explained-{path.stem}.png"
        assert f"{path}\n" in out
        assert f"see {page}\n" in out
        assert cv2.imread(str(page)).shape[1] > 1000
    assert out.count("most likely") == out.count("the probability of") == 2


def test_explain_agrees_with_predict(trained, digit, capsys):
    explained = printed(capsys, "explain", trained, digit)
    predicted = printed(capsys, "predict", trained, digit, "--top", 1).splitlines()[-2].split()
    assert f"most likely {predicted[0]} (" in explained
    share = float(explained.partition("most likely ")[2].partition("(")[2].partition("%")[0])
    assert share == pytest.approx(float(predicted[1].rstrip("%")), abs=0.06)


def test_explain_takes_a_class_and_a_layer_which_change_the_page(trained, digit, tmp_path, capsys):
    pages = []
    for name, more in (
        ("plain", []),
        ("class", ["--class", 3]),
        ("layer", ["--layer", "features.1"]),
    ):
        page = tmp_path / f"{name}.png"
        out = printed(capsys, "explain", trained, digit, "--out", page, *more)
        assert f"see {page}\n" in out
        if name == "class":
            assert "the probability of 3 from" in out
        pages.append(page.read_bytes())
    assert len(set(pages)) == 3


def test_explain_draws_a_page_for_a_network_without_convolutions(tmp_path, digit, capsys):
    folder = tmp_path / "linear"
    command = ["train", "--model", "softmax_regression", "--limit", "64", "--epochs", "1"]
    printed(capsys, *command, "--out", folder)
    out = printed(capsys, "explain", folder, digit)
    assert "softmax_regression has no convolution, so there is no Grad-CAM\n" in out
    assert (folder / "explained-digit.png").exists()


def test_explain_names_a_broken_or_missing_file_before_it_draws_a_page(
    trained, digit, tmp_path, capsys
):
    whole = tmp_path / "whole.png"
    broken = tmp_path / "broken.png"
    whole.write_bytes(digit.read_bytes())
    broken.write_bytes(digit.read_bytes()[:150])
    refuses(capsys, ["explain", trained, whole, broken], broken, "truncated")
    refuses(capsys, ["explain", trained, whole, tmp_path / "none.png"], tmp_path / "none.png")
    assert not (trained / "explained-whole.png").exists()


def test_class_number_looks_for_the_name_before_the_number():
    assert class_number(["cat", "dog"], "dog") == 1
    assert class_number(["cat", "dog"], "1") == 1
    assert class_number(["1", "0"], "1") == 0
    assert class_number(["cat"], None) is None
    for wrong in ("2", "-1", "cow", "1.0", ""):
        with refused(ValueError, "--class", repr(wrong), "cat, dog", "0 to 1"):
            class_number(["cat", "dog"], wrong)


def test_page_of_images_with_the_same_name_differs():
    images = [Path("a/x.png"), Path("b/x.png"), Path("x-2.png"), Path("1-x.png")]
    pages = [page_of(Path("run"), images, number) for number in range(4)]
    assert len(set(pages)) == 4
    assert page_of(Path("run"), [Path("a/7.jpg")], 0) == Path("run/explained-7.png")
