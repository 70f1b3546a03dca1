"""The bundled digits, and finding a dataset by its name."""

import cv2
import numpy as np
import pytest

from minivision.datasets import DATASETS, DataLoader, digits, load_dataset
from minivision.datasets.digits import enlarge


@pytest.fixture(scope="module")
def splits():
    return digits()


def test_digits_have_three_fixed_parts(splits):
    assert [len(part) for part in splits] == [1257, 180, 360]
    assert splits.train.classes == tuple("0123456789")
    used = np.concatenate([part.indices for part in splits])
    assert np.array_equal(np.sort(used), np.arange(1797))
    # Recorded here, so that a change of the split is noticed.
    assert splits.test.indices[:8].tolist() == [2, 18, 29, 39, 40, 42, 43, 45]


def test_digits_have_equal_shares_in_every_part(splits):
    for part in splits:
        share = np.bincount(part.labels, minlength=10) / len(part)
        assert np.abs(share - 0.1).max() < 0.01


def test_digits_are_bright_strokes_on_a_dark_background(splits):
    images = splits.train.images
    assert images.shape == (1257, 28, 28, 1)
    assert images.dtype == np.uint8
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert border.max() == 0
    assert np.median(images) == 0
    assert images.max() == 255
    assert np.all(images.max(axis=(1, 2, 3)) > 200)


def test_enlarge_keeps_a_stroke_in_its_place():
    image = np.zeros((8, 8))
    image[2, 5] = 16
    large = enlarge(image)[:, :, 0].astype(float)
    # Pixel i of 8 covers the pixels 3i + 2 to 3i + 4 of 28.
    assert np.unravel_index(large.argmax(), large.shape) == (9, 18)
    assert large[6:12, 15:21].sum() > 0.9 * large.sum()


def test_enlarge_keeps_the_original_as_every_third_pixel(splits):
    from sklearn.datasets import load_digits

    original = load_digits().images[splits.train.indices] * (255 / 16)
    kept = splits.train.images[:, 3:27:3, 3:27:3, 0]
    np.testing.assert_allclose(kept, original, atol=0.51)


def test_load_dataset_finds_a_dataset_by_name():
    names = ["digits", "shapes", "mnist", "fashion_mnist", "cifar10", "cifar10-jpeg"]
    assert list(DATASETS) == names
    assert len(load_dataset("digits").train) == 1257


def test_digits_work_with_the_loader(splits):
    images, labels = next(iter(DataLoader(splits.validation, 50)))
    assert images.shape == (50, 1, 28, 28)
    np.testing.assert_array_equal(labels, splits.validation.labels[:50])


def test_load_dataset_reads_a_folder_of_class_folders(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(5):
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), np.full((6, 7, 3), i, np.uint8))
    splits = load_dataset(str(tmp_path), size=(4, 5), channels=1)
    assert splits.train.classes == ("cat", "dog")
    assert splits.train[0][0].shape == (4, 5, 1)
