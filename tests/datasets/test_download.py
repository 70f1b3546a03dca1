"""Finding and downloading files from a local server, and MNIST, which is loaded this way."""

import gzip
import hashlib
import importlib
import socket
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minivision.datasets import download, load_dataset
from minivision.datasets import mnist as mnist_function
from minivision.datasets.download import RemoteFile, find_file, load_file
from tests.refusals import refused

CONTENT = b"the content of the file " * 50
PACKED = gzip.compress(CONTENT, mtime=0)


def remote(name, content, packed, url=""):
    return RemoteFile(
        name, url, hashlib.sha256(packed).hexdigest(), hashlib.md5(content).hexdigest()
    )


FILE = remote("some-file.gz", CONTENT, PACKED)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache and an environment of our own, and no network at all."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(download, "cache_folder", lambda: folder)
    monkeypatch.delenv("MINIVISION_DATA", raising=False)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args):
        raise AssertionError("a download was started")

    monkeypatch.setattr(download, "download", refuse)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "place", ["set/some-file.gz", "some-file.gz", "set/some-file", "some-file"]
)
@pytest.mark.parametrize("data", [CONTENT, PACKED, gzip.compress(CONTENT, 1, mtime=1)])
def test_load_file_accepts_a_local_copy_by_its_content(tmp_path, place, data):
    put(tmp_path / "mine" / place, data)
    assert load_file("set", FILE, tmp_path / "mine") == CONTENT


@pytest.mark.usefixtures("no_network")
def test_find_file_searches_data_dir_then_the_environment_then_the_cache(
    tmp_path, cache, monkeypatch
):
    assert find_file("set", FILE) is None
    in_cache = put(cache / "set" / FILE.name, PACKED)
    assert find_file("set", FILE) == in_cache
    in_environment = put(tmp_path / "env" / FILE.name, PACKED)
    monkeypatch.setenv("MINIVISION_DATA", str(tmp_path / "env"))
    assert find_file("set", FILE) == in_environment
    in_data_dir = put(tmp_path / "mine" / "set" / "some-file", CONTENT)
    assert find_file("set", FILE, tmp_path / "mine") == in_data_dir
    in_data_dir.unlink()
    assert find_file("set", FILE, tmp_path / "mine") == in_environment


def test_cache_folder_is_the_one_of_the_system(monkeypatch):
    monkeypatch.undo()
    assert "minivision" in str(download.cache_folder())


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("data", "fragments"),
    [
        (CONTENT + b"!", [hashlib.md5(CONTENT + b"!").hexdigest(), FILE.md5]),
        (b"", [hashlib.md5(b"").hexdigest(), FILE.md5]),
        (PACKED[:-10], ["truncated", "gzip"]),
        (PACKED[:12] + b"\xff" * 20 + PACKED[32:], ["damaged", "gzip"]),
    ],
    ids=["longer", "empty", "truncated", "damaged"],
)
@pytest.mark.parametrize("place", ["data_dir", "environment", "cache"])
def test_load_file_names_a_bad_local_copy_and_keeps_it(
    tmp_path, cache, monkeypatch, place, data, fragments
):
    folders = {"data_dir": tmp_path / "mine", "environment": tmp_path / "env", "cache": cache}
    path = put(folders[place] / "set" / FILE.name, data)
    if place != "cache":
        put(cache / "set" / FILE.name, PACKED)  # a good copy elsewhere does not hide a bad one
    if place == "environment":
        monkeypatch.setenv("MINIVISION_DATA", str(tmp_path / "env"))
    with refused(ValueError, str(path), *fragments):
        load_file("set", FILE, tmp_path / "mine" if place == "data_dir" else None)
    assert path.read_bytes() == data


@pytest.mark.usefixtures("no_network")
def test_load_file_names_a_folder_of_the_environment_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVISION_DATA", str(tmp_path / "typo"))
    with refused(ValueError, "$MINIVISION_DATA", str(tmp_path / "typo"), "folder"):
        load_file("set", FILE)


