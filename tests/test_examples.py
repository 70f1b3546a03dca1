"""Every lesson runs as a reader would run it, and has the head and the end that all have."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "examples").glob("plot_*.py"))
IMPORTS = 15  # lines; most lessons have six
SECONDS = 60  # twice what a lesson may take on two slow cores; a lesson that hangs is stopped

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])


def faults_of(text):
    """What a lesson's text lacks, as a list of sentences."""
    head = ast.get_docstring(ast.parse(text)) or ""
    title, underline = [*head.splitlines(), "", ""][:2]
    prose = "\n".join(line[1:].strip() for line in text.splitlines() if line.startswith("#"))
    end = prose.partition("Three things to try\n-------------------\n")[2]
    faults = []
    if not title or underline != "=" * len(title):
        faults.append("the head has no title with an underline of its length")
    if not re.search(r"=\n\n\*\*[^*]+\?\*\*\n\n", head):
        faults.append("the head does not begin with a question in bold")
    if not re.search(r"\n\n\*[^*]+\*\n\n", head):
        faults.append("the head has no promise in italics")
    for word in ("Prerequisites", "Minutes"):
        if not re.search(rf"\n\*\*{word}:\*\* \S", head):
            faults.append(f"the head has no {word}")
    if "to run" not in head.partition("**Minutes:**")[2]:
        faults.append("the minutes do not say how long it runs")
    if len(re.findall(r"^\* ", head.partition("**You will be able to**\n\n")[2], re.M)) != 3:
        faults.append("the head has not three objectives")
    if re.findall(r"^(\d)\. ", end, re.M) != ["1", "2", "3"]:
        faults.append("the end has not three things to try")
    if not re.search(r"^\*\*Next lesson:\*\* \S", end, re.M):
        faults.append("the end names no next lesson")
    if not text.rstrip().endswith("\nplt.show()"):
        faults.append("the last line does not show the figures")
    imports = [
        node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    long = [node for node in imports if node.end_lineno > node.lineno]
    if len(imports) > IMPORTS or any(getattr(node, "module", "") != "lesson" for node in long):
        faults.append(f"it opens with more than {IMPORTS} lines of imports")
    return faults


# What a lesson is about, as its parts are called in the code: no earlier lesson needs them. The
# first lessons use a finished LeNet-5 and its training loop, and say that they will be explained.
PACKAGES = {"datasets", "methods", "models", "nn", "optim", "training", "transforms", "features"}
SUBJECTS = {
    3: r"gradcheck|check_all",
    4: r"softmax_regression|templates",
    6: r"lenet5_(lecture|original)|confusion_matrix",
    7: r"alexnet\w*|LocalResponseNorm|PCAColor",
    8: r"receptive_fields|effective_field",
    9: r"vgg\w*|fully_convolutional|he_normal",
    11: r"Affine|Perspective|ElasticDistortion|RandomCrop|RandomHorizontalFlip",
    12: r"CutMix|Mixup|Cutout",
    13: r"RandAugment|OperationSequence|search",
    14: r"with_new_head|rate_groups|RecordedBatches",
    15: r"distill\w*",
    16: r"lwf_loss|joint_loss",
    17: r"pseudo_label\w*|WithoutLabels",
    18: r"self_train|noisy_student|BatchNorm2d",
    19: r"FeatureFusion|ClassicFeatures",
    20: r"grad_cam|saliency|occlusion",
    21: r"fast",
}


def parts_used(text):
    """Every name that a lesson imports or takes from a package, and the parts of modules' names."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names} | set((node.module or "").split("."))
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            found |= {node.attr} if ast.unparse(node.value).split(".")[0] in PACKAGES else set()
    return found


def too_early(number, text):
    """What a lesson uses although a later one is about it, or is itself a later one."""
    later = "|".join(names for lesson, names in SUBJECTS.items() if lesson > number)
    return {name for name in parts_used(text) if re.fullmatch(rf"{later}|plot_.*", name)}


def test_lessons_that_use_a_later_subject_are_found():
    text = "from minivision.methods import distill\nimport minivision.fast, plot_14_x"
    assert too_early(14, text) == {"distill", "fast", "plot_14_x"}
    assert too_early(14, "from minivision import methods\nmethods.distill(2)") == {"distill"}
    assert too_early(15, "from minivision.methods import distill") == set()


@each_lesson
def test_lesson_uses_nothing_that_a_later_one_is_about(lesson):
    number = int(lesson.stem.split("_")[1])
    assert too_early(number, lesson.read_text(encoding="utf-8")) == set()
    texts = [path.read_text(encoding="utf-8") for path in LESSONS]
    everything = {name for text in texts for name in parts_used(text)}
    subjects = SUBJECTS.get(number, "Tensor")
    assert any(re.fullmatch(subjects, name) for name in everything), "no such name any more"


# What lesson.py has, and how a lesson would make it again for itself.
SHARED = {
    "a colour": r'^[A-Z][A-Z_, ]* = .*"#[0-9A-Fa-f]{6}"',
    "a parser": r"\bargparse\b",
    "a device": r"\bresolve_device\b|^device\b.* = ",
    "a results folder": r"\b__file__\b",
    "a way to read results": r"^import json$|^def recorded_rows\b",
}


def made_again(text):
    """What a lesson's text makes for itself although lesson.py has it, as a set."""
    return {what for what, sign in SHARED.items() if re.search(sign, text, re.M)}


@each_lesson
def test_lesson_takes_from_lesson_py_what_all_share(lesson):
    text = lesson.read_text(encoding="utf-8")
    assert made_again(text) == set()
    for name in re.findall(r'\brecorded_rows\("(.*?)"\)', text):
        assert (ROOT / "docs" / "results" / name).exists(), f"there are no results {name}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('x = 1\nBLUE, GREY = "#0072B2", "#666666"', {"a colour"}),
        ('COLOURS = {"ours": "#cc79a7"}', {"a colour"}),
        ("import argparse", {"a parser"}),
        ("from minivision.backend import resolve_device, to_device", {"a device"}),
        ('import time\ndevice = "cpu"', {"a device"}),
        ("folder = Path(minivision.__file__).parent", {"a results folder"}),
        ("import json\nimport time", {"a way to read results"}),
        ("def recorded_rows(name):\n    pass", {"a way to read results"}),
        ('from lesson import BLUE, device\nplt.plot(x, "o", color=BLUE, mec="#56B4E9")', set()),
    ],
)
def test_lesson_that_makes_again_what_lesson_py_has_is_found(text, found):
    assert made_again(text) == found


