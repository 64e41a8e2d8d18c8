"""What the parts of mending hand to each other: a pair that stays, a change, the list of changes.

Rule: values only; no pixel is read here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from masksmith.data.facts import MaskFacts, PictureFacts
from masksmith.data.pairing import Pair


@dataclass(frozen=True)
class Change:
    """One line of the list: the source's file, what was done about it, and why."""

    file: str
    change: str
    why: str


@dataclass
class Item:
    """A pair that may stay, with what the scan saw of it and where it will lie."""

    number: int
    """Its place in the data set, by which relations name it."""
    pair: Pair
    picture: PictureFacts
    mask: MaskFacts
    part: str
    name: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.picture.height, self.picture.width

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of the mask."""
        return self.mask.height, self.mask.width


@dataclass
class Log:
    """The changes so far; files are told from the data set's folder."""

    root: Path
    _told: dict[Change, None] = field(default_factory=dict)

    @property
    def changes(self) -> list[Change]:
        """All of them, in the order in which they were made."""
        return list(self._told)

    def add(self, file: Path, change: str, why: str) -> None:
        """One more change, told once."""
        self._told[Change(self._name(file), change, why)] = None

    def leave_out(self, files: Iterable[Path], why: str) -> None:
        """Files that are not copied."""
        told = {c.file for c in self._told if c.change.startswith("left out")}
        for file in files:
            if self._name(file) not in told:
                self.add(file, "left out", why)

    def _name(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.as_posix()

    def to_csv(self) -> str:
        """The columns file, change, why."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["file", "change", "why"])
        writer.writerows([c.file, c.change, c.why] for c in self._told)
        return out.getvalue()
