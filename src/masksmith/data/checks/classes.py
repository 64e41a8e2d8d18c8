"""Checks of what the masks say: undefined, absent, empty, inverted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from masksmith.classes import unpack
from masksmith.data.findings import Finding
from masksmith.data.overview import Overview
from masksmith.errors import listed
from masksmith.limits import MAX_UNNAMED_VALUES

# An inverted mask: its foreground is this share or more where that of the others is this or less.
_INVERTED_SHARE, _USUAL_SHARE = 0.5, 0.35
# Fewer masks may hold one patch of each class by chance.
_FEWEST_COUNTING = 5
# Masks of things have flaws, too: so many of those that are not empty count from 1 without a gap, and so many of
# their things are in several patches.
_COUNTING_SHARE, _TORN_SHARE = 0.8, 0.1
# Empty masks are told where most masks have foreground, and much of it: few and small things are
# missing from many a picture by nature.
_EMPTY_SHARE = 0.5
_MUCH_SHARE = 0.03


def pictures_as_masks(view: Overview) -> list[Finding]:
    """Masks that are photographs, or the pictures themselves."""
    paths = [view.pairs[i].mask for i in sorted(_photographs(view))]
    if not paths:
        return []
    return [
        Finding(
            "picture as mask",
            str(paths[0]),
            "masks of a few values, one a class",
            f"pictures in {len(paths)} files: {listed(p.name for p in paths)}",
            "put the masks there",
            tuple(paths),
        )
    ]


def _photographs(view: Overview) -> set[int]:
    copies = {i for i, r in enumerate(view.rows) if r is not None and r.is_picture}
    return copies | {i for i in view.many if i in view.unknown or i in view.unnamed}


def undefined(view: Overview) -> list[Finding]:
    """Values and colours that no class has; all in one sentence, with how to ignore them."""
    if view.table is None:
        return []
    photographs = _photographs(view)
    found = []
    for number, received in view.unnamed.items():
        if number in photographs:
            continue
        path = view.pairs[number].mask
        wanted = "8-bit colours" if view.table.encoding == "color" else "index values"
        found.append(
            Finding(
                "encoding",
                str(path),
                f"{wanted} as in the other masks",
                received,
                "save all masks in one way",
                (path,),
            )
        )
    blurred = [i for i in view.unknown if i in view.blurred - photographs]
    strange = [i for i in view.unknown if i not in view.blurred | photographs]
    found += [_blurred(view, blurred)] if blurred else []
    return found + ([_undefined(view, strange)] if strange else [])


def _blurred(view: Overview, numbers: list[int]) -> Finding:
    paths = tuple(view.pairs[i].mask for i in numbers)
    worst = max(numbers, key=lambda i: len(view.unknown[i]))
    return Finding(
        "lossy",
        str(paths[0]),
        f"values of the class table alone ({listed((e.name for e in view.table.entries), 6) if view.table else ''})",
        f"up to {len(view.unknown[worst])} others, which lie on edges, in {len(paths)} masks: {listed(p.name for p in paths)}",
        "save masks as PNG without smoothing, or take the nearest class for each pixel with --snap",
        paths,
    )


def _undefined(view: Overview, numbers: list[int]) -> Finding:
    assert view.table is not None  # noqa: S101  the caller has looked
    totals: Counter[int] = Counter()
    for i in numbers:
        totals.update(view.unknown[i])
    paths = tuple(view.pairs[i].mask for i in numbers)
    if view.table.encoding == "name":
        return _unlisted(view, numbers, paths)
    color = view.table.encoding == "color"
    worst, pixels = totals.most_common(1)[0]
    shown = str(unpack(worst)) if color else str(worst)
    option = ",".join(map(str, unpack(worst))) if color else str(worst)
    kind = "colour" if color else "value"
    more = f" (and {len(totals) - 1} more {kind}s)" if len(totals) > 1 else ""
    known = listed((f"{e.color if color else e.value} {e.name}" for e in view.table.entries), 8)
    return Finding(
        "undefined",
        str(paths[0]),
        f"only {kind}s of the class table ({known})",
        f"{kind} {shown} in {pixels} pixels{more}, in {len(paths)} masks: {listed(p.name for p in paths)}",
        f"add a class for it to the class table, or ignore it with --ignore {option}",
        paths,
    )


def _unlisted(view: Overview, numbers: list[int], paths: tuple[Path, ...]) -> Finding:
    """Drawn regions, or what lies between them, under names that the class table does not have."""
    assert view.table is not None  # noqa: S101  the caller has looked
    names = list(dict.fromkeys(view.names[i][key] for i in numbers for key in view.unknown[i]))
    drawn = [name for name in names if name != "background"]  # without it nothing but things would be learnt
    return Finding(
        "undefined",
        str(paths[0]),
        f"only names of the class table ({listed((e.name for e in view.table.entries), 8)})",
        f"{listed(names)}, in {len(paths)} annotations: {listed(p.name for p in paths)}",
        "add a row for each to the class table" + (f", or ignore it with --ignore {drawn[0]}" if drawn else ""),
        paths,
    )


def absent(view: Overview) -> list[Finding]:
    """Classes that occur nowhere, or in one part only."""
    known = [(p, c) for p, c in zip(view.pairs, view.class_pixels, strict=True) if c is not None]
    if view.table is None or not known:
        return []
    splits = sorted({p.split for p, _ in known}, key=("train", "val", "test", "").index)
    sums = {s: np.sum([c[:-1] for p, c in known if p.split == s], axis=0) for s in splits}
    found = []
    nowhere = [n for i, n in enumerate(view.table.names) if all(sums[s][i] == 0 for s in splits)]
    if nowhere:
        found.append(
            Finding(
                "absent class",
                "masks",
                "pixels of each class of the table",
                f"none of {listed(nowhere)}",
                "it cannot be learnt: correct the class table or the masks",
            )
        )
    for s in splits:
        # Classes that overlap have no background: a part where nothing is drawn has pixels all the same.
        if s in {"train", "val"} and not sums[s].any() and not view.table.overlapping:
            found.append(_bare_part(s, sum(p.split == s for p, _ in known)))
            continue
        missing = [n for i, n in enumerate(view.table.names) if sums[s][i] == 0 and n not in nowhere]
        # Two pictures for validation cannot hold every rare class; that is told, and no more.
        if missing and s in {"train", "val", "test"}:
            effect = "it cannot be learnt" if s == "train" else "its figures will be n/a there"
            found.append(
                Finding(
                    "class in one part",
                    f"the {s} part",
                    "pixels of each class",
                    f"none of {listed(missing)}",
                    f"{effect}: split anew, or add pictures with it",
                )
            )
    return found


def _bare_part(split: str, masks: int) -> Finding:
    """A part that nothing is learnt from, or by which no network is chosen: the time would be lost."""
    use = "learn from" if split == "train" else "score"
    return Finding(
        "empty part",
        f"the {split} part",
        f"pixels of a class, to {use}",
        f"none in its masks ({masks}), which may all be ignored",
        "label some of its pictures, or split anew with masksmith split",
    )


def empty(view: Overview) -> list[Finding]:
    """Masks of the background alone, where most masks hold more."""
    if view.table is None or len(view.table) < 2 or view.table.overlapping:
        return []
    known = [(p.mask, c[:-1]) for p, c in zip(view.pairs, view.class_pixels, strict=True) if c is not None and c.sum()]
    if len(known) < 2:
        return []
    background = int(np.sum([c for _, c in known], axis=0).argmax())
    bare = [path for path, c in known if c.sum() == c[background] > 0]
    blank = [path for path, c in known if c.sum() == 0]
    shares = [1 - c[background] / c.sum() for _, c in known if c.sum() > c[background]]
    much = bool(shares) and float(np.median(shares)) >= _MUCH_SHARE
    found = []
    if bare and much and (len(bare) <= _EMPTY_SHARE * len(known) or background == 0):
        found.append(_empty(bare, len(known), f"{view.table.names[background]} alone"))
    if blank:
        found.append(_empty(blank, len(known), "ignored pixels alone"))
    return found


def _empty(paths: list[Path], total: int, what: str) -> Finding:
    return Finding(
        "empty masks",
        str(paths[0].parent),
        "something in each mask",
        f"{what} in {len(paths)} of {total}: {listed(p.name for p in paths)}",
        "make sure that nothing is there, and not that somebody forgot to draw it",
        tuple(paths),
    )


def inverted(view: Overview) -> list[Finding]:
    """Of two classes: masks whose shares and greys are the other way round than in most."""
    if view.table is None or len(view.table) != 2 or view.table.overlapping:
        return []
    known = [
        (p.mask, c[1] / max(1, c[:-1].sum()), g)
        for p, c, g in zip(view.pairs, view.class_pixels, view.class_greys, strict=True)
        if c is not None and g is not None and np.isfinite(g).all()
    ]
    if len(known) < 3:
        return []
    shares = np.array([share for _, share, _ in known])
    brighter = np.array([float(g[1] - g[0]) for _, _, g in known])
    usual = float(np.median(shares))
    sign = float(np.sign(np.median(brighter)))
    # Both must speak for it: much foreground alone may be a full picture.
    if usual <= _USUAL_SHARE:
        odd = (shares >= _INVERTED_SHARE) & (brighter * sign < 0)
    elif usual >= 1 - _USUAL_SHARE:
        odd = (shares <= 1 - _INVERTED_SHARE) & (brighter * sign < 0)
    else:
        return []
    paths = tuple(known[i][0] for i in np.flatnonzero(odd))
    if not paths or len(paths) > len(known) // 2:
        return []
    return [
        Finding(
            "inverted",
            str(paths[0]),
            f"about {100 * usual:.0f} % of {view.table.names[1]} as in the others",
            f"the two classes exchanged in {len(paths)} masks: {listed(p.name for p in paths)}",
            "look at them, and invert them",
            paths,
        )
    ]


def alike(view: Overview) -> list[Finding]:
    """Classes of one colour cannot be told apart in overlays."""
    if view.table is None:
        return []
    colors = Counter(e.color for e in view.table.classes)
    same = [e.name for e in view.table.classes if colors[e.color] > 1]
    if not same:
        return []
    return [
        Finding(
            "alike colours",
            "class table",
            "a colour for each class",
            f"one for {listed(same)}",
            "give them different ones, since they look alike in masks and overlays",
        )
    ]


def numbered(view: Overview) -> list[Finding]:
    """Masks without class table whose values count the things in each picture."""
    if view.table is None or not all(e.name == f"class {e.value}" for e in view.table.classes):
        return []
    if len(view.table) > MAX_UNNAMED_VALUES:
        return [_unnamed(view)]
    known = [(p.mask, *t) for p, t in zip(view.pairs, view.numbers, strict=True) if t is not None and t[0]]
    ends = [n for _, n, _ in known if n > 0]
    counting = tuple(path for path, n, _ in known if n > 1)
    if len(counting) < _FEWEST_COUNTING or len(set(ends)) < 3 or len(ends) < _COUNTING_SHARE * len(known):
        return []
    # Classes run to the same end in most masks that hold all of them, and have several patches.
    torn = sum(torn for _, n, torn in known if n > 0)
    if 2 * ends.count(max(ends)) > len(ends) or torn > _TORN_SHARE * sum(ends):
        return []
    return [
        Finding(
            "numbered things",
            str(counting[0]),
            "the same class by the same value in all masks",
            f"values from 1 upwards, nearly all in one patch, in {len(ends)} of {len(known)} masks, as if they numbered things",
            "if they do, say so with --instances; if not, name the classes in classes.csv",
            counting,
        )
    ]


def _unnamed(view: Overview) -> Finding:
    """More classes than people number without naming them: they may be right, and are to be looked at."""
    assert view.table is not None  # noqa: S101  the caller has looked
    return Finding(
        "numbered things",
        str(view.pairs[0].mask.parent),
        f"a class table for more than {MAX_UNNAMED_VALUES} classes",
        f"numbers alone, which are taken as {len(view.table)} classes, 0 among them",
        "name the classes in classes.csv; --ignore 0 if that is no class, --instances if they number things",
    )
