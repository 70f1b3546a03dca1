"""Occlusion against a loop that covers the image and predicts, position by position."""

import numpy as np
import pytest

from minivision import Tensor, no_grad
from minivision import functional as F
from minivision.analysis import occlusion as module
from minivision.analysis.occlusion import occlusion
from minivision.nn import Flatten, Linear, Sequential, skip_init
from tests.analysis.models import awkward_model


def probability(model, image, k):
    model.eval()
    with no_grad():
        return F.softmax(model(Tensor(image[None]))).data[0, k]


def starts(side, patch, stride):
    """0, stride, 2·stride, … and the last position that fits."""
    places = [place for place in range(side) if place % stride == 0 and place + patch <= side]
    return places if places[-1] == side - patch else [*places, side - patch]


@pytest.mark.parametrize(
    ("patch", "stride"), [(1, 1), (2, 1), ((3, 2), (2, 3)), ((5, 6), 1), ((1, 6), 4), (2, 9)]
)
@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_occlusion_equals_a_loop_over_the_positions(patch, stride, batch, rng, monkeypatch):
    monkeypatch.setattr(module, "BATCH", batch)
    model = awkward_model(rng)
    image = rng.normal(size=(3, 5, 6)).astype(np.float32)
    fill = np.array([0.5, -1.0, 2.0])
    found = occlusion(model, image, patch, stride, 2, fill)
    PH, PW = (patch, patch) if isinstance(patch, int) else patch
    SH, SW = (stride, stride) if isinstance(stride, int) else stride
    rows, columns = starts(5, PH, SH), starts(6, PW, SW)
    expected = np.zeros((len(rows), len(columns)))
    fall = [[[] for _ in range(6)] for _ in range(5)]
    whole = probability(model, image, 2)
    for a, row in enumerate(rows):
        for b, column in enumerate(columns):
            covered = image.copy()
            for i in range(row, row + PH):
                for j in range(column, column + PW):
                    covered[:, i, j] = fill
            expected[a, b] = probability(model, covered, 2)
            for i in range(row, row + PH):
                for j in range(column, column + PW):
                    fall[i][j].append(whole - expected[a, b])
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4)
    assert np.ptp(expected) > 1e-3 or expected.size == 1
    assert found.whole == pytest.approx(whole, rel=1e-4)
    means = [[np.mean(values) if values else 0.0 for values in row] for row in fall]
    np.testing.assert_allclose(found.importance(), means, atol=1e-5)


def test_occlusion_changes_the_probability_only_where_the_network_looks():
    """A linear model that looks at one pixel: the patches over it, and no others, matter."""
    with skip_init():
        model = Sequential(Flatten(), Linear(30, 2))
    model[1].weight.data[1, 2 * 6 + 3] = 1  # row 2, column 3
    image = np.full((1, 5, 6), 2, np.float32)
    found = occlusion(model, image, 2, 1)  # the likeliest class is 1
    changed = {(i, j) for i, j in np.argwhere(found.probabilities < found.whole - 1e-6)}
    assert changed == {(1, 2), (1, 3), (2, 2), (2, 3)}
    np.testing.assert_allclose(found.probabilities[1, 2], 0.5)
    importance = found.importance()
    assert np.unravel_index(importance.argmax(), importance.shape) == (2, 3)
    assert importance[2, 3] == pytest.approx(found.whole - 0.5)


def test_occlusion_covers_every_pixel_if_the_stride_is_at_most_the_patch(rng):
    model = Sequential(Flatten(), Linear(70, 2))
    image = rng.normal(size=(1, 7, 10)).astype(np.float32)
    assert (occlusion(model, image, 3, 3).importance() != 0).all()
    assert not (occlusion(model, image, 2, 4).importance() != 0).all()
