"""Class folders as people have them: which files belong to which class and part."""

import os
import shutil
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from minivision.datasets import (
    DataLoader,
    decoded,
    image_folder,
    load_dataset,
    open_class_folders,
    read_image,
)
from minivision.datasets.class_folders import ClassFolders
from minivision.datasets.file_dataset import FileDataset, Member
from minivision.datasets.unlabelled import image_files, other_files, unlabelled_folder
from minivision.transforms import Compose, RandomResizedCrop, Resize, ToArray
from tests.damage import DAMAGES, encode, png_of, saved, smooth_image, whole_file, write
from tests.refusals import refused


def fill(folder, classes, count, start=0):
    """`count` images per class, each of a single value that identifies it."""
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = np.full((6 + i % 3, 8, 3), start + k * count + i, np.uint8)
            write(folder / name / f"{i:03}.png", encode(image))


def values(dataset):
    return sorted(int(dataset[i][0][0, 0, 0]) for i in range(len(dataset)))


def test_image_folder_splits_a_folder_of_class_folders(tmp_path):
    fill(tmp_path, ["dog", "cat"], 20)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / "._000.png").write_text("left behind by some systems")
    (tmp_path / ".git").mkdir()
    splits = image_folder(tmp_path, (5, 7))
    assert splits.train.classes == ("cat", "dog")
    for part in splits:
        image, label = part[0]
        assert image.shape == (5, 7, 3)
        # "cat", which is class 0, has the values from 20 up.
        assert label == (0 if image[0, 0, 0] >= 20 else 1)
    assert sorted(v for part in splits for v in values(part)) == list(range(40))
    again = image_folder(tmp_path, (5, 7))
    assert values(again.test) == values(splits.test)


@pytest.mark.parametrize("given_parts", [("test",), ("validation",), ("validation", "test")])
def test_image_folder_takes_the_parts_from_their_folders_and_deals_the_others(
    tmp_path, given_parts
):
    fill(tmp_path / "train", ["a", "b"], 10)
    for i, name in enumerate(given_parts):
        fill(tmp_path / name, ["a", "b"], 3, start=100 * (i + 1))
    splits = image_folder(tmp_path, (5, 7), channels=1)
    for i, name in enumerate(given_parts):
        assert values(getattr(splits, name)) == list(range(100 * (i + 1), 100 * (i + 1) + 6))
    cut = [part for name, part in splits._asdict().items() if name not in given_parts]
    assert all(len(part) > 0 for part in cut)
    assert sorted(v for part in cut for v in values(part)) == list(range(20))
    assert splits.train[0][0].shape == (5, 7, 1)


