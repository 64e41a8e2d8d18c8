"""Which pairs stay, in which part, under which name.

Rule: no part that had pictures is emptied for the sake of its figures.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from masksmith import images
from masksmith.data import relations
from masksmith.data.doctor import Checkup
from masksmith.data.findings import FINDINGS
from masksmith.data.mend.item import Item, Log
from masksmith.data.mend.levels import is_photograph
from masksmith.data.mend.readings import Reading, too_near
from masksmith.data.relations import Relation
from masksmith.errors import DataError

# Findings that cost a pair its place.
_COSTLY = ("corrupt", "ambiguous", "numbers", "constant")
# Findings about files that no pair has.
_NOT_COPIED = ("unpaired", "left out", "ambiguous", "spare masks", "ignored folder")
# A copy is dropped where it does least harm: from the test part first, from training last.
_DROPPED_FIRST = ("test", "val", "train")
_WHYS = {"scene": "shared scene", "tiles": "adjacent tiles"}


def sound(items: Sequence[Item], checkup: Checkup, log: Log) -> list[Item]:
    """The items that no finding speaks against."""
    for kind in _NOT_COPIED:
        for finding in checkup.findings:
            if finding.kind == kind:
                log.leave_out(finding.files, FINDINGS[kind].what)
    _tell_unpaired(checkup, log)
    shared = Counter(i.pair.mask for i in items)
    guilty = {path: kind for kind in reversed(_COSTLY) for f in checkup.findings if f.kind == kind for path in f.files}
    suspect = checkup.decision is None or any(f.kind == "picture as mask" for f in checkup.findings)
    kept = []
    for item in items:
        own = [*item.pair.images, *(item.pair.label.files if shared[item.pair.mask] == 1 else ())]
        bad = [path for path in own if path in guilty]
        if bad:
            _drop(item, log, FINDINGS[guilty[bad[0]]].what, bad[0])
        elif item.mask.is_picture or (suspect and is_photograph(item)):
            _drop(item, log, FINDINGS["picture as mask"].what, item.pair.mask)
        else:
            kept.append(item)
    return kept


def _tell_unpaired(checkup: Checkup, log: Log) -> None:
    """The pictures of ambiguous pairs, which their findings do not name."""
    if not any(f.kind == "ambiguous" for f in checkup.findings) or checkup.dataset.layout in {"list", "voc"}:
        return
    known = {p for pair in checkup.dataset.pairs for p in (*pair.images, *pair.label.files)}
    for home in sorted({p.image.parent for p in checkup.dataset.pairs}):
        rest = [p for p in sorted(home.iterdir()) if images.is_picture(p) and p not in known]
        log.leave_out(rest, FINDINGS["ambiguous"].what)


def without_copies(items: Sequence[Item], met: Sequence[Relation], log: Log) -> list[Item]:
    """Of copies the one to train on stays."""
    kept = {i.number: i for i in items}
    counts = Counter(i.part for i in items)
    for relation in (r for r in met if r.kind in {"copy", "near copy"}):
        pair = [kept.get(n) for n in (relation.first, relation.second)]
        first, second = pair
        if first is None or second is None:
            continue
        # The later one of two in the same part, as somebody has added it.
        order = sorted((second, first), key=lambda i: _DROPPED_FIRST.index(i.part))
        away = next((i for i in order if counts[i.part] > 1), None)
        kind = "duplicates" if first.part == second.part else "leak"
        if kind == "duplicates" and relation.kind == "near copy":
            log.add(
                second.pair.image, "not mended", f"{FINDINGS[kind].what}, or frames of a film: {first.pair.image.name}"
            )
            continue
        if away is None:
            log.add(order[0].pair.image, "not mended", f"{FINDINGS[kind].what}, which would have none left")
            continue
        stays = first if away is second else second
        _drop(away, log, f"{FINDINGS[kind].what}: {stays.pair.image.name} ({stays.part}) is the same")
        counts[away.part] -= 1
        del kept[away.number]
    return list(kept.values())


def joined(items: Sequence[Item], met: Sequence[Relation], log: Log) -> None:
    """Parts of one scene and neighbouring tiles go to one part, for training if any of them is there."""
    by_number = {i.number: i for i in items}
    links = [r for r in met if r.kind in _WHYS and r.first in by_number and r.second in by_number]
    why = {n: _WHYS[r.kind] for r in reversed(links) for n in (r.first, r.second)}
    numbers = relations.groups(links, max(by_number, default=0) + 1)
    groups: dict[int, list[Item]] = defaultdict(list)
    for number, item in by_number.items():
        groups[numbers[number]].append(item)
    counts = Counter(i.part for i in items)
    for members in groups.values():
        parts = {m.part for m in members}
        if len(parts) < 2:
            continue
        goal = max(parts, key=_DROPPED_FIRST.index)
        leaving = Counter(m.part for m in members if m.part != goal)
        empties = [part for part, n in leaving.items() if counts[part] == n]
        for item in members:
            reason = FINDINGS[why[item.number]].what
            if item.part == goal:
                continue
            if empties:
                log.add(item.pair.image, "not mended", f"{reason}, but {empties[0]} would have none left")
            else:
                log.add(item.pair.image, f"moved from {item.part} to {goal}", reason)
                counts[item.part] -= 1
                counts[goal] += 1
                item.part = goal


def named(items: Sequence[Item], log: Log) -> None:
    """A name for each item that is a file's name, and no other's in its part."""
    taken: set[tuple[str, str]] = set()
    for item in items:
        plain = item.pair.name.replace("/", "_").replace("\\", "_").lstrip(".") or "picture"
        name, number = plain, 1
        # Some file systems know no difference between a and A.
        while (item.part, name.casefold()) in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add((item.part, name.casefold()))
        if name != item.pair.name:
            log.add(item.pair.image, f"renamed {name}", "one name for each picture of a part")
        item.name = name


def require_enough(items: Sequence[Item], root: Path) -> None:
    """Two pairs and one to train on must be left.

    Raises:
        DataError: there are fewer.
    """
    train = sum(i.part == "train" for i in items)
    if len(items) >= 2 and train:
        return
    raise DataError(
        where=root,
        expected="two pictures or more that can be mended, one of them to train on",
        received=f"{len(items)}, {train} of them to train on",
        remedy="mend what masksmith check tells by hand, or add pictures",
    )


def _drop(item: Item, log: Log, why: str, guilty: Path | None = None) -> None:
    file = guilty or item.pair.image
    other = item.pair.mask if file in item.pair.images else item.pair.image
    log.add(file, f"left out, with {other.name}", why)


def understood(items: Sequence[Item], found: Sequence[Reading], log: Log) -> list[Item]:
    """The items whose masks can be mended without giving pixels a wrong class.

    Where a mask counts the classes from 1 and the others from 0, to ignore the one value without
    class would leave all others wrong. Where classes are a grey value apart, JPEG has mixed them.
    """
    known = [_unknown(i, r) for i, r in zip(items, found, strict=True)]
    kept = []
    for item, reading, unknown in zip(items, found, known, strict=True):
        values = [e.value for e in reading.table.entries]
        from_one = unknown == {max(values) + 1} and values == list(range(len(values)))
        if reading.snap and too_near(reading.table, item.pair.mask):
            _drop(item, log, f"{FINDINGS['lossy'].what}, whose classes are too near to each other", item.pair.mask)
        elif from_one and item.mask.scan.values is not None and 0 not in item.mask.scan.values:
            _drop(item, log, f"{FINDINGS['undefined'].what}: it seems to count the classes from 1", item.pair.mask)
        else:
            kept.append(item)
    return kept


def _unknown(item: Item, reading: Reading) -> set[int]:
    """The values of a mask that no class has."""
    scan = item.mask.scan
    if reading.snap or reading.table.encoding != "value" or scan.values is None:
        return set()
    return {key for key, index in reading.table.resolve(scan.values).items() if index is None}
