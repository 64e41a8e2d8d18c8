"""Split pictures into parts: reproducibly, by the classes they hold, related ones together.

Rule: the order in which files were found is no matter; a group is never torn apart.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith.data.findings import Finding, note
from masksmith.data.layouts.lists import JOINT, placed, read_rows, split_name, whole
from masksmith.data.pairing import Pair
from masksmith.errors import DataError, InputError, listed
from masksmith.files import sha256
from masksmith.recipe import DataSettings


def grouped(pairs: Sequence[Pair], pattern: str | None) -> list[Pair]:
    """The pairs with the group that ``pattern`` finds in each name.

    Args:
        pairs: what was found.
        pattern: a regular expression; its first group, or all that it matches, names the group.
            None leaves the groups of a list as they are.

    Raises:
        InputError: no regular expression, or one that fits no name.
    """
    if pattern is None or pattern == "group":
        return list(pairs)
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise InputError(
            where="--group-by",
            expected="a pattern (regular expression) such as ^[^_]+",
            received=f'"{pattern}" ({error})',
            remedy="mend it",
        ) from error
    found = {p.image: wanted.search(p.name) for p in pairs}
    found = {image: (m if m and (m.group(1) if m.re.groups else m.group(0)) else None) for image, m in found.items()}
    misses = [p.name for p in pairs if found[p.image] is None]
    if misses:
        raise InputError(
            where="--group-by",
            expected=f'names in which "{pattern}" matches one letter or more',
            received=f"{len(misses)} of {len(pairs)} that do not: {listed(misses)}",
            remedy="widen the pattern",
        )
    out = [replace(p, group=(m.group(1) if m.re.groups else m.group(0))) for p in pairs if (m := found[p.image])]
    if len(out) > 1 and len({p.group for p in out}) == 1:
        raise InputError(
            where="--group-by",
            expected="a pattern that tells groups apart",
            received=f'one group "{out[0].group}" of all {len(out)} pictures',
            remedy="make it match what differs between the groups, as ^[^_]+ does in a_1, a_2, b_1",
        )
    return out


def given(pairs: Sequence[Pair], path: Path, fold: int | None = None) -> list[Pair]:
    """The pairs with the parts that a table gives them.

    Args:
        pairs: what was found.
        path: CSV or Parquet with the columns name or image, split, and group and fold if wanted.
        fold: the fold of the table that is the validation part; the others are trained on.

    Raises:
        DataError: the table cannot be read, has no such fold, or a picture is not in it.
    """
    by_image, by_name = _read(path, fold)
    out, missing = [], []
    for pair in pairs:
        row = _of(pair.image, by_image) or by_name.get(pair.name)
        if row is None:
            missing.append(pair.name)
        else:
            out.append(replace(pair, split=row[0], group=row[1] or pair.group))
    if missing:
        raise DataError(
            where=path,
            expected="a row for each picture",
            received=f"none for {len(missing)} of {len(pairs)}: {listed(missing)}",
            remedy="add them, or make the table anew with masksmith split",
        )
    return out


def _read(path: Path, fold: int | None) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    if not path.is_file():
        raise DataError(where=path, expected="a table of parts", received="no such file", remedy="check the path")
    by_image: dict[str, tuple[str, str]] = {}
    by_name: dict[str, tuple[str, str]] = {}
    unclear: set[str] = set()
    rows = read_rows(path)
    folds = {row.get("fold", "") for row in rows}
    if fold is not None and str(fold) not in folds:
        raise DataError(
            where=path,
            expected=f"pictures of fold {fold}",
            received=f"the folds {listed(sorted(folds))}" if "fold" in rows[0] else "no column fold",
            remedy="make the table with masksmith split --folds K",
        )
    for number, row in enumerate(rows, 2):
        if "split" not in row or not ("name" in row or "image" in row):
            raise DataError(
                where=path,
                expected="the columns name (or image) and split",
                received=", ".join(row),
                remedy="correct the header",
            )
        if not row["split"]:
            raise DataError(
                where=f"{path}, row {number}",
                expected="train, val or test in the column split",
                received="an empty cell",
                remedy="write one of them, or make the table anew with masksmith split",
            )
        split = split_name(row["split"], path, number)
        if fold is not None and row.get("fold", "").isdigit():
            split = "val" if row["fold"] == str(fold) else "train"
        value = (split, row.get("group", ""))
        for key in _keys(row.get("image", "").split(JOINT)[0], path.parent):
            if by_image.setdefault(key, value)[0] != value[0]:
                raise DataError(
                    where=f"{path}, row {number}",
                    expected="one part for each picture",
                    received=f"{value[0]} for {row['image']}, which an earlier row gives to another",
                    remedy="remove one of the rows",
                )
        if row.get("name") and by_name.setdefault(row["name"], value) != value:
            unclear.add(row["name"])
    # Parts may hold pictures of one name; such a name says nothing.
    return by_image, {name: value for name, value in by_name.items() if name not in unclear}


def _of(image: Path, by_image: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    keys = (str(image), str(whole(image)), str(image.resolve()))
    return next((by_image[key] for key in keys if key in by_image), None)


def _keys(cell: str, home: Path) -> list[str]:
    """What a picture may be looked for by: as the table in the folder ``home`` names it, and where that is."""
    keys = [cell] if cell else []
    with suppress(OSError, ValueError):  # a name that no disk has
        keys += [str(whole(placed(cell, home)))] if cell else []
    return keys


def followed(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Finding]]:
    """The pairs; those without a part get that of the others in their group, if these have the same."""
    said: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.group and pair.split:
            said[pair.group].add(pair.split)
    one = {group: min(parts) for group, parts in said.items() if len(parts) == 1}
    out = [p if p.split else replace(p, split=one.get(p.group, "")) for p in pairs]
    count = sum(p.split != q.split for p, q in zip(pairs, out, strict=True))
    return out, [note("split", f"pictures without a part that follow their group: {count}")] if count else []


def drawn(pairs: Sequence[Pair], *, folds: bool = False) -> list[bool]:
    """Whether the part of each pair is drawn: where none is said; of the training part, where no validation is.

    Args:
        pairs: what was found.
        folds: numbers of folds are drawn: for all but the test part.
    """
    is_complete = any(p.split == "val" for p in pairs)
    return [p.split != "test" if folds else p.split == "" or (p.split == "train" and not is_complete) for p in pairs]


def assign(
    pairs: Sequence[Pair], presence: Mapping[Path, frozenset[int]], settings: DataSettings, seed: int
) -> tuple[list[Pair], list[Finding]]:
    """Give each pair without a part one.

    Where the folders name no validation part it is taken from the training part. Groups stay
    together, and each part gets its share of every class as far as they allow (iterative
    stratification: Sechidis et al. 2011, "On the stratification of multi-label data").

    Args:
        pairs: with ``split=""`` where it is open.
        presence: the classes in the mask of a picture, by its first file.
        settings: the shares of the parts.
        seed: decides between equals.

    Raises:
        InputError: shares that leave nothing to train on.
    """
    fixed = {p.split for p in pairs} - {""}
    loose = list(itertools.compress(pairs, drawn(pairs)))
    if not loose:
        return list(pairs), []
    units = _units(loose)
    wants_test = not fixed and settings.test_fraction > 0 and len(units) > 2
    shares = _shares(settings, len(units), wants_test)
    parts = _stratified(units, presence, shares, seed)
    names = ("train", "val", "test")
    chosen = {p.image: names[part] for part, members in zip(parts, units, strict=True) for p in members}
    out = [replace(p, split=chosen.get(p.image, p.split)) for p in pairs]
    counts = {s: sum(p.split == s for p in out) for s in ("train", "val", "test")}
    text = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
    groups = sum(len(unit) > 1 for unit in units)
    together = f"; {groups} group{'s' if groups > 1 else ''} kept together" if groups else ""
    return out, [note("split", f"split by seed {seed}: {text}{together}")]


def folds(pairs: Sequence[Pair], presence: Mapping[Path, frozenset[int]], count: int, seed: int) -> list[int]:
    """The fold from 0 to ``count`` - 1 of each pair; -1 for the test part, which stays out.

    Raises:
        InputError: more folds than pictures (or groups).
    """
    units = _units(list(itertools.compress(pairs, drawn(pairs, folds=True))))
    if count > len(units):
        raise InputError(
            where="data.folds",
            expected=f"{count} pictures (or groups) or more",
            received=str(len(units)),
            remedy="lower the number of folds",
        )
    parts = _stratified(units, presence, [1 / count] * count, seed)
    chosen = {p.image: part for part, members in zip(parts, units, strict=True) for p in members}
    return [chosen.get(p.image, -1) for p in pairs]


def _units(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs of one group together; without a group each for itself."""
    units: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        units[("group", pair.group) if pair.group else ("picture", str(pair.image))].append(pair)
    return list(units.values())


