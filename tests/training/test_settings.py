"""A run's settings check themselves, when created and when read."""

from dataclasses import replace
from pathlib import Path

import pytest

from minivision.training.settings import RunSettings
from tests.refusals import refused

SETTINGS = RunSettings(
    model="lenet5", dataset="digits", classes=["a", "b"], channels=1,
    preprocessing={"dataset": [], "training": [], "image": []}, epochs=2, batch_size=8, lr=0.1,
)  # fmt: skip
FILE = Path("runs/1/settings.json")


def test_settings_read_back_equal_those_written():
    assert RunSettings.read(FILE, SETTINGS.plain()) == SETTINGS


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"model": 5}, ("5", "str")),
        ({"channels": 2}, ("2", "1, 3")),
        ({"channels": True}, ("True",)),
        ({"epochs": 0}, ("0", "above 0")),
        ({"epochs": 1.5}, ("1.5", "int")),
        ({"lr": "0.1"}, ("'0.1'", "int | float")),
        ({"lr": -1}, ("-1", "above 0")),
        ({"lr": float("nan")}, ("nan", "above 0")),
        ({"optimizer": "adagrad"}, ("'adagrad'", "adam, sgd")),
        ({"mixer": "blend"}, ("'blend'", "cutmix, mixup")),
        ({"start": "warm"}, ("'warm'", "he, paper")),
        ({"schedule": "linear"}, ("'linear'", "cosine, constant, step, plateau")),
        ({"class_weights": "equal"}, ("'equal'", "balanced")),
        ({"momentum": 0.9}, ("0.9", "the optimizer is adam", "only sgd")),
        ({"weight_decay": -1e-3}, ("-0.001", "at least 0")),
        ({"weight_decay": float("inf")}, ("inf", "at least 0")),
        ({"weight_decay": "no"}, ("'no'", "int | float")),
        ({"patience": 0}, ("0", "at least 1")),
        ({"patience": 2.5}, ("2.5", "int")),
        ({"weights": 3}, ("3", "str")),
        ({"classes": []}, ("[]", "names")),
        ({"classes": [1, 2]}, ("[1, 2]", "names")),
        ({"preprocessing": {"training": []}}, ("'dataset'",)),
        ({"seed": None}, ("None", "int")),
        ({"versions": {"minivision": 0.2}}, ("'minivision'", "0.2", "string")),
        ({"skipped": {"a.png": ["is empty"]}}, ("'a.png'", "is empty", "string")),
        ({"unlabelled_images": {"a.png": None}}, ("'a.png'", "None", "string")),
        ({"head": {"layers": 1}}, ("{'layers': 1}", "'hidden'")),
        ({"head": {"hidden": [8]}}, ("'layers'", "count")),
        ({"head": {"layers": 1, "hidden": 8.0}}, ("8.0", "count")),
        ({"head": {"layers": 0, "hidden": []}}, ("0", "count")),
        *(
            ({"optimizer": "sgd", "momentum": momentum}, (str(momentum), "0", "below 1"))
            for momentum in (-0.1, 1, 2, float("nan"))
        ),
    ],
)
def test_run_settings_name_a_wrong_value_when_made_and_when_read(changes, fragments):
    name = repr(list(changes)[-1])
    with refused(ValueError, name, *fragments):
        replace(SETTINGS, **changes)
    with refused(ValueError, str(FILE), name, *fragments):
        RunSettings.read(FILE, SETTINGS.plain() | changes)


def test_run_settings_name_a_patience_that_ends_before_plateau_acts():
    assert replace(SETTINGS, schedule="plateau", patience=5).patience == 5
    with refused(ValueError, "'patience'", "4", "5", "plateau"):
        replace(SETTINGS, schedule="plateau", patience=4)


def test_run_settings_read_older_files_with_their_old_meaning():
    new = ("momentum", "weight_decay", "class_weights", "patience", "weights", "weights_sha256")
    old = {name: value for name, value in SETTINGS.plain().items() if name not in new}
    read = RunSettings.read(FILE, old)
    assert read == SETTINGS
    assert all(getattr(read, name) is None for name in new)
    assert read.schedule == "cosine"


def test_run_settings_name_an_image_whose_stamp_is_not_a_string():
    images = {"count": 1, "train": {"cat/1.png": 5120}, "validation": {}, "test": {}}
    with refused(ValueError, "'cat/1.png'", "'train'", "5120", "string"):
        replace(SETTINGS, images=images)


def test_run_settings_name_missing_and_unknown_entries():
    without = SETTINGS.plain()
    del without["classes"]
    with refused(ValueError, "settings.json", "'classes'", "missing"):
        RunSettings.read(FILE, without)
    with refused(ValueError, "settings.json", "'learning_rate'", "unknown"):
        RunSettings.read(FILE, SETTINGS.plain() | {"learning_rate": 1})
