"""Read a set as arrays, once and for all systems alike.

Rule: the truth is what the masks say; nothing here knows who is going to be judged by it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith.classes import ClassTable
from masksmith.data import dataset, doctor
from masksmith.data.batches import PairReader
from masksmith.data.dataset import Pair
from masksmith.data.doctor import Checkup
from masksmith.recipe import DataSettings

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rules:
    """What has to be said about a set; nothing of it is tuning."""

    ignore: tuple[str, ...] = ()
    """Without this the set cannot be trained on at all: ``masksmith check`` asks for it."""
    upright: bool = False
    """The peers mirror from left to right alone, since the sky is always above."""


SETS: dict[str, Rules] = {
    "camvid": Rules(upright=True),
    "dubai_rgb": Rules(ignore=("0,0,0",)),  # black, which no class has, in three masks
}


def rules(folder: Path) -> Rules:
    """The rules of a set by the name of its folder; other sets need none."""
    return SETS.get(folder.resolve().name, Rules())


@dataclass(frozen=True)
class Part:
    """Standardised pictures (H, W, C) and masks (H, W) of class indices, 255 where ignored."""

    names: list[str] = field(default_factory=list)
    pictures: list[F32] = field(default_factory=list)
    masks: list[U8] = field(default_factory=list)


@dataclass(frozen=True)
class Decoded:
    """A whole set in memory."""

    table: ClassTable
    channels: int
    train: Part
    val: Part


def decode(folder: Path) -> Decoded:
    """Both parts of a set, decoded by masksmith's reader, standardised by the training part."""
    checkup = examined(folder)
    table, fingerprint = checkup.require()
    preprocessing = fingerprint.preprocessing

    def part(split: str) -> Part:
        reader = PairReader(checkup.dataset.part(split), table, preprocessing)
        found = Part()
        for index, pair in enumerate(reader.pairs):
            pixels_HWC, mask_HW = reader.read(index)
            found.names.append(name(pair))
            found.pictures.append(preprocessing.standardize(pixels_HWC))
            found.masks.append(np.asarray(mask_HW, np.uint8))
        return found

    return Decoded(table, preprocessing.channels, part("train"), part("val"))


def judged(folder: Path) -> tuple[ClassTable, list[Path], dict[str, U8]]:
    """The class table, the pictures of the validation part, and the truth by name."""
    checkup = examined(folder)
    table, fingerprint = checkup.require()
    reader = PairReader(checkup.dataset.part("val"), table, fingerprint.preprocessing)
    truth = {name(pair): np.asarray(reader.read(i)[1], np.uint8) for i, pair in enumerate(reader.pairs)}
    if len(truth) < len(reader) or not truth:
        sys.exit(f"{folder}: expected a validation part whose pictures have different names")
    return table, [pair.image for pair in reader.pairs], truth


def name(pair: Pair) -> str:
    """What a prediction is called: ``masksmith predict`` names it so too."""
    return f"{pair.image.stem}_mask"


def examined(folder: Path) -> Checkup:
    """The set with its class table and its parts, as ``masksmith train`` sees it."""
    settings = DataSettings(ignore=rules(folder).ignore)
    return doctor.examine(dataset.find(folder, settings), settings)
