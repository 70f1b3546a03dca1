"""The table of a network: counts by hand, counts of the papers, and bytes that the graph holds."""

import re

import numpy as np
import pytest

from minivision import Tensor, manual_seed, no_grad
from minivision import functional as F
from minivision.analysis.passes import borrowed, watched
from minivision.analysis.summary import summary
from minivision.models import MODELS, LocallyConnected2d, lenet5, lenet5_lecture, resnet20
from minivision.nn import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minivision.nn.state import note_calls
from tests.refusals import refused


def conv(C, F, K, **settings):
    return Conv2d(C, F, K, **settings)


def column(model, name, *arguments):
    return [getattr(row, name) for row in summary(model, *arguments).rows]


# ── counts ───────────────────────────────────────────────────────────────────────────────────


def test_summary_of_lenet5_is_counted_by_hand():
    table = summary(lenet5())
    assert [(row.name, row.kind, row.output) for row in table.rows[:4]] == [
        ("features.0", "Conv2d", (6, 28, 28)),
        ("features.1", "ReLU", (6, 28, 28)),
        ("features.2", "MaxPool2d", (6, 14, 14)),
        ("features.3", "Conv2d", (16, 10, 10)),
    ]
    assert [n for n in column(lenet5(), "parameters") if n] == [
        6 * 26, 16 * 151, 120 * 401, 84 * 121, 10 * 85,
    ]  # fmt: skip
    # Every output of a convolution takes as many multiply-adds as its filter has weights.
    by_hand = [28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10]
    assert [n for n in column(lenet5(), "multiply_adds") if n] == by_hand
    assert table.parameters == 61_706
    assert table.multiply_adds == sum(by_hand) == 416_520
    assert summary(lenet5_lecture()).parameters == 34_622


