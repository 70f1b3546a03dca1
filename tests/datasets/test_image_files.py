"""read_image on real files: whole, truncated, damaged or absurd."""

import io
import re
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minivision.datasets import images, read_image
from minivision.datasets.image_formats import ADAM7, image_size
from minivision.datasets.images import image_from_bytes
from tests.damage import (
    DAMAGES,
    chunk,
    encode,
    opencv_saved,
    photograph,
    png_of,
    saved,
    smooth_image,
    whole_file,
    write,
)
from tests.refusals import refused


@pytest.mark.parametrize(("suffix", "error"), [(".png", 0), (".bmp", 0), (".jpg", 12)])
def test_read_image_returns_rgb(tmp_path, suffix, error):
    image = smooth_image()
    read = read_image(write(tmp_path / f"ä{suffix}", encode(image, suffix)))
    assert read.dtype == np.uint8
    assert read.shape == (40, 60, 3)
    assert read.flags.c_contiguous
    assert np.abs(read.astype(int) - image).max() <= error


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_read_image_converts_to_grey_on_request(tmp_path, suffix):
    image = smooth_image()
    read = read_image(write(tmp_path / "x", encode(image, suffix)), channels=1)
    assert read.shape == (40, 60, 1)
    grey = image @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read[:, :, 0], grey, atol=1 if suffix != ".jpg" else 4)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_read_image_gives_a_grey_file_three_equal_channels_or_one(tmp_path, suffix):
    path = write(tmp_path / "x", encode(smooth_image()[:, :, :1], suffix))
    colour, grey = read_image(path), read_image(path, channels=1)
    assert grey.shape == (40, 60, 1)
    for c in range(3):
        np.testing.assert_array_equal(colour[:, :, c], grey[:, :, 0])


def test_read_image_scales_16_bits_to_8(tmp_path):
    image = np.array([[[0], [257], [32896], [65535]]], np.uint16)
    read = read_image(write(tmp_path / "x.png", encode(image)), channels=1)
    assert read[0, :, 0].tolist() == [0, 1, 128, 255]


def test_read_image_blends_transparency_with_white(tmp_path):
    image = np.array([[[100, 0, 50, 255], [100, 0, 50, 0], [100, 0, 50, 51]]], np.uint8)
    read = read_image(write(tmp_path / "x.png", encode(image)))
    assert read[0].tolist() == [[100, 0, 50], [255, 255, 255], [224, 204, 214]]


