"""Names of files in answers, made from what a client calls its picture.

Rule: a client's name is a word to show, never a path: nothing here or elsewhere opens a file by it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from masksmith import images

_MOST_BYTES = 120
# What disks or shells refuse or obey; what cannot be shown goes too.
_ODD = frozenset('<>:"/\\|?*')


def safe(given: str | None, ending: str) -> str:
    """The last part of a name, without what is no name of a file on some disk.

    Args:
        given: what the client calls its picture, which may be anything.
        ending: of the format that its bytes are of, for a picture without a name.
    """
    last = re.split(r"[\\/]", given or "")[-1]
    kept = "".join(letter if letter.isprintable() and letter not in _ODD else "_" for letter in last)
    known = images.stem(Path(kept)) if kept.strip(" ._") else ""
    stem = _cut(known).strip(" .")
    return f"{stem}{_cut(kept[len(known) :]).rstrip(' .')}" if stem else f"picture{ending}"


def result(picture: str, ending: str) -> str:
    """The name of an output's file, as the command line would write it."""
    return f"{images.stem(Path(picture))}_{ending}"


def disposition(name: str) -> str:
    """The header that tells a browser what to save an answer as (RFC 6266), in plain letters and in all."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def unlike(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; disks that do not tell ``A`` from ``a`` are thought of."""
    found, number = name, 2
    stem, dot, ending = name.partition(".")
    while found.casefold() in taken:
        found, number = f"{stem}-{number}{dot}{ending}", number + 1
    taken.add(found.casefold())
    return found


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")
