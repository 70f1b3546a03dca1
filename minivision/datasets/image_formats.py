"""Is an image file complete? Compare what a PNG, JPEG or BMP header states with the file.

All three formats state the size of the image in a header. If a file was truncated or overwritten,
or was given a different header, it no longer has as many pixels as it states. `image_size` checks
only the structure, which is fast; `check_png_pixels` and `check_bmp_pixels` count the pixels.
Pillow identifies other formats.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

# Pillow warns only about faults that are harmless or that raise an error later.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

# The first bytes of a file in each format.
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
BMP = b"BM"
# The formats that Pillow reads for us, and other files that are mistaken for images.
OTHER_FORMATS = {
    "WEBP": rb"RIFF....WEBP",
    "TIFF": rb"II\*\0|MM\0\*",
    "GIF": rb"GIF8[79]a",
    "AVIF": rb"....ftyp(avi|mif|msf)",
    "PPM": rb"P[1-6]\s",
}
NO_PICTURES = {
    "a HEIC image; save it as a JPEG": rb"....ftyp(hei|hev|mif|msf)",
    "an HTML page, perhaps the error page of a download": rb"\s*<(!doctype )?html",
    "an SVG drawing or another XML file; save it as a PNG": rb"\s*<(\?xml|svg)",
    "a PDF document": rb"%PDF",
    "a ZIP archive": rb"PK\x03\x04",
    "a Git LFS pointer; fetch the image with git lfs pull": rb"version https://git-lfs",
}

SCAN, END = 0xDA, 0xD9  # markers in a JPEG: pixels follow; nothing follows
# In a scan FF is followed by 00, or by D0 to D7, where decoding may restart.
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

ORIENTATION = 0x0112  # the EXIF tag that says how a camera was held

MEGABYTE = 1 << 20  # decompress this much at a time
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # numbers per pixel, by colour type
# An interlaced PNG consists of seven small images: the first column and row of each, and its steps.
ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip

OLD_BMP_HEADER = 12  # bytes of a header with 16-bit sizes and no compression
RLE8, RLE4 = 1, 2  # two ways of compressing a BMP


def orientation(data: bytes) -> int:
    """How the camera was held, from 1 to 8, according to a JPEG or PNG; 1 (upright) by default."""
    for notes in exif_notes(data):
        exif = Image.Exif()
        try:
            exif.load(notes)
            return exif.get(ORIENTATION, 1)
        except Exception:  # Pillow raises many kinds, and broken EXIF data is harmless
            return 1
    return 1


def exif_notes(data: bytes) -> Iterator[bytes]:
    """The EXIF data in a JPEG or PNG."""
    if data.startswith(PNG):
        yield from (data[at:end] for kind, at, end in png_chunks(data) if kind == b"eXIf")
        return
    for marker, at, end in jpeg_segments(data):
        if marker == SCAN:
            return
        if marker == 0xE1 and data.startswith(b"Exif\0\0", at):
            yield data[at:end]


def image_size(data: bytes) -> tuple[int, int]:
    """The size (H, W) stated in an image file, after checking that the file is complete.

    Raises ValueError with a message to which the caller prepends the file's name, and struct.error
    if the file ends within a header.
    """
    if not data:
        raise ValueError("is empty")
    if data.startswith(PNG):
        return png_size(data)
    if data.startswith(JPEG):
        return jpeg_size(data)
    if data.startswith(BMP):
        return bmp_size(data)
    with opened(data) as image:
        check_strips(image)
        return image.height, image.width


def opened(data: bytes) -> Image.Image:
    """Let Pillow open an image in another format, without decoding its pixels yet.

    If Pillow cannot, raises ValueError with a message that says what kind of file it is, and to
    which the caller prepends the file's name.
    """
    try:
        return Image.open(io.BytesIO(data), formats=list(OTHER_FORMATS))
    except Exception as error:  # Pillow raises many kinds
        kinds = [kind for kind, start in NO_PICTURES.items() if begins(data, start)]
        damaged = [kind for kind, start in OTHER_FORMATS.items() if begins(data, start)]
        if kinds:
            raise ValueError(f"is {kinds[0]}") from error
        if damaged:
            raise ValueError(f"is damaged: Pillow cannot open this {damaged[0]}") from error
        formats = ", ".join(("PNG", "JPEG", "BMP", *OTHER_FORMATS))
        raise ValueError(f"begins with {data[:8].hex(' ')}; expected one of {formats}") from error


def check_strips(image: Image.Image) -> None:
    """Raise ValueError if the strips of a TIFF do not fill it; Pillow leaves the rest black."""
    if isinstance(image, TiffImageFile):
        boxes = [tile[1] or (0, 0, *image.size) for tile in image.tile]
        filled = sum((right - left) * (low - top) for left, top, right, low in boxes)
        if filled < image.width * image.height:
            size = f"{image.height} x {image.width}"
            raise ValueError(f"is damaged: its strips do not fill the {size} pixels it states")


def may_be_image(start: bytes) -> bool:
    """Whether a file that begins with these bytes (at least 12) may be an image we can read."""
    return start.startswith((PNG, JPEG, BMP)) or any(
        begins(start, pattern) for pattern in OTHER_FORMATS.values()
    )


def begins(data: bytes, pattern: bytes) -> bool:
    return re.match(pattern, data, re.IGNORECASE | re.DOTALL) is not None


def png_size(data: bytes) -> tuple[int, int]:
    """The size in a PNG, after verifying the checksums of its chunks."""
    W, H = struct.unpack_from(">II", data, 16)
    for kind, at, end in png_chunks(data):
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[at - 4 : end]) != checksum:
            name = kind.decode("latin-1")
            raise ValueError(f"is damaged: the checksum of its {name!r} chunk is wrong")
    return H, W


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """A PNG is a list of chunks (length, type, data, checksum): IHDR first, IEND last.

    Yields the type of each chunk, and where its data begin and end.
    """
    kind, end = b"", len(PNG) - 4
    while kind != b"IEND":
        at = end + 4
        if at + 12 > len(data):
            raise ValueError(f"is truncated: it ends after {len(data)} bytes without an IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            name = kind.decode("latin-1")
            raise ValueError(
                f"is truncated: it ends after {len(data)} bytes, in its {name!r} chunk"
            )
        yield kind, at + 8, end


def check_png_pixels(data: bytes) -> None:
    """Raise ValueError if a PNG's compressed pixels are damaged, too few or too many."""
    expected, found = png_pixel_bytes(data), 0
    inflate = zlib.decompressobj()
    try:
        for kind, at, end in png_chunks(data):
            packed = data[at:end] if kind == b"IDAT" else b""
            while packed and found <= expected:
                found += len(inflate.decompress(packed, min(expected + 1 - found, MEGABYTE)))
                packed = inflate.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"is damaged: its pixels cannot be decompressed: {error}") from error
    if found != expected or not inflate.eof:
        count = f"more than {expected:,}" if found > expected else f"{found:,}"
        raise ValueError(f"is damaged: it has {count} bytes of pixels; expected {expected:,}")


