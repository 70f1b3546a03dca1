"""Tests of the IDX reader."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.datasets.idx import TYPES, decompress, parse_idx, read_idx


def idx_bytes(array, code=0x08):
    header = struct.pack(f">2xBB{array.ndim}I", code, array.ndim, *array.shape)
    return header + array.astype(TYPES[code]).tobytes()


@given(
    st.sampled_from(sorted(TYPES)),
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_every_type_and_shape_is_read_back(code, shape, seed):
    array = np.random.default_rng(seed).integers(0, 120, shape)
    read = parse_idx(idx_bytes(array, code))
    assert read.dtype == np.dtype(TYPES[code]).newbyteorder("=")
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


def test_numbers_are_big_endian():
    data = b"\0\0\x0b\x01\0\0\0\x02" + b"\x01\x02\xff\xfe"
    assert parse_idx(data).tolist() == [0x0102, -2]


def test_plain_and_compressed_files_give_the_same_array(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    plain, packed = tmp_path / "a-ubyte", tmp_path / "a-ubyte.gz"
    plain.write_bytes(idx_bytes(array))
    packed.write_bytes(gzip.compress(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(plain), array)
    np.testing.assert_array_equal(read_idx(str(packed)), array)


GOOD = idx_bytes(np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not an IDX file: it begins with nothing"),
        (b"\x89PNG....", "is not an IDX file: it begins with 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\0", "the IDX type code is 0x07; expected one of 0x08, 0x09"),
        (GOOD[:9], "is truncated: a header of 2 axes has 12 bytes, but the file has 9"),
        (
            GOOD[:-1],
            r"is truncated: its header promises \(2, 3\) uint8, 18 bytes in all, but .* 17",
        ),
        (GOOD + b"xx", r"has extra bytes at its end: .* 18 bytes in all, but the file has more"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "is truncated: its header promises"),
        (
            gzip.compress(b"\0\0\x08\xff" + b"\xff" * 1020, mtime=0),
            "is truncated: its header promises",
        ),
        (b"\0\0\x08\x41" + bytes(4 * 65), "no NumPy array can have the shape"),
    ],
)
def test_a_bad_file_is_named_with_the_numbers(tmp_path, data, sentence):
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_damaged_gzip_data_are_named(tmp_path):
    packed = gzip.compress(bytes(range(256)) * 40)
    with pytest.raises(ValueError, match=r"x\.gz is truncated: its gzip data end too early"):
        decompress(packed[:-9], "x.gz", 20_000)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # inside the checksum
    with pytest.raises(ValueError, match=r"x\.gz is damaged: its gzip data are corrupt"):
        decompress(bytes(flipped), "x.gz", 20_000)
    flipped = bytearray(packed)
    flipped[10:20] = b"\xff" * 10
    with pytest.raises(ValueError, match=r"x\.gz is damaged: its gzip data are corrupt"):
        decompress(bytes(flipped), "x.gz", 20_000)


def test_idx_decompresses_no_more_than_its_header_promises(tmp_path):
    """A megabyte of gzip may hold a gigabyte; the header says what belongs to the array."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(500_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(ValueError, match="has extra bytes at its end"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size + 4_000_000


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")
