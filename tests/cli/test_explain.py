"""`minivision explain`, as a user meets it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from minivision.cli import main
from minivision.cli.explain import class_number, page_of
from minivision.datasets import digits


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "short"
    assert main(["train", "--limit", "128", "--epochs", "2", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def digit(tmp_path):
    path = tmp_path / "digit.png"
    cv2.imwrite(str(path), 255 - digits().test[0][0])
    return path


def printed(capsys, *argv):
    assert main([str(word) for word in argv]) == 0
    return capsys.readouterr().out


def refused(capsys, *argv):
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def test_it_draws_a_page_for_each_image_and_says_where(trained, digit, tmp_path, capsys):
    other = tmp_path / "photo.jpg"
    cv2.imwrite(str(other), np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8))
    out = printed(capsys, "explain", trained, digit, other)
    for path in (digit, other):
        page = trained / f"explained-{path.stem}.png"
        assert f"{path}\n" in out
        assert f"see {page}\n" in out
        assert cv2.imread(str(page)).shape[1] > 1000
    assert out.count("likeliest") == out.count("a patch takes the probability of") == 2


def test_its_answer_is_that_of_predict(trained, digit, capsys):
    explained = printed(capsys, "explain", trained, digit)
    predicted = printed(capsys, "predict", trained, digit, "--top", 1).splitlines()[-2].split()
    assert f"likeliest {predicted[0]} (" in explained
    share = float(explained.partition("likeliest ")[2].partition("(")[2].partition("%")[0])
    assert share == pytest.approx(float(predicted[1].rstrip("%")), abs=0.06)


def test_a_class_and_a_layer_can_be_asked_for_and_change_the_page(trained, digit, tmp_path, capsys):
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


def test_a_network_without_convolutions_gets_a_page_and_a_sentence(tmp_path, digit, capsys):
    folder = tmp_path / "linear"
    command = ["train", "--model", "softmax_regression", "--limit", "64", "--epochs", "1"]
    printed(capsys, *command, "--out", folder)
    out = printed(capsys, "explain", folder, digit)
    assert "softmax_regression has no convolution, so there is no Grad-CAM\n" in out
    assert (folder / "explained-digit.png").exists()


def test_what_cannot_be_done_is_refused_in_one_line(trained, digit, tmp_path, capsys):
    page = ["--out", tmp_path / "page.png"]
    assert "--out is for one image, but there are 2" in refused(
        capsys, "explain", trained, digit, digit, *page
    )
    assert "--class is '10'; expected one of 0, 1" in refused(
        capsys, "explain", trained, digit, "--class", 10, *page
    )
    assert "no layer is called 'conv'; expected one of features.0" in refused(
        capsys, "explain", trained, digit, "--layer", "conv", *page
    )
    assert "have no positions" in refused(
        capsys, "explain", trained, digit, "--layer", "classifier.0", *page
    )
    assert ".png" in refused(capsys, "explain", trained, digit, "--out", tmp_path / "page.pdf")
    assert list(tmp_path.iterdir()) == [digit]


def test_a_broken_or_missing_file_is_named_before_any_page_is_drawn(
    trained, digit, tmp_path, capsys
):
    whole = tmp_path / "whole.png"
    broken = tmp_path / "broken.png"
    whole.write_bytes(digit.read_bytes())
    broken.write_bytes(digit.read_bytes()[:150])
    error = refused(capsys, "explain", trained, whole, broken)
    assert f"{broken} is truncated" in error
    missing = refused(capsys, "explain", trained, whole, tmp_path / "none.png")
    assert f"there is no file {tmp_path / 'none.png'}" in missing
    assert not (trained / "explained-whole.png").exists()


def test_a_class_is_found_by_name_before_by_number():
    assert class_number(["cat", "dog"], "dog") == 1
    assert class_number(["cat", "dog"], "1") == 1
    assert class_number(["1", "0"], "1") == 0
    assert class_number(["cat"], None) is None
    for wrong in ("2", "-1", "cow", "1.0", ""):
        with pytest.raises(ValueError, match="expected one of cat, dog, or a number from 0 to 1"):
            class_number(["cat", "dog"], wrong)


def test_images_of_one_name_get_different_pages():
    images = [Path("a/x.png"), Path("b/x.png"), Path("x-2.png"), Path("1-x.png")]
    pages = [page_of(Path("run"), images, number) for number in range(4)]
    assert len(set(pages)) == 4
    assert page_of(Path("run"), [Path("a/7.jpg")], 0) == Path("run/explained-7.png")
