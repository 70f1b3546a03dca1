"""CIFAR-10 in its two forms, on small files of our own."""

import hashlib
import io
import tarfile

import cv2
import numpy as np
import pytest

from minivision.datasets import cifar, cifar10, cifar10_jpeg, download, load_dataset
from minivision.datasets.cifar import CLASSES, FILES, parse_records
from minivision.datasets.download import RemoteFile
from tests.refusals import refused

RECORDS, VALIDATION = 20, 10


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Files of 20 records, a cache of our own, and no network at all."""
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)
    monkeypatch.setattr(cifar, "VALIDATION", VALIDATION)
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("MINIVISION_DATA", raising=False)

    def refuse(*args):
        raise OSError("a download was started")

    monkeypatch.setattr(cifar, "download", refuse)


def record_files(seed=0):
    """The six files, and the images and labels that were written into them."""
    rng = np.random.default_rng(seed)
    contents, written = {}, {}
    for name in FILES:
        images = rng.integers(0, 256, (RECORDS, 32, 32, 3), dtype=np.uint8)
        labels = rng.permutation(np.arange(RECORDS) % 10)
        data = bytearray()
        for image, label in zip(images, labels, strict=True):
            data.append(int(label))
            for c in range(3):
                for row in image:
                    data += bytes(row[:, c].tolist())
        contents[name], written[name] = bytes(data), (images, labels)
    return contents, written


def put_unpacked(folder, contents):
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def put_archive(path, contents, monkeypatch):
    """An archive of the files like the published one, whose checksum it replaces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {**contents, "readme.html": b"<html>"}.items():
            header = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(cifar, "ARCHIVE", RemoteFile("cifar-10-binary.tar.gz", "", sha256))
    return path