class Handler(BaseHTTPRequestHandler):
    """Serves `server.answers` one after another, and then the last one again and again.

    An answer is (length stated in the header, bytes that are sent).
    """

    def do_GET(self):
        answers = self.server.answers
        length, data = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)  # between two tries
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = 0
        server.url = f"http://127.0.0.1:{server.server_port}/some-file.gz"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


WHOLE = (len(PACKED), PACKED)
CUT = (len(PACKED), PACKED[:20])
OTHER = (5, b"other")


def test_download_happens_once(server, cache):
    server.answers = [WHOLE]
    file = remote("some-file.gz", CONTENT, PACKED, server.url)
    assert load_file("set", file) == CONTENT
    assert load_file("set", file) == CONTENT
    assert server.requests == 1
    assert [path.name for path in (cache / "set").iterdir()] == ["some-file.gz"]


@pytest.mark.parametrize("failure", [CUT, OTHER])
def test_download_is_tried_again_after_a_failure(server, failure):
    server.answers = [failure, failure, WHOLE]
    file = remote("some-file.gz", CONTENT, PACKED, server.url)
    assert load_file("set", file) == CONTENT
    assert server.requests == 3


def test_download_with_another_checksum_is_refused_and_not_kept(server, cache):
    server.answers = [OTHER]
    file = remote("some-file.gz", CONTENT, PACKED, server.url)
    with refused(ValueError, server.url, file.sha256):
        load_file("set", file)
    assert server.requests == 3
    assert not list((cache / "set").iterdir())


def test_download_leaves_nothing_behind_when_interrupted(server, cache):
    server.answers = [CUT]
    file = remote("some-file.gz", CONTENT, PACKED, server.url)
    with refused(OSError, "some-file.gz of set", server.url):
        load_file("set", file)
    assert not list((cache / "set").iterdir())


def test_download_without_a_network_says_where_to_put_the_file(cache, monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/some-file.gz"
        there = ("DIR/set/some-file.gz", "data_dir", "$MINIVISION_DATA")
        with refused(OSError, "some-file.gz of set", str(cache / "set"), url, *there):
            load_file("set", remote("some-file.gz", CONTENT, PACKED, url))


def idx_bytes(array):
    shape = b"".join(int(n).to_bytes(4) for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def put_small_collection(name, folder, monkeypatch):
    """Four small IDX files instead of a collection's, with a table of their checksums."""
    # `minivision.datasets.mnist` is the function; this is the file of that name.
    module = importlib.import_module(f"minivision.datasets.{name}")
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (5200, 28, 28)),
        rng.permutation(np.arange(5200) % 10),
        rng.integers(0, 256, (30, 28, 28)),
        np.arange(30) % 10,
    ]
    files = []
    for file, array in zip(module.FILES, arrays, strict=True):
        content = idx_bytes(array)
        put(folder / file.name, gzip.compress(content, 1))
        files.append(remote(file.name, content, b""))
    monkeypatch.setattr(module, "FILES", tuple(files))
    return arrays


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    return folder, put_small_collection("mnist", folder / "mnist", monkeypatch)


