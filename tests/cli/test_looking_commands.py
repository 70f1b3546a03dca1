"""`minivision summary`, `receptive-field` and `backward` from the command line."""

import cv2
import numpy as np
import pytest

from minivision.analysis.summary import summary
from minivision.cli import main
from minivision.cli.receptive_field import from_black_to_white, network_input
from minivision.cli.summary import find_model
from minivision.models import lenet5, lenet5_lecture
from minivision.transforms import from_description
from tests.cli.command_lines import printed


def test_summary_prints_the_table_of_a_network(capsys):
    out = printed(capsys, "summary", "lenet5_lecture")
    assert out == f"{summary(lenet5_lecture())}\n"


def test_summary_takes_a_batch_size_and_a_run(trained, capsys):
    expected = summary(lenet5(), images=8)
    assert printed(capsys, "summary", "lenet5", "--images", 8) == f"{expected}\n"
    assert printed(capsys, "summary", trained, "--images", 8) == f"{expected}\n"


def test_receptive_field_prints_a_table_of_every_layer(capsys):
    out = printed(capsys, "receptive-field", "lenet5_lecture").splitlines()
    assert out[0] == "lenet5_lecture on images of 28x28"
    assert [line.split() for line in out[1:6]] == [
        ["layer", "kind", "units", "sees", "apart", "first", "centre"],
        ["features.0", "Conv2d", "24", "5", "1", "2.5"],
        ["features.1", "ReLU", "24", "5", "1", "2.5"],
        ["features.2", "MaxPool2d", "12", "6", "2", "3"],
        ["features.3", "Conv2d", "8", "14", "2", "7"],
    ]
    assert len(out) == 2 + 9


def test_receptive_field_prints_the_box_and_the_padding_of_a_unit(capsys):
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


def test_receptive_field_draws_on_an_image_on_noise_and_for_a_run(trained, tmp_path, capsys):
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


def test_network_input_is_prepared_as_in_the_run_or_standardised(trained):
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


def test_backward_takes_a_named_number_in_the_expression(tmp_path):
    assert main(["backward", "w = 3; (x * w).sum()", "x=2", "--out", str(tmp_path / "a.html")]) == 0


@pytest.mark.parametrize("command", ["summary", "receptive-field"])
def test_commands_take_an_input_size_of_two_numbers(command, capsys):
    assert printed(capsys, command, "lenet5", "--input-size", 28, 28)
