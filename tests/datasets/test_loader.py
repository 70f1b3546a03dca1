"""DataLoader: the same batches for any number of threads, and no thread left over."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivision.datasets import ArrayDataset, DataLoader, Subset
from minivision.transforms import (
    Compose,
    Normalize,
    RandomScale,
    RandomTranslate,
    Resize,
    ToArray,
)
from tests.refusals import refused

AUGMENT = Compose([RandomScale(0.8, 1.2), RandomTranslate(3), ToArray(), Normalize(0.5, 0.25)])


def numbered_dataset(N, H=6, W=7):
    """N noisy images, labelled with their positions, so that a batch shows what it is made of."""
    images = np.random.default_rng(0).integers(0, 256, (N, H, W, 1), dtype=np.uint8)
    return ArrayDataset(images, np.arange(N), tuple(map(str, range(N))))


class Examples:
    """A minimal dataset: a length and [i]. The example at position `broken` fails."""

    def __init__(self, N, broken=None, error=None, wait=0.0):
        self.N, self.broken, self.error, self.wait = N, broken, error, wait
        self.asked = []

    def __len__(self):
        return self.N

    def __getitem__(self, index):
        self.asked.append(index)
        time.sleep(self.wait)
        if index == self.broken:
            raise self.error
        return np.full((3, 4, 1), index, np.uint8), index


def our_threads():
    return [t for t in threading.enumerate() if t.name.startswith("minivision-loader")]


def assert_equal_epochs(first, second):
    for (images, labels), (images2, labels2) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, images2)
        np.testing.assert_array_equal(labels, labels2)


@given(
    N=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    workers=st.integers(1, 4),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 9),
)
@settings(max_examples=20)
def test_data_loader_gives_the_same_batches_for_any_number_of_workers(
    N, batch_size, workers, seed, epoch
):
    data = numbered_dataset(N)
    settings = {"shuffle": True, "seed": seed, "transform": AUGMENT}
    alone = DataLoader(data, batch_size, **settings)
    together = DataLoader(data, batch_size, workers=workers, **settings)
    assert_equal_epochs(alone(epoch), together(epoch))


def test_epoch_started_fresh_equals_the_one_reached_by_training():
    data = numbered_dataset(20)
    trained = DataLoader(data, 6, shuffle=True, seed=3, transform=AUGMENT)
    reached = [list(trained(epoch)) for epoch in range(4)]
    resumed = DataLoader(data, 6, shuffle=True, seed=3, transform=AUGMENT, workers=2)
    assert_equal_epochs(resumed(3), reached[3])
    epoch = trained(2)
    assert_equal_epochs(epoch, epoch)


def test_data_loader_augments_an_image_alike_at_any_place_in_the_epoch():
    data = numbered_dataset(20)
    in_order = DataLoader(data, 20, transform=AUGMENT, seed=3)
    shuffled = DataLoader(data, 7, transform=AUGMENT, seed=3, shuffle=True)
    [(images, _)] = in_order(5)
    for batch, labels in shuffled(5):
        np.testing.assert_array_equal(batch, images[labels])


def test_data_loader_changes_order_and_augmentation_with_seed_and_epoch():
    data = numbered_dataset(40)
    orders, images = set(), set()
    for seed in range(3):
        for epoch in range(3):
            shuffled = DataLoader(data, 40, shuffle=True, seed=seed)
            [(_, labels)] = shuffled(epoch)
            orders.add(tuple(labels))
            [(batch, _)] = DataLoader(data, 40, seed=seed, transform=AUGMENT)(epoch)
            images.add(batch.tobytes())
    assert len(orders) == len(images) == 9


def test_data_loader_augments_each_image_differently():
    same = ArrayDataset(np.full((30, 9, 9, 1), 200, np.uint8), np.zeros(30, int), ("a",))
    [(images, _)] = DataLoader(same, 30, transform=Compose([RandomTranslate(3), ToArray()]))
    assert len({image.tobytes() for image in images}) > 15


@given(st.integers(1, 40), st.integers(1, 15), st.booleans(), st.booleans(), st.integers(0, 9))
def test_epoch_has_every_example_once(N, batch_size, shuffle, drop_last, epoch):
    if drop_last and batch_size > N:
        return
    loader = DataLoader(numbered_dataset(N), batch_size, shuffle=shuffle, drop_last=drop_last)
    batches = list(loader(epoch))
    assert len(batches) == len(loader) == len(loader(epoch))
    seen = np.concatenate([labels for _, labels in batches])
    kept = N - N % batch_size if drop_last else N
    assert len(set(seen.tolist())) == len(seen) == kept
    assert all(len(labels) == batch_size for _, labels in batches[:-1])
    if not shuffle:
        assert seen.tolist() == list(range(kept))


def test_data_loader_returns_float32_channels_first_and_int64_labels():
    data = numbered_dataset(5)
    for transform in (None, Compose([Resize((6, 7)), ToArray()])):
        images, labels = next(iter(DataLoader(data, 3, transform=transform)))
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        assert labels.dtype == np.int64
        assert isinstance(images, np.ndarray)
        expected = data.images[:3].transpose(0, 3, 1, 2) / np.float32(255)
        np.testing.assert_array_equal(images, expected)


def test_data_loader_gives_the_same_batches_on_its_fast_path():
    data = numbered_dataset(23)
    part = Subset(data, np.arange(22, 1, -1))
    transform = Compose([ToArray(), Normalize(0.3, 0.2)])
    for dataset in (data, part):
        fast = DataLoader(dataset, 5, shuffle=True, transform=transform)
        # A transform that does not mention batches is given single images.
        slow = DataLoader(dataset, 5, shuffle=True, transform=lambda image, rng: transform(image))
        assert_equal_epochs(fast(2), slow(2))


def test_data_loader_reads_whole_batches_on_its_fast_path():
    class OnlyBatches(ArrayDataset):
        def __getitem__(self, index):
            raise AssertionError("a single image was read")

    data = numbered_dataset(6)
    data = OnlyBatches(data.images, data.labels, data.classes)
    assert len(list(DataLoader(data, 4, workers=2))) == 2
    assert not our_threads()


def test_data_loader_iterates_epoch_0_first():
    loader = DataLoader(numbered_dataset(9), 4, shuffle=True)
    assert_equal_epochs(loader, loader(0))


def test_data_loader_takes_any_dataset_with_length_and_index():
    [(images, labels)] = DataLoader(Examples(3), 5)
    assert images.shape == (3, 1, 3, 4)
    assert labels.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(images[2], np.float32(2 / 255))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError, ValueError), (OSError, OSError), (KeyError, RuntimeError)],
)
def test_data_loader_raises_the_error_of_an_image_with_its_index(workers, error, kind):
    data = Examples(12, broken=7, error=error("it is gone"))
    batches = iter(DataLoader(data, 3, workers=workers))
    assert next(batches)[1].tolist() == [0, 1, 2]
    assert next(batches)[1].tolist() == [3, 4, 5]
    with refused(kind, "DataLoader: image 7", error.__name__, "it is gone"):
        next(batches)
    assert not our_threads()


def test_data_loader_iterates_the_next_epoch_in_each_pass():
    loader = DataLoader(Examples(20), 20, shuffle=True)
    (first,), (second,) = loader, loader
    assert first[1].tolist() != second[1].tolist()
    for epoch, (_, labels) in enumerate((first, second)):
        ((_, named),) = loader(epoch)
        assert named.tolist() == labels.tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader_with_indices_returns_the_position_of_each_image(workers):
    data = numbered_dataset(11)
    options = {"shuffle": True, "workers": workers}
    plain = DataLoader(data, 4, **options)(2)
    for (images, labels), (same, again, positions) in zip(
        plain, DataLoader(data, 4, with_indices=True, **options)(2), strict=True
    ):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, again)
        np.testing.assert_array_equal(labels, data.labels[positions])


def test_loader_threads_end_with_the_epoch():
    loader = DataLoader(Examples(20), 2, workers=3)
    assert len(list(loader)) == 10
    assert not our_threads()


def test_loader_threads_end_when_the_loop_is_left():
    for images, _ in DataLoader(Examples(200, wait=0.001), 2, workers=3):
        assert images.shape == (2, 1, 3, 4)
        assert our_threads()
        break
    gc.collect()
    assert not our_threads()


def test_loader_threads_prepare_only_a_few_batches_ahead():
    data = Examples(400)
    batches = iter(DataLoader(data, 2, workers=2))
    next(batches)
    time.sleep(0.2)
    assert len(data.asked) <= 2 * (2 * 2 + 1)
    batches.close()


def test_loader_threads_work_at_the_same_time():
    class Meeting(Examples):
        """Each image waits for another one, so a single thread would wait forever."""

        door = threading.Barrier(2, timeout=20)

        def __getitem__(self, index):
            assert threading.current_thread() is not threading.main_thread()
            self.door.wait()
            return super().__getitem__(index)

    assert len(list(DataLoader(Meeting(8), 2, workers=2))) == 4


def test_loader_threads_do_not_keep_a_program_from_ending():
    program = """
