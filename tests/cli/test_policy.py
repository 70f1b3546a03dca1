"""The policies of `train --augment` and `augment --policy`: names, files and refusals."""

import json
import re

import cv2
import numpy as np
import pytest

from minivision.analysis.augmentation import plot_augmented
from minivision.cli import main
from minivision.cli import train as train_command
from minivision.cli.policy import EXPLAINED, MIXERS, NAMES, STEPS, Policy, read_policy
from minivision.nn.weights import load_weights
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

SIZE = (32, 24)
RGB, GREY = (*SIZE, 3), (*SIZE, 1)


def read(text, shape=RGB):
    return read_policy("--augment", text, shape)


def test_names_become_transforms_in_their_order():
    steps, mixer = read("crop+flip+randaugment+mixup")
    assert steps == [RandomCrop(SIZE, padding=3), RandomHorizontalFlip(), RandAugment(2, 9)]
    assert mixer == "mixup"


def test_none_is_no_augmentation():
    assert read("none") == Policy([])


@pytest.mark.parametrize("name", NAMES)
def test_every_name_alone_is_a_policy_that_settings_can_hold(name):
    steps, mixer = read(name)
    assert (mixer == name) == (name in MIXERS)
    assert len(steps) == (name in STEPS)
    image = np.random.default_rng(0).integers(0, 256, RGB, dtype=np.uint8)
    again = from_description(json.loads(json.dumps(describe(Compose(steps)))))
    different = 0
    for seed in range(8):  # drawn again, as a run's settings describe it, it is the same image
        changed = Compose(steps)(image, np.random.default_rng(seed))
        assert changed.shape == RGB
        np.testing.assert_array_equal(again(image, np.random.default_rng(seed)), changed)
        different += (changed != image).any()
    assert (different > 0) == (name in STEPS)


@pytest.mark.parametrize("name", [name for name in STEPS if name != "pca-colour"])
def test_every_name_but_pca_colour_takes_grey_images(name):
    image = np.random.default_rng(0).integers(0, 256, GREY, dtype=np.uint8)
    assert Compose(read(name, GREY).steps)(image, np.random.default_rng(1)).shape == GREY


def test_every_name_is_explained_with_its_strength():
    for name in NAMES:
        assert re.search(rf"^  {name} +\w", EXPLAINED, re.MULTILINE), name


def test_strengths_are_those_that_are_explained():
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
def test_cutout_covers_a_square_of_half_the_shorter_side(shape, fill):
    image, most = np.full(shape, 200, np.uint8), 0
    for seed in range(60):
        changed = Compose(read("cutout", shape).steps)(image, np.random.default_rng(seed))
        covered = (changed == fill).all(axis=2)
        rows, columns = covered.any(axis=1).sum(), covered.any(axis=0).sum()
        assert covered.sum() == rows * columns == (changed != 200).any(axis=2).sum()
        most = max(most, rows, columns)
    # An operation's magnitude ends at 30, which is a square of 240 pixels.
    assert most == min(min(shape[:2]) // 2, 240)


def test_pca_colour_says_that_it_needs_colours(tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(describe(PCAColor())))
    for text in ("flip+pca-colour", str(file)):
        with pytest.raises(ValueError, match="red, green and blue") as caught:
            read(text, GREY)
        assert "--augment" in str(caught.value)


def test_training_on_grey_images_with_pca_colour_is_refused_before_a_run_begins(tmp_path, capsys):
    assert train("--augment", "pca-colour", "--out", tmp_path / "run") == 2
    assert "these images are grey" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_file_holds_a_description_or_what_a_search_found(tmp_path):
    described = describe(Compose([RandAugment(1, 5)]))
    for content in (described, described[0], {"policy": described, "validation": 0.5}):
        file = tmp_path / "best.json"
        file.write_text(json.dumps(content))
        assert read(str(file)) == Policy([RandAugment(1, 5)])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("flop", "--augment: 'flop' has 'flop'; expected none, a file NAME.json, or some of flip"),
        ("flip+", "has ''"),
        ("cutmix+mixup", "mixes a batch twice"),
        ("missing.json", "missing.json cannot be read as JSON"),
    ],
)
def test_what_is_no_policy_is_named(text, sentence):
    with pytest.raises(ValueError, match="--augment") as caught:
        read(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("content", [b'["\xc9"]', b"[" * 100_000, b"{"], ids=lambda b: str(b[:4]))
def test_a_file_that_is_not_json_is_named(tmp_path, content):
    file = tmp_path / "policy.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"--augment: .*policy\.json: not valid JSON"):
        read(str(file))


@pytest.mark.parametrize("content", ["5", '{"transform": "Flop"}', "[[5]]", "{}"])
def test_a_file_that_describes_no_transform_is_named(tmp_path, content):
    file = tmp_path / "policy.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="describes no transform"):
        read(str(file))


def train(*options):
    return main(["train", "--limit", "40", "--epochs", "2", *map(str, options)])


def test_a_run_trains_with_a_policy_and_keeps_it(tmp_path, capsys):
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


def test_a_run_with_cutmix_that_was_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert train("--augment", "flip+cutmix", "--out", whole) == 0
    evaluated = []

    def stopped_in_the_second_epoch(*arguments):
        evaluated.append(arguments)
        if len(evaluated) == 2:
            raise KeyboardInterrupt
        return {"accuracy": 0.0}

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "evaluate", stopped_in_the_second_epoch)
        assert train("--augment", "flip+cutmix", "--out", halved) == 130
    assert main(["train", "--out", str(halved), "--resume"]) == 0
    ours, theirs = (load_weights(run / "checkpoint.safetensors")[0] for run in (halved, whole))
    assert {k: a.tobytes() for k, a in ours.items()} == {k: a.tobytes() for k, a in theirs.items()}


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    return path


def test_a_sheet_of_a_policy_says_what_each_step_drew(photo):
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


def test_a_mixer_needs_a_batch_and_the_command_says_so(photo, capsys):
    assert main(["augment", str(photo), "--policy", "flip+cutmix"]) == 2
    assert "cutmix mixes the images of a batch, and here is one" in capsys.readouterr().err
