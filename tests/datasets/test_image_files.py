"""Tests of read_image and image_folder, on real files that are whole, cut, damaged or absurd."""

import io
import re
import shutil
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minivision.datasets import (
    DataLoader,
    decoded,
    image_folder,
    images,
    load_dataset,
    open_class_folders,
    read_image,
)
from minivision.datasets.file_dataset import FileDataset, Member
from minivision.datasets.image_formats import ADAM7, PNG, image_size
from minivision.datasets.images import image_from_bytes
from minivision.datasets.unlabelled import unlabelled_folder
from minivision.transforms import Compose, RandomResizedCrop, Resize, ToArray
from tests.damage import (
    DAMAGES,
    chunk,
    opencv_saved,
    photograph,
    png_of,
    saved,
    whole_file,
)


def smooth_image(H=40, W=60):
    y, x = np.mgrid[0:H, 0:W]
    return np.stack([4 * x, 255 - 6 * y, 2 * (x + y)], axis=2).clip(0, 255).astype(np.uint8)


def encode(image, suffix=".png"):
    """An RGB (or grey, or RGBA) image as the bytes of a file."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[image.shape[2]]
    done, data = cv2.imencode(suffix, image[:, :, order])
    assert done
    return data.tobytes()


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("suffix", "error"), [(".png", 0), (".bmp", 0), (".jpg", 12)])
def test_an_image_comes_back_in_rgb(tmp_path, suffix, error):
    image = smooth_image()
    read = read_image(write(tmp_path / f"ä{suffix}", encode(image, suffix)))
    assert read.dtype == np.uint8
    assert read.shape == (40, 60, 3)
    assert read.flags.c_contiguous
    assert np.abs(read.astype(int) - image).max() <= error


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_a_colour_image_is_read_as_grey_when_asked(tmp_path, suffix):
    image = smooth_image()
    read = read_image(write(tmp_path / "x", encode(image, suffix)), channels=1)
    assert read.shape == (40, 60, 1)
    grey = image @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read[:, :, 0], grey, atol=1 if suffix != ".jpg" else 4)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_a_grey_file_has_three_equal_channels_or_one(tmp_path, suffix):
    path = write(tmp_path / "x", encode(smooth_image()[:, :, :1], suffix))
    colour, grey = read_image(path), read_image(path, channels=1)
    assert grey.shape == (40, 60, 1)
    for c in range(3):
        np.testing.assert_array_equal(colour[:, :, c], grey[:, :, 0])


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    image = np.array([[[0], [257], [32896], [65535]]], np.uint16)
    read = read_image(write(tmp_path / "x.png", encode(image)), channels=1)
    assert read[0, :, 0].tolist() == [0, 1, 128, 255]


def test_what_is_transparent_is_laid_on_white(tmp_path):
    image = np.array([[[100, 0, 50, 255], [100, 0, 50, 0], [100, 0, 50, 51]]], np.uint8)
    read = read_image(write(tmp_path / "x.png", encode(image)))
    assert read[0].tolist() == [[100, 0, 50], [255, 255, 255], [224, 204, 214]]


def test_a_photograph_is_turned_as_its_camera_noted(tmp_path):
    jpeg = encode(smooth_image(), ".jpg")
    # An EXIF segment with one entry: orientation (0x0112) is 6, a quarter turn.
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0" * 4
    body = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    upright = read_image(write(tmp_path / "a.jpg", jpeg))
    turned = read_image(write(tmp_path / "b.jpg", jpeg[:2] + segment + jpeg[2:]))
    np.testing.assert_array_equal(turned, np.rot90(upright, -1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_photograph_in_another_format_is_turned_too(tmp_path, kind):
    notes = Image.Exif()
    notes[0x0112] = 6
    image, options = smooth_image(), {"lossless": True} if kind == "WEBP" else {}
    read = read_image(write(tmp_path / "a", saved(image, kind, exif=notes, **options)))
    np.testing.assert_array_equal(read, np.rot90(image, -1))


OTHERS = [
    ("WEBP", {"lossless": True}), ("WEBP", {"quality": 90}), ("TIFF", {}), ("GIF", {}),
    ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "jpeg"}), ("AVIF", {}), ("PPM", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), OTHERS)
def test_other_formats_have_pillows_pixels_and_are_refused_if_cut(tmp_path, kind, options):
    data = saved(photograph(40, 30), kind, **options)
    # The name says JPEG; the content decides.
    read = read_image(write(tmp_path / "a.jpg", data))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(read, expected)
    for length in {*range(1, len(data), 97), len(data) - 3}:
        path = write(tmp_path / "b", data[:length])
        with pytest.raises(ValueError, match=re.escape(f"read_image: {path} ")):
            read_image(path)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_become_white_in_every_format(tmp_path, kind):
    image = np.full((6, 5, 4), (100, 0, 50, 255), np.uint8)
    image[:3, :, 3] = 0
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    read = read_image(write(tmp_path / "a", saved(image, kind, **options)))
    assert (read[:3] == 255).all()
    assert (read[3:] == (100, 0, 50)).all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_a_colour_that_a_png_declares_transparent_becomes_white(tmp_path, mode):
    shades = np.array([[0, 0, 255, 255], [0, 255, 0, 255]], np.uint8)
    image = Image.fromarray(shades).convert(mode)
    clear = (0, 0, 0) if mode == "RGB" else image.getpixel((0, 0))
    read = read_image(write(tmp_path / "a.png", saved(image, "PNG", transparency=clear)))
    assert (read == 255).all()


@pytest.mark.parametrize(("depth", "clear"), [(1, 1), (2, 3), (4, 9), (8, 200), (16, 51_400)])
def test_a_transparent_grey_is_found_at_every_depth(depth, clear):
    pixels = np.array([[[clear], [0]]])
    header = struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0)
    data = png_of(header, zlib.compress(packed_rows(pixels, depth)))
    transparent = data[:33] + chunk(b"tRNS", struct.pack(">H", clear)) + data[33:]
    assert read(transparent)[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_picture_of_twelve_bits_in_sixteen_is_refused_rather_than_read_black(tmp_path, kind):
    def file(brightest):
        image = np.linspace(0, brightest, 24).astype(np.uint16).reshape(4, 6)
        return write(tmp_path / "x", saved(Image.fromarray(image), kind))

    with pytest.raises(ValueError, match="is nearly black: its 16-bit numbers go only to 4095"):
        read_image(file(4095))
    assert read_image(file(65535)).max() == 255
    assert read_image(file(0)).max() == 0


def test_numbers_of_32_bits_are_refused(tmp_path):
    data = saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(ValueError, match="has numbers of 32 bits"):
        read_image(write(tmp_path / "x.tif", data))


def test_sixteen_bits_and_transparency_take_little_more_than_the_pixels():
    """8 bytes per pixel are decoded, 4 of them scaled, 3 laid on white; no fractions of all."""
    H = W = 2000
    rows = zlib.compress((b"\0" + b"\xff" * 8 * W) * H, 1)
    data = png_of(struct.pack(">IIBBBBB", W, H, 16, 6, 0, 0, 0), rows)
    tracemalloc.start()
    assert (read(data) == 255).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < H * W * (8 + 4 + 4 + 3) + 8_000_000


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
@given(st.integers(0, 10_000))
def test_every_cut_file_is_refused(tmp_path_factory, suffix, seed):
    data = encode(smooth_image(), suffix)
    length = int(np.random.default_rng(seed).integers(len(data)))
    path = write(tmp_path_factory.mktemp("cut") / "x", data[:length])
    with pytest.raises(ValueError, match=r"x (is|begins)") as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "keep", "sentence"),
    [
        (".jpg", -2, "is truncated: it ends after .* bytes without an end marker"),
        (".jpg", 30, "is truncated: it ends after 30 bytes, in a header"),
        (".png", -12, "is truncated: it ends after .* bytes without an IEND chunk"),
        (".png", -20, "is truncated: it ends after .* bytes, in a chunk 'IDAT'"),
        (".bmp", -1, "is truncated: it has .* of the .* bytes it promises"),
    ],
)
def test_the_sentence_says_where_a_file_ends(tmp_path, suffix, keep, sentence):
    path = write(tmp_path / f"cut{suffix}", encode(smooth_image(), suffix)[:keep])
    with pytest.raises(ValueError, match=sentence) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_opencv_alone_would_read_a_cut_photograph_as_a_whole_one(tmp_path):
    path = write(tmp_path / "cut.jpg", encode(smooth_image(), ".jpg")[:-40])
    assert cv2.imread(str(path)).shape == (40, 60, 3)


def header(W, H):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 0, 0, 0, 0))


def damaged_png():
    data = bytearray(encode(smooth_image()))
    data[len(data) // 2] ^= 255
    return bytes(data)


def damaged_jpeg():
    data = encode(smooth_image(), ".jpg")
    return data[:20] + b"\x00\x00" + data[22:]  # where the second segment begins


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"a letter", "begins with 61 20 6c 65 74 74 65 72; expected one of PNG, JPEG, BMP, WEBP"),
        (b"GIF89a..", "is damaged: Pillow cannot open this GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "is a HEIC picture; save it as a JPEG"),
        (b"\n<!DOCTYPE html><html>", "is an HTML page, perhaps the error page of a download"),
        (b"<svg xmlns=", "is a drawing or text in XML; save it as a PNG"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"version https://git-lfs.github.com/spec/v1", "is a placeholder of Git LFS"),
        (damaged_png(), "is damaged: the checksum of its chunk 'IDAT' is wrong"),
        (damaged_jpeg(), "is damaged: no JPEG marker at byte 20"),
        (b"\xff\xd8\xff\xda\x00\x02\xff\xd9", "is damaged: its JPEG header does not state a size"),
        (
            PNG + header(4, 3) + chunk(b"IDAT", b"no pixels") + chunk(b"IEND", b""),
            "is damaged: its pixels cannot be decompressed: .* incorrect header check",
        ),
        (
            PNG + header(100_000, 50_000) + chunk(b"IEND", b""),
            "has 50000 x 100000 pixels; expected at most 64,000,000 in all",
        ),
        (
            b"BM" + struct.pack("<IIIIii", 26, 0, 26, 40, 90_000, -80_000),
            "has 80000 x 90000 pixels",
        ),
    ],
)
def test_a_broken_file_raises_a_sentence_with_its_name(tmp_path, data, sentence):
    path = write(tmp_path / "broken", data)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_the_size_is_read_from_the_header(suffix):
    assert image_size(encode(smooth_image(7, 19), suffix)) == (7, 19)


def test_a_missing_file_a_folder_and_odd_channels_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="is a folder; expected an image file"):
        read_image(tmp_path)
    with pytest.raises(ValueError, match=r"channels is 4; expected 3 \(RGB\) or 1 \(grey\)"):
        read_image(tmp_path, channels=4)


def opencv_read(data):
    """What OpenCV alone reads, in RGB."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def read(data):
    return image_from_bytes(data, "x")