def _shares(settings: DataSettings, units: int, wants_test: bool) -> list[float]:
    val = max(settings.val_fraction, 1 / units)
    test = max(settings.test_fraction, 1 / units) if wants_test else 0.0
    n_val, n_test = max(1, round(units * val)), max(1, round(units * test)) if wants_test else 0
    if n_val + n_test >= units:
        raise InputError(
            where="data.val_fraction, data.test_fraction",
            expected="pictures left to train on",
            received=f"{n_val} for validation and {n_test} for the test of {units} pictures or groups",
            remedy="lower the fractions, or make smaller groups",
        )
    return [(units - n_val - n_test) / units, n_val / units, *([n_test / units] if wants_test else [])]


def _stratified(
    units: Sequence[Sequence[Pair]], presence: Mapping[Path, frozenset[int]], shares: Sequence[float], seed: int
) -> list[int]:
    """The part of each unit: the rarest class is dealt first, to the part that lacks it most."""
    order = sorted(range(len(units)), key=lambda i: sha256(f"{seed}:{min(p.name for p in units[i])}".encode()))
    classes = sorted({c for found in presence.values() for c in found})
    have = np.zeros((len(units), len(classes)))
    for i, members in enumerate(units):
        for pair in members:
            for c in presence.get(pair.image, frozenset()):
                have[i, classes.index(c)] += 1
    sizes = np.array([len(members) for members in units], float)
    share = np.array(shares)
    wanted_pictures = share * sizes.sum()
    wanted = _wanted(have, share)
    # Whole numbers of pictures where every unit is one: the shares are met exactly.
    parts = np.full(len(units), -1)
    for index in _dealing_order(have, order):
        lacking = _most_lacking(have[index], wanted, wanted_pictures)
        parts[index] = lacking
        wanted[lacking] -= have[index]
        wanted_pictures[lacking] -= sizes[index]
    return [int(p) for p in parts]


