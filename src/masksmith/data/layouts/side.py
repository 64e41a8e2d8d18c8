"""Pictures and masks side by side: x.jpg and x_mask.png, x_img.png and x_mask.png, x.json, or x.txt."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from masksmith import images, labels
from masksmith.data.findings import Finding
from masksmith.data.layouts.part import SPLIT_NAMES, Part, by_name, child, contents, visible
from masksmith.errors import listed
from masksmith.labels import Labels, LabelSource

# What people put behind or before a picture's name to name its mask.
SUFFIXES = ("_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_segmentation", "_L", "_P", "-mask", "-label",
            "_GT", "_annotation", "_annot", "_labelIds", ".mask", "mask", "_target", "_truth", "_m")  # fmt: skip
_PREFIXES = ("mask_", "label_", "gt_", "seg_")
# A suffix of nobody's list is believed when it joins this share of the files.
_LEARNT_SHARE = 0.8


def side_by_side(root: Path) -> list[Part]:
    """x.jpg beside x_mask.png (or another suffix, learnt from the folder), x.json, x.txt; x_sat.jpg beside x_mask.png"""
    parts = []
    for split, names in SPLIT_NAMES.items():
        folder = child(root, names)
        if folder is not None and (part := _in_folder(folder, split) or _in_folders(folder, split)):
            parts.append(part)
    if parts:
        return parts
    part = _in_folder(root, "")
    # A folder alone is looked into as a data set of its own.
    if part is None and sum(p.is_dir() for p in visible(root)) > 1:
        part = _in_folders(root, "")
    return [part] if part else []


def _in_folder(folder: Path, split: str) -> Part | None:
    files = [p for p in visible(folder) if p.is_file()]
    masks, plain = _told_apart({p: images.stem(p) for p in files if images.is_picture(p)})
    found = _masks(masks)
    if not masks:
        stems = {*plain.values()}
        beside = [p for p in visible(folder) if p.name in stems or (p.is_file() and not images.is_picture(p))]
        found = labels.collect((p.name if p.is_dir() else images.stem(p), p) for p in beside)
        tables = {path for many in found.by_picture.values() for s in many for path in s.files}
        if not tables and not any(stem in found.by_name for stem in stems):
            return None
    by, findings = by_name(((name, p) for p, name in plain.items()), folder)
    return Part(split, folder, folder, by, found, findings=findings) if by and found else None


def _in_folders(folder: Path, split: str) -> Part | None:
    """Pictures and masks side by side in the folders of a folder that has no pictures: one a patient, site or class."""
    here = visible(folder)
    if any(images.is_picture(p) for p in here):
        return None
    inside = {home: contents(home) for home in here if home.is_dir()}
    files = [p for held in inside.values() for p in held or () if images.is_picture(p) and p.is_file()]
    masks, plain = _told_apart({p: f"{p.parent.name}/{images.stem(p)}" for p in files})
    # Folders of anything may hold a pair or two; where most have no mask, it is no such set.
    if not masks or 2 * len({*masks.values()} & {*plain.values()}) < len(plain):
        return None
    by, findings = by_name(((name, p) for p, name in plain.items()), folder)
    shut = [home for home, held in inside.items() if held is None]
    findings += [_not_listed(folder, shut)] if shut else []
    return Part(split, folder, folder, by, _masks(masks), findings=findings)


def _not_listed(folder: Path, shut: list[Path]) -> Finding:
    """A word on folders that nobody may look into."""
    return Finding(
        "ignored folder",
        str(folder),
        "folders that may be listed",
        f"others, which are not used: {listed(f'{home.name}/' for home in shut)}",
        "allow to read what holds pictures and masks",
        tuple(shut),
    )


def _masks(named: dict[Path, str]) -> Labels:
    found = Labels()
    for path, name in named.items():
        found.add(name, LabelSource((path,)))
    return found


def _told_apart(named: dict[Path, str]) -> tuple[dict[Path, str], dict[Path, str]]:
    """Of pictures and their names the masks, by the names of their pictures, and the rest, by its own."""
    names = Counter(named.values())
    options = [("", s) for s in SUFFIXES] + [(p, "") for p in _PREFIXES]
    scores = {o: sum(o[0] + name + o[1] in names for name in names) for o in options}
    learnt = _learnt(list(names))
    if learnt is not None:
        scores.setdefault(("", learnt[0]), learnt[1])
    prefix, suffix = max(scores, key=lambda o: scores[o])
    best = scores[prefix, suffix]
    if ends := _two_endings(names, best):
        masks = {p: name.removesuffix(ends[1]) for p, name in named.items() if name.endswith(ends[1])}
        return masks, {p: name.removesuffix(ends[0]) for p, name in named.items() if p not in masks}
    if best > 0:
        masks = {
            p: name[len(prefix) : len(name) - len(suffix)]
            for p, name in named.items()
            if name.startswith(prefix) and name.endswith(suffix) and len(name) > len(prefix + suffix)
        }
    else:
        # x.jpg and x.png: a mask is the one that nothing was lost in.
        twice = {name for name, n in names.items() if n == 2}
        lossless = {".png", ".tif", ".tiff", ".npy", ".bmp"}
        masks = {p: name for p, name in named.items() if name in twice and p.suffix.lower() in lossless}
        masks = masks if len(masks) == len(twice) else {}
    return masks, {p: name for p, name in named.items() if p not in masks}


def _two_endings(names: Collection[str], more_than: int) -> tuple[str, str] | None:
    """The endings of pictures and of masks, as _sat and _mask, where nearly all names have one of the two.

    ``more_than`` is what they have to join at least one more of.
    """
    counts = Counter(name[name.rindex("_") :] for name in names if "_" in name).most_common(2)
    ends = [end for end, _ in counts]
    # One letter may name other things: left and right.
    marks = [end for end in ends if end in SUFFIXES and len(end) > len("_L")]
    if len(ends) < 2 or len(marks) != 1 or sum(n for _, n in counts) < _LEARNT_SHARE * len(names):
        return None
    mask, (picture,) = marks[0], [end for end in ends if end != marks[0]]
    joined = sum(name.removesuffix(picture) + mask in names for name in names if name.endswith(picture))
    return (picture, mask) if joined > more_than else None


def _learnt(stems: list[str]) -> tuple[str, int] | None:
    """A suffix that joins most stems in pairs, if there is one."""
    ordered = sorted(stems)
    rests = Counter(b[len(a) :] for a, b in itertools.pairwise(ordered) if b.startswith(a))
    rests = Counter({r: n for r, n in rests.items() if not r[0].isdigit() and not r[-1].isdigit()})
    if not rests:
        return None
    suffix, count = rests.most_common(1)[0]
    return (suffix, count) if 2 * count >= _LEARNT_SHARE * len(stems) and count >= 2 else None