import numpy as np
from minivision.datasets import ArrayDataset, DataLoader
from minivision.transforms import Compose, Resize, ToArray
data = ArrayDataset(np.zeros((500, 8, 8, 1), np.uint8), np.zeros(500, int), ("a",))
batches = iter(DataLoader(data, 2, workers=3, transform=Compose([Resize((9, 9)), ToArray()])))
next(batches)
print("done")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


class Labelled:
    """Two grey images with this label, also available as a batch if they are in memory."""

    def __init__(self, label, in_memory):
        self.label, self.in_memory = label, in_memory

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.zeros((4, 4, 1), np.uint8), self.label

    def batch(self, indices):
        return np.zeros((len(indices), 4, 4, 1), np.uint8), np.full(len(indices), self.label)


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("label", [2.9, 2.0, np.float32(1), True, np.bool_(1), "3", None])
def test_data_loader_refuses_labels_that_are_not_integers(label, in_memory):
    came = str(np.array([label]).dtype) if in_memory else repr(label)
    with refused(ValueError, "DataLoader", "label", came, "integer"):
        next(iter(DataLoader(Labelled(label, in_memory), 2)))


@pytest.mark.parametrize("label", [3, np.int64(3), np.uint8(3)])
def test_data_loader_converts_integer_labels_to_int64(label):
    _, labels = next(iter(DataLoader(Labelled(label, in_memory=False), 2)))
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 3]