def test_image_folder_resizes_images_like_the_transform(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            write(tmp_path / name / f"{i}.JPG", encode(smooth_image(), ".jpg"))
    image, _ = image_folder(tmp_path, (11, 13)).train[0]
    whole = read_image(tmp_path / "a" / "0.JPG")
    np.testing.assert_array_equal(image, Resize((11, 13))(whole))


def test_file_dataset_batch_equals_its_examples(tmp_path):
    fill(tmp_path, ["a", "b"], 6)
    part = image_folder(tmp_path, (5, 7)).train
    images, labels = part.batch(np.array([3, 0]))
    np.testing.assert_array_equal(images, np.stack([part[3][0], part[0][0]]))
    assert labels.tolist() == [part[3][1], part[0][1]]
    assert not part.in_memory


def test_file_dataset_without_a_size_keeps_the_size_of_each_image(tmp_path):
    """For a transform that crops windows of one size; until then they do not fit in a batch."""
    sizes = [(40, 60), (33, 20), (25, 25)]
    images = [smooth_image(*size) for size in sizes]
    files = [
        write(tmp_path / f"{i}.png", encode(image)) for i, image in enumerate(images)
    ]  # fmt: skip
    dataset = FileDataset(files, np.array([0, 1, 0]), ("a", "b"), None)
    for i, (image, label) in enumerate(zip(images, [0, 1, 0], strict=True)):
        np.testing.assert_array_equal(dataset[i][0], image)
        assert dataset[i][1] == label
    with refused(ValueError, "FileDataset: size", "None"):
        dataset.batch(np.arange(3))
    with refused(ValueError, "image 1", "(3, 33, 20)", "image 0", "(3, 40, 60)"):
        list(DataLoader(dataset, 3))
    windows = Compose([RandomResizedCrop((8, 7)), ToArray()])
    (cut, labels), *_ = DataLoader(dataset, 3, transform=windows)
    assert cut.shape == (3, 3, 8, 7)
    assert labels.tolist() == [0, 1, 0]


def test_file_dataset_without_a_size_keeps_the_size_of_a_member():
    member = Member("cat.png", encode(smooth_image(12, 9)))
    dataset = FileDataset([member], np.array([0]), ("a",), None, channels=1)
    assert dataset[0][0].shape == (12, 9, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_image_folder_names_a_broken_image_and_its_index(tmp_path, workers):
    fill(tmp_path / "train", ["a", "b"], 10)
    fill(tmp_path / "test", ["a", "b"], 4)
    write(tmp_path / "test" / "b" / "001.png", encode(smooth_image())[:-30])
    loader = DataLoader(image_folder(tmp_path, (5, 7)).test, 2, workers=workers)
    with refused(ValueError, "image 5", str(tmp_path / "test" / "b" / "001.png"), "truncated"):
        list(loader)


def test_image_folder_names_a_file_that_vanished_and_its_index(tmp_path):
    fill(tmp_path, ["a", "b"], 6)
    loader = DataLoader(image_folder(tmp_path, (5, 7)).train, 2)
    shutil.rmtree(tmp_path / "a")
    with refused(OSError, "image 0", str(tmp_path / "a"), "no file"):
        list(loader)


@pytest.fixture
def with_broken_files(tmp_path):
    """A folder of 24 good images, one text file, and four broken ones; the names of the four."""
    fill(tmp_path, ["cat", "dog"], 12)
    broken = {
        "cat/000b.jpg": b"a letter",
        "cat/zero.png": b"",
        "dog/003b.jpg": encode(smooth_image(), ".jpg")[:-40],
        "dog/giant.png": png_of(struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0), b""),
    }
    for name, data in broken.items():
        write(tmp_path / name, data)
    (tmp_path / "dog" / "notes.txt").write_text("ignored")
    return tmp_path, list(broken)


def test_class_folders_find_unreadable_files_and_say_what_is_wrong(with_broken_files):
    folder, names = with_broken_files
    found = open_class_folders(folder).unreadable()
    assert list(found) == names
    faults = ["61 20 6c 65 74 74 65 72", "empty", "truncated", "60000 x 60000 pixels"]
    assert all(fault in found[name] for name, fault in zip(names, faults, strict=True))


def test_load_dataset_with_skipped_files_has_the_splits_of_the_others(with_broken_files, tmp_path):
    folder, names = with_broken_files
    splits = load_dataset(folder, size=(5, 7), skip=open_class_folders(folder).unreadable())
    for name in names:
        (folder / name).unlink()
    good = image_folder(folder, (5, 7))
    assert [values(part) for part in splits] == [values(part) for part in good]
    assert sorted(v for part in splits for v in values(part)) == list(range(24))


@pytest.mark.parametrize("part", ["train", "test"])
def test_class_folders_skip_files_of_a_part_by_name(tmp_path, part):
    for name in ("train", "test"):
        fill(tmp_path / name, ["cat", "dog"], 5, start=100 * (name == "test"))
    write(tmp_path / part / "cat" / "002.png", b"")
    folders = open_class_folders(tmp_path)
    assert list(folders.unreadable()) == [f"{part}/cat/002.png"]
    splits = folders.splits((5, 7), skip=[f"{part}/cat/002.png"])
    removed = {"train": 2, "test": 102}[part]
    left = {*range(10), *range(100, 110)} - {removed}
    assert {v for part in splits for v in values(part)} == left


def test_class_folders_find_damage_that_only_decoding_shows(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    rows = zlib.compress(b"\x07four" * 3)  # no filter has the number 7
    whole = png_of(struct.pack(">IIBBBBB", 4, 3, 8, 0, 0, 0, 0), rows)
    write(tmp_path / "cat" / "x.png", whole)
    found = open_class_folders(tmp_path).unreadable()
    assert list(found) == ["cat/x.png"]
    assert "OpenCV" in found["cat/x.png"]


def test_class_folders_find_every_damage_and_can_leave_it_out(tmp_path):
    """Also among unlabelled images, whose names stay in order."""
    fill(tmp_path, ["cat", "dog"], 12)
    damaged = {
        f"{kind}/{name}{suffix}": damage(whole_file(suffix))
        for kind, (suffix, damages) in zip(["cat", "cat", "dog"], DAMAGES.items(), strict=True)
        for name, damage in damages.items()
    }
    for name, data in damaged.items():
        write(tmp_path / name, data)
    folders = open_class_folders(tmp_path)
    assert list(folders.unreadable()) == sorted(damaged)
    splits = folders.splits((5, 7), skip=folders.unreadable())
    assert sorted(v for part in splits for v in values(part)) == list(range(24))
    with refused(ValueError, "18 of the 42", str(tmp_path), "cat/cut.jpg", "--skip-unreadable"):
        unlabelled_folder(tmp_path, (5, 7))
    good, left_out = unlabelled_folder(tmp_path, (5, 7), skip_unreadable=True)
    assert values(good) == list(range(24))
    assert list(left_out) == sorted(damaged)


def test_class_folders_find_a_link_to_nowhere(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    (tmp_path / "cat" / "x.png").symlink_to(tmp_path / "nothing.png")
    folders = open_class_folders(tmp_path)
    (reason,) = folders.unreadable().values()
    assert "no file" in reason
    assert folders.total_bytes() == sum(f.stat().st_size for f in tmp_path.glob("*/0*.png"))


def test_decoded_dataset_is_the_same_in_memory(tmp_path):
    fill(tmp_path, ["cat", "dog"], 6)
    part = image_folder(tmp_path, (5, 7)).train
    whole = decoded(part)
    assert whole.in_memory
    assert whole.classes == part.classes
    for i in range(len(part)):
        np.testing.assert_array_equal(whole[i][0], part[i][0])
        assert whole[i][1] == part[i][1]


def reading(path):
    """The classes of a folder, and the sorted values of each part."""
    splits = image_folder(path, (5, 7))
    return splits.train.classes, [values(part) for part in splits]


USUAL = ("train", "validation", "test")


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Validation", "Test"),
        ("TRAIN", "VAL", "TEST"),
        ("training", "valid", "testing"),
        ("Training", "val", "test"),
    ],
)
def test_class_folders_recognize_the_usual_names_of_parts(tmp_path, names):
    for parent, parts in (("ours", USUAL), ("theirs", names)):
        for i, part in enumerate(parts):
            fill(tmp_path / parent / part, ["a", "b"], 4, start=20 * i)
    assert reading(tmp_path / "theirs") == reading(tmp_path / "ours")
    folders = open_class_folders(tmp_path / "theirs")
    assert [folders.part_of(f"{name}/a/new.png") for name in names] == list(USUAL)


def test_class_folders_named_training_and_running_are_classes(tmp_path):
    fill(tmp_path, ["running", "training"], 6)
    assert reading(tmp_path)[0] == ("running", "training")


@pytest.mark.parametrize("wrapper", ["pets", "download/Pets of 2024/images"])
@pytest.mark.parametrize("parts", [(".",), ("Train", "Test")])
def test_class_folders_can_be_several_levels_deeper(tmp_path, wrapper, parts):
    for parent in ("plain", f"deep/{wrapper}"):
        for i, part in enumerate(parts):
            fill(tmp_path / parent / part, ["cat", "dog"], 6, start=20 * i)
    (tmp_path / "deep" / "README.md").write_text("where these are from")
    assert reading(tmp_path / "deep") == reading(tmp_path / "plain")
    assert open_class_folders(tmp_path / "deep").left_out() == {".md": 1}


def test_class_folders_include_the_images_of_their_subfolders(tmp_path):
    fill(tmp_path, ["cat", "dog"], 10)
    fill(tmp_path / "cat", ["tabby"], 10, start=20)
    fill(tmp_path / "cat" / "tabby", ["old"], 2, start=30)
    folders = open_class_folders(tmp_path)
    splits = folders.splits((5, 7))
    labels = {v: k for part in splits for v, k in zip(raw(part), part.labels, strict=True)}
    assert labels == {v: int(10 <= v < 20) for v in range(32)}
    assert "cat/tabby/old/001.png" in folders.images()


def raw(dataset):
    return [int(dataset[i][0][0, 0, 0]) for i in range(len(dataset))]


def test_class_folders_keep_classes_together_if_their_names_begin_alike(tmp_path):
    """Sorting whole names would mix these classes, because "-" is before "/"."""
    fill(tmp_path, ["cat", "cat-2"], 2)
    names = list(open_class_folders(tmp_path).images())
    assert names == ["cat/000.png", "cat/001.png", "cat-2/000.png", "cat-2/001.png"]


@pytest.mark.parametrize(
    ("ending", "kind"), [(".webp", "WEBP"), (".jfif", "JPEG"), (".jpe", "JPEG"), (".TIF", "TIFF")]
)
def test_class_folders_read_every_usual_image_format(tmp_path, ending, kind):
    fill(tmp_path, ["cat", "dog"], 10)
    for i in range(10):
        write(tmp_path / "cat" / f"more{i}{ending}", saved(smooth_image(), kind))
    folders = open_class_folders(tmp_path)
    assert len(folders.images()) == 30
    assert folders.unreadable() == folders.left_out() == {}


def test_class_folders_count_unused_files_by_kind(tmp_path):
    fill(tmp_path, ["cat", "dog"], 4)
    for name in ("cat/a.heic", "cat/old/b.HEIC", "dog/notes.txt", "dog/LICENSE", "labels.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    write(tmp_path / "loose.png", encode(smooth_image()))
    write(tmp_path / "cat" / ".hidden.png", b"")
    expected = {".csv": 1, ".heic": 2, ".txt": 1, "outside class folders": 1}
    expected["without an extension"] = 1
    assert open_class_folders(tmp_path).left_out() == expected
    assert other_files(tmp_path) == {".csv": 1, ".heic": 2, ".txt": 1, "without an extension": 1}


def test_class_folders_without_readable_images_name_the_kinds_found(tmp_path):
    fill(tmp_path, ["cat", "dog"], 4)
    (tmp_path / "cow").mkdir()
    for i in range(3):
        (tmp_path / "cow" / f"{i}.heic").write_bytes(b"")
    with refused(ValueError, str(tmp_path / "cow"), "3 .heic", ".png"):
        image_folder(tmp_path, (5, 7))
    with refused(ValueError, str(tmp_path / "cow"), "no image", "3 .heic", ".png"):
        unlabelled_folder(tmp_path / "cow", (5, 7))


def test_image_folder_names_an_empty_class_folder(tmp_path):
    fill(tmp_path, ["a", "b"], 3)
    (tmp_path / "c").mkdir()
    with refused(ValueError, f"image_folder: {tmp_path / 'c'}", "no images", ".png"):
        image_folder(tmp_path, (5, 7))


def test_class_folders_recognize_mnist_by_its_labels_only(tmp_path):
    """Of the four files only the labels say which collection they are from."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"")
    with refused(ValueError, f"image_folder: {tmp_path}", "no class folders") as caught:
        image_folder(tmp_path, (5, 7))
    assert "MINIVISION_DATA" not in str(caught.value)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"")
    with refused(ValueError, f"image_folder: {tmp_path}", "--dataset mnist", "MINIVISION_DATA"):
        image_folder(tmp_path, (5, 7))


def test_class_folders_do_not_follow_a_link_back_to_its_own_folder(tmp_path):
    fill(tmp_path / "all", ["cat", "dog"], 4)
    (tmp_path / "all" / "cat" / "loop").symlink_to(tmp_path / "all")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "all" / "dog")
    (tmp_path / "all" / "bird").symlink_to(tmp_path / "elsewhere")
    folders = open_class_folders(tmp_path / "all")
    assert len(folders.images()) == 12
    assert folders.class_names() == ("bird", "cat", "dog")
    assert len(image_files(tmp_path / "all")) == 12


@pytest.mark.parametrize("list_images", [open_class_folders, image_files])
def test_class_folders_that_cannot_be_listed_are_an_error(tmp_path, monkeypatch, list_images):
    fill(tmp_path, ["cat", "dog"], 4)
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with refused(PermissionError, "cat"):
        list_images(tmp_path)


def test_class_folders_deal_many_classes_quickly():
    """A few steps per image, not per pair of image and class."""
    files = {f"{c:04}/{i}.png": Member("x", b"") for c in range(1000) for i in range(20)}
    began = time.process_time()
    dealt = ClassFolders("image_folder", Path("x"), files).deal()
    assert time.process_time() - began < 2
    assert sum(map(len, dealt.values())) == len(files)
