"""Which files a written data set is made of: a list beside them, so that to replace it deletes nothing else.

Rule: what is not on the list is somebody's own; a list that is missing or damaged makes all of them that.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from masksmith import files

LIST = "files.txt"
"""One name a line, as seen from the folder."""


def write_list(folder: Path, names: Iterable[str]) -> None:
    """Write the list; errors as in :func:`files.write_bytes`."""
    # Names of files need not be text.
    files.write_bytes(folder / LIST, "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"))


def ours(folder: Path, mark: str, *others: str) -> tuple[str, ...]:
    """What an earlier data set in the folder is made of, for :func:`files.claim_folder`: its mark, the list, the listed."""
    listed = b""
    with suppress(OSError):
        listed = (folder / LIST).read_bytes()
    names = listed.decode("utf-8", "surrogateescape").split("\n")
    return (mark, LIST, *others, *(glob.escape(name) for name in names if name))
