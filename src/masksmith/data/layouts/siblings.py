"""Which of the folders beside the pictures holds their masks, and a word on the others that could.

Rule: a folder that might be the annotation as well is never passed over without a word.
"""

from __future__ import annotations

import re
from pathlib import Path

from masksmith import images
from masksmith.data.findings import Finding, note
from masksmith.data.layouts.part import IMAGE_NAMES, MASK_NAMES, SPLITS, Part, child, contents, visible
from masksmith.errors import listed

# Beside masks that were drawn by hand, and are called so, these show the field of view (DRIVE, HRF).
_FIELDS_OF_VIEW = ("mask", "masks")
_BY_HAND = re.compile(r"(\d+(st|nd|rd|th)_)?manual\d*")

# How a word begins in the name of a folder that is made for looking at, or holds pictures of another kind.
_OF_OTHERS = ("image", "img", "overlay", "preview", "thumb", "depth", "vis", "color", "colour")
# What stands in the name of a folder that may well hold masks.
_OF_MASKS = ("seg", "mask", "label", "gt", "annot", "manual", "truth", "vessel")

# A folder may hold the masks if it has this share of as many pictures, or they have this share of its own.
_LEAST_SHARE = 0.8


def masks_beside(home: Path, pictures: Path) -> Path | None:
    """The folder in ``home`` with the masks of the folder ``pictures``; masks by hand before a field of view."""
    masks = child(home, MASK_NAMES)
    if masks is None or masks.name.lower() not in _FIELDS_OF_VIEW:
        return masks
    by_hand = [p for p in visible(home) if p.is_dir() and _by_hand(p)]
    count = _readable(pictures) if by_hand else 0
    return next((p for p in by_hand if _about(_readable(p), count)), masks)


def without_field_of_view(parts: list[Part]) -> list[Part]:
    """The parts; where one has masks by hand beside a field of view, those are left out that have the latter alone."""
    beside = [p.name.lower() for part in parts if _by_hand(part.masks) for p in visible(part.masks.parent)]
    views = {name for name in beside if name in _FIELDS_OF_VIEW}
    return [part for part in parts if part.masks.name.lower() not in views]


def others_beside(part: Part, home: Path) -> list[Finding]:
    """A word on the folders in ``home`` that could hold the part's masks, or its pictures, and are not taken."""
    rest = [p for p in visible(home) if p.is_dir() and p not in (part.images, part.masks)]
    told = _field_of_view(part, home, rest) if _by_hand(part.masks) else []
    rest = [p for p in rest if not any(p in finding.files for finding in told)]
    # Other pictures are no masks, and what is called as a part is told elsewhere.
    could = [p for p in rest if p.name.lower() not in IMAGE_NAMES and not p.name.lower().startswith(SPLITS)]
    could = [p for p in could if not _of_others(p) and _about(_readable(p), len(part.pictures))]
    rivals = [p for p in could if p.name.lower() in MASK_NAMES or any(word in p.name.lower() for word in _OF_MASKS)]
    if rivals:
        told.append(
            Finding(
                "ignored folder",
                str(home),
                f"one folder of masks beside {part.images.name}/",
                f"{part.masks.name}/, which is taken, and {_names(rivals)}, not used",
                "if the masks are those of another folder, give --images DIR --masks DIR, or rename it",
                tuple(rivals),
            )
        )
    others = [p for p in rest if p not in rivals and (p in could or p.name.lower() in (*IMAGE_NAMES, *MASK_NAMES))]
    if others:
        taken = f"taken are {part.images.name}/ and {part.masks.name}/, not used: {_names(others)}"
        told.append(note("layout", taken, home, others))
    return told


def _field_of_view(part: Part, home: Path, rest: list[Path]) -> list[Finding]:
    """The masks of a second hand, and the field of view."""
    views = [p for p in rest if p.name.lower() in _FIELDS_OF_VIEW]
    unused = [p for p in rest if _by_hand(p)] + views
    why = f"; {_names(views)} looks like the field of view" if views else ""
    told = f"taken is {part.masks.name}/, not used: {_names(unused)}{why}"
    return [note("layout", told, home, unused)] if unused else []


def _by_hand(folder: Path) -> bool:
    return _BY_HAND.fullmatch(folder.name.lower()) is not None


def _of_others(folder: Path) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", folder.name)  # no part of one: of revised masks, for example
    return any(word.lower().startswith(_OF_OTHERS) for word in words)


def _readable(folder: Path) -> int:
    return sum(images.is_picture(path) for path in contents(folder) or ())


def _about(count: int, others: int) -> bool:
    return min(count, others) >= _LEAST_SHARE * max(count, others) > 0


def _names(folders: list[Path]) -> str:
    return listed(f"{p.name}/" for p in folders)
