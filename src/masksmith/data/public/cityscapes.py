"""Cityscapes: 19 classes of street scenes, from archives that a registered person has fetched.

Rule: nothing is downloaded here, because that needs a login.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from masksmith.classes import IGNORE, Entry
from masksmith.data.layouts.named import CITY_CLASSES
from masksmith.data.public import download, pairs
from masksmith.data.public.pairs import Content, Pair
from masksmith.errors import DataError, InputError

_ARCHIVES = {"leftImg8bit": "leftImg8bit_trainvaltest.zip", "gtFine": "gtFine_trainvaltest.zip"}
_PARTS = ("train", "val")  # the masks of the test part are not published
_MEANING = dict.fromkeys(range(34), IGNORE) | {label: i for i, label in enumerate(CITY_CLASSES)}


def fetch(root: Path) -> None:
    """Have the folders leftImg8bit and gtFine in ``root``, unpacked if the archives are there.

    Raises:
        InputError: neither folder nor archive.
    """
    missing = [name for name in _ARCHIVES if not (root / name).is_dir()]
    absent = [_ARCHIVES[name] for name in missing if not (root / _ARCHIVES[name]).is_file()]
    if absent:
        raise InputError(
            where=root,
            expected=f"the archives {' and '.join(_ARCHIVES.values())}",
            received=f"no {' and no '.join(absent)}",
            remedy="register at https://www.cityscapes-dataset.com, download both and name their folder with --root",
        )
    for name in missing:
        download.unpack(root / _ARCHIVES[name], name)


def read(root: Path) -> Content:
    """The set in ``root``."""
    found = {part: sorted((root / "leftImg8bit" / part).glob("*/*_leftImg8bit.png")) for part in _PARTS}
    for part, pictures in found.items():
        if not pictures:
            raise DataError(
                where=root / "leftImg8bit" / part,
                expected="pictures CITY/…_leftImg8bit.png",
                received="none",
                remedy="unpack leftImg8bit_trainvaltest.zip there",
            )
    table = pairs.with_ignored([Entry(name, color, i) for i, (name, color) in enumerate(CITY_CLASSES.values())], "void")
    return Content(table, _MEANING, sum(map(len, found.values())), _pairs(root / "gtFine", found))


def _pairs(masks: Path, found: dict[str, list[Path]]) -> Iterator[Pair]:
    for part, pictures in found.items():
        for picture in pictures:
            name = picture.stem.removesuffix("_leftImg8bit")
            mask = masks / part / picture.parent.name / f"{name}_gtFine_labelIds.png"
            yield pairs.from_files(part, picture, mask, name=name)
