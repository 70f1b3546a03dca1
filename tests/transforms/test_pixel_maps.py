"""Masks, boxes and points follow the image, however it moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import (
    Affine,
    CenterCrop,
    Displacement,
    ElasticDistortion,
    Pad,
    Perspective,
    PixelMap,
    Projection,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomTranslate,
    RandomVerticalFlip,
    Resize,
    Rotate,
    Rotate90,
    Scale,
    Translate,
    Warp,
)
from minivision.transforms.resampling import read_nearest
from tests.refusals import refused
from tests.strategies import seeds

sides = st.integers(3, 12)

# Every pixel keeps its value, or becomes a block of whole pixels.
WHOLE = [
    RandomHorizontalFlip(1.0),
    RandomVerticalFlip(1.0),
    Rotate90(1),
    Rotate90(2),
    Rotate90(-1),
    RandomCrop((3, 2)),
    RandomCrop((9, 8), padding=4),
    CenterCrop((2, 3)),
    Pad((15, 14)),
    Translate(2, -1),
    RandomTranslate(3),
    Resize((24, 36)),  # of 12 x 12
    Rotate(180),
    Rotate(90),
]
OTHERS = [
    Resize((5, 9)),
    Scale(0.8),
    RandomScale(0.7, 1.3),
    RandomResizedCrop((8, 9)),
    Rotate(20),
    Affine(10, (1, 2), 0.9, (0.2, 0.1)),
    Warp([[1, 0.3, 0], [0, 1, 0], [0.01, 0, 1]], size=(9, 14)),
    Perspective([[0, 0], [9, 1], [9, 9], [0, 8]], [[0, 0], [7, 0], [7, 7], [0, 7]], size=(8, 8)),
    RandomRotation(40, border="reflect"),
    RandomAffine(20, 2, (0.8, 1.2), 0.2),
    RandomPerspective(0.5),
    ElasticDistortion(20, 4),
]
every_transform = pytest.mark.parametrize("transform", [*WHOLE, *OTHERS], ids=repr)


def box_around(mask):
    """x0, y0, x1, y1 of the pixels that are not 0, ends not included; four zeros for none."""
    if not mask.any():
        return [0, 0, 0, 0]
    y, x = np.nonzero(mask)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.mark.parametrize("transform", WHOLE, ids=repr)
@given(seed=seeds)
def test_apply_boxes_gives_the_box_around_the_moved_mask(transform, seed):
    rng = np.random.default_rng(seed)
    x0, y0 = rng.integers(0, 11, 2)
    x1, y1 = rng.integers(x0 + 1, 13), rng.integers(y0 + 1, 13)
    mask = np.zeros((12, 12), np.uint8)
    mask[y0:y1, x0:x1] = 1
    drawn = transform.draw((12, 12), rng)
    [box] = transform.apply_boxes(np.array([[x0, y0, x1, y1]]), drawn)
    moved = transform.apply_mask(mask, drawn)
    np.testing.assert_allclose(box, box_around(moved), atol=1e-12)
    assert moved.sum() == pytest.approx((box[2] - box[0]) * (box[3] - box[1]))


@pytest.mark.parametrize("transform", OTHERS, ids=repr)
@given(seed=seeds)
def test_apply_boxes_gives_a_box_that_contains_the_moved_mask(transform, seed):
    rng = np.random.default_rng(seed)
    x0, y0 = rng.integers(0, 11, 2)
    x1, y1 = rng.integers(x0 + 1, 13), rng.integers(y0 + 1, 13)
    mask = np.zeros((12, 12), np.uint8)
    mask[y0:y1, x0:x1] = 1
    drawn = transform.draw((12, 12), rng)
    [box] = transform.apply_boxes(np.array([[x0, y0, x1, y1]]), drawn)
    seen = box_around(transform.apply_mask(mask, drawn))
    if seen != [0, 0, 0, 0]:
        # The nearest pixel may reach half a pixel over the edge.
        assert (np.array(seen[:2]) >= box[:2] - 0.51).all()
        assert (np.array(seen[2:]) <= box[2:] + 0.51).all()


@pytest.mark.parametrize("transform", WHOLE, ids=repr)
@given(H=sides, W=sides, seed=seeds)
def test_apply_mask_moves_a_mask_like_an_image_of_the_same_numbers(transform, H, W, seed):
    if isinstance(transform, Resize | Rotate):
        H = W = 12  # only then whole pixels fall on whole pixels
    elif isinstance(transform, RandomCrop | CenterCrop | Pad):
        H, W = max(H, 3), max(W, 3)
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 200, (H, W), dtype=np.uint8)
    drawn = transform.draw((H, W), rng)
    moved = transform.apply_mask(mask, drawn)
    if isinstance(transform, Resize):  # here the image is blended and the mask is not
        np.testing.assert_array_equal(moved, mask.repeat(2, axis=0).repeat(3, axis=1))
    else:
        np.testing.assert_array_equal(moved, transform.apply(mask[:, :, None], drawn)[:, :, 0])


@every_transform
@given(seed=seeds)
def test_apply_mask_keeps_the_dtype_and_invents_no_label(transform, seed):
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.array([3, 70_000]), (12, 12))
    mask.flags.writeable = False
    drawn = transform.draw((12, 12), rng)
    moved = transform.apply_mask(mask, drawn, fill=-1)
    assert moved.dtype == mask.dtype
    assert moved.shape == drawn.size
    assert moved.flags.c_contiguous
    assert not np.shares_memory(moved, mask)
    assert set(np.unique(moved)) <= {3, 70_000, -1}


def test_apply_mask_fills_pixels_from_outside_with_0_by_default():
    mask = np.full((2, 3), True)
    shift = Translate(1, 0)
    drawn = shift.draw((2, 3))
    np.testing.assert_array_equal(shift.apply_mask(mask, drawn), [[False, True, True]] * 2)
    labels = np.full((2, 3), 4, np.int16)
    assert shift.apply_mask(labels, drawn, fill=-100)[:, 0].tolist() == [-100, -100]


@every_transform
@given(seed=seeds)
def test_apply_points_follows_the_centre_of_a_bright_mark(transform, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 12, 2)
    image = np.zeros((12, 12, 1), np.uint8)
    image[y, x] = 255
    if isinstance(transform, RandomResizedCrop):
        return  # tests/transforms/test_windows.py: it averages, and one pixel may be lost
    drawn = transform.draw((12, 12), rng)
    [[px, py]] = transform.apply_points(np.array([[x, y]]), drawn)
    moved = transform.apply(image, drawn)[:, :, 0].astype(float)
    OH, OW = moved.shape
    if (
        not (1 <= px <= OW - 2 and 1 <= py <= OH - 2)
        or getattr(transform, "border", "") == "reflect"
    ):
        return
    rows, columns = np.indices(moved.shape)
    # The visible part of the mark is around the point.
    if moved.sum() > 60:
        centre = (columns * moved).sum() / moved.sum(), (rows * moved).sum() / moved.sum()
        np.testing.assert_allclose(centre, (px, py), atol=0.7)


@every_transform
def test_pixel_maps_can_be_replayed_and_keep_their_input(transform):
    rng = np.random.default_rng(3)
    drawn = transform.draw((12, 12), rng)
    image = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    mask = rng.integers(0, 9, (12, 12))
    points = rng.uniform(2, 9, (5, 2))
    boxes = np.array([[2.0, 3, 7, 9], [4, 4, 6, 6]])
    for apply, value in (
        (transform.apply, image),
        (transform.apply_mask, mask),
        (transform.apply_points, points),
        (transform.apply_boxes, boxes),
    ):
        value.flags.writeable = False
        first, second = apply(value, drawn), apply(value, drawn)
        np.testing.assert_array_equal(first, second)
        assert not np.shares_memory(first, value)


@every_transform
def test_pixel_maps_print_as_code_and_cannot_be_changed(transform):
    drawn = transform.draw((12, 12), np.random.default_rng(0))
    names = {"PixelMap": PixelMap, "Projection": Projection, "Displacement": Displacement}
    assert eval(repr(drawn), names) == drawn
    assert hash(drawn) == hash(eval(repr(drawn), names))
    with pytest.raises(AttributeError):
        drawn.size = (3, 3)


@every_transform
def test_pixel_maps_accept_no_points_and_no_boxes(transform):
    drawn = transform.draw((12, 12), np.random.default_rng(0))
    assert transform.apply_points(np.empty((0, 2)), drawn).shape == (0, 2)
    assert transform.apply_boxes(np.empty((0, 4)), drawn).shape == (0, 4)


def test_apply_boxes_clips_a_box_and_zeroes_one_that_left_the_image():
    shift = Translate(5, 0)
    boxes = [[0, 0, 4, 4], [4, 2, 8, 6], [6, 0, 9, 3], [5, 1, 5, 4]]
    moved = shift.apply_boxes(np.array(boxes), shift.draw((10, 10)))
    assert moved.tolist() == [[5, 0, 9, 4], [9, 2, 10, 6], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_apply_boxes_keeps_an_empty_box_empty_under_a_rotation():
    turn = Rotate(30)
    drawn = turn.draw((10, 10))
    assert turn.apply_boxes(np.array([[2, 5, 8, 5]]), drawn).tolist() == [[0, 0, 0, 0]]


def test_apply_boxes_has_edges_half_a_pixel_outside_the_centres():
    flip = RandomHorizontalFlip(1.0)
    drawn = flip.draw((1, 10), np.random.default_rng(0))
    # The three leftmost pixels, with centres 0, 1, 2, become the three rightmost, 7, 8, 9.
    assert flip.apply_points(np.array([[0, 0], [2, 0]]), drawn)[:, 0].tolist() == [9, 7]
    assert flip.apply_boxes(np.array([[0, 0, 3, 1]]), drawn).tolist() == [[7, 0, 10, 1]]


def test_apply_boxes_encloses_the_corners_of_a_rotated_box():
    turn = Rotate(45)
    drawn = turn.draw((21, 21))
    [[x0, y0, x1, y1]] = turn.apply_boxes(np.array([[8, 8, 13, 13]]), drawn)
    half = 5 / 2 * 2**0.5  # a square of side 5 on its corner
    np.testing.assert_allclose([x0, y0, x1, y1], [10.5 - half] * 2 + [10.5 + half] * 2)


def test_apply_points_and_boxes_refuse_what_is_beyond_the_horizon():
    tilt = Warp([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1]])  # the horizon is the column x = 10
    drawn = tilt.draw((20, 20))
    tilt.apply_points(np.array([[9, 5]]), drawn)
    with refused(ValueError, "Warp: points[1]", "[10.0, 5.0]", "horizon"):
        tilt.apply_points(np.array([[9, 5], [10, 5]]), drawn)
    with refused(ValueError, "Warp: points", "horizon"):
        tilt.apply_boxes(np.array([[5, 5, 15, 10]]), drawn)


def test_warp_shows_nothing_from_beyond_the_horizon():
    tilt = Warp([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1]], border="edge", fill=7)
    image = np.full((20, 20, 1), 100, np.uint8)
    image[:, 11:] = 255  # behind the horizon; OpenCV's warpPerspective shows it on the left
    shifted = Warp(np.array([[1, 0, 30.0], [0, 1, 0], [0, 0, 1]]) @ tilt.matrix, fill=7)
    result = shifted(image)
    assert set(np.unique(result)) <= set(range(7, 101))


def test_read_nearest_breaks_ties_to_the_right_and_below():
    image = np.array([[1, 2], [3, 4]])
    x, y = np.meshgrid([-0.5, 0.5, 0.5 - 1e-9, 1.5], [0.5])
    # The image extends half a pixel beyond its first and last centres.
    assert read_nearest(image, x, y).tolist() == [[3, 4, 4, 0]]
