"""Find the files of a dataset on this machine, and download those that are missing.

We look in `data_dir`, in the folder named by the environment variable MINIVISION_DATA, and in the
user's cache; if a file is in none of these, we download it into the cache. A local copy is valid if
its *content* is right, however it was compressed. An invalid copy is reported, and never skipped or
replaced.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from minivision.datasets.idx import decompress

TORCHVISION = {
    "mnist": "MNIST/raw",
    "fashion-mnist": "FashionMNIST/raw",
}  # where torchvision puts files
MAX_CONTENT = 100_000_000  # bytes, uncompressed: twice the size of the largest file


@dataclass(frozen=True)
class RemoteFile:
    """A file of a dataset: where it is published, and the checksums that identify it.

    `sha256` is the checksum of the file as downloaded. `md5` is that of its uncompressed content,
    or None if only the published file itself is acceptable.
    """

    name: str
    url: str
    sha256: str
    md5: str | None = None


def load_file(collection: str, file: RemoteFile, data_dir: str | Path | None = None) -> bytes:
    """The uncompressed content of a file in a collection such as "mnist", after checking it.

    In each folder the file may be COLLECTION/NAME or NAME, with or without the extension .gz, under
    the name that other distributors use, or in the folders that torchvision creates. It is valid if
    it is the published file or has the same content.
    Raises ValueError, naming the path, if the file is damaged or has different content, and OSError
    if there is no such file and it cannot be downloaded.
    """
    path = find_file(collection, file, data_dir)
    if path is None:
        path = download(collection, file)
    if file.md5 is None:
        check_published(path, file)
    content = decompress(path.read_bytes(), str(path), at_most=MAX_CONTENT)
    if sha256_of(path) == file.sha256:
        return content
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != file.md5:
        raise ValueError(
            f"{path} is not the {file.name} of {collection}: its uncompressed content has the MD5 "
            f"checksum {md5}; expected {file.md5}. Replace it, or move it into a folder of its own "
            "if it belongs to a different collection"
        )
    return content


def check_published(path: Path, file: RemoteFile) -> None:
    """Raise ValueError unless a file is byte for byte the published one."""
    sha256 = sha256_of(path)
    if sha256 != file.sha256:
        raise ValueError(
            f"{path} is not the published {file.name}: its SHA-256 checksum is {sha256}; "
            f"expected {file.sha256}. Remove or replace the file"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 checksum of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_file(collection: str, file: RemoteFile, data_dir: str | Path | None = None) -> Path | None:
    """The first file with that name in the folders we search, or None; its content is not read."""
    plain = file.name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")  # such as train-images.idx3-ubyte
    for folder in search_folders(collection, data_dir):
        for name in (file.name, plain, f"{dotted}.gz", dotted):
            if (folder / name).is_file():
                return folder / name
    return None


def search_folders(collection: str, data_dir: str | Path | None = None) -> list[Path]:
    """The folders on this machine that may have the files of a collection, in search order.

    In each folder that we search, the files of a collection such as "fashion-mnist" may be in a
    subfolder `fashion-mnist` or `fashion_mnist`, in torchvision's `FashionMNIST/raw`, or in the
    folder itself.
    """
    usual = (collection, collection.replace("-", "_"), TORCHVISION.get(collection, "."), ".")
    names = dict.fromkeys(usual)
    return [
        folder / name for folder in [*given_folders(data_dir), cache_folder()] for name in names
    ]


def given_folders(data_dir: str | Path | None = None) -> list[Path]:
    """The folders that the user named: `data_dir`, then $MINIVISION_DATA.

    Raises ValueError if one of them does not exist, because looking elsewhere would hide a typo.
    """
    named = [("data_dir", data_dir), ("$MINIVISION_DATA", os.environ.get("MINIVISION_DATA"))]
    folders = []
    for source, folder in named:
        if folder:
            if not Path(folder).is_dir():
                raise ValueError(f'{source} is "{folder}", which is not a folder')
            folders.append(Path(folder))
    return folders


def cache_folder() -> Path:
    """The user's cache folder for minivision, in the operating system's usual location."""
    import pooch  # imported here because users who name a folder rarely need it

    return Path(pooch.os_cache("minivision"))


def download(collection: str, file: RemoteFile) -> Path:
    """Download a file into the user's cache and return its path there.

    A failed download is retried twice, and the file is added to the cache only if its checksum is
    right. Raises ValueError if it is wrong, and OSError if the server cannot be reached.
    """
    import pooch

    folder = cache_folder() / collection
    store = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: f"sha256:{file.sha256}"},
        urls={file.name: file.url},
        retry_if_failed=2,
    )
    fetcher = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    try:
        return Path(store.fetch(file.name, downloader=fetcher))
    except ValueError as error:
        raise ValueError(
            f"{file.url} was downloaded, but its SHA-256 checksum is not {file.sha256}, "
            f"so nothing was kept: {error}"
        ) from error
    except OSError as error:
        raise OSError(
            f"{file.name} of {collection} is not on this machine (data_dir and $MINIVISION_DATA "
            f"were searched, if given, and {folder}) and could not be downloaded from {file.url}: "
            f"{error}. Download it elsewhere and put it in DIR/{collection}/{file.name}, "
            "where DIR is data_dir or $MINIVISION_DATA"
        ) from error
