"""Tests of tars of class folders: read as folders are, front to back, and never unpacked."""

import io
import tarfile

import cv2
import numpy as np
import pytest

from minivision.datasets import (
    DataLoader,
    archive,
    image_archive,
    image_folder,
    load_dataset,
    open_class_folders,
)
from minivision.datasets.archive import read_members
from minivision.datasets.image_formats import PNG
from tests.damage import DAMAGES, whole_file

ENDINGS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}


def png(value):
    rng = np.random.default_rng(value)
    image = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    image[:, :, 0] = value
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


def pets(count=10, at="", start=0):
    """Members of two classes, in no order; the red of each image tells it from all others."""
    return {
        f"{at}{name}/{i:03}.png": png(start + count * k + i)
        for i in reversed(range(count))
        for k, name in enumerate(("dog", "cat"))
    }


def pack(path, members, mode="w"):
    """A tar with these members: bytes are files, None is a folder, and a TarInfo is itself."""
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
def test_an_archive_has_the_splits_of_a_folder_with_the_same_files(tmp_path, ending):
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


def test_nothing_is_unpacked(tmp_path):
    path = pack(tmp_path / "pets.tar.gz", pets(), "w:gz")
    images, _ = next(iter(DataLoader(load_dataset(path, size=(9, 8)).train, 4, workers=2)))
    assert images.shape == (4, 3, 9, 8)
    assert [entry.name for entry in tmp_path.iterdir()] == ["pets.tar.gz"]


