"""A network's outputs, recorded once and looked up by index; labels are not read."""

import numpy as np
import pytest

from minivision.autograd import no_grad
from minivision.datasets import DataLoader
from minivision.methods import RecordedBatches, hide_labels, record_responses
from minivision.methods.checks import check_classes
from minivision.methods.responses import looked_up
from minivision.tensor import Tensor
from minivision.transforms import Compose, Normalize, RandomTranslate, ToArray
from tests.methods.old_network import network, weights
from tests.methods.unlabelled import WithoutLabels, stripes

DRAWS = Compose([RandomTranslate(1), ToArray()])


class OneByOne(WithoutLabels):
    """The same, read one image at a time, as if from files."""

    in_memory = False

    def __init__(self, dataset):
        super().__init__(dataset)
        self.in_memory = False


@pytest.mark.parametrize("kind", [WithoutLabels, OneByOne])
@pytest.mark.parametrize("transform", [None, DRAWS], ids=["plain", "augmented"])
@pytest.mark.parametrize("workers", [0, 2])
def test_hide_labels_reads_no_label_and_keeps_images_and_order(kind, transform, workers):
    data = stripes(11, 0)
    options = {"shuffle": True, "seed": 3, "transform": transform}
    plain = DataLoader(data, 4, **options)
    loader = hide_labels(DataLoader(kind(data), 4, workers=workers, **options))
    for epoch in (0, 1):
        theirs, ours = list(plain(epoch)), list(loader(epoch))
        assert len(ours) == len(theirs) == len(loader) == 3
        for (images, labels), (same_images, hidden, positions) in zip(theirs, ours, strict=True):
            assert np.array_equal(images, same_images)
            assert positions.dtype == np.int64
            assert (hidden == -1).all()
            assert np.array_equal(data.labels[positions], labels)
    seen = np.concatenate([positions for _, _, positions in ours])
    assert sorted(seen) == list(range(11))
    assert not np.array_equal(seen, np.arange(11))


def test_hide_labels_does_not_change_the_loader():
    loader = DataLoader(stripes(5, 0), 2)
    dataset = loader.dataset
    hide_labels(loader)
    assert loader.dataset is dataset


@pytest.mark.parametrize("kind", [WithoutLabels, OneByOne])
@pytest.mark.parametrize("drop_last", [False, True])
def test_record_responses_are_in_the_order_of_the_dataset(kind, drop_last):
    """Each image alone, in evaluation mode, gives the row at its index."""
    model, data = network(), stripes(11, 0)
    model.train()
    before = weights(model)
    loader = DataLoader(
        kind(data), 4, shuffle=True, drop_last=drop_last,
        transform=Compose([ToArray(), Normalize([0.3], [0.2])]),
    )  # fmt: skip
    found = record_responses(model, loader)
    assert isinstance(found, np.ndarray)
    assert found.shape == (11, 3)
    assert model.training  # as it was
    assert weights(model) == before
    assert (loader.shuffle, loader.drop_last) == (True, drop_last)
    model.eval()
    for i, response in enumerate(found):
        image = (data.images[i].transpose(2, 0, 1)[None] / np.float32(255) - 0.3) / 0.2
        with no_grad():
            alone = model(Tensor(image.astype("f"))).data[0]
        np.testing.assert_allclose(response, alone, rtol=1e-4, atol=1e-5)


def test_looked_up_returns_rows_by_index_in_the_requested_dtype():
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = looked_up(table, np.array([3, 0, 3]), np.zeros(1, np.float64))
    assert found.dtype == np.float64
    assert found.tolist() == [[9, 10, 11], [0, 1, 2], [9, 10, 11]]


def test_recorded_batches_are_the_loaders_batches_with_responses_instead_of_images():
    data = stripes(11, 0)
    loader = DataLoader(data, 4, shuffle=True, seed=2)
    responses = np.arange(11, dtype=np.float32)[:, None] * [1, 10]
    batches = RecordedBatches(responses.astype(np.float32), loader)
    for epoch in (0, 1, 5):
        found = batches(epoch)
        assert len(found) == 3
        for (images, labels), (rows, same) in zip(loader(epoch), found, strict=True):
            positions = rows[:, 0].astype(int)
            expected = ToArray()(data.images[positions])
            assert np.array_equal(images, expected)
            assert np.array_equal(labels, same)
            assert np.array_equal(rows[:, 1], 10 * rows[:, 0])


def test_check_classes_accepts_a_head_with_an_output_and_images_for_each_class():
    check_classes("f", network(), stripes(12, 0))
