"""Tar archives of class folders: read like folders, from start to end, and never unpacked."""

import io
import re
import tarfile

import cv2
import numpy as np
import pytest

from minivision.datasets import (
    DataLoader,
    archive,
    image_folder,
    load_dataset,
    open_class_folders,
)
from minivision.datasets.archive import read_members
from minivision.datasets.image_formats import PNG
from tests.damage import DAMAGES, whole_file
from tests.refusals import refused

ENDINGS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}


def png(value):
    rng = np.random.default_rng(value)
    image = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    image[:, :, 0] = value
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


def pets(count=10, at="", start=0):
    """Members of two classes, unordered; the red of each image identifies it."""
    return {
        f"{at}{name}/{i:03}.png": png(start + count * k + i)
        for i in reversed(range(count))
        for k, name in enumerate(("dog", "cat"))
    }


def pack(path, members, mode="w"):
    """A tar with these members: bytes for a file, None for a folder, or a TarInfo."""
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            header = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is None:
                header.type = tarfile.DIRTYPE
            if isinstance(content, bytes):
                header.size = len(content)
            tar.addfile(header, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def unpack(folder, members):
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def reds(dataset):
    return [int(dataset[i][0][4, 4, 0]) for i in range(len(dataset))]


@pytest.mark.parametrize("ending", ENDINGS)
def test_image_archive_has_the_splits_of_a_folder_with_the_same_files(tmp_path, ending):
    path = pack(tmp_path / f"pets{ending}", pets(), ENDINGS[ending])
    folder = unpack(tmp_path / "pets", pets())
    for ours, theirs in zip(
        load_dataset(path, size=(9, 8)), image_folder(folder, (9, 8)), strict=True
    ):
        assert ours.classes == theirs.classes == ("cat", "dog")
        assert reds(ours) == reds(theirs)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(
            ours.batch(np.arange(len(ours)))[0], theirs.batch(np.arange(len(theirs)))[0]
        )


def test_archive_is_not_unpacked(tmp_path):
    path = pack(tmp_path / "pets.tar.gz", pets(), "w:gz")
    images, _ = next(iter(DataLoader(load_dataset(path, size=(9, 8)).train, 4, workers=2)))
    assert images.shape == (4, 3, 9, 8)
    assert [entry.name for entry in tmp_path.iterdir()] == ["pets.tar.gz"]


def test_read_members_keeps_the_bytes_as_they_are(tmp_path):
    members = pets(3)
    path = pack(tmp_path / "pets.tar.xz", members, "w:xz")
    assert read_members(path, lambda name: name.endswith(".png")) == members
    some = read_members(path, lambda name: name == "001.png")
    assert {name for name, data in some.items() if data} == {"cat/001.png", "dog/001.png"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_archive_is_read_once_from_start_to_end(tmp_path, monkeypatch, ending):
    """Images of pure noise, so that the archive is larger than any buffer."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, 60, 60, 3), dtype=np.uint8)
    members = {
        f"{name}/{i}.bmp": cv2.imencode(".bmp", image)[1].tobytes()
        for name, images in zip(("cat", "dog"), noise, strict=True)
        for i, image in enumerate(images)
    }
    path = pack(tmp_path / f"pets{ending}", members, ENDINGS[ending])
    length = path.stat().st_size
    assert length > 50_000

    class Watched(io.FileIO):
        """A file that counts the bytes it returned."""

        taken = 0

        def read(self, size=-1):
            data = super().read(size)
            self.taken += len(data)
            return data

    watched = Watched(path)
    monkeypatch.setattr(archive, "progress", lambda file, path: watched)
    splits = load_dataset(path, size=(9, 8))
    assert length <= watched.taken <= length + 6  # the first bytes are read twice
    path.unlink()  # everything needed is in memory
    assert len(splits.train.batch(np.arange(3))[0]) == 3


@pytest.mark.parametrize("wrapper", ["pets/", "./", "./a/b/"])
def test_archive_skips_a_single_folder_around_everything(tmp_path, wrapper):
    path = pack(tmp_path / "pets.tar", pets(at=wrapper))
    assert load_dataset(path, size=(9, 8)).train.classes == ("cat", "dog")
    parts = pets(at=f"{wrapper}train/") | pets(3, at=f"{wrapper}test/", start=100)
    path = pack(tmp_path / "parts.tar", parts)
    splits = load_dataset(path, size=(9, 8))
    assert [len(part) for part in splits] == [18, 2, 6]
    assert sorted(reds(splits.test)) == list(range(100, 106))


def test_archive_ignores_hidden_members(tmp_path):
    hidden = {
        "cat/._000.png": b"what one system leaves behind",
        ".DS_Store": b"",
        "__MACOSX/cat/000.png": b"",
        ".git/x/a.png": b"",
        "cat/notes.txt": b"not an image",
        "README": b"nor this",
    }
    path = pack(tmp_path / "pets.tar", hidden | pets(5))
    assert open_class_folders(path).unreadable() == {}
    splits = load_dataset(path, size=(9, 8))
    assert sorted(red for part in splits for red in reds(part)) == list(range(10))


def header(name, kind=tarfile.REGTYPE, linkname=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, linkname
    return member


@pytest.mark.parametrize(
    ("member", "fault"),
    [
        (header("cat/../../etc/x.png"), '".."'),
        (header("/etc/x.png"), "absolute path"),
        (header("cat/x.png", tarfile.SYMTYPE, "/etc/passwd"), "link to /etc/passwd"),
        (header("cat/x.png", tarfile.LNKTYPE, "cat/000.png"), "link to cat/000.png"),
        (header(".hidden", tarfile.SYMTYPE, "a"), "link to a"),
        (header("cat/x.png", tarfile.CHRTYPE), "neither a file nor a folder"),
        (header("cat/x.png", tarfile.FIFOTYPE), "neither a file nor a folder"),
    ],
)
def test_archive_refuses_a_dangerous_member_by_name(tmp_path, member, fault):
    path = pack(tmp_path / "pets.tar.gz", {**pets(3), member.name: member}, "w:gz")
    with refused(ValueError, str(path), member.name, fault, "files and folders"):
        load_dataset(path, size=(9, 8))


@pytest.mark.parametrize("ending", ENDINGS)
def test_archive_refuses_every_truncated_file(tmp_path, ending):
    data = pack(tmp_path / f"pets{ending}", pets(4), ENDINGS[ending]).read_bytes()
    # A tar is padded with zeros to 10,240 bytes: cut it within its members, and after them.
    end = len(data) if ending != ".tar" else len(data.rstrip(b"\0")) // 512 * 512
    lengths = np.random.default_rng(0).integers(0, end, 20).tolist()
    for length in [0, 1, 512, 1024, end // 2, end - 1, *lengths]:
        cut = tmp_path / f"cut{ending}"
        cut.write_bytes(data[:length])
        with refused(ValueError, str(cut)) as caught:
            load_dataset(cut, size=(9, 8))
        assert re.search("truncated|tar archive", str(caught.value))


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz", ".tar.bz2"])
def test_archive_refuses_a_changed_byte_in_compressed_data(tmp_path, ending):
    data = pack(tmp_path / f"pets{ending}", pets(4), ENDINGS[ending]).read_bytes()
    for at in (len(data) // 3, len(data) // 2, len(data) - 6):
        changed = bytearray(data)
        changed[at] ^= 255
        path = tmp_path / f"changed{ending}"
        path.write_bytes(bytes(changed))
        with refused(ValueError, str(path)) as caught:
            load_dataset(path, size=(9, 8))
        assert re.search("truncated|tar archive", str(caught.value))


def test_archive_does_not_take_a_broken_header_for_the_end(tmp_path):
    data = bytearray(pack(tmp_path / "pets.tar", pets(8)).read_bytes())
    at = data.index(b"cat/003.png")
    data[at] ^= 1
    (tmp_path / "pets.tar").write_bytes(data)
    with refused(ValueError, "pets.tar", "damaged"):
        load_dataset(tmp_path / "pets.tar", size=(9, 8))


def test_archive_refuses_other_files(tmp_path):
    (tmp_path / "letter.tar").write_text("Dear Sir or Madam, " * 100)
    with refused(ValueError, "letter.tar", "tar archive", "different format"):
        load_dataset(tmp_path / "letter.tar", size=(9, 8))
    (tmp_path / "photos.zip").write_bytes(b"PK\x03\x04 and more")
    with refused(ValueError, "photos.zip", "ZIP", "unpack"):
        load_dataset(tmp_path / "photos.zip", size=(9, 8))


def test_archive_refuses_what_would_fill_the_memory(tmp_path, monkeypatch):
    big = PNG + bytes(4992)
    path = pack(tmp_path / "pets.tar", {**pets(3), "cat/big.png": big})
    monkeypatch.setattr(archive, "MAX_BYTES", 4999)
    with refused(ValueError, "cat/big.png", "5,000 bytes", "4,999"):
        load_dataset(path, size=(9, 8))
    monkeypatch.setattr(archive, "MAX_BYTES", 5000)
    monkeypatch.setattr(archive, "MAX_ARCHIVE", 5000)
    with refused(ValueError, str(path), "5,000 bytes", "unpack"):
        load_dataset(path, size=(9, 8))


def test_archive_keeps_only_the_first_bytes_of_other_files(tmp_path):
    members = {**pets(3), "cat/film.png": bytes(5_000_000), "cat/notes.txt": bytes(5_000_000)}
    folders = open_class_folders(pack(tmp_path / "pets.tar.gz", members, "w:gz"))
    assert len(folders.files["cat/film.png"].data) == 64
    assert len(folders.files["cat/notes.txt"].data) == 0
    assert folders.left_out() == {".txt": 1}
    assert list(folders.unreadable()) == ["cat/film.png"]


def test_archive_refuses_a_giant_extension_header_and_a_sparse_member(tmp_path):
    """tarfile would read the whole header, and fill the holes of the member with zeros."""
    long = header("././@PaxHeader", tarfile.XHDTYPE)
    long.size = 3_000_000_000
    start = long.tobuf(tarfile.USTAR_FORMAT)
    sparse = header("cat/x.png", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT)
    for block, fault in [(start, "3,000,000,000 bytes"), (sparse, "sparse file")]:
        path = tmp_path / "pets.tar"
        path.write_bytes(block + bytes(10_240))
        with refused(ValueError, str(path), fault):
            open_class_folders(path)


def test_archive_names_a_broken_image(tmp_path):
    members = pets(10, at="train/") | pets(3, at="test/")
    members["test/dog/001.png"] = members["test/dog/001.png"][:-30]
    path = pack(tmp_path / "pets.tar", members)
    loader = DataLoader(load_dataset(path, size=(9, 8)).test, 2)
    with refused(ValueError, "image 4", "pets.tar/test/dog/001.png", "truncated"):
        list(loader)
    folders = open_class_folders(path)
    broken = folders.unreadable()
    assert list(broken) == ["test/dog/001.png"]
    assert "truncated" in broken["test/dog/001.png"]
    assert len(folders.splits((9, 8), skip=broken).test) == 5


@pytest.mark.parametrize(
    ("suffix", "name"), [(suffix, name) for suffix in DAMAGES for name in DAMAGES[suffix]]
)
def test_archive_names_a_damaged_image_and_can_leave_it_out(tmp_path, suffix, name):
    damaged = DAMAGES[suffix][name](whole_file(suffix))
    path = pack(tmp_path / "pets.tar.gz", {**pets(5), f"cat/x{suffix}": damaged}, "w:gz")
    splits = load_dataset(path, size=(9, 8))
    with refused(ValueError, f"{path}/cat/x{suffix}") as caught:
        [part.batch(np.arange(len(part))) for part in splits]
    assert re.search("damaged|truncated", str(caught.value))
    folders = open_class_folders(path)
    broken = folders.unreadable()
    assert list(broken) == [f"cat/x{suffix}"]
    splits = folders.splits((9, 8), skip=broken)
    assert sorted(red for part in splits for red in reds(part)) == list(range(10))


@pytest.mark.parametrize(
    ("members", "fragments"),
    [
        ({}, ["no class folders"]),
        ({"a.png": png(0)}, ["no class folders", "1 images"]),
        ({"cat/a.png": png(0), "cat/b.png": png(1)}, ["only the class folder 'cat'"]),
        ({"pets/cat/a.png": png(0)}, ["tar/pets", "only the class folder 'cat'"]),
        ({**pets(3), "cow": None}, ["cow", "no images"]),
        (pets(3, at="test/"), ["['test']", "train"]),
    ],
    ids=lambda argument: None if isinstance(argument, dict) else " ".join(argument),
)
def test_archive_without_class_folders_is_refused_by_name(tmp_path, members, fragments):
    path = pack(tmp_path / "pets.tar", members)
    with refused(ValueError, f"image_archive: {path}", *fragments):
        load_dataset(path, size=(9, 8))


def test_archive_ignores_a_file_named_like_a_class_folder(tmp_path):
    path = pack(tmp_path / "pets.tar", {"cat": b"", **pets(3)})
    assert len(load_dataset(path, size=(9, 8)).train) == 4
