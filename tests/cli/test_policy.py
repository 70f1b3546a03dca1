"""The policies of `train --augment` and `augment --policy`: names, files and refusals."""

import json
import re

import cv2
import numpy as np
import pytest

from minivision.analysis.augmentation import plot_augmented
from minivision.cli import main
from minivision.cli.policy import EXPLAINED, MIXERS, NAMES, STEPS, Policy, read_policy
from minivision.transforms import (
    ColorJitter,
    Compose,
    ElasticDistortion,
    PCAColor,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomTranslate,
    describe,
    from_description,
)
from minivision.transforms.color import EIGENVALUES, EIGENVECTORS
from tests.refusals import refused

SIZE = (32, 24)
RGB, GREY = (*SIZE, 3), (*SIZE, 1)


def read(text, shape=RGB):
    return read_policy("--augment", text, shape)


def test_read_policy_turns_names_into_transforms_in_order():
    steps, mixer = read("crop+flip+randaugment+mixup")
    assert steps == [RandomCrop(SIZE, padding=3), RandomHorizontalFlip(), RandAugment(2, 9)]
    assert mixer == "mixup"


def test_read_policy_none_is_no_augmentation():
    assert read("none") == Policy([])


@pytest.mark.parametrize("name", NAMES)
def test_read_policy_accepts_every_name_and_its_transforms_survive_json(name):
    steps, mixer = read(name)
    assert (mixer == name) == (name in MIXERS)
    assert len(steps) == (name in STEPS)
    image = np.random.default_rng(0).integers(0, 256, RGB, dtype=np.uint8)
    again = from_description(json.loads(json.dumps(describe(Compose(steps)))))
    different = 0
    for seed in range(8):  # the transform described in a run's settings draws the same image
        changed = Compose(steps)(image, np.random.default_rng(seed))
        assert changed.shape == RGB
        np.testing.assert_array_equal(again(image, np.random.default_rng(seed)), changed)
        different += (changed != image).any()
    assert (different > 0) == (name in STEPS)


@pytest.mark.parametrize("name", [name for name in STEPS if name != "pca-colour"])
def test_read_policy_accepts_grey_images_for_every_name_but_pca_colour(name):
    image = np.random.default_rng(0).integers(0, 256, GREY, dtype=np.uint8)
    assert Compose(read(name, GREY).steps)(image, np.random.default_rng(1)).shape == GREY


def test_policy_explains_every_name():
    for name in NAMES:
        assert re.search(rf"^  {name} +\w", EXPLAINED, re.MULTILINE), name


def test_read_policy_has_the_strengths_that_are_explained():
    colours = {
        "brightness": ColorJitter(brightness=(0.6, 1.4)),
        "pca-colour": PCAColor(sigma=0.1, eigenvalues=EIGENVALUES, eigenvectors=EIGENVECTORS),
    }
    maps = {
        "translate": RandomTranslate(3),
        "shear": RandomAffine(shear=0.2),
        "affine": RandomAffine(degrees=10, translate=2.4, scale=(0.9, 1.1), shear=0.1),
    }
    for name, expected in (colours | maps).items():
        assert read(name).steps == [expected]
    # "Some 3 of 255 levels": the standard deviation of what is added to a channel.
    drawn = [PCAColor().draw(SIZE, np.random.default_rng(i)).red for i in range(2000)]
    assert 3 < np.std(drawn) < 3.5