def test_the_compressed_bytes_are_kept_as_they_lie_in_the_archive(tmp_path):
    members = pets(3)
    path = pack(tmp_path / "pets.tar.xz", members, "w:xz")
    assert read_members(path, lambda name: name.endswith(".png")) == members
    some = read_members(path, lambda name: name == "001.png")
    assert {name for name, data in some.items() if data} == {"cat/001.png", "dog/001.png"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_is_read_once_from_front_to_back(tmp_path, monkeypatch, ending):
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
        """A file that knows how many bytes were asked of it."""

        taken = 0

        def read(self, size=-1):
            data = super().read(size)
            self.taken += len(data)
            return data

    watched = Watched(path)
    monkeypatch.setattr(archive, "progress", lambda file, path: watched)
    splits = load_dataset(path, size=(9, 8))
    assert length <= watched.taken <= length + 6  # the first bytes are looked at
    path.unlink()  # all that is needed lies in memory
    assert len(splits.train.batch(np.arange(3))[0]) == 3


@pytest.mark.parametrize("wrapper", ["pets/", "./", "./a/b/"])
def test_a_single_folder_around_everything_is_passed_over(tmp_path, wrapper):
    path = pack(tmp_path / "pets.tar", pets(at=wrapper))
    assert load_dataset(path, size=(9, 8)).train.classes == ("cat", "dog")
    parts = pets(at=f"{wrapper}train/") | pets(3, at=f"{wrapper}test/", start=100)
    path = pack(tmp_path / "parts.tar", parts)
    splits = load_dataset(path, size=(9, 8))
    assert [len(part) for part in splits] == [18, 2, 6]
    assert sorted(reds(splits.test)) == list(range(100, 106))


def test_hidden_members_do_not_count(tmp_path):
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
    ("member", "sentence"),
    [
        (header("cat/../../etc/x.png"), r'cat/../../etc/x.png has "\.\." in its path'),
        (header("/etc/x.png"), "/etc/x.png has an absolute path"),
        (header("cat/x.png", tarfile.SYMTYPE, "/etc/passwd"), "is a link to /etc/passwd"),
        (header("cat/x.png", tarfile.LNKTYPE, "cat/000.png"), "is a link to cat/000.png"),
        (header(".hidden", tarfile.SYMTYPE, "a"), "member .hidden is a link to a"),
        (header("cat/x.png", tarfile.CHRTYPE), "cat/x.png is neither a file nor a folder"),
        (header("cat/x.png", tarfile.FIFOTYPE), "cat/x.png is neither a file nor a folder"),
    ],
)
def test_a_dangerous_member_is_refused_by_name(tmp_path, member, sentence):
    path = pack(tmp_path / "pets.tar.gz", {**pets(3), member.name: member}, "w:gz")
    with pytest.raises(ValueError, match=f"{sentence}; expected nothing but files and") as caught:
        load_dataset(path, size=(9, 8))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_cut_archive_is_refused(tmp_path, ending):
    data = pack(tmp_path / f"pets{ending}", pets(4), ENDINGS[ending]).read_bytes()
    # A tar is padded with zeros to 10,240 bytes: cut it in its members, and where they end.
    end = len(data) if ending != ".tar" else len(data.rstrip(b"\0")) // 512 * 512
    lengths = np.random.default_rng(0).integers(0, end, 20).tolist()
    for length in [0, 1, 512, 1024, end // 2, end - 1, *lengths]:
        cut = tmp_path / f"cut{ending}"
        cut.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"is truncated|cannot be read as a tar") as caught:
            load_dataset(cut, size=(9, 8))
        assert str(cut) in str(caught.value)


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz", ".tar.bz2"])
def test_a_changed_byte_in_compressed_data_is_noticed(tmp_path, ending):
    data = pack(tmp_path / f"pets{ending}", pets(4), ENDINGS[ending]).read_bytes()
    for at in (len(data) // 3, len(data) // 2, len(data) - 6):
        changed = bytearray(data)
        changed[at] ^= 255
        path = tmp_path / f"changed{ending}"
        path.write_bytes(bytes(changed))
        with pytest.raises(ValueError, match=r"changed\.tar\.\w+ (is truncated|cannot be read)"):
            load_dataset(path, size=(9, 8))


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(tmp_path):
    data = bytearray(pack(tmp_path / "pets.tar", pets(8)).read_bytes())
    at = data.index(b"cat/003.png")
    data[at] ^= 1
    (tmp_path / "pets.tar").write_bytes(data)
    with pytest.raises(ValueError, match="it is cut or damaged, or no tar at all"):
        load_dataset(tmp_path / "pets.tar", size=(9, 8))


def test_other_files_are_no_archives(tmp_path):
    (tmp_path / "letter.tar").write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(ValueError, match=r"letter\.tar cannot be read as a tar archive: it is cut"):
        load_dataset(tmp_path / "letter.tar", size=(9, 8))
    (tmp_path / "photos.zip").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(ValueError, match="it is a ZIP archive; unpack it and name the folder"):
        load_dataset(tmp_path / "photos.zip", size=(9, 8))
    with pytest.raises(FileNotFoundError, match=r"image_archive: there is no file .*nothing\.tar"):
        image_archive(tmp_path / "nothing.tar", (9, 8))


def test_what_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    big = PNG + bytes(4992)
    path = pack(tmp_path / "pets.tar", {**pets(3), "cat/big.png": big})
    monkeypatch.setattr(archive, "MAX_BYTES", 4999)
    with pytest.raises(ValueError, match=r"cat/big\.png has 5,000 bytes; expected at most 4,999"):
        load_dataset(path, size=(9, 8))
    monkeypatch.setattr(archive, "MAX_BYTES", 5000)
    monkeypatch.setattr(archive, "MAX_ARCHIVE", 5000)
    with pytest.raises(ValueError, match=r"holds more than 5,000 bytes of images.* unpack it"):
        load_dataset(path, size=(9, 8))


def test_an_archive_keeps_no_more_than_the_first_bytes_of_what_is_no_image(tmp_path):
    members = {**pets(3), "cat/film.png": bytes(5_000_000), "cat/notes.txt": bytes(5_000_000)}
    folders = open_class_folders(pack(tmp_path / "pets.tar.gz", members, "w:gz"))
    assert len(folders.files["cat/film.png"].data) == 64
    assert len(folders.files["cat/notes.txt"].data) == 0
    assert folders.left_out() == {".txt": 1}
    assert list(folders.unreadable()) == ["cat/film.png"]


def test_an_archive_with_a_giant_extension_header_or_a_sparse_member_is_refused(tmp_path):
    """tarfile would read the header whole, and fill the holes of the member with zeros."""
    long = header("././@PaxHeader", tarfile.XHDTYPE)
    long.size = 3_000_000_000
    start = long.tobuf(tarfile.USTAR_FORMAT)
    sparse = header("cat/x.png", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT)
    for block, sentence in [(start, "header of 3,000,000,000 bytes"), (sparse, "a sparse file")]:
        path = tmp_path / "pets.tar"
        path.write_bytes(block + bytes(10_240))
        with pytest.raises(ValueError, match=sentence) as caught:
            open_class_folders(path)
        assert str(path) in str(caught.value)


def test_a_broken_image_in_an_archive_is_named(tmp_path):
    members = pets(10, at="train/") | pets(3, at="test/")
    members["test/dog/001.png"] = members["test/dog/001.png"][:-30]
    path = pack(tmp_path / "pets.tar", members)
    loader = DataLoader(load_dataset(path, size=(9, 8)).test, 2)
    with pytest.raises(ValueError, match=r"image 4 of .*pets\.tar/test/dog/001\.png is truncated"):
        list(loader)
    folders = open_class_folders(path)
    broken = folders.unreadable()
    assert list(broken) == ["test/dog/001.png"]
    assert broken["test/dog/001.png"].startswith("is truncated: it ends after")
    assert len(folders.splits((9, 8), skip=broken).test) == 5


@pytest.mark.parametrize(
    ("suffix", "name"), [(suffix, name) for suffix in DAMAGES for name in DAMAGES[suffix]]
)
def test_a_damaged_image_in_an_archive_is_named_and_can_be_left_out(tmp_path, suffix, name):
    damaged = DAMAGES[suffix][name](whole_file(suffix))
    path = pack(tmp_path / "pets.tar.gz", {**pets(5), f"cat/x{suffix}": damaged}, "w:gz")
    splits = load_dataset(path, size=(9, 8))
    with pytest.raises(ValueError, match=rf"gz/cat/x{suffix} is (damaged|truncated): "):
        [part.batch(np.arange(len(part))) for part in splits]
    folders = open_class_folders(path)
    broken = folders.unreadable()
    assert list(broken) == [f"cat/x{suffix}"]
    splits = folders.splits((9, 8), skip=broken)
    assert sorted(red for part in splits for red in reds(part)) == list(range(10))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({}, "has no class folders; expected at least two"),
        ({"a.png": png(0)}, "has no class folders, and 1 images that are in none"),
        ({"cat/a.png": png(0), "cat/b.png": png(1)}, "has the class folder 'cat' alone"),
        ({"pets/cat/a.png": png(0)}, "tar/pets has the class folder 'cat' alone"),
        ({**pets(3), "cow": None}, "cow has no images; expected files that end in"),
        (pets(3, at="test/"), r"has the folders \['test'\]; expected class folders only, or train"),
        ({"cat": b"", **pets(3)}, None),
    ],
)
def test_an_archive_in_disorder_raises_a_sentence(tmp_path, members, sentence):
    path = pack(tmp_path / "pets.tar", members)
    if sentence is None:  # a file that is no image is not looked at, whatever it is called
        assert len(load_dataset(path, size=(9, 8)).train) == 4
        return
    with pytest.raises(ValueError, match=sentence) as caught:
        load_dataset(path, size=(9, 8))
    assert str(path) in str(caught.value)
