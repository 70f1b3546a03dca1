"""Elastic distortion: its field by definition, its replay, and the annotations that follow it."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import Displacement, ElasticDistortion
from tests.strategies import seeds


def smoothed(noise, sigma):
    """A Gaussian of standard deviation sigma, summed pixel by pixel; outside the noise is 0."""
    H, W = noise.shape
    reach = range(-round(4 * sigma), round(4 * sigma) + 1)
    weights = {k: np.exp(-(k**2) / (2 * sigma**2)) for k in reach}
    total = sum(weights.values())
    result = np.zeros((H, W))
    for y in range(H):
        for x in range(W):
            for j in range(H):
                for i in range(W):
                    weight = weights.get(j - y, 0) * weights.get(i - x, 0)
                    result[y, x] += weight / total**2 * noise[j, i]
    return result


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from([0.75, 1.5, 2.0]), seeds)
def test_displacement_is_smoothed_noise_times_alpha(H, W, sigma, seed):
    dx, dy = Displacement((H, W), (H, W), 5.0, sigma, seed).field()
    noise = np.random.default_rng(seed).uniform(-1, 1, (2, H, W))
    np.testing.assert_allclose(dx, 5 * smoothed(noise[0], sigma), atol=1e-5)
    np.testing.assert_allclose(dy, 5 * smoothed(noise[1], sigma), atol=1e-5)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3, 4]), seeds)
def test_elastic_distortion_reads_each_pixel_where_the_field_points(H, W, C, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (H, W, C), dtype=np.uint8)
    image.flags.writeable = False
    transform = ElasticDistortion(8, 2, fill=60)
    drawn = transform.draw((H, W), rng)
    result = transform.apply(image, drawn)
    dx, dy = drawn.field()
    framed = np.full((H + 40, W + 40, C), 60.0)
    framed[20:-20, 20:-20] = image
    for v in range(H):
        for u in range(W):
            x, y = u + dx[v, u] + 20, v + dy[v, u] + 20
            left, top = int(x), int(y)
            fx, fy = x - left, y - top
            above = (1 - fx) * framed[top, left] + fx * framed[top, left + 1]
            below = (1 - fx) * framed[top + 1, left] + fx * framed[top + 1, left + 1]
            # Half a grey level for rounding, and OpenCV's float32.
            np.testing.assert_allclose(result[v, u], (1 - fy) * above + fy * below, atol=0.52)


@given(seeds)
def test_elastic_distortion_repeats_with_the_same_parameters_only(seed):
    image = np.random.default_rng(seed).integers(0, 256, (16, 16, 1), dtype=np.uint8)
    transform = ElasticDistortion()
    drawn = transform.draw((16, 16), np.random.default_rng(seed))
    first = transform.apply(image, drawn)
    np.testing.assert_array_equal(transform.apply(image, drawn), first)
    np.testing.assert_array_equal(transform(image, np.random.default_rng(seed)), first)
    assert (transform(image, np.random.default_rng(seed + 1)) != first).any()
    assert f"seed={drawn.seed}" in repr(drawn)


@given(seeds, st.sampled_from([(10.0, 3.0), (20.0, 4.0), (45.0, 6.0)]))
def test_elastic_distortion_moves_a_point_to_where_the_field_leads_back_to_it(seed, settings):
    rng = np.random.default_rng(seed)
    transform = ElasticDistortion(*settings)
    drawn = transform.draw((30, 40), rng)
    points = rng.uniform((4, 4), (35, 25), (20, 2))
    moved = transform.apply_points(points, drawn)
    dx, dy = (d.astype(np.float32) for d in drawn.field())
    for (x, y), (u, v) in zip(points, moved, strict=True):
        place = np.array([[u]], np.float32), np.array([[v]], np.float32)
        back_x = cv2.remap(dx, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0, 0]
        back_y = cv2.remap(dy, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0, 0]
        assert (u + back_x, v + back_y) == pytest.approx((x, y), abs=0.003)


def test_elastic_distortion_moves_a_bright_spot_with_its_point():
    y, x = np.indices((40, 40))
    image = (255 * np.exp(-((x - 22) ** 2 + (y - 17) ** 2) / 2)).astype(np.uint8)[:, :, None]
    transform = ElasticDistortion()
    distances = []
    for seed in range(30):
        drawn = transform.draw((40, 40), np.random.default_rng(seed))
        moved = transform.apply(image, drawn)[:, :, 0].astype(float)
        centre = np.array([(x * moved).sum(), (y * moved).sum()]) / moved.sum()
        [point] = transform.apply_points([[22, 17]], drawn)
        distances.append(np.linalg.norm(centre - point))
    # The spot is bent too; a point that moved the other way would be 3 pixels off.
    assert np.mean(distances) < 0.4
    assert max(distances) < 1.5


@given(seeds)
def test_elastic_distortion_moves_a_filled_box_with_its_mask(seed):
    transform = ElasticDistortion(20, 4)
    drawn = transform.draw((40, 40), np.random.default_rng(seed))
    mask = np.zeros((40, 40), np.uint8)
    mask[12:27, 9:30] = 1
    moved = transform.apply_mask(mask, drawn)
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    [box] = transform.apply_boxes([[9, 12, 30, 27]], drawn)
    np.testing.assert_allclose(box, seen, atol=1.0)


@given(seeds)
def test_elastic_distortion_moves_a_box_to_enclose_its_moved_outline(seed):
    transform = ElasticDistortion(20, 4)
    drawn = transform.draw((40, 40), np.random.default_rng(seed))
    outline = [(x, y) for y in (12, 27) for x in np.linspace(9, 30, 41)]
    outline += [(x, y) for x in (9, 30) for y in np.linspace(12, 27, 41)]
    # Edge 0 is half a pixel before the first centre.
    moved = transform.apply_points(np.array(outline) - 0.5, drawn) + 0.5
    expected = [*moved.min(axis=0), *moved.max(axis=0)]
    [box] = transform.apply_boxes([[9, 12, 30, 27]], drawn)
    np.testing.assert_allclose(box, expected, atol=0.003)


def test_elastic_distortion_of_strength_0_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(ElasticDistortion(0)(image, np.random.default_rng(0)), image)
