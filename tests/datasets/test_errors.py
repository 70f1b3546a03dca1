"""What the messages of datasets name: the function, the argument, the value, what was expected.

Rows are in the reading order of the package. Errors that need files are in the other tests.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from minivision.datasets import (
    ArrayDataset,
    DataLoader,
    OnlyClasses,
    ShapeDataset,
    Subset,
    image_archive,
    image_folder,
    load_dataset,
    read_image,
    stratified_indices,
)
from minivision.datasets.class_folders import ClassFolders
from minivision.datasets.download import RemoteFile, load_file
from minivision.datasets.file_dataset import FileDataset, Member
from minivision.datasets.idx import decompress, parse_idx, read_idx
from minivision.datasets.image_formats import PNG
from minivision.datasets.images import image_from_bytes
from minivision.transforms import Compose, RandomTranslate, Resize, ToArray
from tests.damage import chunk, encode, photograph, saved, smooth_image
from tests.refusals import refused, table_of_errors

HERE = Path(__file__).parent
IMAGES = np.zeros((2, 4, 5, 1), np.uint8)
DATA = ArrayDataset(np.zeros((10, 4, 5, 1), np.uint8), np.arange(10) % 3, ("ant", "bee", "cat"))
MEMBER = Member("cat.png", encode(smooth_image()))
IDX = b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03" + bytes(range(6))  # 2x3 numbers
GZIP = gzip.compress(bytes(range(256)) * 40)


def array_dataset(labels, classes):
    return ArrayDataset(IMAGES, np.array(labels), classes)


def split(*names, empty=(), skip=()):
    """The splits of image files, or others, with these names."""
    files = {name: Member(name, b"") for name in names}
    return ClassFolders("image_folder", Path("pets"), files, empty).splits((5, 7), skip=skip)


def pets(folder="", classes="ab"):
    return [f"{folder}{c}/{i}.png" for c in classes for i in range(3)]


def changed(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def with_subsampling(data, code):
    """A JPEG whose first component has this sampling factor."""
    return changed(data, data.index(b"\xff\xc0\x00\x11") + 11, code)


def png_header(W, H):
    return PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 0, 0, 0, 0))


class Growing:
    """Four images, each larger than the one before."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.zeros((3 + index, 4, 1), np.uint8), index


def batches(transform, workers=0):
    return list(DataLoader(DATA, 2, transform=transform, workers=workers))


