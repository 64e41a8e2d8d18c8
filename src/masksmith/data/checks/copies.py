"""Copies, shared scenes, neighbouring tiles and torn groups: what makes figures look better than they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from masksmith.data.findings import Finding
from masksmith.data.overview import Overview
from masksmith.data.relations import Relation
from masksmith.errors import listed

# Kind of relation -> (finding across parts, what is expected, what is seen).
_ACROSS = {
    "near copy": ("leak", "each picture in one part", "nearly the same picture in two"),
    "copy": ("leak", "each picture in one part", "the same picture in two"),
    "scene": ("shared scene", "parts that share no scene", "pictures that show the same place in two"),
    "tiles": ("adjacent tiles", "parts that lie apart", "tiles that touch each other in two"),
}


def findings(view: Overview, relations: Sequence[Relation]) -> list[Finding]:
    """What is related across parts, and what is twice in one part."""
    found = []
    for kind, (name, expected, seen) in _ACROSS.items():
        crossing = [r for r in relations if r.kind == kind and _splits(view, r)[0] != _splits(view, r)[1]]
        if crossing:
            where = " and ".join(sorted({s for r in crossing for s in _splits(view, r)}))
            remedy = "figures on such parts are too good: move them to one part, or split anew with masksmith split"
            found.append(_finding(view, name, crossing, expected, f"{seen} ({where})", remedy))
    for kind, seen, remedy in (
        ("copy", "the same picture twice", "keep one of each"),
        ("near copy", "nearly the same picture twice", "keep one of each, unless they are frames of a film"),
    ):
        twice = [r for r in relations if r.kind == kind and _splits(view, r)[0] == _splits(view, r)[1]]
        if twice:
            found.append(_finding(view, "duplicates", twice, "each picture once", seen, remedy))
    return found


def torn(view: Overview, groups: Sequence[str]) -> list[Finding]:
    """Groups that somebody has named and that lie in several parts.

    Args:
        view: the pairs with their parts.
        groups: what was named for each of them, "" for none.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, (pair, group) in enumerate(zip(view.pairs, groups, strict=True)):
        if group and pair.split:
            members[group].append(i)
    across = {g: numbers for g, numbers in members.items() if len({view.pairs[i].split for i in numbers}) > 1}
    if not across:
        return []
    files = tuple(view.pairs[i].image for numbers in across.values() for i in numbers)
    parts = " and ".join(sorted({view.pairs[i].split for numbers in across.values() for i in numbers}))
    seen = f"pictures of one in two ({parts}), {len(across)} times: {listed(across, 3)}"
    remedy = "figures on such parts are too good: give the pictures of a group one part"
    return [Finding("torn group", str(files[0]), "each group in one part", seen, remedy, files)]


def _splits(view: Overview, relation: Relation) -> tuple[str, str]:
    return view.pairs[relation.first].split, view.pairs[relation.second].split


def _finding(view: Overview, kind: str, met: Sequence[Relation], expected: str, seen: str, remedy: str) -> Finding:
    files: list[Path] = []
    for r in met:
        files += [view.pairs[r.first].image, view.pairs[r.second].image]
    unique = tuple(dict.fromkeys(files))
    examples = listed((f"{_short(view, r.first)} = {_short(view, r.second)}" for r in met), 3)
    sign = examples if kind in {"leak", "duplicates"} else examples.replace(" = ", " and ")
    return Finding(kind, str(unique[0]), expected, f"{seen}, {len(met)} times: {sign}", remedy, unique)


def _short(view: Overview, number: int) -> str:
    pair = view.pairs[number]
    return f"{pair.split}/{pair.image.name}" if pair.split else pair.image.name