@pytest.mark.parametrize(("shape", "fill"), [(RGB, 128), (GREY, 0), ((640, 640, 3), 128)])
def test_read_policy_cutout_covers_a_square_of_half_the_shorter_side(shape, fill):
    image, most = np.full(shape, 200, np.uint8), 0
    for seed in range(60):
        changed = Compose(read("cutout", shape).steps)(image, np.random.default_rng(seed))
        covered = (changed == fill).all(axis=2)
        rows, columns = covered.any(axis=1).sum(), covered.any(axis=0).sum()
        assert covered.sum() == rows * columns == (changed != 200).any(axis=2).sum()
        most = max(most, rows, columns)
    # An operation's magnitude ends at 30, which is a square of 240 pixels.
    assert most == min(min(shape[:2]) // 2, 240)


def test_read_policy_refuses_pca_colour_for_grey_images(tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(describe(PCAColor())))
    for text in ("flip+pca-colour", str(file)):
        with refused(ValueError, f"--augment: {text!r}", "pca-colour", "red, green and blue"):
            read(text, GREY)


def test_read_policy_reads_a_description_or_the_result_of_a_search(tmp_path):
    described = describe(Compose([RandAugment(1, 5)]))
    for content in (described, described[0], {"policy": described, "validation": 0.5}):
        file = tmp_path / "best.json"
        file.write_text(json.dumps(content))
        assert read(str(file)) == Policy([RandAugment(1, 5)])


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("flop", ("'flop'", "none", "NAME.json", "flip")),
        ("flip+", ("'flip+'", "''")),
        ("cutmix+mixup", ("'cutmix+mixup'", "twice")),
        ("missing.json", ("missing.json", "JSON")),
    ],
)
def test_read_policy_names_what_is_not_a_policy(text, fragments):
    with refused(ValueError, "--augment: ", *fragments):
        read(text)


@pytest.mark.parametrize("content", [b'["\xc9"]', b"[" * 100_000, b"{"], ids=lambda b: str(b[:4]))
def test_read_policy_names_a_file_that_is_not_json(tmp_path, content):
    file = tmp_path / "policy.json"
    file.write_bytes(content)
    with refused(ValueError, "--augment: ", "policy.json", "JSON"):
        read(str(file))


@pytest.mark.parametrize("content", ["5", '{"transform": "Flop"}', "[[5]]", "{}"])
def test_read_policy_names_a_file_that_does_not_describe_a_transform(tmp_path, content):
    file = tmp_path / "policy.json"
    file.write_text(content)
    with refused(ValueError, "--augment: ", "policy.json", "transform"):
        read(str(file))


def train(*options):
    return main(["train", "--limit", "40", "--epochs", "2", *map(str, options)])


def test_train_uses_a_policy_and_records_it(tmp_path, capsys):
    runs = {}
    for policy in ("none", "flip+jitter", "cutmix"):
        out = tmp_path / policy
        assert train("--augment", policy, "--out", out) == 0
        settings = json.loads((out / "settings.json").read_text())
        lines = (out / "metrics.jsonl").read_text().splitlines()
        losses = [json.loads(line)["train_loss"] for line in lines]
        runs[policy] = settings, losses
    names = [step["transform"] for step in runs["flip+jitter"][0]["preprocessing"]["training"]]
    assert names[:2] == ["RandomHorizontalFlip", "ColorJitter"]
    assert "ColorJitter" not in str(runs["flip+jitter"][0]["preprocessing"]["dataset"])
    assert runs["cutmix"][0]["mixer"] == "cutmix"
    assert runs["none"][0]["mixer"] is None
    assert len({tuple(losses) for _, losses in runs.values()}) == 3
    assert main(["evaluate", str(tmp_path / "cutmix")]) == 0


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    return path


def test_plot_augmented_names_what_each_step_drew(photo):
    image = cv2.imread(str(photo))[:, :, ::-1].copy()
    steps = [
        RandomHorizontalFlip(p=1.0),
        RandomCrop((20, 30), padding=3),
        ColorJitter(brightness=(0.5, 0.5)),
        RandomRotation(15),
        RandomPerspective(0.3),
        ElasticDistortion(8, 4),
    ]
    figure = plot_augmented(image, Compose(steps), 2, histograms=True)
    words = figure.axes[1].get_title()
    for expected in ("mirrored", "brightness 0.50", "RandomRotation", "ElasticDistortion", "seed"):
        assert expected in words
    shown = figure.axes[1].images[0].get_array()
    np.testing.assert_array_equal(shown, Compose(steps)(image, np.random.default_rng((0, 0))))
    assert sum(len(axes.patches) == 3 for axes in figure.axes) == 3  # a histogram for each
