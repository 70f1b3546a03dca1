"""`minivision summary` and `minivision receptive-field`, as a user meets them."""

import cv2
import numpy as np
import pytest

from minivision.analysis.summary import summary
from minivision.cli import main
from minivision.cli.receptive_field import from_black_to_white, network_input
from minivision.cli.summary import find_model
from minivision.models import lenet5, lenet5_lecture
from minivision.transforms import from_description


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "short"
    assert main(["train", "--limit", "64", "--epochs", "1", "--out", str(folder)]) == 0
    return folder


def printed(capsys, *argv):
    assert main([str(word) for word in argv]) == 0
    return capsys.readouterr().out


def refused(capsys, *argv):
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def test_summary_prints_the_table_of_a_network(capsys):
    out = printed(capsys, "summary", "lenet5_lecture")
    assert out == f"{summary(lenet5_lecture())}\n"


def test_summary_of_a_batch_and_of_a_run(trained, capsys):
    expected = summary(lenet5(), images=8)
    assert printed(capsys, "summary", "lenet5", "--images", 8) == f"{expected}\n"
    assert printed(capsys, "summary", trained, "--images", 8) == f"{expected}\n"


def test_the_table_of_receptive_fields_has_every_layer(capsys):
    out = printed(capsys, "receptive-field", "lenet5_lecture").splitlines()
    assert out[0] == "lenet5_lecture on images of 28x28"
    assert [line.split() for line in out[1:6]] == [
        ["layer", "kind", "units", "sees", "apart", "first", "middle"],
        ["features.0", "Conv2d", "24", "5", "1", "2.5"],
        ["features.1", "ReLU", "24", "5", "1", "2.5"],
        ["features.2", "MaxPool2d", "12", "6", "2", "3"],
        ["features.3", "Conv2d", "8", "14", "2", "7"],
    ]
    assert len(out) == 2 + 9


def test_one_unit_is_told_its_box_and_its_padding(capsys):
    inside = printed(capsys, "receptive-field", "lenet5", "--layer", "features.3")
    assert inside == (
        "unit (5, 5) of features.3 (Conv2d) sees 14 x 14 pixels: rows 8 to 21, columns 8 to 21\n"
    )
    corner = printed(
        capsys, "receptive-field", "lenet5", "--layer", "features.3", "--unit", 0, 9
    ).splitlines()
    assert corner[0].endswith("rows -2 to 11, columns 16 to 29")
    assert corner[1] == (
        "of these are padding, outside the image of 28x28: 2 above, 2 to the right"
    )


