"""Join pictures and annotations by name.

Rule: a name is never guessed for one file; the rule that joins most files of the part joins all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from masksmith import labels
from masksmith.data.findings import Finding, note
from masksmith.data.layouts.part import Part
from masksmith.data.layouts.side import SUFFIXES
from masksmith.errors import listed
from masksmith.labels import LabelSource


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and its annotation. ``name`` joins them, ``split`` is "" where none is settled.

    ``images`` is one file, or one file a channel. Pairs of one ``group`` stay in one split.
    """

    name: str
    images: tuple[Path, ...]
    label: LabelSource
    split: str = ""
    group: str = ""

    @property
    def image(self) -> Path:
        """The picture's (first) file."""
        return self.images[0]

    @property
    def mask(self) -> Path:
        """The annotation's (first) file."""
        return self.label.path


def pair(part: Part, unmatched: str) -> tuple[list[Pair], list[Finding]]:
    """The pairs of a part, and what is wrong with its names.

    Args:
        part: pictures and annotations.
        unmatched: "skip" turns pictures without annotation into a note.
    """
    findings = list(part.findings)
    rename = _rule(part.pictures, part.labels.by_name)
    joined: dict[str, list[LabelSource]] = {}
    for name, files in part.pictures.items():
        found = part.labels.by_name.get(rename.get(name, name), [])
        joined[name] = found or part.labels.of_picture(files[0])
    findings += _ambiguous(part, joined) + _shared(part, joined)
    missing = [name for name, found in joined.items() if not found]
    if missing and unmatched == "skip" and len(missing) < len(joined):
        out = [part.pictures[name][0] for name in missing]
        findings.append(note("left out", f"left out, no mask: {listed(f.name for f in out)}", part.images, out))
    elif missing:
        findings.append(_unpaired(part, missing, joined))
    findings += _spare(part, joined)
    pairs = [
        Pair(name, part.pictures[name], found[0], part.splits.get(name, part.split), part.groups.get(name, ""))
        for name, found in joined.items()
        if len(found) == 1
    ]
    return pairs, findings


def _ambiguous(part: Part, joined: dict[str, list[LabelSource]]) -> list[Finding]:
    return [
        Finding(
            "ambiguous",
            str(part.masks),
            f"one mask for {part.pictures[name][0].name}",
            listed(s.path.name for s in found),
            "remove or rename all but one",
            tuple(s.path for s in found),
        )
        for name, found in joined.items()
        if len(found) > 1
    ]


def _shared(part: Part, joined: dict[str, list[LabelSource]]) -> list[Finding]:
    """One mask for several pictures, as of one name in several folders: theirs whose folder it names, or nobody's."""
    takers: dict[int, list[str]] = {}
    for name, found in joined.items():
        if len(found) == 1:
            takers.setdefault(id(found[0]), []).append(name)
    findings = []
    for names in takers.values():
        if len(names) < 2:
            continue
        source, files = joined[names[0]][0], [part.pictures[name][0] for name in names]
        fits = [labels.same_ending(source.key, file) for file in files]
        best = [name for name, fit in zip(names, fits, strict=True) if fit == max(fits)]
        for name in names:
            if len(best) > 1:
                joined[name] = [source, source]  # told here, and not as one without a mask
            elif name not in best:
                joined[name] = []
        if len(best) > 1:
            findings.append(
                Finding(
                    "ambiguous",
                    str(source.path),
                    "a mask for each picture",
                    f"one for {len(files)} pictures of one name: {listed(names)}",
                    "give each picture a name of its own, or arrange the masks in folders as the pictures",
                    tuple(files),
                )
            )
    return findings


def _unpaired(part: Part, missing: list[str], joined: dict[str, list[LabelSource]]) -> Finding:
    spare = _spare_sources(part, joined)
    hint = f" (masks without a picture: {listed(s.path.name for s in spare)})" if spare else ""
    unread = (
        sorted(p.name for p in part.masks.iterdir() if p.is_file() and p.stem in missing) if part.masks.is_dir() else []
    )
    unread = [name for name in unread if name not in {f.name for n in missing for f in part.pictures[n]}]
    hint += f" (of kinds that cannot be read: {listed(unread)})" if unread else ""
    return Finding(
        "unpaired",
        str(part.images),
        f'a mask of the same name for each picture in "{part.masks}"',
        f"{len(missing)} of {len(joined)} without one: {listed(missing)}{hint}",
        "add or rename the masks, or leave such pictures out with --skip-unmatched",
        tuple(part.pictures[name][0] for name in missing),
    )


def _spare(part: Part, joined: dict[str, list[LabelSource]]) -> list[Finding]:
    spare = _spare_sources(part, joined)
    # Lists and files for many pictures may well speak of more than is there.
    if not spare or part.splits or any(s.reader in {"coco", "cvat"} for s in spare):
        return []
    return [
        Finding(
            "spare masks",
            str(part.masks),
            "a picture for each mask",
            f"{len(spare)} without one: {listed(s.path.name for s in spare)}",
            "add the pictures, or remove these masks",
            tuple(s.path for s in spare),
        )
    ]


def _spare_sources(part: Part, joined: dict[str, list[LabelSource]]) -> list[LabelSource]:
    used = {id(s) for found in joined.values() for s in found}
    return [s for sources in part.labels.by_name.values() for s in sources if id(s) not in used]


def _rule(pictures: Iterable[str], masks: Iterable[str]) -> dict[str, str]:
    """Picture name -> mask name, by the rule that joins the most; of equals the simplest."""
    names, wanted = list(pictures), set(masks)
    # Suffixes are only counted: a table for each of them would be the largest thing in memory.
    joined = {suffix: sum(name + suffix in wanted for name in names) for suffix in ("", *SUFFIXES)}
    suffix = max(joined, key=joined.__getitem__)
    best, most = {name: name + suffix for name in names}, joined[suffix]
    if most == len(names):
        return best
    for rule in (_by_core(names, list(wanted)), _by_bare_name(names, list(wanted))):
        if (found := sum(mask in wanted for mask in rule.values())) > most:
            best, most = rule, found
    return best


def _by_core(pictures: list[str], masks: list[str]) -> dict[str, str]:
    """img_001 and mask_001, x_image and x_truth: what stands before and behind all names is cut off."""
    if not masks:
        return {}
    cores = {core: mask for mask, core in zip(masks, _cores(masks), strict=True)}
    return {name: cores[core] for name, core in zip(pictures, _cores(pictures), strict=True) if core in cores}


def _by_bare_name(pictures: list[str], masks: list[str]) -> dict[str, str]:
    """The same names in folders of different names."""
    bare = {mask.rsplit("/", 1)[-1]: mask for mask in masks}
    return {n: bare[b] for n in pictures if (b := n.rsplit("/", 1)[-1]) in bare} if len(bare) == len(masks) else {}


def _cores(names: list[str]) -> list[str]:
    """Each name without what all of them begin and end with."""
    prefix = _common(names)
    # A number or a word is never cut in two: img_01 and img_02 share "img_", not "img_0".
    prefix = re.sub(r"[^\W_]*$", "", prefix) if re.search(r"[\W_]", prefix) else re.sub(r"\d*$", "", prefix)
    backwards = [n[::-1] for n in names]
    suffix = re.sub(r"^[^\W_]*", "", _common(backwards)[::-1])
    return [name[len(prefix) : len(name) - len(suffix)] or name for name in names]


def _common(names: list[str]) -> str:
    """The letters that all names begin with."""
    low, high = min(names), max(names)
    ends = (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
    return low[: next(ends, min(len(low), len(high)))]