def _wanted(have: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pictures of each class by part (P, K): the shares, and one at least where there are enough."""
    wanted: npt.NDArray[np.float64] = share[:, None] * have.sum(axis=0)[None]
    largest = int(share.argmax())
    for c in np.flatnonzero((have > 0).sum(axis=0) >= len(share)):
        least = np.maximum(wanted[:, c], 1.0)
        least[largest] -= least.sum() - wanted[:, c].sum()
        wanted[:, c] = least
    return wanted


def _dealing_order(have: npt.NDArray[np.float64], order: Sequence[int]) -> list[int]:
    """Units by their rarest class, rarest first; the largest units of a class before the others."""
    totals = (have > 0).sum(axis=0).astype(float)
    rank = {index: place for place, index in enumerate(order)}

    def key(index: int) -> tuple[float, float, int]:
        rarest = min((totals[c] for c in np.flatnonzero(have[index])), default=float("inf"))
        return rarest, -float(have[index].max(initial=0)), rank[index]

    return sorted(range(len(have)), key=key)


def _most_lacking(
    have: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], wanted_pictures: npt.NDArray[np.float64]
) -> int:
    """The part with room that lacks the unit's rarest classes most; then the one with most room."""
    room = wanted_pictures > 1e-9
    candidates = np.flatnonzero(room) if room.any() else np.arange(len(wanted_pictures))
    present = np.flatnonzero(have)
    scores = [
        (float(wanted[part][present].min()) if present.size else 0.0, float(wanted_pictures[part]))
        for part in candidates
    ]
    return int(candidates[max(range(len(candidates)), key=lambda i: scores[i])])
