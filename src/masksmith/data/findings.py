"""Findings: what a look at a data set found, each with its kind, its files and the remedy.

Rule: every kind stands in ``FINDINGS`` with its weight; a sentence is never more than one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from masksmith.errors import DataError, listed, one_line

Severity = Literal["fault", "warning", "note"]


@dataclass(frozen=True)
class Kind:
    """How much a kind of finding weighs, what it is, and what ``check --fix`` does about it."""

    severity: Severity
    what: str
    mended: str = ""


# Worst first: the order in which they are told.
FINDINGS: dict[str, Kind] = {
    "corrupt": Kind("fault", "a file that cannot be read", "left out"),
    "unpaired": Kind("fault", "a picture without a mask", "left out"),
    "ambiguous": Kind("fault", "two files of one name, or two masks for one picture", "left out"),
    "size": Kind("fault", "a mask of another size than its picture", "brought to the picture's size"),
    "transposed": Kind("fault", "a mask whose height and width are exchanged", "turned back"),
    "picture as mask": Kind("fault", "a photograph where a mask is expected", "left out"),
    "lossy": Kind("fault", "a mask blurred by compression or smoothing", "snapped to the nearest class, or left out"),
    "overlap": Kind("fault", "classes that overlap, where one was expected for each pixel"),
    "encoding": Kind("fault", "masks that mean the same by different values", "written as one index"),
    "undefined": Kind("fault", "a value or colour that no class has", "ignored, or left out"),
    "one value": Kind("fault", "masks that hold one value alone"),
    "class table": Kind("fault", "a class table that cannot be used"),
    "channels": Kind("fault", "pictures with different numbers of channels", "cut to the common channels"),
    "dtype": Kind("fault", "pictures of different dtypes", "converted to the common dtype"),
    "numbers": Kind("fault", "pixels that are no numbers, or too large", "left out"),
    "too few": Kind("fault", "fewer than two pictures"),
    "empty part": Kind("fault", "a part without pictures; train or val without a pixel of any class"),
    "leak": Kind("warning", "the same picture in two parts", "left out of all parts but one"),
    "shared scene": Kind("warning", "parts of one scene in two parts", "moved to one part"),
    "adjacent tiles": Kind("warning", "neighbouring tiles in two parts", "moved to one part"),
    "torn group": Kind("warning", "a named group in two parts"),
    "inverted": Kind("warning", "a binary mask that is inverted against the others", "inverted"),
    "turned": Kind("warning", "a mask whose edges fit its picture only when it is turned", "turned back"),
    "shifted": Kind("warning", "a mask that is shifted against its picture"),
    "empty masks": Kind("warning", "masks without any foreground"),
    "absent class": Kind("warning", "a class that never occurs"),
    "class in one part": Kind("warning", "a class that occurs in one part only"),
    "duplicates": Kind("warning", "the same picture twice in a part", "exact copies kept once"),
    "scales": Kind("warning", "pictures whose values differ by a factor"),
    "constant": Kind("warning", "a picture of one value", "left out"),
    "saturated": Kind("warning", "a picture that is mostly at the end of its scale"),
    "numbered things": Kind("warning", "masks that seem to number things, not classes"),
    "alike colours": Kind("warning", "classes of one colour"),
    "spare masks": Kind("warning", "masks without a picture", "left out"),
    "ignored folder": Kind("warning", "a folder that is not used"),
    "left out": Kind("note", "pictures left out because that was asked for"),
    "ignore": Kind("note", "what does not count"),
    "classes": Kind("note", "where the class table comes from"),
    "storage": Kind("note", "masks that are stored in several ways"),
    "band": Kind("note", "a measured channel that the files call transparency"),
    "drawn over": Kind("note", "drawn regions that lie over those of another class"),
    "not compared": Kind("note", "likely copies that were too many to be compared"),
    "split": Kind("note", "how the pictures were split"),
    "layout": Kind("note", "how the files lie"),
}


@dataclass(frozen=True)
class Finding:
    """One finding; ``files`` are all that it concerns, ``where`` the first or their folder."""

    kind: str
    where: str
    expected: str
    received: str
    remedy: str
    files: tuple[Path, ...] = ()

    @property
    def severity(self) -> Severity:
        """How much it weighs."""
        return FINDINGS[self.kind].severity

    @property
    def error(self) -> DataError:
        """The same as an error."""
        return DataError(where=self.where, expected=self.expected, received=self.received, remedy=self.remedy)

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.received}" if self.severity == "note" else str(self.error))


def note(kind: str, text: str, where: object = "data", files: Iterable[Path] = ()) -> Finding:
    """A finding that only tells."""
    return Finding(kind, str(where), "", text, "", tuple(files))


def from_error(kind: str, error: DataError, files: Iterable[Path] = ()) -> Finding:
    """A finding with the sentence of an error."""
    return Finding(
        kind, error.where, error.expected, error.received, error.remedy, tuple(files) or (Path(error.where),)
    )


def grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of one kind and remedy as one, with all their files; worst first."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, _pattern(finding)), []).append(finding)
    merged = [_merged(group) for group in groups.values()]
    order = list(FINDINGS)
    return sorted(merged, key=lambda f: order.index(f.kind))


def _pattern(finding: Finding) -> str:
    """What makes two findings one fault: notes are told each, faults by what must be done."""
    if finding.severity == "note":
        return str(finding)
    names = sorted({f.name for f in finding.files} | {f.stem for f in finding.files}, key=len, reverse=True)
    text = finding.remedy
    for name in names:  # as a whole: a picture may be called "a"
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    return text


def _merged(group: Sequence[Finding]) -> Finding:
    first = group[0]
    if len(group) == 1:
        return first
    files = tuple(dict.fromkeys(f for finding in group for f in finding.files))
    others = [f.name for f in files if str(f) != first.where] or [f"{f.where}: {f.received}" for f in group[1:]]
    return Finding(
        first.kind,
        first.where,
        first.expected,
        f"{first.received} (and {len(others)} more: {listed(others)})",
        first.remedy,
        files,
    )
