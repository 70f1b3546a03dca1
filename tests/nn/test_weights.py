"""Saved weights load back equal, and a crash never destroys the old file."""

import os
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from minivision.nn import weights
from minivision.nn.weights import load_weights, save_weights, write_atomically
from tests.refusals import refused

DTYPES = ["bool", "int8", "uint8", "int16", "int64", "float16", "float32", "float64", ">f4", ">i8"]


def random_array(rng, shape, dtype):
    return (100 * rng.standard_normal(shape)).astype(dtype)


def assert_same_arrays(loaded, saved):
    assert sorted(loaded) == sorted(saved)
    for name, array in saved.items():
        assert loaded[name].shape == np.shape(array)
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded[name], array)


@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(DTYPES),
    reverse=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_save_weights_round_trips_arrays_of_any_shape_dtype_and_memory_order(
    tmp_path_factory, shape, dtype, reverse, seed
):
    rng = np.random.default_rng(seed)
    array = random_array(rng, shape, dtype).transpose(rng.permutation(len(shape)))
    if reverse and array.ndim:
        array = array[::-1]
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    save_weights(path, {"weight": array, "other": np.float32(2.5)}, {"epoch": "3", "π": "“é”"})
    arrays, metadata = load_weights(path)
    assert_same_arrays(arrays, {"weight": array, "other": np.float32(2.5)})
    assert metadata == {"epoch": "3", "π": "“é”"}


def test_save_weights_round_trips_a_transposed_and_a_0d_array(tmp_path):
    saved = {"weight": np.arange(6.0).reshape(2, 3).T, "step": np.array(7)}
    save_weights(tmp_path / "w.safetensors", saved)
    arrays, metadata = load_weights(tmp_path / "w.safetensors")
    assert arrays["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert arrays["step"].shape == ()
    assert arrays["step"] == 7
    assert metadata == {}


def test_save_weights_round_trips_no_arrays_at_all(tmp_path):
    save_weights(tmp_path / "w.safetensors", {})
    assert load_weights(tmp_path / "w.safetensors") == ({}, {})


def test_load_weights_returns_arrays_that_can_be_changed(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"weight": np.ones(3)})
    arrays, _ = load_weights(path)
    arrays["weight"] += 1
    assert load_weights(path)[0]["weight"].tolist() == [1, 1, 1]


def test_save_weights_writes_an_ordinary_safetensors_file(tmp_path):
    path = tmp_path / "w.safetensors"
    weight = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    save_weights(path, {"weight": weight}, {"epoch": "3"})
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["weight"], weight)


