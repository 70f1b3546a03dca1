"""A run's settings check themselves, when they are made and when they are read."""

from dataclasses import replace
from pathlib import Path

import pytest

from minivision.training.settings import RunSettings

SETTINGS = RunSettings(
    model="lenet5", dataset="digits", classes=["a", "b"], channels=1,
    preprocessing={"dataset": [], "training": [], "image": []}, epochs=2, batch_size=8, lr=0.1,
)  # fmt: skip
FILE = Path("runs/1/settings.json")


def test_settings_read_back_are_those_written():
    assert RunSettings.read(FILE, SETTINGS.plain()) == SETTINGS


@pytest.mark.parametrize(
    ("name", "value", "fragments"),
    [
        ("model", 5, ("5", "str")),
        ("channels", 2, ("2", "1, 3")),
        ("channels", True, ("True",)),
        ("epochs", 0, ("0", "above 0")),
        ("epochs", 1.5, ("1.5", "int")),
        ("lr", "0.1", ("'0.1'", "int | float")),
        ("lr", -1, ("-1", "above 0")),
        ("lr", float("nan"), ("nan", "above 0")),
        ("optimizer", "adagrad", ("'adagrad'", "adam, sgd")),
        ("mixer", "blend", ("'blend'", "cutmix, mixup")),
        ("start", "warm", ("'warm'", "he, paper")),
        ("schedule", "linear", ("'linear'", "cosine, constant, step, plateau")),
        ("class_weights", "equal", ("'equal'", "balanced")),
        ("momentum", 0.9, ("0.9", "the optimizer is adam", "only sgd")),
        ("weight_decay", -1e-3, ("-0.001", "0 or more")),
        ("weight_decay", float("inf"), ("inf", "0 or more")),
        ("weight_decay", "no", ("'no'", "int | float")),
        ("patience", 0, ("0", "1 or more")),
        ("patience", 2.5, ("2.5", "int")),
        ("weights", 3, ("3", "str")),
        ("classes", [], ("[]", "names")),
        ("classes", [1, 2], ("[1, 2]", "names")),
        ("preprocessing", {"training": []}, ("'dataset'",)),
        ("seed", None, ("None", "int")),
        ("versions", {"minivision": 0.2}, ("'minivision'", "0.2", "text")),
        ("skipped", {"a.png": ["is empty"]}, ("'a.png'", "is empty", "text")),
        ("unlabelled_images", {"a.png": None}, ("'a.png'", "None", "text")),
        ("head", {"layers": 1}, ("{'layers': 1}", "'hidden'")),
        ("head", {"hidden": [8]}, ("'layers'", "count")),
        ("head", {"layers": 1, "hidden": 8.0}, ("8.0", "count")),
        ("head", {"layers": 0, "hidden": []}, ("0", "count")),
    ],
)
def test_a_wrong_value_is_named_with_the_file(name, value, fragments):
    for act in (
        lambda: replace(SETTINGS, **{name: value}),
        lambda: RunSettings.read(FILE, SETTINGS.plain() | {name: value}),
    ):
        with pytest.raises(ValueError, match=repr(name)) as caught:
            act()
        assert all(fragment in str(caught.value) for fragment in fragments)
    assert str(FILE) in str(caught.value)


@pytest.mark.parametrize("momentum", [-0.1, 1, 2, float("nan")])
def test_a_momentum_outside_0_to_1_is_named(momentum):
    with pytest.raises(ValueError, match=f"'momentum' is {momentum}; expected 0 to below 1"):
        replace(SETTINGS, optimizer="sgd", momentum=momentum)


def test_a_patience_that_ends_before_plateau_acts_is_named():
    assert replace(SETTINGS, schedule="plateau", patience=5).patience == 5
    with pytest.raises(ValueError, match="'patience' is 4; expected 5 or more, as plateau lowers"):
        replace(SETTINGS, schedule="plateau", patience=4)


def test_settings_from_before_these_could_be_chosen_mean_what_they_did():
    new = ("momentum", "weight_decay", "class_weights", "patience", "weights", "weights_sha256")
    old = {name: value for name, value in SETTINGS.plain().items() if name not in new}
    read = RunSettings.read(FILE, old)
    assert read == SETTINGS
    assert all(getattr(read, name) is None for name in new)
    assert read.schedule == "cosine"


def test_a_stamp_of_an_image_that_is_not_a_text_is_named():
    images = {"count": 1, "train": {"cat/1.png": 5120}, "validation": {}, "test": {}}
    with pytest.raises(ValueError, match=r"'cat/1\.png' in 'train' is 5120; expected a text"):
        replace(SETTINGS, images=images)


def test_what_is_missing_or_unknown_is_named():
    without = SETTINGS.plain()
    del without["classes"]
    with pytest.raises(ValueError, match=r"settings\.json: 'classes' is missing"):
        RunSettings.read(FILE, without)
    with pytest.raises(ValueError, match="'learning_rate' is unknown"):
        RunSettings.read(FILE, SETTINGS.plain() | {"learning_rate": 1})
