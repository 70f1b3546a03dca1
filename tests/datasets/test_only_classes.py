"""Some classes of a dataset as a task of their own."""

import numpy as np

from minivision.datasets import ArrayDataset, DataLoader, OnlyClasses

CLASSES = ("ant", "bee", "cat", "dog")


def animals():
    labels = np.array([3, 0, 1, 2, 3, 1, 0])
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] + np.zeros((7, 4, 5, 1), np.uint8)
    return ArrayDataset(images, labels, CLASSES)


def test_only_classes_numbers_labels_in_the_given_order():
    some = OnlyClasses(animals(), ("dog", "bee"))
    assert some.classes == ("dog", "bee")
    assert some.labels.tolist() == [0, 1, 0, 1]
    assert [some[i][1] for i in range(4)] == [0, 1, 0, 1]
    images, labels = some.batch(np.array([3, 0]))
    assert images[:, 0, 0, 0].tolist() == [5, 0]
    assert labels.tolist() == [1, 0]


def test_only_classes_gives_the_same_labels_one_by_one_and_in_batches():
    some = OnlyClasses(animals(), ("cat", "ant"))
    (images, labels), *_ = DataLoader(some, 8)
    assert images.shape == (3, 1, 4, 5)
    assert labels.tolist() == [some[i][1] for i in range(3)]