def test_read_image_turns_a_jpeg_upright(tmp_path):
    jpeg = encode(smooth_image(), ".jpg")
    # An EXIF segment with one entry: orientation (0x0112) is 6, a quarter turn.
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0" * 4
    body = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    upright = read_image(write(tmp_path / "a.jpg", jpeg))
    turned = read_image(write(tmp_path / "b.jpg", jpeg[:2] + segment + jpeg[2:]))
    np.testing.assert_array_equal(turned, np.rot90(upright, -1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_read_image_turns_other_formats_upright(tmp_path, kind):
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
def test_read_image_gives_pillows_pixels_of_other_formats_and_refuses_truncated_ones(
    tmp_path, kind, options
):
    data = saved(photograph(40, 30), kind, **options)
    # The name says JPEG, but the content decides.
    read = read_image(write(tmp_path / "a.jpg", data))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(read, expected)
    for length in {*range(1, len(data), 97), len(data) - 3}:
        path = write(tmp_path / "b", data[:length])
        with refused(ValueError, f"read_image: {path} "):
            read_image(path)


@pytest.mark.parametrize("size", [(17, 23), (400, 300)])
def test_read_image_refuses_a_tiff_with_missing_rows(size):
    """Pillow alone reads it as an image whose lower part is black."""
    data = bytearray(saved(photograph(*size), "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    fields = range(at + 2, at + 2 + 12 * count, 12)
    height = next(f for f in fields if struct.unpack_from("<H", data, f) == (257,))
    struct.pack_into("<HII", data, height + 2, 4, 1, 8 * size[0])
    assert np.asarray(Image.open(io.BytesIO(data))).shape[0] == 8 * size[0]
    with refused(ValueError, "damaged", "strips", f"{8 * size[0]} x {size[1]}"):
        read(bytes(data))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_read_image_makes_transparent_parts_white_in_every_format(tmp_path, kind):
    image = np.full((6, 5, 4), (100, 0, 50, 255), np.uint8)
    image[:3, :, 3] = 0
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    read = read_image(write(tmp_path / "a", saved(image, kind, **options)))
    assert (read[:3] == 255).all()
    assert (read[3:] == (100, 0, 50)).all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_read_image_makes_the_transparent_colour_of_a_png_white(tmp_path, mode):
    shades = np.array([[0, 0, 255, 255], [0, 255, 0, 255]], np.uint8)
    image = Image.fromarray(shades).convert(mode)
    clear = (0, 0, 0) if mode == "RGB" else image.getpixel((0, 0))
    read = read_image(write(tmp_path / "a.png", saved(image, "PNG", transparency=clear)))
    assert (read == 255).all()


@pytest.mark.parametrize(("depth", "clear"), [(1, 1), (2, 3), (4, 9), (8, 200), (16, 51_400)])
def test_read_image_makes_a_transparent_grey_white_at_every_depth(depth, clear):
    pixels = np.array([[[clear], [0]]])
    header = struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0)
    data = png_of(header, zlib.compress(packed_rows(pixels, depth)))
    transparent = data[:33] + chunk(b"tRNS", struct.pack(">H", clear)) + data[33:]
    assert read(transparent)[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_read_image_refuses_12_bits_stored_in_16(tmp_path, kind):
    def file(brightest):
        image = np.linspace(0, brightest, 24).astype(np.uint16).reshape(4, 6)
        return write(tmp_path / "x", saved(Image.fromarray(image), kind))

    with refused(ValueError, "read_image", "16-bit", "4095", "8 bits"):
        read_image(file(4095))
    assert read_image(file(65535)).max() == 255
    assert read_image(file(0)).max() == 0


def test_read_image_needs_little_more_memory_than_the_pixels():
    """8 bytes per pixel are decoded, 4 of them scaled, 3 blended with white; none are floats."""
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
def test_read_image_refuses_every_truncated_file(tmp_path_factory, suffix, seed):
    data = encode(smooth_image(), suffix)
    length = int(np.random.default_rng(seed).integers(len(data)))
    path = write(tmp_path_factory.mktemp("cut") / "x", data[:length])
    with refused(ValueError, f"read_image: {path} "):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_image_size_reads_the_header(suffix):
    assert image_size(encode(smooth_image(7, 19), suffix)) == (7, 19)


def opencv_read(data):
    """What OpenCV alone reads, in RGB."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def read(data):
    return image_from_bytes(data, "x")


SIZES = [(1, 1), (1, 9), (9, 1), (17, 16), (28, 28), (33, 47), (96, 65)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("quality", [30, 75, 95, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_read_image_gives_opencvs_pixels_of_a_jpeg_by_pillow(size, quality, progressive):
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
def test_read_image_gives_opencvs_pixels_of_a_jpeg_by_opencv(size, sampling, options):
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    options = [getattr(cv2, f"IMWRITE_JPEG_{options[0]}"), 1] if options else []
    data = opencv_saved(
        photograph(*size), ".jpg", cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, *options
    )
    np.testing.assert_array_equal(read(data), opencv_read(data))


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_read_image_gives_opencvs_pixels_of_a_cmyk_jpeg(transform):
    inks = np.concatenate([photograph(33, 47), photograph(33, 47, 1)[:, :, :1]], axis=2)
    data = bytearray(saved(Image.fromarray(inks, "CMYK"), quality=90))
    data[data.index(b"Adobe") + 11] = transform
    np.testing.assert_array_equal(read(bytes(data)), opencv_read(bytes(data)))


def test_read_image_gives_opencvs_pixels_of_an_rgb_jpeg():
    data = saved(photograph(33, 47), keep_rgb=True)
    np.testing.assert_array_equal(read(data), opencv_read(data))


def noted(tiff):
    """A JPEG of 17 x 30 pixels with this EXIF data."""
    jpeg = saved(photograph(17, 30))
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", [*range(10), 65535])
def test_read_image_turns_every_orientation_like_opencv(order, value):
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
def test_read_image_survives_any_exif_data(notes):
    for start in (b"", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"):
        assert sorted(read(noted(start + notes)).shape) == [3, 17, 30]


def test_read_image_ignores_what_follows_a_jpeg():
    """Some phones append a second image, or a film, to the first."""
    first, second = saved(photograph(33, 47)), saved(photograph(20, 20), progressive=True)
    for rest in (second, bytes(100), b"a film"):
        np.testing.assert_array_equal(read(first + rest), opencv_read(first))


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
def test_read_image_refuses_a_damaged_image_by_name(tmp_path, data):
    path = write(tmp_path / "photo", data)
    with refused(ValueError, f"read_image: {path} is ") as caught:
        read_image(path)
    assert re.search("damaged|truncated", str(caught.value))


def test_read_image_refuses_half_a_jpeg_that_opencv_reads(tmp_path):
    half = DAMAGES[".jpg"]["cut"](whole_file(".jpg", 480, 640))
    assert opencv_read(half).shape == (480, 640, 3)
    with refused(ValueError, "read_image: x", "damaged", "premature end of data"):
        read(half)
    path = write(tmp_path / "without_end.jpg", encode(smooth_image(), ".jpg")[:-40])
    assert cv2.imread(str(path)).shape == (40, 60, 3)
    with refused(ValueError, f"read_image: {path}", "truncated"):
        read_image(path)


def test_read_image_refuses_a_progressive_jpeg_without_its_last_scans():
    """Even if it is cut between two scans, so that all the others are whole."""
    data = saved(photograph(64, 64), progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff[\xc4\xda]", data)]
    scans = [at for at in starts if at > data.index(b"\xff\xda")]
    assert len(scans) > 9
    for at in scans:
        with refused(ValueError, "truncated", "scans"):
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
def test_read_image_reads_every_kind_of_png_with_exactly_its_pixels(
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
        with refused(ValueError, f"{len(rows) - 1} bytes of pixels", f"expected {len(rows)}"):
            read(file(rows[:-1]))
        with refused(ValueError, f"more than {len(rows)} bytes of pixels"):
            read(file(rows + b"\0"))


def test_read_image_does_not_decompress_more_pixels_than_a_png_states(monkeypatch):
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
    with refused(ValueError, "more than 36 bytes of pixels", "expected 36"):
        read(png_of(struct.pack(">IIBBBBB", 8, 4, 8, 0, 0, 0, 0), packed))
    assert found == [37]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_read_image_gives_opencvs_pixels_of_a_bmp_by_pillow(mode):
    for size in SIZES:
        data = saved(Image.fromarray(photograph(*size)).convert(mode), "BMP")
        np.testing.assert_array_equal(read(data), opencv_read(data))
        # Some programs write a length of 0, and padding is harmless.
        no_length = data[:2] + bytes(4) + data[6:] + b"\0\0"
        np.testing.assert_array_equal(read(no_length), opencv_read(data))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_read_image_gives_opencvs_pixels_of_a_bmp_by_opencv(channels):
    for size in SIZES:
        image = np.concatenate([photograph(*size), photograph(*size)[:, :, :1]], axis=2)
        data = encode(image[:, :, :channels], ".bmp")
        np.testing.assert_array_equal(read(data), opencv_read(data))
    H, W = SIZES[-1]
    top_down = data[:22] + struct.pack("<i", -H) + data[26:]
    np.testing.assert_array_equal(read(top_down), opencv_read(data)[::-1])


def test_read_image_reads_a_bmp_with_the_oldest_header():
    rows = bytes(range(24)) * 3  # three rows of seven pixels and three bytes of padding
    data = b"BM" + struct.pack("<IIIIHHHH", 26 + 72, 0, 26, 12, 7, 3, 1, 24) + rows
    np.testing.assert_array_equal(read(data), opencv_read(data))
    assert read(data)[0, 1].tolist() == [5, 4, 3]
    with refused(ValueError, "damaged", "3 rows of 24 bytes", "97 bytes"):
        read(data[:2] + bytes(4) + data[6:-1])


def test_read_image_refuses_a_bmp_with_a_wrong_number_of_colours():
    """OpenCV alone reads it with other colours."""
    data = bytearray(saved(photograph(17, 23)[:, :, 0], "BMP"))
    struct.pack_into("<I", data, 46, 256)
    np.testing.assert_array_equal(read(bytes(data)), opencv_read(bytes(data)))
    struct.pack_into("<I", data, 46, 1)
    with refused(ValueError, "damaged", "pixel", "1 colours"):
        read(bytes(data))
    struct.pack_into("<I", data, 46, 65_536)
    with refused(ValueError, "damaged", "65,536 colours", "8 bits"):
        read(bytes(data))


def test_read_image_does_not_count_the_profile_of_a_bmp_as_pixels():
    data = bytearray(encode(np.zeros((5, 6, 4), np.uint8), ".bmp"))
    assert struct.unpack_from("<I", data, 14) == (124,)
    struct.pack_into("<I", data, 2, len(data) + 100)
    struct.pack_into("<I", data, 130, 100)
    assert read(bytes(data) + bytes(100)).shape == (5, 6, 3)
    struct.pack_into("<I", data, 130, 0)
    with refused(ValueError, "damaged", "5 rows of 24 bytes"):
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
    """The rows of an image (H, W), from the last to the first, in runs and a few single colours."""
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
def test_read_image_reads_a_compressed_bmp_if_its_runs_fill_its_rows(bits):
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
        with refused(ValueError, "damaged", "runs", "pixels"):
            read(broken)


def test_read_image_accepts_a_compressed_bmp_that_skips_black_pixels():
    """The command 2 skips pixels, here three columns and two rows."""
    runs = b"\3\7\0\2\3\2" + b"\2\7\0\0" + b"\0\1"
    data = run_length_bmp(runs, 8, 4, 9)
    np.testing.assert_array_equal(read(data), opencv_read(data))


def test_read_image_does_not_open_a_huge_file(tmp_path, monkeypatch):
    path = write(tmp_path / "film.jpg", bytes(1001))
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    with refused(ValueError, f"read_image: {path}", "1,001 bytes", "1,000"):
        read_image(path)
