"""The DataLoader: shuffled, augmented batches that are the same however they are computed.

Random choices depend on keys, not on a stored state: the order of the images depends on
(seed, epoch), and the augmentation of an image on (seed, epoch, index). So the batches are the same
for any number of threads, and after resuming a run. Arrays without augmentation are prepared one
batch at a time; everything else is prepared image by image, optionally in threads. Threads help
with files and large images, because OpenCV releases the GIL for long stretches. With 28x28 digits
the GIL is held nearly all the time, and workers=0 is just as fast.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from minivision.random import Key, keyed
from minivision.transforms.checks import kind_of
from minivision.transforms.pipeline import ToArray

HostBatch = tuple[np.ndarray, ...]  # images and labels, and also indices if with_indices


class DataLoader:
    """Batches of a dataset: images float32 (N, C, H, W) and labels int64 (N,), on the host.

    dataset: anything with `len` and `[i] -> (image, label)`.
    batch_size: examples per batch; the last one may be smaller, or is dropped by `drop_last`.
    shuffle: use a new order in every epoch instead of the order of the dataset.
    seed: for the order and for random transforms, 0 or more.
    transform: called as transform(image, rng); must return float32 (C, H, W). Default: ToArray().
    workers: threads that prepare batches ahead of time; with 0, each batch is prepared on demand in
        the caller's thread, as are arrays without per-image transforms in any case. When our
        threads are used, OpenCV's own are switched off (cv2.setNumThreads(0)).
    with_indices: also yield the indices of the images in the dataset, int64 (N,), so that a loss
        can look up recorded outputs for them.

    `loader(epoch)` is an iterable with a length; for the same epoch it always yields the same
    batches. In your own loop, `for images, labels in loader`, each pass is the next epoch, starting
    from epoch 0.

    >>> from minivision.datasets.dataset import ArrayDataset
    >>> data = ArrayDataset(np.zeros((5, 8, 9, 1), np.uint8), np.arange(5) % 2, ("even", "odd"))
    >>> loader = DataLoader(data, 2, shuffle=True)
    >>> [images.shape for images, labels in loader(epoch=3)]
    [(2, 1, 8, 9), (2, 1, 8, 9), (1, 1, 8, 9)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        transform: Callable | None = None,
        workers: int = 0,
        drop_last: bool = False,
        with_indices: bool = False,
    ):
        check_whole("batch_size", batch_size, 1)
        check_whole("seed", seed, 0)
        check_whole("workers", workers, 0)
        if len(dataset) == 0:
            raise ValueError("DataLoader: dataset is empty; expected at least one example")
        if drop_last and len(dataset) < batch_size:
            raise ValueError(
                f"DataLoader: batch_size is {batch_size}, but dataset has {len(dataset)} examples; "
                "drop_last=True would leave no batch"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.transform = ToArray() if transform is None else transform
        self.workers = workers
        self.drop_last = drop_last
        self.with_indices = with_indices
        self.iterated = 0  # passes so far without an explicit epoch

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        N = len(self.dataset)
        return N // self.batch_size if self.drop_last else -(-N // self.batch_size)

    def __call__(self, epoch: int) -> Epoch:
        return Epoch(self, epoch)

    def __iter__(self) -> Iterator[HostBatch]:
        self.iterated += 1
        return iter(self(self.iterated - 1))


class Epoch:
    """The batches of one epoch. Iterating again yields the same batches."""

    def __init__(self, loader: DataLoader, epoch: int):
        check_whole("epoch", epoch, 0)
        self.loader = loader
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[HostBatch]:
        if not self.loader.with_indices:
            return self.batches()
        return ((*batch, i) for batch, i in zip(self.batches(), self.index_batches(), strict=True))

    def batches(self) -> Iterator[HostBatch]:
        """Yield images and labels, prepared in the fastest way."""
        loader = self.loader
        in_memory = getattr(loader.dataset, "in_memory", False)
        takes_batches = getattr(loader.transform, "takes_batches", False)
        if in_memory and takes_batches and not getattr(loader.transform, "random", False):
            return map(self.prepare_at_once, self.index_batches())
        if loader.workers == 0:
            return map(self.prepare_one_by_one, self.index_batches())
        return self.prepare_in_threads()

    def index_batches(self) -> list[np.ndarray]:
        """For each batch, the indices of its examples in the dataset."""
        N, B = len(self.loader.dataset), self.loader.batch_size
        order = np.arange(N)
        if self.loader.shuffle:
            order = keyed(Key.ORDER, self.loader.seed, self.epoch).permutation(N)
        return [order[k * B : (k + 1) * B] for k in range(len(self))]

    def prepare_at_once(self, indices: np.ndarray) -> HostBatch:
        """Prepare the whole batch by one indexing operation and one transform."""
        images, labels = self.loader.dataset.batch(indices)
        labels = np.asarray(labels)
        if labels.dtype.kind not in "iu":
            raise ValueError(
                f"DataLoader: the labels of the dataset are {labels.dtype}; expected integers"
            )
        return check_arrays(self.loader.transform(images), 4), labels

    def prepare_one_by_one(self, indices: np.ndarray) -> HostBatch:
        """Prepare each image separately, with its own random generator."""
        images: list[np.ndarray] = []
        labels: list[int] = []
        for index in indices.tolist():
            image, label = self.prepare_image(index)
            if images and image.shape != images[0].shape:
                raise ValueError(
                    f"DataLoader: image {index} of the dataset is {image.shape}, but image "
                    f"{indices[0]} of the same batch is {images[0].shape}; "
                    "put Resize((H, W)) before the transform"
                )
            images.append(image)
            labels.append(label)
        return np.stack(images), np.array(labels, np.int64)

    def prepare_image(self, index: int) -> tuple[np.ndarray, int]:
        """One image float32 (C, H, W) and its label. Error messages name the index."""
        transform = self.loader.transform
        try:
            image, label = self.loader.dataset[index]
            if not isinstance(label, int | np.integer) or isinstance(label, bool):
                raise ValueError(f"its label is {label!r:.60}; expected an integer")
            rng = None
            # If a transform does not say whether it is random, we assume that it is.
            if getattr(transform, "random", True):
                rng = keyed(Key.IMAGE, self.loader.seed, self.epoch, index)
            return check_arrays(transform(image, rng), 3), int(label)
        except Exception as error:
            # A bad file stays a ValueError or OSError; a bug in the code becomes RuntimeError.
            kinds = (ValueError, OSError)
            kind = next((k for k in kinds if isinstance(error, k)), RuntimeError)
            raise kind(
                f"DataLoader: image {index} of the dataset could not be prepared: "
                f"{type(error).__name__}: {error}"
            ) from error

    def prepare_in_threads(self) -> Iterator[HostBatch]:
        """The same batches in the same order, with a few of them prepared ahead in threads."""
        workers = self.loader.workers
        cv2.setNumThreads(0)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="minivision-loader")
        ahead: deque[Future[HostBatch]] = deque()
        try:
            for indices in self.index_batches():
                ahead.append(pool.submit(self.prepare_one_by_one, indices))
                # Two batches per thread keep the threads busy and limit the memory.
                if len(ahead) == 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            # Also reached when the caller leaves the loop early or an image cannot be read.
            pool.shutdown(wait=True, cancel_futures=True)


def check_arrays(images: Any, rank: int) -> np.ndarray:
    """The transformed images; ValueError if they are not ready for the network."""
    if not isinstance(images, np.ndarray) or images.dtype != np.float32 or images.ndim != rank:
        expected = "(C, H, W)" if rank == 3 else "(N, C, H, W)"
        raise ValueError(
            f"the transform returned {kind_of(images)}; expected float32 {expected} "
            "(end it with ToArray())"
        )
    return images


def check_whole(argument: str, value: Any, least: int) -> None:
    """Raise ValueError unless `value` is an integer from `least` up."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"DataLoader: {argument} is {value!r}; expected an integer >= {least}")
