"""Bring files here from where a set is published.

Rule: what exists in its final place is complete (archives are unpacked beside it and renamed), so
that an interrupted download can be started again; a missing network is one sentence.
"""

from __future__ import annotations

import errno
import importlib
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masksmith import files
from masksmith.errors import DataError, EnvironmentFault, MasksmithError

# A server that has said nothing for so long will not answer any more.
_PATIENCE_S = 60.0
# What the system says about the disk, and not about the network.
_DISK = frozenset({errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT})
# Written beside a whole snapshot; it holds the commit that the snapshot is of.
_COMPLETE = ".masksmith-complete"


@dataclass(frozen=True)
class Archive:
    """A published archive. ``makes`` is the folder in it that the set needs."""

    url: str
    md5: str
    makes: str

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def library(module: str, package: str) -> Any:  # noqa: ANN401  a module has no narrower type
    """A module that is needed for some sets only.

    Raises:
        EnvironmentFault: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EnvironmentFault(
            where=f"the library {package}",
            expected="it to be installed",
            received=f"an import error ({error})",
            remedy=f"install it with: pip install {package}",
        ) from error


def archive(source: Archive, root: Path) -> None:
    """Have ``source.makes`` in ``root``: downloaded, compared with its checksum, and unpacked.

    Raises:
        EnvironmentFault: no network, or no room.
        DataError: the archive does not hold what it should.
    """
    if (root / source.makes).is_dir():
        return
    files.make_folder(root)
    tools = library("torchvision.datasets.utils", "torchvision")
    with network(source.url, root):
        tools.download_url(source.url, str(root), source.filename, source.md5)
    unpack(root / source.filename, source.makes)


def unpack(path: Path, makes: str) -> None:
    """Unpack an archive so that the folder ``makes`` appears beside it whole or not at all."""
    tools = library("torchvision.datasets.utils", "torchvision")
    beside = path.parent / ".unpacking"
    files.make_folder(beside)
    try:
        tools.extract_archive(str(path), str(beside))
    except Exception as error:  # tar, zip and their compressions raise a dozen kinds about broken files
        if isinstance(error, OSError) and error.errno in _DISK:
            raise files.not_writable(path.parent, error) from error
        raise _broken(path, makes, f"one that cannot be unpacked ({_first_line(error)})") from error
    if not (beside / makes).is_dir():
        raise _broken(path, makes, "one without it")
    target = path.parent / makes
    files.make_folder(target.parent)
    try:
        (beside / makes).rename(target)
    except OSError as error:
        raise files.not_writable(target, error) from error
    for left in (*(beside / makes).parents,)[: len(Path(makes).parts)]:
        with suppress(OSError):  # an archive may hold more than is needed, such as a licence
            left.rmdir()


def snapshot(repository: str, patterns: list[str], root: Path) -> Path:
    """The folder with a data set of the Hugging Face hub; files that are there are not brought again.

    Raises:
        EnvironmentFault: no network, or no room.
    """
    folder = root / repository.rpartition("/")[2]
    if (folder / _COMPLETE).is_file():
        return folder
    files.make_folder(folder)
    hub = library("huggingface_hub", "huggingface_hub")
    with network(f"https://huggingface.co/datasets/{repository}", root):
        # Asked for first: without a network a snapshot answers with what is there, whole or not.
        commit = hub.HfApi().repo_info(repository, repo_type="dataset").sha
        hub.snapshot_download(
            repository, repo_type="dataset", revision=commit, local_dir=str(folder), allow_patterns=patterns
        )
    files.write_text(folder / _COMPLETE, f"{commit}\n")
    return folder


@contextmanager
def network(address: str, root: Path) -> Iterator[None]:
    """One sentence for whatever the downloaders raise."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        yield
    except MasksmithError:
        raise
    except Exception as error:  # urllib, http.client, httpx and the hub each have errors of their own
        if isinstance(error, OSError) and error.errno in _DISK and not isinstance(error, urllib.error.URLError):
            raise files.not_writable(root, error) from error
        raise EnvironmentFault(
            where=address,
            expected="an answer from the network",
            received=f"none that is whole ({_first_line(error)})",
            remedy=f"check the connection and start the command again; what is complete in {root} is kept",
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _first_line(error: Exception) -> str:
    # The hub wraps the error of the connection in explanations of its own.
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return reason.strip("<> .")[:160]


def _broken(path: Path, makes: str, received: str) -> DataError:
    return DataError(
        where=path,
        expected=f"an archive with the folder {makes}",
        received=received,
        remedy="delete it and get it again",
    )
