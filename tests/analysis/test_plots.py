"""The figures show the numbers they were given, and need no display.

Whether a figure reads well is judged by looking at it; these tests check that each number, name and
colour arrives in the figure.
"""

import io
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.analysis.plots import (
    DPI,
    PALE,
    plot_confusion,
    plot_history,
    plot_images,
    plot_predictions,
    save_figure,
)
from tests.refusals import refused


def drawn(figure):
    """Draw the figure into memory: some mistakes, such as a broken formula, only show then."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)


def record(epoch):
    return {
        "epoch": epoch,
        "train_loss": 2 / epoch,
        "train_accuracy": 1 - 1 / (epoch + 1),
        "validation_loss": 2.5 / epoch,
        "validation_accuracy": 1 - 1.2 / (epoch + 1),
        "seconds": 1.5,
    }


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def ticks_inside(axis):
    low, high = axis.get_view_interval()
    return [tick for tick in axis.get_majorticklocs() if low <= tick <= high]


# Learning curves


@given(epochs=st.integers(1, 120), first=st.integers(1, 50))
def test_plot_history_has_every_epoch_in_its_curves(epochs, first):
    records = [record(epoch) for epoch in range(first, first + epochs)]
    figure = plot_history(records, "a title")
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        assert axes.get_title() == quantity
        assert curves(axes) == {
            label: [[r["epoch"], r[f"{split}_{quantity}"]] for r in records]
            for split, label in (("train", "training"), ("validation", "validation"))
        }
        ticks = ticks_inside(axes.xaxis)
        assert 1 <= len(ticks) <= 10
        assert all(tick == round(tick) for tick in ticks)
        low, high = axes.get_ylim()
        assert low < min(y for line in axes.lines for y in line.get_ydata())
        assert high > max(y for line in axes.lines for y in line.get_ydata())
    assert figure.get_suptitle() == "a title"


def test_plot_history_labels_accuracy_in_percent():
    axes = plot_history([record(1), record(9)]).axes[1]
    assert axes.yaxis.get_major_formatter()(0.5).startswith("50")
    assert axes.yaxis.get_major_formatter()(0.5).endswith(" %")


def test_plot_history_of_a_single_epoch_has_visible_markers():
    for axes in plot_history([record(1)]).axes:
        assert [line.get_marker() for line in axes.lines] == ["o", "s"]


def test_plot_history_skips_missing_and_none_values():
    records = [
        {"epoch": 1, "train_loss": 1.0},
        {"epoch": 2, "train_loss": None, "validation_loss": 3.0},
        {"epoch": 3, "train_loss": 0.5, "validation_loss": float("nan")},
    ]
    figure = plot_history(records)
    assert [axes.get_title() for axes in figure.axes] == ["loss"]
    assert curves(figure.axes[0]) == {"training": [[1, 1.0], [3, 0.5]], "validation": [[2, 3.0]]}
    drawn(figure)


# Confusion


@pytest.mark.parametrize("K", [1, 2, 5, 30, 31])
def test_plot_confusion_shows_each_count_in_its_cell(K):
    rng = np.random.default_rng(K)
    matrix = rng.integers(0, 3, (K, K))
    figure = plot_confusion(matrix, [f"c{k}" for k in range(K)])
    axes = figure.axes[0]
    shown = np.zeros((K, K), int)
    for text in axes.texts:
        column, row = text.get_position()
        shown[row, column] = int(text.get_text())
    # Beyond 30 classes a second pair of axes, the colour bar, replaces the counts.
    assert len(figure.axes) == (1 if K <= 30 else 2)
    np.testing.assert_array_equal(shown, matrix if K <= 30 else 0)
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"c{k}" for k in range(K)]
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"c{k}" for k in range(K)]
    assert axes.get_ylabel() == "true class"
    assert axes.get_xlabel() == "predicted class"


def test_plot_confusion_mutes_the_diagonal_and_darkens_the_largest_error():
    picture = (
        plot_confusion(np.array([[90, 5, 0], [1, 80, 0], [0, 0, 70]]), "abc").axes[0].images[0]
    )
    colours = picture.to_rgba(picture.get_array(), bytes=True)[..., :3].astype(int)
    muted = [int(PALE[i : i + 2], 16) for i in (1, 3, 5)]
    assert colours[[0, 1, 2], [0, 1, 2]].tolist() == [muted] * 3
    brightness = colours.sum(axis=2)
    assert np.unravel_index(brightness.argmin(), (3, 3)) == (0, 1)
    assert brightness[0, 1] < brightness[1, 0] < brightness[0, 2]


@pytest.mark.parametrize("matrix", [np.zeros((3, 3), int), np.eye(3, dtype=int)])
def test_plot_confusion_draws_a_matrix_without_errors_or_without_images(matrix):
    figure = plot_confusion(matrix, ["a", "b", "c"])
    assert "correct" in figure.axes[0].get_title()
    drawn(figure)


def test_plots_show_names_with_dollar_signs_as_text():
    names = ["$", "a$_{$", "x" * 40]
    drawn(plot_confusion(np.ones((3, 3), int), names))
    drawn(plot_images([np.zeros((2, 2))] * 3, names))
    drawn(plot_history([record(1)], "a$_{$"))
    image = np.zeros((1, 1, 4, 4), np.float32)
    drawn(plot_predictions(image[0], image, np.array([[0.5, 0.3, 0.2]]), names, ["a$_{$"]))


# Images


def shown_pixels(axes):
    return np.asarray(axes.images[0].get_array())


def test_plot_images_draws_uint8_unchanged():
    rng = np.random.default_rng(0)
    for shape in ((5, 4, 3), (5, 4), (5, 4, 1)):
        image = rng.integers(100, 120, shape).astype(np.uint8)
        axes = plot_images([image]).axes[0]
        np.testing.assert_array_equal(shown_pixels(axes), image.squeeze())
        assert axes.images[0].get_clim() == (0, 255)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10), seed=st.integers(0, 2**32 - 1))
def test_plot_images_stretches_floats_from_black_to_white(scale, shift, seed):
    image = np.random.default_rng(seed).random((3, 5, 3))
    plain = shown_pixels(plot_images([image]).axes[0])
    moved = shown_pixels(plot_images([scale * image + shift]).axes[0])
    assert plain.min() == 0
    assert plain.max() == 255
    assert abs(plain.astype(int) - moved).max() <= 1


def test_plot_images_draws_a_constant_float_image_in_mid_grey():
    assert np.unique(shown_pixels(plot_images([np.full((2, 3), 7.0)]).axes[0])).tolist() == [128]


@pytest.mark.parametrize(("N", "columns"), [(1, 8), (3, 1), (6, 3), (7, 3), (8, 3), (4, 5)])
def test_plot_images_places_images_in_reading_order(N, columns):
    images = np.arange(N, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    axes = plot_images(images, [f"no. {i}" for i in range(N)], columns).axes
    filled = [a for a in axes if a.images]
    assert [int(shown_pixels(a)[0, 0]) for a in filled] == list(range(N))
    assert [a.get_title() for a in filled] == [f"no. {i}" for i in range(N)]
    assert len(axes) - N < min(columns, N)
    last = axes[-1].get_subplotspec()
    assert last.get_gridspec().ncols == min(columns, N)


# Predictions


def test_plot_predictions_shows_the_input_and_the_three_likeliest_classes():
    rng = np.random.default_rng(0)
    originals = [rng.integers(0, 256, (6, 9, 3)).astype(np.uint8), np.zeros((4, 4), np.uint8)]
    fed = rng.standard_normal((2, 3, 5, 7)).astype(np.float32)
    probabilities = np.array([[0.1, 0.6, 0.05, 0.25], [0.25, 0.25, 0.25, 0.25]])
    figure = plot_predictions(originals, fed, probabilities, "wxyz", ["one.png", "two.png"])
    first, network, bars, second, _, equal = figure.axes
    assert (first.get_title(), second.get_title()) == ("one.png", "two.png")
    np.testing.assert_array_equal(shown_pixels(first), originals[0])
    pixels = shown_pixels(network)
    assert pixels.shape == (5, 7, 3)
    stretched = 255 * (fed[0] - fed[0].min()) / (fed[0].max() - fed[0].min())
    for c, h, w in np.ndindex(3, 5, 7):
        assert abs(pixels[h, w, c] - stretched[c, h, w]) < 0.51
    assert [label.get_text() for label in bars.get_yticklabels()] == ["x", "z", "w"]
    assert [bar.get_width() for bar in bars.patches] == [0.6, 0.25, 0.1]
    assert [text.get_text() for text in bars.texts] == ["60.0 %", "25.0 %", "10.0 %"]
    # Of equal probabilities the lower class number comes first, as in argmax; the top bar is first.
    assert [label.get_text() for label in equal.get_yticklabels()] == ["w", "x", "y"]
    assert bars.get_ylim()[0] > bars.get_ylim()[1]
    drawn(figure)


def test_plot_predictions_of_two_classes_has_two_bars():
    fed = np.zeros((1, 1, 4, 4), np.float32)
    figure = plot_predictions(fed[0], fed, np.array([[0.25, 0.75]]), ["cat", "dog"], ["x.png"])
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == ["dog", "cat"]


# Saving


def test_save_figure_writes_a_png_at_the_stated_resolution(tmp_path):
    figure = plot_history([record(1), record(2)], "lenet5")
    save_figure(figure, tmp_path / "curves.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    picture = cv2.imread(str(tmp_path / "curves.png"))
    width, height = figure.get_size_inches() * DPI
    assert picture.shape == (round(height), round(width), 3)
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture.min() < 100


def test_save_figure_writes_only_png_and_names_a_bad_path(tmp_path):
    figure = plot_history([record(1)])
    with refused(ValueError, "save_figure: path", "curves.pdf", ".png"):
        save_figure(figure, tmp_path / "curves.pdf")
    with refused(FileNotFoundError, "absent/curves.png"):
        save_figure(figure, tmp_path / "absent" / "curves.png")


def test_plots_do_not_import_pyplot(tmp_path):
    program = (
        "import sys; from minivision.analysis.plots import plot_history, save_figure; "
        "save_figure(plot_history([{'epoch': 1, 'train_loss': 1.0}]), sys.argv[1]); "
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", program, str(tmp_path / "curves.png")]
    assert subprocess.run(command, env=environment, check=False).returncode == 0
