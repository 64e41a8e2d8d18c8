"""Whether the files that a command is to write have names and places that can be had.

Rule: nothing is written outside the folder that was given, whatever pictures are called and whatever links lie in it.
"""

from __future__ import annotations

import os
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


def is_taken(target: Path) -> bool:
    """Whether something has that name; a link does, wherever it leads."""
    return os.path.lexists(target)
