"""Shapes: where they are, what they depend on, and that their boxes are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.datasets import ShapeDataset, shapes
from minivision.datasets.shapes import CLASSES, HOLE, draw_shape
from tests.refusals import refused

PLAIN = {"background": (0.0, 0.0), "clutter": (0, 0)}


def drawn_pixels(image):
    """x0, y0, x1, y1 around all pixels that are not black, checked one by one."""
    H, W, _ = image.shape
    lit = [(x, y) for y in range(H) for x in range(W) if image[y, x].max() > 0]
    xs, ys = zip(*lit, strict=True)
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1


@given(
    H=st.integers(9, 40),
    W=st.integers(9, 40),
    seed=st.integers(0, 999),
    position=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).map(tuple),
    scale=st.tuples(st.floats(0.6, 1), st.floats(0.6, 1)).map(sorted).map(tuple),
)
def test_shape_dataset_boxes_enclose_their_shapes_exactly(H, W, seed, position, scale):
    data = ShapeDataset(
        5, seed=seed, size=(H, W), position=position, scale=scale, brightness=(1.0, 1.0), **PLAIN
    )
    for image, box in zip(data.images, data.boxes, strict=True):
        x0, y0, x1, y1 = box.tolist()
        assert 0 <= x0 < x1 <= W
        assert 0 <= y0 < y1 <= H
        # A pixel that is covered by less than 1/255 may have been rounded to black.
        np.testing.assert_allclose(drawn_pixels(image), box, atol=1)
        outside = image.copy()
        outside[y0:y1, x0:x1] = 0
        assert outside.max() == 0


@given(
    seed=st.integers(0, 999),
    position=st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)).map(sorted).map(tuple),
    scale=st.tuples(st.floats(0.2, 0.5), st.floats(0.2, 0.5)).map(sorted).map(tuple),
)
def test_shapes_have_positions_and_sizes_in_the_ranges(seed, position, scale):
    H, W = 40, 60
    data = ShapeDataset(10, seed=seed, size=(H, W), position=position, scale=scale, **PLAIN)
    for image, label in zip(data.images, data.labels, strict=True):
        weight = image.max(axis=2) / image.max()
        y, x = np.mgrid[0:H, 0:W] + 0.5
        centre_x, centre_y = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
        # The centre of gravity of every shape is the centre of its circle.
        assert position[0] * W - 0.3 <= centre_x <= position[1] * W + 0.3
        assert position[0] * H - 0.3 <= centre_y <= position[1] * H + 0.3
        reach = np.hypot(x - centre_x, y - centre_y)[weight > 0.5].max()
        low, high = scale[0] * H / 2, scale[1] * H / 2
        assert low - 1.5 <= reach <= high + 1, CLASSES[label]


def inside(kind, x, y):
    """Whether a point of the plane is inside the shape of radius 1 and angle 0, y upward."""
    distance = np.hypot(x, y)
    if kind == "disc":
        return distance <= 1
    if kind == "ring":
        return (distance >= HOLE) & (distance <= 1)
    if kind == "square":
        return np.maximum(abs(x), abs(y)) <= 0.5**0.5
    # The lines along its sides: their directions from the centre, and how far out the point is.
    degrees = [270, 30, 150] if kind == "triangle" else [90, 162, 234, 306, 18]
    far = np.stack([x * np.cos(d) + y * np.sin(d) for d in np.radians(degrees)])
    if kind == "triangle":
        return far.max(axis=0) <= 0.5
    # A star is what is beyond at most one of its five lines.
    return (far > np.cos(np.radians(72))).sum(axis=0) <= 1


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_draw_shape_covers_a_pixel_by_the_share_of_its_points_inside(kind, angle):
    H, W, centre, radius = 23, 31, (14.3, 11.6), 9.2
    points = 20
    y, x = (np.mgrid[0 : H * points, 0 : W * points] + 0.5) / points
    right, up = (x - centre[0]) / radius, (centre[1] - y) / radius
    turn = np.radians(angle)
    back = right * np.cos(turn) + up * np.sin(turn), up * np.cos(turn) - right * np.sin(turn)
    share = inside(kind, *back).reshape(H, points, W, points).mean(axis=(1, 3))
    coverage = draw_shape(kind, (H, W), np.array(centre), radius, angle) / 255
    # OpenCV also fills the pixels of the enlarged drawing that an edge only touches.
    np.testing.assert_allclose(coverage, share, atol=0.16)
    assert abs(coverage.sum() / share.sum() - 1) < 0.05


def test_shape_dataset_image_i_depends_only_on_the_seed_and_i():
    data = ShapeDataset(30, seed=7)
    later = ShapeDataset(10, seed=7, first=20)
    np.testing.assert_array_equal(data.images[20:], later.images)
    np.testing.assert_array_equal(data.labels[20:], later.labels)
    np.testing.assert_array_equal(data.boxes[20:], later.boxes)
    assert not np.array_equal(ShapeDataset(30, seed=8).images[20:], later.images)


def test_shape_dataset_images_all_differ():
    assert len({image.tobytes() for image in ShapeDataset(50).images}) == 50


def test_shape_dataset_draws_clutter_behind_the_shape_only():
    clean = ShapeDataset(20, clutter=(0, 0))
    full = ShapeDataset(20, clutter=(6, 6))
    np.testing.assert_array_equal(clean.boxes, full.boxes)
    assert np.all(np.any(clean.images != full.images, axis=(1, 2, 3)))
    black = ShapeDataset(20, brightness=(1.0, 1.0), **PLAIN)
    white = ShapeDataset(20, brightness=(1.0, 1.0), clutter=(0, 0), background=(1.0, 1.0))
    for i in range(20):
        # A pixel that is the same on black and on white is covered completely by the shape.
        whole = np.all(black.images[i] == white.images[i], axis=2)
        assert whole.sum() > 20
        np.testing.assert_array_equal(clean.images[i][whole], full.images[i][whole])


@pytest.mark.parametrize(
    "change",
    [{"brightness": (0.9, 0.9)}, {"background": (0.5, 0.6)}, {"clutter": (3, 9)}],
    ids=lambda change: next(iter(change)),
)
def test_shape_dataset_keeps_every_shape_in_place_when_the_light_changes(change):
    np.testing.assert_array_equal(ShapeDataset(15, **change).boxes, ShapeDataset(15).boxes)


@pytest.mark.parametrize("brightness", [0.2, 0.6, 1.0])
def test_shape_dataset_brightness_is_that_of_the_strongest_colour(brightness):
    images = ShapeDataset(10, brightness=(brightness, brightness), **PLAIN).images
    np.testing.assert_allclose(images.max(axis=(1, 2, 3)), 255 * brightness, atol=1)


def test_shape_dataset_background_is_the_grey_around_the_shape():
    images = ShapeDataset(10, background=(0.5, 0.5), clutter=(0, 0), position=(0.5, 0.5)).images
    assert np.all(images[:, 0, 0] == 128)


def test_draw_clutter_draws_as_many_strokes_as_requested():
    """More strokes touch more pixels."""
    touched = []
    for strokes in (0, 2, 8):
        data = ShapeDataset(
            40, background=(0.0, 0.0), brightness=(0.0, 0.0), clutter=(strokes,) * 2
        )
        touched.append((data.images.max(axis=3) > 0).sum() / 40)
    assert touched[0] == 0
    assert 5 < touched[1] < touched[2] / 2


def test_draw_clutter_reaches_both_ends_of_the_range():
    black = {"background": (0.0, 0.0), "brightness": (0.0, 0.0), "scale": (0.2, 0.2)}
    data = ShapeDataset(60, clutter=(0, 1), **black)
    touched = np.count_nonzero(data.images.max(axis=(1, 2, 3)))
    assert 15 < touched < 45


def test_shapes_splits_have_equal_classes_and_share_no_image():
    splits = shapes()
    assert [len(part) for part in splits] == [2000, 500, 500]
    assert len({image.tobytes() for part in splits for image in part.images}) == 3000
    for part in splits:
        assert part.in_memory
        assert part.classes == CLASSES
        assert part.images.shape[1:] == (32, 32, 3)
        assert np.bincount(part.labels).tolist() == [len(part) // 5] * 5
        assert part.boxes.shape == (len(part), 4)
    with refused(ValueError, "read-only"):
        splits.train.boxes[0] = 0