def test_load_weights_reads_a_file_without_a_checksum(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file({"weight": np.arange(3)}, path)
    arrays, metadata = load_weights(path)
    assert arrays["weight"].tolist() == [0, 1, 2]
    assert metadata == {}


# What cannot be stored


@pytest.mark.parametrize(
    ("arrays", "metadata", "error", "fragments"),
    [
        ({"weight": np.ones(2)}, {"epoch": 3}, TypeError, ["'epoch': 3", "strings", "json.dumps"]),
        ({0: np.ones(2)}, None, TypeError, ["0: ''", "strings"]),
        ({"weight": [1.0, 2.0]}, None, TypeError, ["'weight'", "list", "NumPy"]),
        ({"names": np.array(["a", "b"])}, None, ValueError, ["'names': '<U1'", "dtypes"]),
        ({"weight": np.ones(2, np.complex128)}, None, ValueError, ["'weight': 'complex128'"]),
        ({"__metadata__": np.ones(2)}, None, ValueError, ["'__metadata__'", "reserved"]),
        ({}, {weights.CHECKSUM: "0"}, ValueError, [weights.CHECKSUM, "reserved"]),
    ],
)
def test_save_weights_refuses_what_cannot_be_stored_before_it_writes(
    tmp_path, arrays, metadata, error, fragments
):
    with refused(error, "save_weights: ", *fragments):
        save_weights(tmp_path / "w.safetensors", arrays, metadata)
    assert list(tmp_path.iterdir()) == []


# Damaged files


def sample_file(folder):
    path = folder / "sample.safetensors"
    saved = {"weight": np.arange(12.0).reshape(3, 4).T, "bias": np.ones(3, np.float32)}
    save_weights(path, saved, {"epoch": "3"})
    return path, saved


def test_load_weights_refuses_a_file_truncated_anywhere(tmp_path):
    path, _ = sample_file(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with refused(ValueError, "sample.safetensors", "truncated or not a safetensors file"):
            load_weights(path)


def test_load_weights_notices_every_flipped_bit_that_changes_an_array(tmp_path):
    path, saved = sample_file(tmp_path)
    whole = path.read_bytes()
    unnoticed = 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            arrays, _ = load_weights(path)
        except ValueError:
            continue
        assert_same_arrays(arrays, saved)
        unnoticed += 1
    # Only flips inside the name of the checksum go unnoticed: then the file has none.
    assert unnoticed <= 8 * len(weights.CHECKSUM)


def test_load_weights_calls_a_file_with_a_flipped_bit_corrupted(tmp_path):
    path, _ = sample_file(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with refused(ValueError, "sample.safetensors", "corrupted", "checksum"):
        load_weights(path)


def test_load_weights_notices_a_flipped_bit_by_the_checksum(tmp_path, monkeypatch):
    path, _ = sample_file(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    monkeypatch.setattr(weights, "CHECKSUM", "a name that no file has")
    load_weights(path)


def test_load_weights_names_a_missing_file(tmp_path):
    with refused(FileNotFoundError, "load_weights", "absent.safetensors", "No such file"):
        load_weights(tmp_path / "absent.safetensors")


def test_load_weights_refuses_a_folder(tmp_path):
    with refused(OSError, "load_weights", str(tmp_path)):
        load_weights(tmp_path)


def test_load_weights_refuses_a_dtype_that_numpy_lacks(tmp_path):
    header = b'{"weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    path = tmp_path / "eight_bits.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x00\x00")
    with refused(ValueError, "eight_bits.safetensors", "numbers of a type", "NumPy"):
        load_weights(path)


def test_load_weights_refuses_a_shape_that_numpy_cannot_have(tmp_path):
    header = b'{"weight":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}'
    path = tmp_path / "endless.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with refused(ValueError, "endless.safetensors", "truncated or not a safetensors file"):
        load_weights(path)


# Writing atomically


def test_write_atomically_replaces_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_save_weights_gives_the_file_the_permissions_of_the_umask(tmp_path, mask):
    path = tmp_path / "file"
    before = os.umask(mask)
    try:
        save_weights(path, {"weight": np.ones(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_write_atomically_names_a_folder_that_does_not_exist(tmp_path):
    with refused(FileNotFoundError, "cannot write", "absent/file", "No such file"):
        write_atomically(tmp_path / "absent" / "file", b"data")


def test_write_atomically_refuses_to_write_below_a_file_or_over_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"here")
    with refused(NotADirectoryError, "cannot write", "file/below"):
        write_atomically(tmp_path / "file" / "below", b"data")
    (tmp_path / "folder").mkdir()
    before = tmp_path.stat().st_mtime_ns
    with refused(IsADirectoryError, "cannot write", "/folder", "a file"):
        write_atomically(tmp_path / "folder", b"data")
    assert (
        tmp_path.stat().st_mtime_ns == before
    )  # nothing was written next to it, not even for a moment
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")
def test_write_atomically_never_replaces_what_is_not_a_plain_file(tmp_path):
    pipe, socket_file = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(pipe)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(socket_file))
    (tmp_path / "link").symlink_to(pipe)
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    before = {entry.name: entry.lstat() for entry in tmp_path.iterdir()}
    for path in (pipe, socket_file, tmp_path / "link", Path("/dev/null")):
        with refused(FileExistsError, f"cannot write {path}", "a device, a pipe or a socket"):
            write_atomically(path, b"data")
    with refused(FileExistsError, f"cannot write {tmp_path / 'one'}", "links", "loop"):
        write_atomically(tmp_path / "one", b"data")
    after = {entry.name: entry.lstat() for entry in tmp_path.iterdir()}
    assert {n: (s.st_ino, s.st_mode) for n, s in after.items()} == {
        n: (s.st_ino, s.st_mode) for n, s in before.items()
    }
    server.close()


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_write_atomically_keeps_a_link_and_writes_its_target(tmp_path):
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link", tmp_path / "far" / "file"
    link.symlink_to(tmp_path / "second")
    (tmp_path / "second").symlink_to(Path("far") / "file")
    for data in (b"new", b"newer"):  # a link to nothing yet, and to a file
        write_atomically(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert [entry.name for entry in (tmp_path / "far").iterdir()] == ["file"]


def test_write_atomically_leaves_the_old_file_if_interrupted(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def interrupted(descriptor):
        assert len(list(tmp_path.iterdir())) == 2  # the temporary file is there now
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomically_flushes_before_it_renames(tmp_path, monkeypatch):
    events = []
    flush, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("flush"), flush(fd)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (events.append("rename"), rename(a, b)))
    write_atomically(tmp_path / "file", b"data")
    assert events[:2] == ["flush", "rename"]
    assert os.name == "nt" or events == ["flush", "rename", "flush"]


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_save_weights_leaves_the_old_file_if_the_disk_is_full(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"weight": np.arange(3)})
    program = f"""
        import resource, signal
        import numpy as np
        from minivision.nn.weights import save_weights

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            save_weights({str(path)!r}, {{"weight": np.zeros(100_000)}})
        except OSError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.strip() == f"cannot write {path}: File too large"
    assert load_weights(path)[0]["weight"].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]


def test_save_weights_writes_equal_files_for_equal_contents(tmp_path):
    """safetensors alone writes the metadata in a random order."""
    metadata = {name: name * 3 for name in "dbeac"}
    for n in range(8):
        save_weights(tmp_path / f"{n}", {"a": np.arange(6.0), "b é": np.zeros((2, 3))}, metadata)
    assert len({(tmp_path / f"{n}").read_bytes() for n in range(8)}) == 1
    arrays, found = load_weights(tmp_path / "0")
    assert (list(arrays), found) == (["a", "b é"], metadata)