def check(splits, written):
    assert [len(part) for part in splits] == [5 * RECORDS - VALIDATION, VALIDATION, RECORDS]
    images = np.concatenate([written[name][0] for name in FILES[:5]])
    labels = np.concatenate([written[name][1] for name in FILES[:5]])
    for part in splits[:2]:
        assert part.classes == CLASSES
        np.testing.assert_array_equal(part.images, images[part.indices])
        np.testing.assert_array_equal(part.labels, labels[part.indices])
        assert np.bincount(part.labels).tolist() == [len(part) // 10] * 10
    np.testing.assert_array_equal(splits.test.images, written["test_batch.bin"][0])
    np.testing.assert_array_equal(splits.test.labels, written["test_batch.bin"][1])


def test_parse_records_reads_a_label_and_three_planes_of_colour(monkeypatch):
    monkeypatch.setattr(cifar, "RECORDS", 2)
    red, green, blue = bytes(range(256)) * 4, bytes([1]) * 1024, bytes([2]) * 1024
    data = bytes([9]) + red + green + blue + bytes([3]) + bytes(3072)
    images, labels = parse_records(data, "x")
    assert labels.tolist() == [9, 3]
    assert images.shape == (2, 32, 32, 3)
    # The second row of an image begins with its 33rd byte.
    assert images[0, 1, 0].tolist() == [32, 1, 2]
    assert images[0, 0, 31].tolist() == [31, 1, 2]
    assert images[1].max() == 0


def test_cifar_classes_are_in_the_published_order():
    assert CLASSES[0] == "airplane"
    assert CLASSES[3] == "cat"
    assert CLASSES[9] == "truck"
    assert list(CLASSES) == sorted(CLASSES)  # so class folders have the same labels


@pytest.mark.parametrize("place", ["cifar10", ".", "cifar-10-batches-bin"])
def test_cifar10_reads_unpacked_files(tmp_path, place):
    contents, written = record_files()
    put_unpacked(tmp_path / "data" / place, contents)
    check(cifar10(tmp_path / "data"), written)


@pytest.mark.parametrize("place", ["cifar10/", ""])
def test_cifar10_reads_the_archive_without_unpacking_it(tmp_path, monkeypatch, place):
    contents, written = record_files()
    path = put_archive(tmp_path / f"data/{place}cifar-10-binary.tar.gz", contents, monkeypatch)
    monkeypatch.setenv("MINIVISION_DATA", str(tmp_path / "data"))
    check(load_dataset("cifar10"), written)
    assert [entry.name for entry in path.parent.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_cifar10_refuses_an_archive_with_another_checksum(tmp_path, monkeypatch):
    path = put_archive(tmp_path / "cifar-10-binary.tar.gz", record_files(1)[0], monkeypatch)
    path.write_bytes(path.read_bytes() + b"!")
    with refused(ValueError, str(path), "cifar-10-binary.tar.gz", "SHA-256"):
        cifar10(tmp_path)


def test_cifar10_downloads_the_archive_or_names_missing_files(tmp_path):
    with refused(OSError, "a download was started"):
        cifar10(tmp_path)
    contents, _ = record_files()
    folder = put_unpacked(tmp_path / "cifar10", contents)
    for name in ("data_batch_2.bin", "test_batch.bin"):
        (folder / name).unlink()
    with refused(FileNotFoundError, "cifar10", str(folder), "data_batch_2.bin, test_batch.bin"):
        cifar10(tmp_path)


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1"])
def test_cifar10_refuses_the_python_version_and_names_the_file_it_needs(tmp_path, name):
    """Its files are pickles, and loading one can run arbitrary code."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    found = str(tmp_path / name.split("/")[0])
    with refused(FileNotFoundError, "cifar10", found, "pickles", "cifar-10-binary.tar.gz"):
        cifar10(tmp_path)


@pytest.mark.parametrize(
    ("damage", "fragments"),
    [
        (lambda data: data[:-1], ["61,459 bytes", "61,460", "20 records"]),
        (lambda data: data + data, ["122,920 bytes", "61,460"]),
        (
            lambda data: data[: 2 * 3073] + b"\x0a" + data[2 * 3073 + 1 :],
            ["record 2", "10", "0 to 9"],
        ),
    ],
    ids=["shorter", "longer", "label 10"],
)
def test_cifar10_names_a_damaged_file(tmp_path, damage, fragments):
    contents, _ = record_files()
    contents["data_batch_3.bin"] = damage(contents["data_batch_3.bin"])
    folder = put_unpacked(tmp_path / "cifar10", contents)
    with refused(ValueError, str(folder / "data_batch_3.bin"), *fragments):
        cifar10(tmp_path)


def test_cifar10_refuses_classes_of_unequal_size(tmp_path):
    contents, _ = record_files()
    data = bytearray(contents["test_batch.bin"])
    data[0] = (data[0] + 1) % 10
    put_unpacked(tmp_path / "cifar10", {**contents, "test_batch.bin": bytes(data)})
    with refused(ValueError, "cifar10", "test_batch.bin", "expected 2 each"):
        cifar10(tmp_path)


def jpeg_archive(path, classes):
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:xz") as tar:
        for part, count in (("test", 2), ("train", 10)):
            for k, name in enumerate(classes):
                for i in range(count):
                    image = rng.integers(20 * k, 20 * k + 9, (32, 32, 3), dtype=np.uint8)
                    data = cv2.imencode(".jpg", image)[1].tobytes()
                    header = tarfile.TarInfo(f"cifar10-jpeg/{part}/{name}/{i:04}.jpg")
                    header.size = len(data)
                    tar.addfile(header, io.BytesIO(data))


def test_cifar10_jpeg_is_decoded_once(tmp_path, monkeypatch):
    jpeg_archive(tmp_path / "cifar10-jpeg" / "cifar10-jpeg.tar.xz", CLASSES)
    monkeypatch.setenv("MINIVISION_DATA", str(tmp_path))
    splits = load_dataset("cifar10-jpeg")
    assert [len(part) for part in splits] == [90, 10, 20]
    for part in splits:
        assert part.in_memory
        assert part.classes == CLASSES
        assert part.images.shape == (len(part), 32, 32, 3)
        # The grey of each image identifies its class.
        np.testing.assert_array_equal(part.images.mean(axis=(1, 2, 3)) // 20, part.labels)


def test_cifar10_jpeg_names_a_missing_archive_and_other_classes(tmp_path):
    with refused(FileNotFoundError, "cifar10_jpeg", "cifar10-jpeg.tar.xz", "DIR/cifar10-jpeg/"):
        cifar10_jpeg(tmp_path)
    jpeg_archive(tmp_path / "cifar10-jpeg" / "cifar10-jpeg.tar.xz", ("cat", "dog"))
    with refused(ValueError, "cifar10-jpeg.tar.xz", "cat, dog", "airplane, automobile"):
        cifar10_jpeg(tmp_path)
