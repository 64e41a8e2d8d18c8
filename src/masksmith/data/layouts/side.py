"""Pictures and masks side by side in one folder: x.jpg and x_mask.png, x.json, or x.txt."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from masksmith import images, labels
from masksmith.data.layouts.part import SPLIT_NAMES, Part, by_name, child, visible
from masksmith.labels import Labels, LabelSource

# What people put behind or before a picture's name to name its mask.
SUFFIXES = ("_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_segmentation", "_L", "_P", "-mask", "-label",
            "_GT", "_annotation", "_annot", "_labelIds", ".mask", "mask", "_target", "_truth", "_m")  # fmt: skip
_PREFIXES = ("mask_", "label_", "gt_", "seg_")
# A suffix of nobody's list is believed when it joins this share of the files.
_LEARNT_SHARE = 0.8


def side_by_side(root: Path) -> list[Part]:
    """x.jpg beside x_mask.png (or another suffix, learnt from the folder), x.json, x.txt"""
    parts = []
    for split, names in SPLIT_NAMES.items():
        folder = child(root, names)
        if folder is not None and (part := _in_folder(folder, split)):
            parts.append(part)
    if parts:
        return parts
    part = _in_folder(root, "")
    return [part] if part else []


def _in_folder(folder: Path, split: str) -> Part | None:
    files = [p for p in visible(folder) if p.is_file()]
    pictures = [p for p in files if images.is_picture(p)]
    masks, prefix, suffix = _told_apart(pictures)
    found = Labels()
    for path in masks:
        stem = images.stem(path)
        found.add(stem[len(prefix) : len(stem) - len(suffix)], LabelSource((path,)))
    plain = [p for p in pictures if p not in masks]
    if not masks:
        stems = {images.stem(p) for p in plain}
        beside = [p for p in visible(folder) if p.name in stems or (p.is_file() and not images.is_picture(p))]
        found = labels.collect((p.name if p.is_dir() else images.stem(p), p) for p in beside)
        tables = {path for many in found.by_picture.values() for s in many for path in s.files}
        if not tables and not any(images.stem(p) in found.by_name for p in plain):
            return None
    by, findings = by_name(((images.stem(p), p) for p in plain), folder)
    return Part(split, folder, folder, by, found, findings=findings) if by and found else None


def _told_apart(pictures: list[Path]) -> tuple[set[Path], str, str]:
    """The masks among the pictures, and the prefix and suffix that mark them."""
    stems = Counter(images.stem(p) for p in pictures)
    options = [("", s) for s in SUFFIXES] + [(p, "") for p in _PREFIXES]
    scores = {o: sum(o[0] + stem + o[1] in stems for stem in stems) for o in options}
    learnt = _learnt(list(stems))
    if learnt is not None:
        scores.setdefault(("", learnt[0]), learnt[1])
    prefix, suffix = max(scores, key=lambda o: scores[o]) if scores else ("", "")
    if scores.get((prefix, suffix), 0) > 0:
        marked = {
            p
            for p in pictures
            if (s := images.stem(p)).startswith(prefix) and s.endswith(suffix) and len(s) > len(prefix + suffix)
        }
        return marked, prefix, suffix
    # x.jpg and x.png: a mask is the one that nothing was lost in.
    twice = {s for s, n in stems.items() if n == 2}
    lossless = {
        p for p in pictures if images.stem(p) in twice and p.suffix.lower() in {".png", ".tif", ".tiff", ".npy", ".bmp"}
    }
    return (lossless, "", "") if len(lossless) == len(twice) else (set(), "", "")


def _learnt(stems: list[str]) -> tuple[str, int] | None:
    """A suffix that joins most stems in pairs, if there is one."""
    ordered = sorted(stems)
    rests = Counter(b[len(a) :] for a, b in itertools.pairwise(ordered) if b.startswith(a))
    rests = Counter({r: n for r, n in rests.items() if not r[0].isdigit() and not r[-1].isdigit()})
    if not rests:
        return None
    suffix, count = rests.most_common(1)[0]
    return (suffix, count) if 2 * count >= _LEARNT_SHARE * len(stems) and count >= 2 else None