def test_multiply_adds_equal_counting_in_loops():
    model = Sequential(conv(4, 6, (2, 3), stride=2, padding=1, groups=2, bias=False), ReLU())
    # The corners of the 2x3 windows on 7x8 pixels with a border of 1.
    corners = [(row, column) for row in range(-1, 7, 2) for column in range(-1, 7, 2)]
    assert corners[-1] == (5, 5)
    count = 0
    for _corner in corners:
        for _filter in range(6):
            for _channel in range(4 // 2):
                for _tap in range(2 * 3):
                    count += 1
    assert column(model, "multiply_adds", (7, 8)) == [count, 0]


@pytest.mark.usefixtures("undrawn")
def test_summary_of_alexnet_has_the_counts_of_the_table():
    table = summary(MODELS["alexnet"]())
    work = [row.multiply_adds for row in table.rows if row.multiply_adds]
    assert work == [
        105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192, 37_748_736, 16_777_216,
        4_096_000,
    ]  # fmt: skip
    assert table.multiply_adds == 724_406_816
    assert table.parameters == sum(row.parameters for row in table.rows) == 60_965_224
    units = [row.output for row in table.rows if row.kind in ("Conv2d", "Linear")]
    assert sum(int(np.prod(shape)) for shape in units) == 659_272


@pytest.mark.usefixtures("undrawn")
def test_summary_counts_the_work_of_vgg11():
    table = summary(MODELS["vgg11"]())
    assert (table.parameters, table.multiply_adds) == (132_863_336, 7_609_090_048)


def test_summary_of_resnet20_has_the_sizes_and_work_of_the_table():
    table = summary(resnet20())
    stages = {row.name: row.output for row in table.rows if row.kind == "Block"}
    assert list(stages.values()) == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3
    by_hand = 1024 * (432 + 6 * 2304) + 256 * (4608 + 5 * 9216) + 64 * (18_432 + 5 * 36_864) + 640
    assert table.multiply_adds == by_hand


def test_summary_counts_locally_connected_and_shared_layers():
    local = LocallyConnected2d(2, 3, 3, image_size=(5, 6))
    assert column(local, "multiply_adds", (5, 6)) == [3 * 4 * 3 * 2 * 9]
    shared = conv(1, 1, 3)
    table = summary(Sequential(shared, shared), 9)
    assert [row.parameters for row in table.rows] == [10, 0]
    assert table.parameters == 10
    assert [row.multiply_adds for row in table.rows] == [49 * 9, 25 * 9]


def test_summary_counts_functions_between_layers_with_the_layer():
    class Residual(Module):
        def __init__(self):
            self.inner = conv(2, 2, 3, padding=1)
            self.weight = conv(2, 2, 1).weight

        def forward(self, x):
            return F.relu(F.conv2d(self.inner(x), self.weight) + x)

    table = summary(Residual(), (4, 5))
    assert [row[:3] for row in table.rows] == [
        ("inner", "Conv2d", (2, 4, 5)), ("Residual", "Residual", (2, 4, 5)),
    ]  # fmt: skip
    assert [row.multiply_adds for row in table.rows] == [40 * 18, 40 * 2]
    assert [row.parameters for row in table.rows] == [38, 4]


def test_summary_of_a_frozen_network_has_the_same_work_and_keeps_nothing():
    model = lenet5().requires_grad_(False)
    table = summary(model)
    assert table.multiply_adds == 416_520
    assert table.kept_bytes == 0


# ── bytes ────────────────────────────────────────────────────────────────────────────────────


def test_summary_counts_kept_bytes_as_by_hand():
    """A convolution keeps its input, ReLU its output, max pooling both (one of them is new)."""
    model = Sequential(
        conv(2, 3, 3), ReLU(), MaxPool2d(2), Dropout(0.5), AvgPool2d(2), Flatten(), Linear(30, 4)
    )
    # Average pooling keeps sizes only; the last layer keeps the vector that Flatten made.
    floats = [2 * 12 * 22, 3 * 10 * 20, 3 * 5 * 10, 3 * 5 * 10, 0, 0, 3 * 2 * 5]
    assert column(model, "kept_bytes", (12, 22)) == [4 * n for n in floats]


def test_summary_counts_each_block_of_memory_once_and_no_weights():
    model = Sequential(Linear(30, 30), ReLU(), ReLU(), Linear(30, 2))
    table = summary(Sequential(Flatten(), *model), (5, 6))
    # The input; the first ReLU's output; the second's; the last layer keeps what that one keeps.
    assert [row.kept_bytes for row in table.rows] == [0, 120, 120, 120, 0]


@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("name", ["lenet5", "lenet5_lecture"])
def test_summary_counts_all_arrays_that_the_graph_holds(name, images):
    """An oracle: the arrays held by all backward functions, by the address of their memory."""
    manual_seed(0)
    model = MODELS[name]()
    x = Tensor(np.random.default_rng(0).normal(size=(images, 1, 28, 28)).astype(np.float32))
    weights = {p.data.ctypes.data for p in model.parameters()}
    held, nodes = {}, [model(x).node]
    for node in nodes:
        nodes += [p for p in node.parents if p is not None and p not in nodes]
        for cell in getattr(node.backward, "__closure__", None) or ():
            array = cell.cell_contents
            if isinstance(array, np.ndarray) and array.ctypes.data not in weights:
                held[array.ctypes.data] = array.nbytes
    assert summary(model, images=images).kept_bytes == sum(held.values())


def test_summary_of_a_larger_batch_keeps_more_with_the_same_work_per_image():
    model = lenet5()
    one, many = summary(model), summary(model, images=7)
    assert many.multiply_adds == one.multiply_adds
    assert many.kept_bytes == 7 * one.kept_bytes


def test_summary_of_batch_norm1d_needs_two_images():
    assert summary(Sequential(Flatten(), BatchNorm1d(12)), (3, 4), images=2).parameters == 24


def test_summary_measures_training_and_leaves_the_model_unchanged():
    model = Sequential(conv(1, 2, 3), BatchNorm2d(2), Dropout(0.5)).eval()
    before = model.state_dict()
    dropped = summary(model, 9).rows[2].kept_bytes
    assert dropped == 4 * 2 * 7 * 7
    assert not any(module.training for module in model.modules())
    assert model[2].key is None
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ── the printed table ────────────────────────────────────────────────────────────────────────


def test_summary_prints_every_row_and_the_totals():
    table = summary(lenet5())
    lines = str(table).splitlines()
    assert len({len(line) for line in lines[1:2] + lines[-3:-2]}) == 1
    assert max(map(len, lines)) <= 100
    assert lines[0].split("  ")[0] == "layer"
    assert [line.split()[0] for line in lines[3:-3]] == [row.name for row in table.rows]
    assert lines[-2].split() == ["total", "61,706", "416,520", f"{table.kept_bytes:,}"]
    assert re.search(r"^features.3 +Conv2d +16x10x10 +2,416 +240,000$", str(table), re.M)
    assert lines[-1].endswith("of 1 image")
    assert str(summary(lenet5(), images=3)).endswith("of 3 images")


# ── observing a pass ─────────────────────────────────────────────────────────────────────────


def test_note_calls_records_only_calls_inside_the_block():
    layer, x = ReLU(), Tensor(np.zeros((1, 1), np.float32))
    layer(x)
    with note_calls() as outer:
        first = layer(x)
        with note_calls() as inner:
            second = layer(x)
        layer(x)
    layer(x)
    assert len(outer) == 2
    assert outer[0][0] is layer
    assert outer[0][1] is first
    assert [result for _, result in inner] == [second]


def test_note_calls_ends_with_an_error():
    with pytest.raises(TypeError), note_calls():
        Module()(1)
    with note_calls() as calls:
        pass
    ReLU()(Tensor(np.zeros((1, 1), np.float32)))
    assert calls == []


def test_watched_lists_layers_by_name_without_containers():
    model = lenet5_lecture()
    with no_grad():
        calls = watched(model, Tensor(np.zeros((1, 1, 28, 28), np.float32)))
    leaves = [name for name, m in model.named_modules() if not list(m.named_children())]
    assert [call.name for call in calls] == leaves


def test_borrowed_restores_the_model_after_an_error():
    model = Sequential(Dropout(0.5))
    with refused(ValueError, "max_pool2d", "(3,)"), borrowed(model):
        F.max_pool2d(Tensor(np.zeros(3, np.float32)), 2)
    assert model[0].training