def test_mnist_has_a_fixed_validation_split_and_its_own_test_set(small_mnist):
    folder, (train_images, train_labels, test_images, test_labels) = small_mnist
    splits = mnist_function(folder)
    assert [len(part) for part in splits] == [200, 5000, 30]
    assert splits.train.classes == tuple("0123456789")
    np.testing.assert_array_equal(splits.test.images[..., 0], test_images)
    np.testing.assert_array_equal(splits.test.labels, test_labels)
    for part in splits[:2]:
        np.testing.assert_array_equal(part.images[..., 0], train_images[part.indices])
        np.testing.assert_array_equal(part.labels, train_labels[part.indices])
        np.testing.assert_array_equal(np.bincount(part.labels), len(part) // 10)
    assert splits.train[0][0].shape == (28, 28, 1)
    np.testing.assert_array_equal(mnist_function(folder).train.indices, splits.train.indices)


def test_mnist_is_found_by_name_and_through_the_environment(small_mnist, monkeypatch):
    folder, _ = small_mnist
    monkeypatch.setenv("MINIVISION_DATA", str(folder))
    assert len(load_dataset("mnist").test) == 30
    monkeypatch.delenv("MINIVISION_DATA")
    assert len(load_dataset("mnist", data_dir=folder).test) == 30


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("folder", ["MNIST/raw", "mnist", "."])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_found_in_the_folders_of_other_libraries(
    tmp_path, monkeypatch, folder, dotted, packed
):
    """torchvision unpacks into MNIST/raw; other distributors write train-images.idx3-ubyte."""
    place = tmp_path / "data" / folder
    arrays = put_small_collection("mnist", place, monkeypatch)
    for path in list(place.iterdir()):
        data = path.read_bytes() if packed else gzip.decompress(path.read_bytes())
        name = path.name if packed else path.stem
        path.unlink()
        put(place / (name.replace("-idx", ".idx") if dotted else name), data)
    splits = load_dataset("mnist", data_dir=tmp_path / "data")
    np.testing.assert_array_equal(splits.test.images[..., 0], arrays[2])


@pytest.mark.usefixtures("no_network")
def test_load_file_does_not_decompress_the_whole_of_another_file(tmp_path):
    bomb = gzip.compress(bytes(400_000_000), 1)
    put(tmp_path / FILE.name, bomb)
    tracemalloc.start()
    with refused(ValueError, str(tmp_path / FILE.name), "some-file.gz of set"):
        load_file("set", FILE, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250_000_000


def test_mnist_names_a_damaged_file(small_mnist):
    folder, _ = small_mnist
    path = folder / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with refused(ValueError, str(path), "truncated"):
        mnist_function(folder)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("place", ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "."])
def test_fashion_mnist_is_found_in_a_folder_of_its_own(tmp_path, monkeypatch, place):
    folder = tmp_path / "data"
    arrays = put_small_collection("fashion_mnist", folder / place, monkeypatch)
    splits = load_dataset("fashion_mnist", data_dir=folder)
    assert [len(part) for part in splits] == [200, 5000, 30]
    assert splits.test.classes[9] == "Ankle boot"
    assert len(splits.test.classes) == 10
    np.testing.assert_array_equal(splits.test.images[..., 0], arrays[2])


@pytest.mark.usefixtures("no_network")
def test_fashion_mnist_refuses_the_files_of_mnist(small_mnist, tmp_path):
    folder, _ = small_mnist
    with refused(ValueError, str(folder), "train-images", "fashion-mnist", "folder of its own"):
        load_dataset("fashion_mnist", data_dir=folder / "mnist")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_download_tables_have_a_different_checksum_for_every_file(name):
    files = importlib.import_module(f"minivision.datasets.{name}").FILES
    assert [file.name.split("-")[:2] for file in files] == [
        ["train", "images"],
        ["train", "labels"],
        ["t10k", "images"],
        ["t10k", "labels"],
    ]
    for file in files:
        assert file.url.endswith(f"/{file.name}")
        assert set(file.sha256) | set(file.md5) <= set("0123456789abcdef")
        assert (len(file.sha256), len(file.md5)) == (64, 32)
    assert len({file.sha256 for file in files}) == len({file.md5 for file in files}) == 4


@pytest.mark.usefixtures("no_network")
def test_load_file_without_a_content_checksum_accepts_only_the_published_file(tmp_path):
    put(tmp_path / "mine" / FILE.name, PACKED)
    unknown = RemoteFile(FILE.name, "", FILE.sha256)
    assert load_file("set", unknown, tmp_path / "mine") == CONTENT
    put(tmp_path / "mine" / FILE.name, gzip.compress(CONTENT, 1, mtime=1))
    with refused(ValueError, str(tmp_path / "mine"), "some-file.gz", "SHA-256", FILE.sha256):
        load_file("set", unknown, tmp_path / "mine")


@pytest.mark.usefixtures("no_network")
def test_load_file_accepts_the_published_file_even_if_its_content_checksum_is_wrong(tmp_path):
    put(tmp_path / "mine" / FILE.name, PACKED)
    mistaken = RemoteFile(FILE.name, "", FILE.sha256, "0" * 32)
    assert load_file("set", mistaken, tmp_path / "mine") == CONTENT
