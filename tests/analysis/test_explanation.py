"""The page about one prediction: what is computed, and what is drawn."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from minivision.analysis.activation_maps import grad_cam
from minivision.analysis.explanation import as_picture, draw_heat, explain, plot_explanation
from minivision.analysis.occlusion import occlusion
from minivision.analysis.saliency import saliency
from minivision.models import lenet5, softmax_regression

DIGITS = list("0123456789")


def drawn(figure):
    """The pixels of a figure, after making sure that it can be drawn without a warning."""
    figure.set_dpi(50)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_explain_computes_its_four_views_for_one_class(rng):
    model = lenet5()
    x = rng.normal(size=(1, 28, 28)).astype(np.float32)
    for k, layer in ((7, None), (2, "features.1")):
        found = explain(model, x, k, layer)
        assert found.class_index == k
        assert found.probabilities.sum() == pytest.approx(1, rel=1e-5)
        np.testing.assert_array_equal(found.saliency, saliency(model, x[None], k)[0])
        np.testing.assert_allclose(found.grad_cam(), grad_cam(model, x[None], layer, k)[0])
        expected = occlusion(model, x, 8, 2, k)
        np.testing.assert_array_equal(found.occlusion.probabilities, expected.probabilities)
    likeliest = explain(model, x)
    assert likeliest.class_index == likeliest.probabilities.argmax()


def test_plot_explanation_names_the_class_and_shows_the_strongest_maps(rng):
    x = rng.normal(size=(1, 28, 28)).astype(np.float32)
    found = explain(lenet5(), x, 7)
    original = np.full((40, 30, 1), 255, np.uint8)
    figure = plot_explanation(found, original, DIGITS, "$\\frac{$ 7.png")
    drawn(figure)
    words = titles(figure)
    assert sum("'7'" in title for title in words) == 3
    assert any("features.4" in title for title in words)
    sums = found.evidence.weights[0] * found.evidence.maps[0].sum(axis=(1, 2))
    loudest = [int(title.split()[1]) for title in words if title.startswith("map ")]
    assert loudest == list(np.argsort(-np.abs(sums))[:8])
    labels = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    top = np.argsort(-found.probabilities)[:3]
    assert labels == [str(k) for k in top] + ([] if 7 in top else ["7"])


def test_plot_explanation_without_convolutions_has_no_grad_cam(rng):
    x = rng.normal(size=(3, 5, 6)).astype(np.float32)
    model = softmax_regression(4, in_channels=3, size=(5, 6))
    found = explain(model, x)
    assert found.evidence is None
    assert found.grad_cam() is None
    figure = plot_explanation(found, np.zeros((5, 6, 3), np.uint8), "abcd", "x")
    drawn(figure)
    assert not any("Grad-CAM" in title or title.startswith("map") for title in titles(figure))


def test_draw_heat_is_red_if_positive_blue_if_negative_and_transparent_at_zero():
    figure = Figure()
    axes = figure.subplots()
    draw_heat(axes, np.zeros((1, 3), np.uint8), np.array([[2.0, 0.0, -1.0]]))
    red, clear, blue = axes.images[1].get_array()[0]
    assert red[0] > red[2]
    assert red[3] == 1
    assert clear[3] == 0
    assert blue[2] > blue[0]
    assert blue[3] == 0.5


def test_plot_explanation_draws_a_black_image_and_a_network_of_zeros():
    """A network of zeros on a black image: every heat is zero, every picture constant."""
    found = explain(lenet5(), np.zeros((1, 28, 28), np.float32))
    figure = plot_explanation(found, np.zeros((28, 28, 1), np.uint8), DIGITS, "black.png")
    assert np.isfinite(drawn(figure)).all()
    figure = Figure()
    axes = figure.subplots()
    draw_heat(axes, np.zeros((2, 2), np.uint8), np.zeros((2, 2)))
    assert (axes.images[1].get_array()[..., 3] == 0).all()


def test_as_picture_stretches_from_black_to_white():
    x = np.array([[[-1.0, 1.0]], [[0.0, 0.0]], [[0.0, 3.0]]], np.float32)
    assert as_picture(x).tolist() == [[[0, 64, 64], [128, 64, 255]]]
    assert as_picture(x[:1]).tolist() == [[0, 255]]
    assert as_picture(np.full((1, 2, 2), 5.0, np.float32)).tolist() == [[0, 0], [0, 0]]