def test_it_draws_on_an_image_on_noise_and_for_a_run(trained, tmp_path, capsys):
    photo = np.random.default_rng(0).integers(0, 255, (50, 70, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    layer = ["--layer", "features.3", "--unit", 0, 2]
    image = ["--image", tmp_path / "photo.png"]
    pictures = []
    for name, model, more in (
        ("noise", "lenet5", []), ("named", "lenet5", image), ("run", trained, image),
    ):  # fmt: skip
        path = tmp_path / f"{name}.png"
        out = printed(capsys, "receptive-field", model, *layer, *more, "--out", path)
        assert f"see {path}" in out
        assert ("weights are random" in out) == (model == "lenet5")
        pictures.append(cv2.imread(str(path)))
        assert pictures[-1].shape[1] > 1000
    assert pictures[0].tobytes() != pictures[1].tobytes() != pictures[2].tobytes()


def test_a_network_is_fed_as_its_run_says_or_standardised(trained):
    image = np.random.default_rng(0).integers(0, 200, (50, 70, 1)).astype(np.uint8)
    _, settings = find_model(str(trained))
    prepare = from_description(settings.preprocessing["image"])
    np.testing.assert_array_equal(network_input(image, (28, 28), settings), prepare(image))
    x = network_input(image, (30, 20), None)
    assert x.shape == (1, 30, 20)
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-4)
    flat = network_input(np.full((9, 9, 1), 7, np.uint8), (4, 4), None)
    assert not flat.any()
    picture = from_black_to_white(x)
    assert (picture.shape, picture.min(), picture.max()) == ((30, 20), 0, 255)
    assert from_black_to_white(np.repeat(x, 3, axis=0)).shape == (30, 20, 3)


def test_mistakes_are_told_with_what_there_is(tmp_path, capsys):
    name = "receptive-field"
    error = refused(capsys, name, "lenet5", "--layer", "conv1")
    assert "no layer is called 'conv1'; expected one of features.0, features.1, " in error
    assert "classifier.4" in error
    assert "it has 10x10 units" in refused(
        capsys, name, "lenet5", "--layer", "features.3", "--unit", 10, 0
    )
    assert "--unit needs --layer" in refused(capsys, name, "lenet5", "--unit", 0, 0)
    assert "--out needs --layer" in refused(capsys, name, "lenet5", "--out", "a.png")
    layer = ["--layer", "features.0"]
    assert "--image needs --out" in refused(capsys, name, "lenet5", *layer, "--image", "a.png")
    assert "none.png" in refused(
        capsys, name, "lenet5", *layer, "--image", tmp_path / "none.png", "--out", "a.png"
    )
    assert ".png" in refused(capsys, name, "lenet5", *layer, "--out", tmp_path / "a.jpg")
    for command in ("summary", name):
        error = refused(capsys, command, "lenet6")
        assert "'lenet6' is neither a network (" in error
        assert "lenet5_lecture" in error
        assert "is not a run's folder" in refused(capsys, command, tmp_path)
        assert "a 28x28 image fits" in refused(capsys, command, "lenet5", "--input-size", 32)
        assert "--input-size has 3 numbers" in refused(
            capsys, command, "lenet5", "--input-size", 1, 28, 28
        )
        assert printed(capsys, command, "lenet5", "--input-size", 28, 28)


def test_backward_writes_a_page_and_prints_the_gradients(tmp_path, capsys):
    page = tmp_path / "pages" / "backward.html"
    page.parent.mkdir()
    out = printed(
        capsys, "backward", "(w * x + b).sum()", "w=0.5", "x=[1,-2]", "b=ones()", "--out", page
    )
    assert out.splitlines()[:3] == [
        "gradient of w: -1.0", "gradient of x: [0.5, 0.5]", "gradient of b: 2.0",
    ]  # fmt: skip
    assert "(w * x + b).sum()" in page.read_text(encoding="utf-8")


def test_backward_draws_the_same_values_with_the_same_seed(tmp_path, capsys):
    words = ["backward", "conv2d(x, k).sum()", "x=random(1,1,3,3)", "k=random(1, 1, 2, 2)"]
    outs = [printed(capsys, *words, "--seed", s, "--out", tmp_path / "a.html") for s in (1, 1, 2)]
    assert outs[0] == outs[1] != outs[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.sum()", "x"], "'x': expected NAME=VALUE"),
        (["x.sum()", "x=sqrt(2)"], "x is 'sqrt(2)'; expected a number, a list, ones(SHAPE)"),
        (["x.sum()", "x=[[1],[2,3]]"], "x is '[[1],[2,3]]'; expected a number"),
        (["y.sum()", "x=1"], "y has no value"),
    ],
)
def test_backward_refuses_in_one_line(words, message, capsys):
    assert message in refused(capsys, "backward", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["y", "y=0.5"], "'y' computes nothing"),
        (["10**10**10 * x", "x=1"], r"10 ** 10 ** 10"),
        (["1/0 * x", "x=1"], "1 / 0: division by zero"),
        (["(x*10**400).sum()", "x=1"], "10 ** 400"),
        (["+".join(["x"] * 3000), "x=1"], "is nested too deeply"),
        (["x" + "-" * 100_000 + "1", "x=1"], "is nested too deeply"),
        ([f"{10**400} * x", "x=1"], "expected smaller numbers"),
        ([f"h = {10**400}; h * x", "x=1"], "expected smaller numbers"),
        (["x.min()", f"x=[1,{10**400}]"], "expected a number, a list"),
        (["x.mean()", "x=1" + "+1" * 20_000], "expected a number, a list"),
        (["x.max()", "x=1" + "-" * 100_000 + "1"], "expected a number, a list"),
        (["x.sum()", "x=random(100000,100000)"], "x has 10,000,000,000 numbers; expected at most"),
        (['x.sum(**{"axis": 0})', "x=1"], "** is not supported here"),
        (["True.T.sum()"], "'bool' object has no attribute 'T'"),
        (["x = y = x", "x=1"], "expected an expression or NAME"),
        (["x * 2", "x=1", "x=2"], "x is given twice"),
        (['"a" * 1000000000', "x=1"], "'a' is not a number"),
    ],
    ids=lambda value: value[0][:20] if isinstance(value, list) else "",
)
def test_an_expression_that_cannot_be_computed_is_one_line(words, said, tmp_path, capsys):
    assert main(["backward", *words, "--out", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_number_with_a_name_is_a_tensor_too(tmp_path):
    assert main(["backward", "w = 3; (x * w).sum()", "x=2", "--out", str(tmp_path / "a.html")]) == 0