def png_transparent_grey(data: bytes) -> int | None:
    """The grey level, 0 to 255 or 65535, that a PNG declares transparent, or None."""
    depth, kind = struct.unpack_from(">BB", data, 24)
    for name, at, _ in png_chunks(data):
        if name == b"tRNS" and kind == 0:
            (grey,) = struct.unpack_from(">H", data, at)
            return grey * (255 // (2**depth - 1)) if depth < 8 else grey
    return None


def png_pixel_bytes(data: bytes) -> int:
    """The size of a PNG's decompressed pixels in bytes: each row begins with an extra byte."""
    W, H, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * PNG_SAMPLES.get(kind, 0)
    total = 0
    for x, y, dx, dy in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((x - W) // dx), -((y - H) // dy)
        if columns:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def jpeg_size(data: bytes) -> tuple[int, int]:
    """The size in a JPEG, after checking that it has all its scans and an end marker.

    A block of 8 x 8 pixels is stored as 64 numbers for each component (brightness and two colours).
    A scan has some of these numbers. In a progressive JPEG it may even have only some of their
    bits, and the lowest bit, bit 0, comes last.
    """
    size = None
    missing: dict[int, int] = {}  # how many of the 64 numbers still lack their last bit
    for marker, at, _ in jpeg_segments(data):
        # Start of frame: C0 to CF, except the three that have other meanings.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            H, W, count = struct.unpack_from(">HHB", data, at + 1)
            size = (H, W)
            missing = dict.fromkeys(data[at + 6 : at + 6 + 3 * count : 3], 64)
        elif marker == SCAN:
            if size is None:
                raise ValueError("is damaged: its JPEG header does not state a size")
            (count,) = struct.unpack_from("B", data, at)
            first, last, bits = struct.unpack_from("BBB", data, at + 1 + 2 * count)
            if bits % 16 == 0:
                for name in data[at + 1 : at + 1 + 2 * count : 2]:
                    missing[name] = missing.get(name, 0) - (last + 1 - first)
    if size is None or any(count > 0 for count in missing.values()):
        raise ValueError("is truncated: its last scans are missing")
    return size


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """A JPEG is a list of segments (FF, marker, length, data) that ends with FF D9.

    Yields the marker of each segment, and where its data begin and end. After a segment with
    marker DA comes a scan.
    """
    end = 2
    while True:
        mark, marker = struct.unpack_from("BB", data, end)
        if mark != 0xFF:
            raise ValueError(f"is damaged: no JPEG marker at byte {end}")
        if marker == 0xFF:
            # Any number of FF may precede a marker.
            end += 1
            continue
        if marker == END:
            return
        (length,) = struct.unpack_from(">H", data, end + 2)
        at, end = end + 4, end + 2 + length
        yield marker, at, end
        if marker == SCAN:
            found = AFTER_SCAN.search(data, end)
            if found is None:
                raise ValueError(
                    f"is truncated: it ends after {len(data)} bytes without an end marker"
                )
            end = found.start()


def bmp_size(data: bytes) -> tuple[int, int]:
    """The size in a BMP, after checking the file's length; negative height means top row first."""
    (length,) = struct.unpack_from("<I", data, 2)
    (header,) = struct.unpack_from("<I", data, 14)
    W, H = struct.unpack_from("<HH" if header == OLD_BMP_HEADER else "<ii", data, 18)
    if len(data) < length:
        raise ValueError(f"is truncated: it has {len(data)} of the {length} bytes it promises")
    return abs(H), abs(W)


def check_bmp_pixels(data: bytes) -> None:
    """Raise ValueError if a BMP has fewer or more rows of pixels than its header states."""
    H, W = bmp_size(data)
    length, _, at, header = struct.unpack_from("<IIII", data, 2)
    if header == OLD_BMP_HEADER:
        (bits,), packing = struct.unpack_from("<H", data, 24), 0
    else:
        bits, packing = struct.unpack_from("<HI", data, 28)
    if packing in (RLE8, RLE4):
        check_bmp_runs(data, at, bits, H, W)
        return
    colours = struct.unpack_from("<I", data, 46)[0] if header >= 40 and bits <= 8 else 0
    if colours > 2**bits:
        raise ValueError(f"is damaged: it states {colours:,} colours for {bits} bits")
    row = (W * bits + 31) // 32 * 4
    if at < 14 + header or at + row * H > len(data):
        raise ValueError(
            f"is damaged: {H} rows of {row} bytes from byte {at} do not fit in {len(data)} bytes"
        )
    if bits == 8 and colours:
        largest = max((max(data[i : i + W]) for i in range(at, at + row * H, row)), default=0)
        if largest >= colours:
            raise ValueError(
                f"is damaged: a pixel has colour {largest}, but it has only {colours} colours"
            )
    # With the newest kind of header, a colour profile may follow the pixels.
    profile = struct.unpack_from("<I", data, 130)[0] if header >= 124 else 0
    if (length or len(data)) - profile - at - row * H >= max(row, 4):
        raise ValueError(f"is damaged: it has more than the {H} rows of {row} bytes it states")


def check_bmp_runs(data: bytes, at: int, bits: int, H: int, W: int) -> None:
    """Raise ValueError if the runs of a compressed BMP do not fill its rows.

    A run is a pair (count, colour). If the count is 0, the second byte is a command: 0 ends the
    row, 1 ends the image, 2 skips columns and rows, and a larger number says how many single
    colours follow.
    """
    x = y = 0
    while y < H and x <= W and at + 2 <= len(data) and data[at : at + 2] != b"\0\1":
        count, command = data[at : at + 2]
        at += 2
        if count or command > 2:
            x += count or command
            at += 0 if count else (command * bits + 15) // 16 * 2
        elif command == 0:
            x, y = 0, y + 1
        else:
            right, up = data[at : at + 2].ljust(2, b"\0")
            x, y, at = x + right, y + up, at + 2
    if x > W or y < H - 1 or data[at : at + 2] not in (b"", b"\0\1"):
        raise ValueError(f"is damaged: its runs do not fill the {H} x {W} pixels that it states")