SIZES = [(1, 1), (1, 9), (9, 1), (17, 16), (28, 28), (33, 47), (96, 65)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("quality", [30, 75, 95, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_pillows_has_opencvs_pixels(size, quality, progressive):
    image = photograph(*size)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        # Pillow reserves too few bytes for a tiny image unless it optimizes.
        data = saved(
            image, quality=quality, progressive=progressive, subsampling=subsampling,
            optimize=True, restart_marker_blocks=2,
        )  # fmt: skip
        np.testing.assert_array_equal(read(data), opencv_read(data))
    grey = saved(image[:, :, 0], quality=quality, progressive=progressive, optimize=True)
    np.testing.assert_array_equal(read(grey), opencv_read(grey))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("sampling", ["411", "420", "422", "440", "444"])
@pytest.mark.parametrize("options", [(), ("PROGRESSIVE", 1), ("RST_INTERVAL", 1), ("OPTIMIZE", 1)])
def test_a_jpeg_of_opencvs_has_opencvs_pixels(size, sampling, options):
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    options = [getattr(cv2, f"IMWRITE_JPEG_{options[0]}"), 1] if options else []
    data = opencv_saved(
        photograph(*size), ".jpg", cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, *options
    )
    np.testing.assert_array_equal(read(data), opencv_read(data))


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_a_jpeg_of_four_inks_has_opencvs_pixels(transform):
    inks = np.concatenate([photograph(33, 47), photograph(33, 47, 1)[:, :, :1]], axis=2)
    data = bytearray(saved(Image.fromarray(inks, "CMYK"), quality=90))
    data[data.index(b"Adobe") + 11] = transform
    np.testing.assert_array_equal(read(bytes(data)), opencv_read(bytes(data)))


def test_a_jpeg_stored_in_red_green_and_blue_has_opencvs_pixels():
    data = saved(photograph(33, 47), keep_rgb=True)
    np.testing.assert_array_equal(read(data), opencv_read(data))


def noted(tiff):
    """A JPEG of 17 x 30 pixels with these notes of its camera."""
    jpeg = saved(photograph(17, 30))
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", [*range(10), 65535])
def test_every_note_of_a_camera_turns_a_photograph_as_opencv_does(order, value):
    tiff = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    tiff += struct.pack(f"{order}HHHIHHI", 1, 0x0112, 3, 1, value, 0, 0)
    data = noted(tiff)
    assert read(data).shape == ((30, 17, 3) if 5 <= value <= 8 else (17, 30, 3))
    assert read(data).flags.c_contiguous
    np.testing.assert_array_equal(read(data), opencv_read(data))
    if value == 6:
        for length in (0, 1, 7, 8, 12, 18):
            cut = noted(tiff[:length])
            np.testing.assert_array_equal(read(cut), opencv_read(cut))


@given(st.binary(max_size=60))
def test_no_note_of_a_camera_makes_a_photograph_unreadable(notes):
    for start in (b"", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"):
        assert sorted(read(noted(start + notes)).shape) == [3, 17, 30]


def test_what_follows_a_photograph_does_no_harm():
    """Some telephones write a second picture, or a film, behind the first."""
    first, second = saved(photograph(33, 47)), saved(photograph(20, 20), progressive=True)
    for rest in (second, bytes(100), b"a film"):
        np.testing.assert_array_equal(read(first + rest), opencv_read(first))


def test_a_resolution_of_colours_that_cannot_be_checked_is_refused():
    data = bytearray(saved(photograph(64, 64)))
    data[data.index(b"\xff\xc0\x00\x11") + 11] = 0x42
    with pytest.raises(ValueError, match=r"x has colours at a resolution .* save it again"):
        read(bytes(data))


def damaged_files():
    """Files of each format and damage, small and larger."""
    for size in [(28, 28), (64, 64), (480, 640)]:
        for suffix, damages in DAMAGES.items():
            for name, damage in damages.items():
                yield pytest.param(damage(whole_file(suffix, *size)), id=f"{name}{suffix}-{size}")
        for quality in (30, 60, 95):
            for progressive in (False, True):
                jpeg = saved(photograph(*size), quality=quality, progressive=progressive)
                for name, damage in DAMAGES[".jpg"].items():
                    kind = "progressive" if progressive else "baseline"
                    yield pytest.param(damage(jpeg), id=f"{name}-{kind}-{quality}-{size}")


@pytest.mark.parametrize("data", list(damaged_files()))
def test_a_damaged_image_is_refused_by_name(tmp_path, data):
    path = write(tmp_path / "photo", data)
    with pytest.raises(ValueError, match=r"^read_image: .*photo is (damaged|truncated): "):
        read_image(path)


def test_opencv_alone_reads_half_a_photograph_with_an_end_marker():
    half = DAMAGES[".jpg"]["cut"](whole_file(".jpg", 480, 640))
    assert opencv_read(half).shape == (480, 640, 3)
    with pytest.raises(ValueError, match="is damaged: Corrupt JPEG data: premature end of data"):
        read(half)


def test_a_progressive_jpeg_without_its_last_scans_is_refused():
    """Even where it is cut between two scans, so that each of the others is whole."""
    data = saved(photograph(64, 64), progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff[\xc4\xda]", data)]
    scans = [at for at in starts if at > data.index(b"\xff\xda")]
    assert len(scans) > 9
    for at in scans:
        with pytest.raises(ValueError, match="is truncated: its last scans are missing"):
            read(data[:at] + b"\xff\xd9")


KINDS = [
    (depth, colour, samples)
    for colour, samples, depths in [
        (0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)),
        (6, 4, (8, 16)),
    ]
    for depth in depths
]  # fmt: skip


def packed_rows(pixels, depth):
    """Rows of a PNG, each a byte 0 for "no filter" and its numbers (H, W, samples) as bits."""
    if not pixels.size:
        return b""
    numbers = pixels.astype(">u2").view(np.uint8).reshape(*pixels.shape, 2)
    bits = np.unpackbits(numbers, axis=-1)[..., 16 - depth :].reshape(len(pixels), -1)
    return b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))


@pytest.mark.parametrize(("depth", "colour", "samples"), KINDS)
@pytest.mark.parametrize("interlaced", [0, 1])
def test_every_kind_of_png_is_read_if_it_has_its_pixels_and_no_more(
    depth, colour, samples, interlaced
):
    rng = np.random.default_rng(0)
    palette = chunk(b"PLTE", rng.bytes(3 * 2**depth)) if colour == 3 else b""
    for H, W in [(1, 1), (3, 2), (5, 5), (8, 9), (13, 6), (2, 17)]:
        pixels = rng.integers(0, 2**depth, (H, W, samples))
        passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
        rows = b"".join(packed_rows(pixels[y::dy, x::dx], depth) for x, y, dx, dy in passes)

        def file(rows, numbers=(W, H, depth, colour, 0, 0, interlaced)):
            whole = png_of(struct.pack(">IIBBBBB", *numbers), zlib.compress(rows))
            return whole[:33] + palette + whole[33:]

        assert read(file(rows)).shape == (H, W, 3)
        if depth == 8 and colour in (0, 2):
            np.testing.assert_array_equal(read(file(rows)) - pixels, np.zeros((H, W, 3)))
        with pytest.raises(ValueError, match=f"bytes of pixels; expected {len(rows)}$"):
            read(file(rows[:-1]))
        with pytest.raises(ValueError, match=f"has more than {len(rows)} bytes of pixels"):
            read(file(rows + b"\0"))


def test_a_png_that_would_fill_the_memory_is_not_decompressed(monkeypatch):
    packed = zlib.compress(bytes(100_000_000))
    found = []
    inflate = zlib.decompressobj

    class Watched:
        eof = False

        def __init__(self):
            self.inflate = inflate()

        def decompress(self, data, most):
            found.append(len(part := self.inflate.decompress(data, most)))
            self.unconsumed_tail = self.inflate.unconsumed_tail
            return part

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(ValueError, match="has more than 36 bytes of pixels; expected 36"):
        read(png_of(struct.pack(">IIBBBBB", 8, 4, 8, 0, 0, 0, 0), packed))
    assert found == [37]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_bmp_of_pillows_has_opencvs_pixels(mode):
    for size in SIZES:
        data = saved(Image.fromarray(photograph(*size)).convert(mode), "BMP")
        np.testing.assert_array_equal(read(data), opencv_read(data))
        # A length of 0 is what some programs write; padding is harmless.
        no_length = data[:2] + bytes(4) + data[6:] + b"\0\0"
        np.testing.assert_array_equal(read(no_length), opencv_read(data))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_bmp_of_opencvs_has_opencvs_pixels(channels):
    for size in SIZES:
        image = np.concatenate([photograph(*size), photograph(*size)[:, :, :1]], axis=2)
        data = encode(image[:, :, :channels], ".bmp")
        np.testing.assert_array_equal(read(data), opencv_read(data))
    H, W = SIZES[-1]
    top_down = data[:22] + struct.pack("<i", -H) + data[26:]
    np.testing.assert_array_equal(read(top_down), opencv_read(data)[::-1])


def test_a_bmp_with_the_oldest_header_is_read():
    rows = bytes(range(24)) * 3  # three rows of seven pixels and three bytes that fill them up
    data = b"BM" + struct.pack("<IIIIHHHH", 26 + 72, 0, 26, 12, 7, 3, 1, 24) + rows
    np.testing.assert_array_equal(read(data), opencv_read(data))
    assert read(data)[0, 1].tolist() == [5, 4, 3]
    with pytest.raises(ValueError, match="do not fit 97 bytes"):
        read(data[:2] + bytes(4) + data[6:-1])


def test_a_profile_behind_the_pixels_of_a_bmp_is_no_pixels():
    data = bytearray(encode(np.zeros((5, 6, 4), np.uint8), ".bmp"))
    assert struct.unpack_from("<I", data, 14) == (124,)
    struct.pack_into("<I", data, 2, len(data) + 100)
    struct.pack_into("<I", data, 130, 100)
    assert read(bytes(data) + bytes(100)).shape == (5, 6, 3)
    struct.pack_into("<I", data, 130, 0)
    with pytest.raises(ValueError, match="has more than the 5 rows of 24 bytes it states"):
        read(bytes(data) + bytes(100))


def run_length_bmp(runs, bits, H, W):
    palette = b"".join(bytes([i * 255 // (2**bits - 1)] * 3 + [0]) for i in range(2**bits))
    start, packing = 54 + len(palette), 1 if bits == 8 else 2
    sizes = (start + len(runs), 0, start, 40, W, H)
    return (
        b"BM" + struct.pack("<IIIIii", *sizes)
        + struct.pack("<HHIIIIII", 1, bits, packing, len(runs), 0, 0, 2**bits, 0) + palette + runs
    )  # fmt: skip


def runs_of(image, bits):
    """The rows of an image (H, W), from the last to the first, in runs and a few loose colours."""
    rows = []
    for row in image[::-1].tolist():
        runs = b"".join(bytes([1, v if bits == 8 else 17 * v]) for v in row[:-5])
        loose = (
            row[-5:]
            if bits == 8
            else [16 * row[-5] + row[-4], 16 * row[-3] + row[-2], 16 * row[-1]]
        )
        rows.append(runs + b"\0\5" + bytes(loose) + bytes(len(loose) % 2))
    return b"\0\0".join(rows) + b"\0\1"


@pytest.mark.parametrize("bits", [4, 8])
def test_a_compressed_bmp_is_read_if_its_runs_fill_its_rows(bits):
    H, W = 12, 17
    image = np.random.default_rng(0).integers(0, 2**bits, (H, W))
    runs = runs_of(image, bits)
    whole = run_length_bmp(runs, bits, H, W)
    np.testing.assert_array_equal(read(whole)[:, :, 0], image * 255 // (2**bits - 1))
    ended_twice = run_length_bmp(runs[:-2] + b"\0\0\0\1", bits, H, W)
    np.testing.assert_array_equal(read(ended_twice), read(whole))
    half = len(runs) // H * 5
    for broken in (
        run_length_bmp(runs[:half], bits, H, W),
        run_length_bmp(runs[:half] + b"\0\1", bits, H, W),
        run_length_bmp(runs[:half] + bytes(len(runs) - half), bits, H, W),
        run_length_bmp(runs, bits, 4 * H, W),
        run_length_bmp(runs, bits, H // 4, W),
        run_length_bmp(runs, bits, H, W // 2),
    ):
        with pytest.raises(ValueError, match=r"is damaged: its runs do not fill the .* pixels"):
            read(broken)


def test_a_compressed_bmp_may_leave_out_what_is_black():
    """The command 2 moves on, here by three columns and two rows."""
    runs = b"\3\7\0\2\3\2" + b"\2\7\0\0" + b"\0\1"
    data = run_length_bmp(runs, 8, 4, 9)
    np.testing.assert_array_equal(read(data), opencv_read(data))


def fill(folder, classes, count, start=0):
    """`count` images for each class, each of one value that tells it from all others."""
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = np.full((6 + i % 3, 8, 3), start + k * count + i, np.uint8)
            write(folder / name / f"{i:03}.png", encode(image))


def values(dataset):
    return sorted(int(dataset[i][0][0, 0, 0]) for i in range(len(dataset)))


def test_a_folder_of_class_folders_is_split_for_us(tmp_path):
    fill(tmp_path, ["dog", "cat"], 20)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / "._000.png").write_text("what some systems leave behind")
    (tmp_path / ".git").mkdir()
    splits = image_folder(tmp_path, (5, 7))
    assert splits.train.classes == ("cat", "dog")
    for part in splits:
        image, label = part[0]
        assert image.shape == (5, 7, 3)
        # Values from 20 up were written into "cat", which is class 0.
        assert label == (0 if image[0, 0, 0] >= 20 else 1)
    assert sorted(v for part in splits for v in values(part)) == list(range(40))
    again = image_folder(tmp_path, (5, 7))
    assert values(again.test) == values(splits.test)


@pytest.mark.parametrize("given_parts", [("test",), ("validation",), ("validation", "test")])
def test_sub_folders_are_the_splits_and_the_rest_is_split_off(tmp_path, given_parts):
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


def test_images_are_resized_as_the_transform_does_it(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            write(tmp_path / name / f"{i}.JPG", encode(smooth_image(), ".jpg"))
    image, _ = image_folder(tmp_path, (11, 13)).train[0]
    whole = read_image(tmp_path / "a" / "0.JPG")
    np.testing.assert_array_equal(image, Resize((11, 13))(whole))


def test_a_batch_of_files_is_what_its_examples_are(tmp_path):
    fill(tmp_path, ["a", "b"], 6)
    part = image_folder(tmp_path, (5, 7)).train
    images, labels = part.batch(np.array([3, 0]))
    np.testing.assert_array_equal(images, np.stack([part[3][0], part[0][0]]))
    assert labels.tolist() == [part[3][1], part[0][1]]
    assert not part.in_memory


def test_without_a_size_every_image_keeps_its_own(tmp_path):
    """For a transform that cuts windows of one size; until then they do not fit a batch."""
    sizes = [(40, 60), (33, 20), (25, 25)]
    images = [smooth_image(*size) for size in sizes]
    files = [
        write(tmp_path / f"{i}.png", encode(image)) for i, image in enumerate(images)
    ]  # fmt: skip
    dataset = FileDataset(files, np.array([0, 1, 0]), ("a", "b"), None)
    for i, (image, label) in enumerate(zip(images, [0, 1, 0], strict=True)):
        np.testing.assert_array_equal(dataset[i][0], image)
        assert dataset[i][1] == label
    with pytest.raises(ValueError, match=r"^FileDataset: size is None, and images of different"):
        dataset.batch(np.arange(3))
    with pytest.raises(ValueError, match=r"image 1 of the dataset is \(3, 33, 20\), but image 0"):
        list(DataLoader(dataset, 3))
    windows = Compose([RandomResizedCrop((8, 7)), ToArray()])
    (cut, labels), *_ = DataLoader(dataset, 3, transform=windows)
    assert cut.shape == (3, 3, 8, 7)
    assert labels.tolist() == [0, 1, 0]


def test_a_member_of_an_archive_keeps_its_size_too():
    member = Member("cat.png", encode(smooth_image(12, 9)))
    dataset = FileDataset([member], np.array([0]), ("a",), None, channels=1)
    assert dataset[0][0].shape == (12, 9, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named_with_its_index(tmp_path, workers):
    fill(tmp_path / "train", ["a", "b"], 10)
    fill(tmp_path / "test", ["a", "b"], 4)
    write(tmp_path / "test" / "b" / "001.png", encode(smooth_image())[:-30])
    loader = DataLoader(image_folder(tmp_path, (5, 7)).test, 2, workers=workers)
    with pytest.raises(ValueError, match=r"image 5 of the dataset .*b.001\.png is truncated"):
        list(loader)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"image_folder: there is no folder .*nothing"):
        image_folder(tmp_path / "nothing", (5, 7))


def no_class(path):
    pass


def one_class(path):
    fill(path, ["a"], 3)


def empty_class(path):
    fill(path, ["a", "b"], 3)
    (path / "c").mkdir()


def too_few(path):
    fill(path, ["a", "b"], 1)


def unknown_class(path):
    fill(path / "train", ["a", "b"], 3)
    fill(path / "test", ["a", "c"], 3)


def no_train(path):
    fill(path / "test", ["a", "b"], 3)


def stray_folder(path):
    fill(path / "train", ["a", "b"], 3)
    fill(path / "val", ["a", "b"], 3)


def empty_test(path):
    fill(path / "train", ["a", "b"], 3)
    (path / "test").mkdir()


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (no_class, r"has 0 class folders \[\]; expected at least two"),
        (one_class, r"has 1 class folders \['a'\]; expected at least two"),
        (empty_class, r"c has no images; expected files that end in \.png, \.jpg"),
        (too_few, "2 images are too few to be split"),
        (unknown_class, r"test has a class 'c', which the training images do not have; .* a, b"),
        (no_train, r"has the folders \['test'\]; expected class folders only, or train beside"),
        (stray_folder, r"has the folders \['train', 'val'\]; expected"),
        (empty_test, "test has no class folders with images"),
    ],
)
def test_a_folder_in_disorder_raises_a_sentence(tmp_path, build, sentence):
    build(tmp_path)
    with pytest.raises(ValueError, match=f"image_folder: .*{sentence}") as caught:
        image_folder(tmp_path, (5, 7))
    assert str(tmp_path) in str(caught.value)


def test_size_and_channels_of_a_folder_are_checked(tmp_path):
    with pytest.raises(ValueError, match="image_folder: size is 32; expected a tuple"):
        image_folder(tmp_path, 32)
    with pytest.raises(ValueError, match="image_folder: channels is 2"):
        image_folder(tmp_path, (5, 7), channels=2)


def test_a_file_that_vanishes_is_an_os_error_with_the_index(tmp_path):
    fill(tmp_path, ["a", "b"], 6)
    loader = DataLoader(image_folder(tmp_path, (5, 7)).train, 2)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(OSError, match=r"image 0 of the dataset .*there is no file"):
        list(loader)


def test_a_file_that_is_a_giant_on_the_disk_is_not_even_read(tmp_path, monkeypatch):
    path = write(tmp_path / "film.jpg", bytes(1001))
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"film\.jpg has 1,001 bytes; expected at most 1,000"):
        read_image(path)


@pytest.fixture
def with_broken_files(tmp_path):
    """A folder of 24 good images, one text file, and four broken ones; the names of the four."""
    fill(tmp_path, ["cat", "dog"], 12)
    broken = {
        "cat/000b.jpg": b"a letter",
        "cat/zero.png": b"",
        "dog/003b.jpg": encode(smooth_image(), ".jpg")[:-40],
        "dog/giant.png": PNG + header(60_000, 60_000) + chunk(b"IEND", b""),
    }
    for name, data in broken.items():
        write(tmp_path / name, data)
    (tmp_path / "dog" / "notes.txt").write_text("nobody looks at this")
    return tmp_path, list(broken)


def test_unreadable_files_are_found_with_what_is_wrong(with_broken_files):
    folder, names = with_broken_files
    found = open_class_folders(folder).unreadable()
    assert found == {
        names[0]: found[names[0]],
        names[1]: "is empty",
        names[2]: found[names[2]],
        names[3]: "has 60000 x 60000 pixels; expected at most 64,000,000 in all",
    }
    assert found[names[0]].startswith("begins with 61 20 6c 65 74 74 65 72; expected one of PNG")
    assert found[names[2]].startswith("is truncated: it ends after")


def test_skipped_files_leave_the_splits_of_the_good_ones(with_broken_files, tmp_path):
    folder, names = with_broken_files
    splits = load_dataset(folder, size=(5, 7), skip=open_class_folders(folder).unreadable())
    for name in names:
        (folder / name).unlink()
    good = image_folder(folder, (5, 7))
    assert [values(part) for part in splits] == [values(part) for part in good]
    assert sorted(v for part in splits for v in values(part)) == list(range(24))


@pytest.mark.parametrize("part", ["train", "test"])
def test_files_of_a_part_are_skipped_by_their_names_in_the_folder(tmp_path, part):
    for name in ("train", "test"):
        fill(tmp_path / name, ["cat", "dog"], 5, start=100 * (name == "test"))
    write(tmp_path / part / "cat" / "002.png", b"")
    folders = open_class_folders(tmp_path)
    assert folders.unreadable() == {f"{part}/cat/002.png": "is empty"}
    splits = folders.splits((5, 7), skip=[f"{part}/cat/002.png"])
    removed = {"train": 2, "test": 102}[part]
    left = {*range(10), *range(100, 110)} - {removed}
    assert {v for part in splits for v in values(part)} == left


def test_damage_that_only_decoding_shows_is_found(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    rows = zlib.compress(b"\x07four" * 3)  # no filter has the number 7
    whole = PNG + header(4, 3) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    write(tmp_path / "cat" / "x.png", whole)
    assert open_class_folders(tmp_path).unreadable() == {
        "cat/x.png": "is damaged: OpenCV cannot decode it"
    }


def test_every_damage_is_found_in_a_folder_and_can_be_left_out(tmp_path):
    """Also among images that nobody labelled, where names stay in order."""
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
    with pytest.raises(ValueError, match=r"18 of the 42 images .* cat/cut\.jpg: is damaged: "):
        unlabelled_folder(tmp_path, (5, 7))
    good, left_out = unlabelled_folder(tmp_path, (5, 7), skip_unreadable=True)
    assert values(good) == list(range(24))
    assert list(left_out) == sorted(damaged)


def test_a_link_to_nowhere_is_unreadable(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    (tmp_path / "cat" / "x.png").symlink_to(tmp_path / "nothing.png")
    folders = open_class_folders(tmp_path)
    (reason,) = folders.unreadable().values()
    assert "there is no file" in reason
    assert folders.total_bytes() == sum(f.stat().st_size for f in tmp_path.glob("*/0*.png"))


def test_a_class_of_which_nothing_is_left_is_named(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    skip = [f"cat/{i:03}.png" for i in range(3)]
    with pytest.raises(ValueError, match="cat has no images but 3 that are left out; expected"):
        image_folder(tmp_path, (5, 7), skip=skip)


def test_images_that_lie_in_no_class_folder_are_counted(tmp_path):
    for i in range(3):
        write(tmp_path / f"{i}.png", encode(smooth_image()))
    with pytest.raises(
        ValueError, match=r"has 0 class folders \[\], and 3 images that are in none"
    ):
        image_folder(tmp_path, (5, 7))


def test_a_decoded_dataset_is_the_same_in_memory(tmp_path):
    fill(tmp_path, ["cat", "dog"], 6)
    part = image_folder(tmp_path, (5, 7)).train
    whole = decoded(part)
    assert whole.in_memory
    assert whole.classes == part.classes
    for i in range(len(part)):
        np.testing.assert_array_equal(whole[i][0], part[i][0])
        assert whole[i][1] == part[i][1]