def test_examples_have_lessons():
    assert len(LESSONS) >= 3


def test_readme_lists_every_lesson_with_its_title():
    contents = (ROOT / "examples" / "README.rst").read_text()
    titles = [(path.read_text().splitlines()[1].split(" · "), path.name) for path in LESSONS]
    expected = [f"* {number} · `{title} <{name}>`_" for (number, title), name in titles]
    assert re.findall(r"^\* \d.*$", contents, re.M) == expected


@each_lesson
def test_lesson_has_the_common_head_and_end(lesson):
    assert faults_of(lesson.read_text(encoding="utf-8")) == []


@each_lesson
@pytest.mark.parametrize(
    "part",
    [
        "\n===", "?**", "**Prerequisites:**", "**Minutes:**", "to run.", "**You will be able to**",
        "\n* ", "Three things to try", "\n# 2. ", "**Next lesson:**", "plt.show()",
    ],
)  # fmt: skip
def test_faults_of_notices_a_missing_part(lesson, part):
    text = lesson.read_text(encoding="utf-8")
    before, found, after = text.rpartition(part)
    assert found, f"the sabotage finds no {part!r} to remove"
    assert faults_of(before + after) != []


@pytest.mark.slow
@each_lesson
def test_lesson_runs_without_a_warning_and_writes_no_file(lesson, tmp_path):
    quiet = {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"} | quiet
    # Off Linux, Agg warns that it has no window to show the figures in.
    ignored = "ignore:FigureCanvasAgg is non-interactive"
    command = [sys.executable, "-W", "error", "-W", ignored, str(lesson), "--device", "cpu"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Warning" not in done.stderr
    assert done.stdout, "a lesson prints numbers"
    assert list(tmp_path.iterdir()) == []
