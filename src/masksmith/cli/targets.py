"""Whether the files that a command is to write have names and places that can be had.

Rule: nothing is written outside the folder that was given, whatever pictures are called and whatever links lie in it.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from masksmith.errors import InputError
from masksmith.limits import MAX_NAME_BYTES


def refuse_unsafe(folder: Path, targets: Iterable[tuple[object, Path]]) -> None:
    """Check all pictures (what each is called, and a file that it is to get) before anything is written.

    Raises:
        InputError: a name that is too long, or a link in ``folder`` that leads out of it.
    """
    inside = Path(os.path.realpath(folder))  # Path.resolve raises where links go in a circle
    seen: set[Path] = set()
    for source, target in targets:
        size = len(os.fsencode(target.name))
        if size > MAX_NAME_BYTES:
            raise InputError(
                where=source,
                expected=f"a name so short that {target.name[-30:]} can follow it within {MAX_NAME_BYTES} bytes",
                received=f"one that makes {size}",
                remedy="rename it",
            )
        if target.parent in seen:
            continue
        seen.add(target.parent)
        if not Path(os.path.realpath(target.parent)).is_relative_to(inside):
            raise InputError(
                where=target.parent,
                expected=f"a folder inside {folder}",
                received="a link that leads out of it",
                remedy="remove the link, or give another output folder",
            )


def refuse_alike(folder: Path, targets: Iterable[Path]) -> None:
    """Check that the disk of ``folder`` tells names apart that differ in capitals or in how an accent is composed.

    Raises:
        InputError: it takes two of them for one.
    """
    seen: dict[str, Path] = {}
    for target in targets:
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFD", str(target)).casefold())
        other = seen.setdefault(key, target)
        if other != target and _is_one_place(folder, other.relative_to(folder), target.relative_to(folder)):
            raise InputError(
                where=target,
                expected="a file of its own for each picture and class",
                received=f"{other.name} too, which is the same name on this disk",
                remedy="rename one of the pictures, or predict them into two folders",
            )


def _is_one_place(folder: Path, one: Path, other: Path) -> bool:
    """The disk itself is asked: what it takes for one name is not the same everywhere, nor in each of its folders."""
    from masksmith import files

    with tempfile.TemporaryDirectory(dir=folder, prefix=".masksmith-probe-") as probe:
        files.make_folder(Path(probe) / one)
        return is_taken(Path(probe) / other)


def is_taken(target: Path) -> bool:
    """Whether something has that name; a link does, wherever it leads."""
    return os.path.lexists(target)
