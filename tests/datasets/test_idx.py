"""The IDX reader."""

import gzip
import struct
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivision.datasets.idx import TYPES, parse_idx, read_idx
from tests.refusals import refused


def idx_bytes(array, code=0x08):
    header = struct.pack(f">2xBB{array.ndim}I", code, array.ndim, *array.shape)
    return header + array.astype(TYPES[code]).tobytes()


@given(
    st.sampled_from(sorted(TYPES)),
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_parse_idx_reads_every_type_and_shape(code, shape, seed):
    array = np.random.default_rng(seed).integers(0, 120, shape)
    read = parse_idx(idx_bytes(array, code))
    assert read.dtype == np.dtype(TYPES[code]).newbyteorder("=")
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


def test_parse_idx_takes_numbers_as_big_endian():
    data = b"\0\0\x0b\x01\0\0\0\x02" + b"\x01\x02\xff\xfe"
    assert parse_idx(data).tolist() == [0x0102, -2]


def test_read_idx_reads_plain_and_compressed_files(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    plain, packed = tmp_path / "a-ubyte", tmp_path / "a-ubyte.gz"
    plain.write_bytes(idx_bytes(array))
    packed.write_bytes(gzip.compress(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(plain), array)
    np.testing.assert_array_equal(read_idx(str(packed)), array)


GOOD = idx_bytes(np.arange(6).reshape(2, 3))


def test_read_idx_decompresses_no_more_than_the_header_states(tmp_path):
    """A megabyte of gzip can contain a gigabyte; the header says what belongs to the array."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(500_000_000), compresslevel=1))
    tracemalloc.start()
    with refused(ValueError, str(path), "extra bytes"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size + 4_000_000
