"""Things that have a picture's name and are none, and pictures with odd names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

from reliability.harness.odd import Odd, noise, written
from reliability.harness.odd.pngs import COLOUR, png

_PIXELS = noise("uint8", 3)
_PNG = png(_PIXELS, COLOUR)
_E = "é"


def _locked(path: Path) -> None:
    path.write_bytes(_PNG)
    path.chmod(0)


def _linked(to: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(to)


def _through(path: Path) -> None:
    """A link to a picture beside it that no search of folders finds."""
    path.with_name(".hidden.png").write_bytes(_PNG)
    path.symlink_to(".hidden.png")


def _named(name: str) -> Odd:
    return Odd("names", name, written(_PNG), _PIXELS)


CASES: tuple[Odd, ...] = (
    Odd("places", "pipe.png", os.mkfifo, says="a pipe or a device", sent="never"),
    Odd("places", "device.png", _linked("/dev/zero"), says="a pipe or a device", sent="never"),
    Odd("places", "circle.png", _linked("circle.png"), says="no such file", sent="never", code=2),
    Odd("places", "nowhere.png", _linked("is-not-there.png"), says="no such file", sent="never", code=2),
    Odd("places", "link.png", _through, _PIXELS),
    Odd("places", "folder.png", lambda path: path.mkdir(), says="a folder", sent="never", code=2, alone=True),
    Odd("places", "locked.png", _locked, says="a picture that may be read", sent="never", alone=True, readable=False),
    Odd("places", "absent.png", lambda path: None, says="no such file", sent="never", code=2, alone=True),
    _named("name with  spaces .png"),
    _named("name with\na newline.png"),
    _named("name with\x1b[31m a colour.png"),
    _named(unicodedata.normalize("NFC", f"name {_E} composed.png")),
    _named(unicodedata.normalize("NFD", f"name {_E} in parts.png")),
    _named(unicodedata.normalize("NFC", f"name {_E} twin.png")),
    _named(unicodedata.normalize("NFD", f"name {_E} twin.png")),
    _named(os.fsdecode(b"name \xff of no letters.png")),
    _named("name 画像 🛰 ﷽.png"),
    _named("name [a-z]* $(touch x) `y` & ; | 'q' \"Q\".png"),
    _named("name.with.dots..png"),
    _named("NAME IN CAPITALS.PNG"),
    _named("-name like an option.png"),
    _named("@name like a list.png"),
    _named("name\\with\\..\\backslashes.png"),
    _named("n" * 230 + ".png"),
    Odd("names", "...png", written(_PNG), _PIXELS, alone=True),  # hidden, so that no search finds it
    Odd("names", "n" * 251 + ".png", written(_PNG), _PIXELS, alone=True),
)
