"""What a network answers, recorded once and found again by position; labels stay unread."""

import numpy as np
import pytest

from minivision.autograd import no_grad
from minivision.datasets import DataLoader, Subset
from minivision.methods import RecordedBatches, hide_labels, record_responses
from minivision.methods.checks import check_classes
from minivision.methods.responses import looked_up
from minivision.tensor import Tensor
from minivision.transforms import Compose, Normalize, RandomTranslate, ToArray
from tests.methods.old_network import network, weights
from tests.methods.unlabelled import WithoutLabels, stripes

DRAWS = Compose([RandomTranslate(1), ToArray()])


class OneByOne(WithoutLabels):
    """The same, whose images are asked for one at a time, as if they lay in files."""

    in_memory = False

    def __init__(self, dataset):
        super().__init__(dataset)
        self.in_memory = False


@pytest.mark.parametrize("kind", [WithoutLabels, OneByOne])
@pytest.mark.parametrize("transform", [None, DRAWS], ids=["plain", "augmented"])
@pytest.mark.parametrize("workers", [0, 2])
def test_hidden_labels_are_not_read_and_the_images_and_their_order_are_the_same(
    kind, transform, workers
):
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


def test_a_batch_without_indices_is_told_how_to_get_them():
    with pytest.raises(ValueError, match=r"^looked_up: .* DataLoader\(…, with_indices=True\)"):
        looked_up(np.zeros((3, 2)), None, np.zeros(1, np.float32))


def test_a_record_of_too_few_images_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"^looked_up: 3 responses were recorded.* image 7;"):
        looked_up(np.zeros((3, 2)), np.array([0, 7]), np.zeros(1, np.float32))


def test_hiding_labels_leaves_the_loader_as_it_was():
    loader = DataLoader(stripes(5, 0), 2)
    dataset = loader.dataset
    hide_labels(loader)
    assert loader.dataset is dataset


@pytest.mark.parametrize("kind", [WithoutLabels, OneByOne])
@pytest.mark.parametrize("drop_last", [False, True])
def test_responses_stand_in_the_datasets_order_whatever_the_loaders(kind, drop_last):
    """Each image asked alone, in evaluation mode, gives the row at its position."""
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


def test_a_transform_that_draws_or_does_not_say_is_refused_before_anything_is_asked():
    class Silent:
        def __call__(self, image, rng):
            return ToArray()(image)

    for transform in (DRAWS, Silent()):
        loader = DataLoader(WithoutLabels(stripes(5, 0)), 2, transform=transform)
        with pytest.raises(ValueError, match=r"^record_responses: the loader's transform draws"):
            record_responses(None, loader)


def test_a_recorded_row_is_looked_up_by_position_in_the_dtype_of_the_asker():
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = looked_up(table, np.array([3, 0, 3]), np.zeros(1, np.float64))
    assert found.dtype == np.float64
    assert found.tolist() == [[9, 10, 11], [0, 1, 2], [9, 10, 11]]


def test_recorded_batches_are_the_loaders_batches_with_responses_for_images():
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


def test_recorded_batches_refuse_responses_of_another_dataset():
    with pytest.raises(ValueError, match="there are 4 responses, but the loader's dataset has 5"):
        RecordedBatches(np.zeros((4, 2), np.float32), DataLoader(stripes(5, 0), 2))


# ── the check of classes ─────────────────────────────────────────────────────────────────────


def test_a_head_for_other_classes_is_refused_with_both_numbers_and_a_way_out():
    with pytest.raises(
        ValueError,
        match=r"^f: the head has 4 outputs, but the dataset has 3 classes \(left, top, bottom\); "
        r"give it a head for 3 \(with_new_head, or with_new_task\)$",
    ):
        check_classes("f", network(classes=4), stripes(6, 0))


def test_an_empty_class_is_refused_by_name():
    data = stripes(12, 0)
    without = Subset(data, np.flatnonzero(data.labels != 1))
    with pytest.raises(ValueError, match=r"^f: there is no image of top; expected some of every"):
        check_classes("f", network(), without)
    only = Subset(data, np.flatnonzero(data.labels == 0))
    with pytest.raises(ValueError, match=r"no image of top, bottom; "):
        check_classes("f", network(), only)
    check_classes("f", network(), data)
