"""Oxford-IIIT Pet: trimaps of cats and dogs.

Rule: the official test part stays the test part; the validation part is split from the rest by
chance when a training begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from masksmith.classes import IGNORE, make_entries
from masksmith.data.public import download, pairs
from masksmith.data.public.pairs import Content, Pair

ARCHIVES = (
    download.Archive(
        "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c", "images"
    ),
    download.Archive(
        "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
        "95a8c909bbe2e81eed6a22bccdf3f68f",
        "annotations",
    ),
)
_PARTS = {"train": "trainval", "test": "test"}
# 1 is the animal, 2 the background, 3 the border between them, which is neither.
_MEANING = {1: 1, 2: 0, 3: IGNORE}


def fetch(root: Path) -> None:
    """Have the set in ``root``/oxford-iiit-pet."""
    for source in ARCHIVES:
        download.archive(source, root / "oxford-iiit-pet")


def read(root: Path) -> Content:
    """The set in ``root``."""
    base = root / "oxford-iiit-pet"
    names = {part: pairs.read_names(base / "annotations" / f"{listed}.txt") for part, listed in _PARTS.items()}
    table = pairs.with_ignored(list(make_entries(["background", "pet"])), "border")
    return Content(table, _MEANING, sum(map(len, names.values())), _pairs(base, names))


def _pairs(base: Path, names: dict[str, list[str]]) -> Iterator[Pair]:
    for part, of_part in names.items():
        for name in of_part:
            mask = base / "annotations" / "trimaps" / f"{name}.png"
            yield pairs.from_files(part, base / "images" / f"{name}.jpg", mask, name=name)
