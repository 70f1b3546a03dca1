"""Every lesson that takes `--device` runs on the given device.

Lessons run whole and unchanged. What would take minutes is shortened from outside:

- `fit` trains on the first two batches of the first epoch, and returns the record of that epoch
  for every epoch, so that a lesson can draw its curves.
- `ShapeDataset` draws 100 images at most; lesson 19, which cuts a thousand in three, gets them all.
- After two steps the teacher of lesson 18 is confident about nothing. So a quarter of the results
  of `labelled_by` are the network's; the others are one class each, in turn.

The numbers that a lesson prints mean nothing here. tests/test_examples.py runs the lessons in full,
on the host.
"""

import ast
import runpy
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests import cupy_stand_in
from tests.gpu.device import ON_CUPY, stand_in_only, where_needed
from tests.refusals import refused

for library in ("tqdm", "threadpoolctl", "safetensors", "cv2", "matplotlib", "sklearn"):
    pytest.importorskip(library)

import matplotlib as mpl  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402

from minivision.datasets import ShapeDataset  # noqa: E402
from minivision.methods import noisy_student  # noqa: E402
from minivision.training import fit  # noqa: E402

LESSONS = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))
BATCHES, SHAPES, ALL_SHAPES = 2, 100, "plot_19_local_and_global_features"


def takes_the_device(text):
    """Whether a lesson's text imports `device`, which lesson.py reads from `--device`."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "lesson"
        and "device" in {alias.name for alias in node.names}
        for node in ast.walk(ast.parse(text))
    )


WITH_DEVICE = [path for path in LESSONS if takes_the_device(path.read_text(encoding="utf-8"))]

pytestmark = [
    *where_needed,
    # Off Linux, Agg warns that it has no window to show the figures in.
    pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive"),
]


class FirstBatches:
    """The first batches of an epoch, which can be iterated and counted like all of them."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return min(BATCHES, len(self.batches))

    def __iter__(self):
        return islice(self.batches, BATCHES)


def short_fit(model, batches, loss, optimizer, epochs, *, device="no device", **options):
    """Replaces `fit`: two batches of one epoch, on the device that the lesson is given."""
    assert device == "gpu:0", f"the lesson got gpu:0, but fit got {device}"
    history = fit(
        model, lambda epoch: FirstBatches(batches(epoch)), loss, optimizer, min(epochs, 1),
        device=device, **options,
    )  # fmt: skip
    history += [{**history[0], "epoch": epoch} for epoch in range(2, epochs + 1)]
    return history


@pytest.fixture
def short(monkeypatch):
    """Shorten training wherever the package refers to `fit`, and make its teachers confident."""
    for name, module in list(sys.modules.items()):
        if name.startswith("minivision.") and vars(module).get("fit") is fit:
            monkeypatch.setattr(module, "fit", short_fit)
    labelled_by = noisy_student.labelled_by

    def sure_of_every_class(teacher, batches):
        p = labelled_by(teacher, batches)
        sure = np.resize(np.eye(p.shape[1], dtype=p.dtype), p.shape)
        return 0.25 * p + 0.75 * sure

    monkeypatch.setattr(noisy_student, "labelled_by", sure_of_every_class)


@pytest.fixture
def run(short, monkeypatch, tmp_path):
    """Runs a lesson as `python lesson --device gpu:0` does, in this process."""
    draw, computed, compute = ShapeDataset.__init__, [], cupy_stand_in.compute

    def draw_few(self, N, **ranges):
        draw(self, min(N, SHAPES), **ranges)

    def noted(name, *arguments, **keywords):
        computed.append(name)
        return compute(name, *arguments, **keywords)

    monkeypatch.setattr(cupy_stand_in, "compute", noted)
    monkeypatch.chdir(tmp_path)

    def run(lesson):
        if lesson.stem != ALL_SHAPES:
            monkeypatch.setattr(ShapeDataset, "__init__", draw_few)
        monkeypatch.setattr(sys, "argv", [str(lesson), "--device", "gpu:0"])
        monkeypatch.syspath_prepend(lesson.parent)
        sys.modules.pop("lesson", None)  # it has read the device of an earlier lesson
        try:
            runpy.run_path(str(lesson), run_name="__main__")
        finally:
            sys.modules.pop("lesson", None)
        assert computed or ON_CUPY, "the lesson got gpu:0, but computes on the host"

    with mpl.rc_context():
        plt.switch_backend("Agg")
        yield run
        plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("lesson", WITH_DEVICE, ids=[path.stem for path in WITH_DEVICE])
def test_lessons_run_on_the_given_device(lesson, run):
    run(lesson)


def test_lessons_that_take_a_device_are_found():
    others = [path for path in LESSONS if path not in WITH_DEVICE]
    assert len(WITH_DEVICE) > len(others) > 0
    for path in others:
        text = path.read_text(encoding="utf-8")
        assert "to_device" not in text
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "fit":
                told = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert told.get("device") == "'cpu'", f"{path.stem} trains and takes no device"


HEAD = """
import numpy as np
from minivision.datasets import DataLoader, load_dataset
from minivision.models import softmax_regression
from minivision.optim import SGD
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, ToArray

train, _, _ = load_dataset("digits")
batches = DataLoader(train, 50, transform=Compose([ToArray()]))
model = softmax_regression()
"""
TRAINS = "fit(model, batches, classification_loss, SGD(model.parameters(), 0.1), 9{})\n"


@stand_in_only
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("evaluate(model, batches)\n", "computes on the host"),
        (TRAINS.format(', device="cpu"'), "fit got cpu"),
        (TRAINS.format(""), "fit got no device"),
        (
            TRAINS.format(', device="gpu:0"') + "np.exp(model.classifier[0].weight.data)",
            "support ufuncs",
        ),
    ],
)
def test_lessons_that_forget_the_device_are_noticed(text, complaint, run, tmp_path):
    lesson = tmp_path / "plot_forgetful.py"
    lesson.write_text(HEAD + text)
    with refused((AssertionError, TypeError), complaint):
        run(lesson)


def test_lessons_record_as_many_epochs_in_a_shortened_training(run, tmp_path):
    lesson = tmp_path / "plot_short.py"
    told = TRAINS.format(', device="gpu:0"')
    lesson.write_text(f"{HEAD}history = {told}assert history['epoch'] == list(range(1, 10))\n")
    run(lesson)