@table_of_errors(
    # ── array datasets and subsets
    (lambda: ArrayDataset(IMAGES / 1, [0, 0], ("a",)), ValueError,
     "ArrayDataset: images", "float64 (2, 4, 5, 1)", "uint8"),
    (lambda: ArrayDataset(IMAGES[..., 0], [0, 0], ("a",)), ValueError,
     "ArrayDataset: images", "uint8 (2, 4, 5)", "(N, H, W, C)"),
    (lambda: array_dataset([0.0, 0.0], ("a",)), ValueError,
     "ArrayDataset: labels", "float64 (2,)", "integers"),
    (lambda: array_dataset([[0], [0]], ("a",)), ValueError,
     "ArrayDataset: labels", "int64 (2, 1)", "(N,)"),
    (lambda: array_dataset([0], ("a",)), ValueError, "ArrayDataset", "2 images", "1 labels"),
    (lambda: array_dataset([0, 1], ("a",)), ValueError,
     "ArrayDataset: labels", "0 to 1", "0 to 0", "1 classes"),
    (lambda: array_dataset([-1, 0], ("a",)), ValueError,
     "ArrayDataset: labels", "-1 to 0", "0 to 0"),
    (lambda: array_dataset([0, 1], ("a", "a")), ValueError,
     "ArrayDataset: classes", "('a', 'a')", "distinct"),
    (lambda: array_dataset([0, 1], (0, 1)), ValueError,
     "ArrayDataset: classes", "(0, 1)", "strings"),
    (lambda: array_dataset([0, 1], "ab"), ValueError,
     "ArrayDataset: labels", "from 0 to 1", "0 to 0"),
    (lambda: DATA[10], IndexError, "ArrayDataset: index is 10", "10 examples"),
    (lambda: DATA[-11], IndexError, "ArrayDataset: index", "-11", "10 examples"),
    (lambda: DATA[1:2], TypeError, "ArrayDataset: index", "slice(1, 2, None)", "integer", "Subset"),
    (lambda: Subset(DATA, [1, 2])[1:2], TypeError,
     "Subset: index", "slice(1, 2, None)", "integer", "batch"),
    (lambda: Subset(DATA, [0, 10]), ValueError, "Subset: indices", "0 to 10", "0 to 9"),
    (lambda: Subset(DATA, [-1, 3]), ValueError, "Subset: indices", "-1 to 3", "0 to 9"),
    (lambda: Subset(DATA, [0.0, 1.0]), ValueError, "Subset: indices", "float64 (2,)", "integers"),
    (lambda: Subset(DATA, [[0, 1]]), ValueError, "Subset: indices", "int64 (1, 2)", "(M,)"),
    (lambda: Subset(DATA, [True, False]), ValueError,
     "Subset: indices", "bool (2,)", "np.flatnonzero(mask)"),
    # ── splits and single classes
    (lambda: stratified_indices(np.zeros(4), (2, 2)), ValueError,
     "stratified_indices: labels", "float64 (4,)", "integers"),
    (lambda: stratified_indices(DATA.labels, (6, 5)), ValueError,
     "stratified_split: sizes", "[6, 5]", "11", "at most 10"),
    (lambda: stratified_indices(DATA.labels, (0.6, 0.5)), ValueError,
     "stratified_split: sizes", "[0.6, 0.5]", "at most 1.0"),
    (lambda: stratified_indices(DATA.labels, (5, 0.5)), ValueError,
     "stratified_split: sizes", "[5, 0.5]", "(1000, 100)", "(0.8, 0.2)"),
    (lambda: stratified_indices(DATA.labels, ("5",)), ValueError,
     "stratified_split: sizes", "['5']", "(1000, 100)"),
    (lambda: stratified_indices(DATA.labels, (-1, 5)), ValueError,
     "stratified_split: sizes", "[-1, 5]", "non-negative"),
    (lambda: stratified_indices(DATA.labels, (np.nan, 0.5)), ValueError,
     "stratified_split: sizes", "nan", "non-negative"),
    (lambda: OnlyClasses(DATA, ("cow",)), ValueError,
     "OnlyClasses: classes", "('cow',)", "ant, bee, cat"),
    (lambda: OnlyClasses(DATA, ()), ValueError, "OnlyClasses: classes", "()", "ant, bee, cat"),
    (lambda: OnlyClasses(DATA, ("ant", "ant")), ValueError,
     "OnlyClasses: classes", "('ant', 'ant')", "distinct"),
    # ── shapes
    (lambda: ShapeDataset(3, position=(0.7, 0.3)), ValueError,
     "ShapeDataset: position", "(0.7, 0.3)", "(low, high)"),
    (lambda: ShapeDataset(3, position=(-0.1, 0.3)), ValueError,
     "ShapeDataset: position", "(-0.1, 0.3)", "0 and 1"),
    (lambda: ShapeDataset(3, scale=(0.1, 0.3)), ValueError,
     "ShapeDataset: scale", "(0.1, 0.3)", "0.156 and 1", "5 pixels"),
    (lambda: ShapeDataset(3, scale=0.5), ValueError, "ShapeDataset: scale", "0.5", "tuple"),
    (lambda: ShapeDataset(3, brightness=(0.5, float("nan"))), ValueError,
     "ShapeDataset: brightness", "nan", "0 and 1"),
    (lambda: ShapeDataset(3, clutter=(0, 1, 2)), ValueError,
     "ShapeDataset: clutter", "(0, 1, 2)", "(low, high)"),
    (lambda: ShapeDataset(3, clutter=(-1, 2)), ValueError,
     "ShapeDataset: clutter", "(-1, 2)", "0 and 1e+03"),
    (lambda: ShapeDataset(3, angle=("0", "90")), ValueError,
     "ShapeDataset: angle", "('0', '90')", "tuple"),
    (lambda: ShapeDataset(3, size=32), ValueError, "ShapeDataset: size", "32", "(H, W)"),
    (lambda: ShapeDataset(3, seed=-1), ValueError, "ShapeDataset: seed", "-1", ">= 0"),
    (lambda: ShapeDataset(3, first=0.5), ValueError, "ShapeDataset: first", "0.5", "integer"),
    # ── IDX files and downloads
    (lambda: parse_idx(b"", "labels"), ValueError, "labels", "IDX", "nothing"),
    (lambda: parse_idx(b"\x89PNG....", "labels"), ValueError, "labels", "IDX", "89 50 4e 47"),
    (lambda: parse_idx(b"\0\0\x07\x01\0\0\0\0", "labels"), ValueError,
     "labels", "0x07", "0x08, 0x09"),
    (lambda: parse_idx(IDX[:9], "labels"), ValueError,
     "labels", "truncated", "2 axes", "12 bytes", "has 9"),
    (lambda: parse_idx(IDX[:-1], "labels"), ValueError,
     "labels", "truncated", "(2, 3) uint8", "18 bytes", "17"),
    (lambda: parse_idx(IDX + b"xx", "labels"), ValueError,
     "labels", "extra bytes", "18 bytes", "more"),
    (lambda: parse_idx(b"\0\0\x08\x04" + b"\xff" * 16, "labels"), ValueError,
     "labels", "truncated", "4294967295"),
    (lambda: parse_idx(gzip.compress(b"\0\0\x08\xff" + b"\xff" * 1020), "labels.gz"), ValueError,
     "labels.gz", "truncated", "4294967295"),
    (lambda: parse_idx(b"\0\0\x08\x41" + bytes(4 * 65), "labels"), ValueError,
     "labels", "NumPy", "(0, 0, 0"),
    (lambda: decompress(GZIP[:-9], "x.gz", 20_000), ValueError, "x.gz", "truncated", "gzip"),
    (lambda: decompress(changed(GZIP, len(GZIP) - 6, b"?"), "sum.gz", 20_000), ValueError,
     "sum.gz", "damaged", "gzip"),
    (lambda: decompress(changed(GZIP, 10, b"\xff" * 10), "x.gz", 20_000), ValueError,
     "x.gz", "damaged", "gzip"),
    (lambda: read_idx(HERE / "nothing"), FileNotFoundError, "nothing", "No such file"),
    (lambda: load_file("set", RemoteFile("a.gz", "", ""), HERE / "typo"), ValueError,
     "data_dir", "typo", "folder"),
    # ── image files
    (lambda: read_image(HERE / "nothing.png"), FileNotFoundError,
     "read_image", str(HERE / "nothing.png")),
    (lambda: read_image(HERE), ValueError, "read_image", str(HERE), "a folder"),
    (lambda: read_image(HERE, channels=4), ValueError, "read_image: channels is 4", "3", "1"),
    *[
        (lambda data=data: image_from_bytes(data, "a.png"), ValueError,
         "read_image: a.png", *fragments)
        for data, *fragments in [
            (b"", "empty"),
            (b"a letter", "61 20 6c 65 74 74 65 72", "PNG, JPEG, BMP, WEBP"),
            (b"GIF89a..", "damaged", "GIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC", "JPEG"),
            (b"\n<!DOCTYPE html><html>", "HTML"),
            (b"<svg xmlns=", "XML", "PNG"),
            (b"%PDF-1.7", "PDF"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS", "git lfs pull"),
            (encode(smooth_image())[:-12], "truncated", "bytes", "IEND"),
            (encode(smooth_image())[:-20], "truncated", "bytes", "'IDAT'"),
            (changed(encode(smooth_image()), 200, b"??"), "damaged", "checksum", "'IDAT'"),
            (png_header(4, 3) + chunk(b"IDAT", b"no pixels") + chunk(b"IEND", b""),
             "damaged", "pixels", "incorrect header check"),
            (png_header(100_000, 50_000) + chunk(b"IEND", b""), "50000 x 100000", "64,000,000"),
            (encode(smooth_image(), ".jpg")[:-2], "truncated", "bytes", "end marker"),
            (encode(smooth_image(), ".jpg")[:30], "truncated", "30 bytes", "header"),
            (changed(encode(smooth_image(), ".jpg"), 20, b"\0\0"), "damaged", "marker", "byte 20"),
            (b"\xff\xd8\xff\xda\x00\x02\xff\xd9", "damaged", "header", "size"),
            (with_subsampling(saved(photograph(64, 64)), b"\x42"), "subsampling", "save it again"),
            (encode(smooth_image(), ".bmp")[:-1], "truncated", "7253 of the 7254 bytes"),
            (b"BM" + struct.pack("<IIIIii", 26, 0, 26, 40, 90_000, -80_000), "80000 x 90000"),
            (saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "32-bit", "8 bits"),
        ]
    ],
    # ── folders and archives of images
    (lambda: FileDataset([MEMBER], [0], ("cat",), None).batch([0]), ValueError,
     "FileDataset: size", "None", "one image at a time"),
    (lambda: image_folder(HERE / "nothing", (5, 7)), FileNotFoundError,
     "image_folder", str(HERE / "nothing")),
    (lambda: image_folder(HERE, 32), ValueError, "image_folder: size", "32", "tuple"),
    (lambda: image_folder(HERE, (5, 7), channels=2), ValueError,
     "image_folder: channels is 2", "3", "1"),
    (lambda: image_archive(HERE / "nothing.tar", (5, 7)), FileNotFoundError,
     "image_archive", str(HERE / "nothing.tar")),
    (lambda: split(), ValueError, "image_folder: pets", "no class folders", "two"),
    (lambda: split("1.png", "2.png", "3.png"), ValueError, "image_folder: pets", "3 images", "two"),
    (lambda: split(*pets(classes="a")), ValueError,
     "image_folder: pets", "only the class folder 'a'", "two"),
    (lambda: split(*pets("all/", "a")), ValueError, "image_folder: pets/all", "'a'", "two"),
    (lambda: split(*pets(), empty=["c"]), ValueError,
     "image_folder: pets/c", "no images", ".png, .jpg"),
    (lambda: split(*pets(), "c/1.heic", "c/2.heic"), ValueError,
     "image_folder: pets/c", "2 .heic", ".png"),
    (lambda: split(*pets(), skip=pets()[:3]), ValueError, "image_folder: pets/a", "3", "left out"),
    (lambda: split("a/1.png", "b/1.png"), ValueError,
     "image_folder: pets", "2 images", "train, validation and test"),
    (lambda: split(*pets("train/"), *pets("test/", "ac")), ValueError,
     "image_folder: pets/test", "'c'", "a, b"),
    (lambda: split(*pets("test/")), ValueError,
     "image_folder: pets", "['test']", "train", "validation"),
    (lambda: split(*pets("train/"), *pets("more/")), ValueError,
     "image_folder: pets", "['more', 'train']", "class folders"),
    (lambda: split(*pets("train/"), *pets("Training/")), ValueError,
     "image_folder: pets", "['Training', 'train']"),
    (lambda: split(*pets("train/"), empty=["test"]), ValueError,
     "image_folder: pets/test", "class folders"),
    *[
        (lambda name=name: split(name), ValueError,
         "image_folder: pets", *fragments, "MINIVISION_DATA")
        for name, *fragments in [
            ("train-labels-idx1-ubyte", "--dataset mnist or fashion_mnist"),
            ("MNIST/raw/t10k-labels.idx1-ubyte", "'raw'", "--dataset mnist or fashion_mnist"),
            ("cifar-10-python.tar.gz", "--dataset cifar10"),
            ("cifar-10-batches-py/data_batch_1", "'cifar-10-batches-py'", "--dataset cifar10"),
        ]
    ],
    (lambda: load_dataset("mnits"), ValueError, "load_dataset", '"mnits"', "digits, shapes, mnist"),
    (lambda: load_dataset(HERE), ValueError,
     "load_dataset: size", "None", str(HERE), "size=(H, W)"),
    (lambda: load_dataset("digits", size=(32, 32)), ValueError,
     "load_dataset: size", "(32, 32)", "'digits'", "Resize"),
    # ── the loader
    (lambda: DataLoader(DATA, 0), ValueError, "DataLoader: batch_size is 0", ">= 1"),
    (lambda: DataLoader(DATA, 2.0), ValueError, "DataLoader: batch_size", "2.0", "integer"),
    (lambda: DataLoader(DATA, True), ValueError, "DataLoader: batch_size", "True", "integer"),
    (lambda: DataLoader(DATA, 2, seed=-1), ValueError, "DataLoader: seed", "-1", ">= 0"),
    (lambda: DataLoader(DATA, 2, seed=None), ValueError, "DataLoader: seed", "None"),
    (lambda: DataLoader(DATA, 2, workers=-1), ValueError, "DataLoader: workers", "-1"),
    (lambda: DataLoader(DATA, 2)(-1), ValueError, "DataLoader: epoch", "-1"),
    (lambda: DataLoader(Subset(DATA, []), 2), ValueError, "DataLoader: dataset", "empty"),
    (lambda: DataLoader(DATA, 11, drop_last=True), ValueError,
     "DataLoader: batch_size", "11", "10 examples", "drop_last=True"),
    *[
        (lambda t=t, w=w: batches(t, w), ValueError, "DataLoader: image 0", *told, *fragments)
        for w, *told in [(0,), (2, "dataset")]
        for t, *fragments in [
            (Compose([RandomTranslate(1)]), "uint8 (4, 5, 1)", "float32 (C, H, W)", "ToArray()"),
            (lambda image, rng: 3, "an int", "float32"),
            (Compose([ToArray(), Resize((2, 2))]), "Resize: image", "float32"),
        ]
    ],
    (lambda: batches(Compose([])), ValueError,
     "transform", "uint8 (2, 4, 5, 1)", "float32 (N, C, H, W)", "ToArray()"),
    (lambda: list(DataLoader(Growing(), 2)), ValueError,
     "DataLoader: image 1", "(1, 4, 4)", "image 0", "(1, 3, 4)", "Resize((H, W))"),
)  # fmt: skip
def test_datasets_name_what_is_wrong(call, error, fragments):
    with refused(error, *fragments):
        call()
