"""Targets: published formats (IDX, CIFAR-10), image files, and tars of class folders."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from functools import cache
from pathlib import Path, PurePosixPath
from random import Random

import cv2
import numpy as np
from PIL import Image, ImageOps

from minivision.datasets import cifar
from minivision.datasets.archive import FIRST_BYTES, open_archive
from minivision.datasets.class_folders import is_image
from minivision.datasets.idx import TYPES, read_idx
from minivision.datasets.image_formats import may_be_image
from minivision.datasets.images import image_from_bytes
from tests.damage import SIGNATURE, chunk, opencv_saved, photograph, saved
from tests.fuzz.mutations import changed_bytes

# ── IDX ──────────────────────────────────────────────────────────────────────────────────────────


@cache
def zeros() -> bytes:
    """A gzip file that contains 1.5 GB of zeros, in 15 parts one after another."""
    return gzip.compress(bytes(100_000_000), mtime=0) * 15


def make_idx(rng: Random) -> bytes:
    if rng.random() < 1 / 300:
        header = struct.pack(">BBBBI", 0, 0, 8, 1, 5)
        return gzip.compress(header, mtime=0) + zeros()
    code = rng.choice(list(TYPES))
    shape = [rng.choice((0, 1, 2, 3, 5)) for _ in range(rng.choice((0, 1, 2, 3, 3, 5)))]
    numbers = rng.randbytes(int(np.prod(shape)) * np.dtype(TYPES[code]).itemsize)
    plain = struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + numbers
    if rng.random() < 0.5:
        plain = changed_bytes(rng, plain)
    if rng.random() < 0.5:
        return plain
    packed = gzip.compress(plain, mtime=0)
    return changed_bytes(rng, packed) if rng.random() < 0.5 else packed


def check_idx(made: bytes, folder: Path) -> None:
    (folder / "case.idx").write_bytes(made)
    array = read_idx(folder / "case.idx")
    plain = gzip.decompress(made) if made.startswith(b"\x1f\x8b") else made
    shape = struct.unpack_from(f">{plain[3]}I", plain, 4)
    assert array.shape == shape
    assert array.astype(TYPES[plain[2]]).tobytes() == plain[4 + 4 * len(shape) :]


# ── CIFAR ────────────────────────────────────────────────────────────────────────────────────────

RECORD = 1 + 3 * 32 * 32


def make_cifar(rng: Random) -> bytes:
    records = [bytes([rng.randrange(10)]) + rng.randbytes(RECORD - 1) for _ in range(4)]
    return changed_bytes(rng, b"".join(records))


def check_cifar(made: bytes, folder: Path) -> None:
    cifar.RECORDS = 4  # instead of 10,000, for speed
    images, labels = cifar.parse_records(made, "case.bin")
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        record = made[i * RECORD : (i + 1) * RECORD]
        assert label == record[0]
        assert image.transpose(2, 0, 1).tobytes() == record[1:]


# ── images ───────────────────────────────────────────────────────────────────────────────────────


@cache
def image_files() -> list[bytes]:
    """One file of each kind that Pillow and OpenCV can write."""
    colour, grey = photograph(17, 23), photograph(17, 23)[:, :, 0]
    palette = Image.fromarray(colour).quantize(32)
    clear = np.dstack([colour, grey])
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [opencv_saved(colour, suffix) for suffix in (".png", ".bmp", ".jpg")]
    files += [saved(picture, kind) for picture in (colour, grey) for kind in ("PNG", "BMP", "JPEG")]
    files += [
        saved(palette, "PNG"), saved(palette, "BMP"), saved(clear, "PNG"),
        saved(palette, "PNG", transparency=3), saved(grey, "PNG", transparency=100),
        saved(grey.astype(np.uint16) * 257, "PNG"), saved(grey > 100, "PNG"),
        cv2.imencode(".png", clear.astype(np.uint16) * 257)[1].tobytes(),
        saved(colour, progressive=True), saved(colour, exif=exif), saved(colour, subsampling=0),
        saved(Image.fromarray(colour).convert("CMYK")), saved(colour, "WEBP"),
        saved(colour, "TIFF"), saved(colour, "TIFF", compression="tiff_lzw"), saved(clear, "WEBP"),
        saved(palette, "GIF"), saved(colour, "PPM"), saved(clear, "TIFF"),
    ]  # fmt: skip
    return files


@cache
def large_png() -> bytes:
    """The largest image that is accepted, with four 16-bit numbers per pixel."""
    W = H = 8000
    header = struct.pack(">IIBBBBB", W, H, 16, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(H * (1 + 8 * W)), 1)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(*parts) for parts in chunks)


def make_image(rng: Random) -> bytes:
    data, other = rng.choice(image_files()), rng.choice(image_files())
    if rng.random() < 1 / 2000:
        return large_png()
    if not data.startswith(SIGNATURE) or rng.random() < 0.3:
        return changed_bytes(rng, data, other)
    chunks = []  # the type and content of each chunk in a PNG
    at = len(SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    i = rng.randrange(len(chunks))
    kind, content = chunks[i]
    if kind == b"IDAT" and rng.random() < 0.5:
        content = zlib.compress(changed_bytes(rng, zlib.decompress(content)))
    else:
        content = changed_bytes(rng, content)
    chunks[i] = (kind, content)
    if rng.random() < 0.2:
        chunks.insert(rng.randrange(len(chunks)), rng.choice(chunks))
    return SIGNATURE + b"".join(chunk(*parts) for parts in chunks)


def check_image(made: bytes, folder: Path) -> None:
    image = image_from_bytes(made, "case.png", 3)
    assert image.dtype == np.uint8
    if image.size > 10_000_000:  # checking more would take too long
        return
    grey = image_from_bytes(made, "case.png", 1)
    assert grey.shape == (*image.shape[:2], 1)
    try:
        picture = Image.open(io.BytesIO(made))
        picture.load()
    except Exception:  # Pillow is sometimes stricter, and raises many kinds
        return
    if picture.format == "PNG" and (picture.mode not in ("L", "RGB", "P") or picture.info):
        assert image.shape[1::-1] == picture.size
    elif picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        assert image.shape[1::-1] == ImageOps.exif_transpose(picture).size
    else:
        theirs = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        assert image.shape == theirs.shape
        assert cv2.absdiff(image, theirs).max() <= 2


# ── archives ─────────────────────────────────────────────────────────────────────────────────────


@cache
def archives() -> list[bytes]:
    """Tars of class folders in each format, with short names and with long ones."""
    found = []
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        for long in (False, True):
            file = io.BytesIO()
            with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
                for name in ("photos", "photos/cat", "photos/dog"):
                    folder = tarfile.TarInfo(name)
                    folder.type = tarfile.DIRTYPE
                    tar.addfile(folder)
                for i, data in enumerate(image_files()[:4]):
                    middle = "x/" * 60 if long and kind != tarfile.USTAR_FORMAT else ""
                    member = tarfile.TarInfo(f"photos/{'cat' if i % 2 else 'dog'}/{middle}{i}é.png")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            found.append(file.getvalue())
    return found


def with_checksums(data: bytes) -> bytes:
    """The tar with correct checksums in its headers."""
    blocks = bytearray(data)
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            blocks[at + 148 : at + 156] = b" " * 8
            blocks[at + 148 : at + 156] = b"%06o\0 " % sum(blocks[at : at + 512])
    return bytes(blocks)


def make_tar(rng: Random) -> bytes:
    data = rng.choice(archives())
    if rng.random() < 1 / 300:
        # A long member before the others: a note, a name, the name of a link, or a hole.
        member = tarfile.TarInfo("photos/cat/long.png")
        member.size, member.type = 1_500_000_000, rng.choice((b"x", b"L", b"K", b"S"))
        return gzip.compress(member.tobuf(), mtime=0) + zeros() + gzip.compress(data, mtime=0)
    if rng.random() < 0.6:  # change a header
        headers = [i for i in range(0, len(data), 512) if data[i + 257 : i + 262] == b"ustar"]
        at = rng.choice(headers)
        fields = ((0, 100), (100, 8), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155))
        start, width = rng.choice(fields)
        words = (b"/", b"../x", b"777777777777", b"\x80" + b"\xff" * 11, b"-1", b"\0", b"7", b"S")
        field = data[at + start : at + start + width]
        field = rng.choice(words) if rng.random() < 0.5 else changed_bytes(rng, field)
        field = field[:width].ljust(width, b"\0")
        data = data[: at + start] + field + data[at + start + width :]
    else:
        data = changed_bytes(rng, data)
    data = with_checksums(data) if rng.random() < 0.8 else data
    match rng.randrange(4):
        case 0:
            return gzip.compress(data, mtime=0)
        case 1:
            return changed_bytes(rng, gzip.compress(data, mtime=0))
    return data


def check_tar(made: bytes, folder: Path) -> None:
    path = folder / "case.tar"
    path.write_bytes(made)
    images = open_archive(path).images()
    try:
        with tarfile.open(path) as tar:  # if members have the same name, the last one counts
            expected = {
                "/".join(PurePosixPath(member.name).parts): tar.extractfile(member).read()
                for member in tar
                if member.isreg() and is_image(member.name)
            }
    except (tarfile.TarError, OSError, ValueError, EOFError, zlib.error):
        return
    for file in images.values():
        whole = expected[file.name.removeprefix(f"{path}/")]
        only_start = len(file.data) == FIRST_BYTES and not may_be_image(file.data)
        assert file.data == (whole[:FIRST_BYTES] if only_start else whole)


def image_bytes(data: bytes) -> int:
    """The size in bytes of the image that a file states, with four 16-bit numbers per pixel."""
    try:
        W, H = Image.open(io.BytesIO(data)).size
    except Exception:  # Pillow raises many kinds
        return 0
    return min(W * H, 64_000_000) * 8
