"""Whether many numbers in masks count things or are classes.

Rule: where neither is plain it is asked for: one taken for the other is a training for nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Literal

from masksmith.labels import blur
from masksmith.labels.decision import Unclear
from masksmith.labels.scan import MaskScan
from masksmith.limits import MAX_CLASSES, MAX_SCANNED_KEYS, MAX_UNNAMED_VALUES

# The largest numbers of 16 and of 8 bits: in masks of classes they say that a pixel does not count.
MARKS = (65535, 255)
# A mask of numbers is made of patches; a photograph has hardly two like pixels side by side.
_SOLID_SHARE = 0.3
# Of the numbers from 1 so many may be missing where things were taken out again.
_MISSING_SHARE = 0.2
# A thing is one patch unless something lies across it; of a class a mask often has several.
_TORN_SHARE = 0.2
# The number of a thing is in one mask; that of a class is in more, also in a set of few masks.
_MASKS_OF_A_CLASS = 2


def meaning(scans: Sequence[MaskScan], values: set[int]) -> Literal["things", "classes", ""]:
    """What numbers mean that are more than masks without a class table have classes; "" where they are not.

    Things count from 1 in each mask. With gaps they may be cut from larger maps, and then two of three signs must
    tell: each is one patch, its number stands in one mask, and there are more numbers than classes can be. Classes
    show none of these signs.

    Raises:
        Unclear: the signs contradict each other.
    """
    if any(s.from_palette or blur.is_lossy(s.path) for s in scans) or not _is_solid(scans):
        return ""
    if max(len(values), *(s.distinct for s in scans)) <= MAX_UNNAMED_VALUES:
        return ""
    if _run_from_one(scans):
        return "things"
    holders: Counter[int] = Counter()
    for s in scans:
        holders.update(dict.fromkeys(set(s.values or ()) - {0, *MARKS}, s.masks))
    signs = (
        sum(s.torn for s in scans) <= _TORN_SHARE * sum(s.measured for s in scans),
        median(holders.values()) < _MASKS_OF_A_CLASS,
        len(holders) >= MAX_CLASSES,
    )
    if sum(signs) >= 2:
        return "things"
    if not any(signs) and max(holders) < MAX_CLASSES:
        return "classes"
    raise Unclear(
        where=scans[0].path.parent,
        expected=f"at most {MAX_UNNAMED_VALUES} numbers in masks without a class table, or numbers that plainly count things",
        received=f"{len(values)} with gaps",
        remedy="name the classes in classes.csv (index,name,r,g,b), or say --instances if they number things",
    ).of("undefined", lambda s: bool(s.values))


def _is_solid(scans: Sequence[MaskScan]) -> bool:
    pixels = sum(n for s in scans for n in (s.values or {}).values())
    return sum(n for s in scans for n in s.solid.values()) >= _SOLID_SHARE * pixels


def _run_from_one(scans: Sequence[MaskScan]) -> bool:
    """Whether the numbers of most masks run from 1 with few gaps; a mask of one number says nothing."""
    told = [s for s in scans if len(set(s.values or ()) - {0}) > 1]
    runs = sum(s.masks for s in told if s.distinct > MAX_SCANNED_KEYS or _runs(s))
    return 0 < sum(s.masks for s in told) <= 2 * runs


def _runs(scan: MaskScan) -> bool:
    own = set(scan.values or ()) - {0}
    return any(0 < max(of, default=0) <= (1 + _MISSING_SHARE) * len(of) for of in (own, own - {*MARKS}))
