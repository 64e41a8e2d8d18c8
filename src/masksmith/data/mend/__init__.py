"""Write a mended copy of a data set, with a list of every change.

Rule: the source is never touched, nothing is mended by guessing, and what cannot be mended is told
before anything is written. The list is written last: a copy without it is not whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from masksmith import files, images
from masksmith.classes import IGNORE, ClassTable
from masksmith.data import written
from masksmith.data.dataset import Dataset
from masksmith.data.doctor import Checkup
from masksmith.data.findings import FINDINGS
from masksmith.data.mend import masks, parts, pictures, readings
from masksmith.data.mend.item import Change, Item, Log
from masksmith.data.mend.pictures import Common
from masksmith.data.mend.readings import Reading
from masksmith.data.scan import scan
from masksmith.errors import DataError, InputError
from masksmith.recipe import DataSettings

__all__ = ["CHANGES", "Change", "mend"]

CHANGES = "changes.csv"

# The first file of a copy, by which an interrupted one is known as ours and may be overwritten.
_MARK = "mended.txt"
_CLASSES = "classes.csv"
# A turned mask must fit better than as it lies: a file that speaks of many pictures names them all.
_TURNED = 2.0


@dataclass
class _Plan:
    """All that is settled before the first file is written."""

    items: list[Item]
    readings: list[Reading]
    turns: dict[int, str]
    inverted: set[int]
    common: Common
    log: Log


def mend(
    checkup: Checkup,
    settings: DataSettings,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Change]:
    """Write a mended copy of a data set into ``out``, split as the checkup says.

    Args:
        checkup: what the doctor found.
        settings: those of the checkup.
        out: a new or empty folder outside of the data set.
        overwrite: whether an earlier copy there may be replaced.
        progress: called with (pairs written, pairs in all).

    Returns:
        What was changed, as the list in ``out`` says.

    Raises:
        DataError: a fault that cannot be mended; nothing was written.
        InputError: ``out`` lies in the data set, or holds something else; or classes may overlap.
    """
    if settings.overlapping:
        raise InputError(
            where="--fix",
            expected="masks with one class a pixel",
            received="--overlapping",
            remedy="mend masks of classes that overlap where they were made",
        )
    for fault in checkup.faults:
        if not FINDINGS[fault.kind].mended:
            raise fault.error
    _require_apart(checkup.dataset, out)
    plan = _plan(checkup, settings)
    files.claim_folder(out, overwrite=overwrite, ours=written.ours(out, _MARK, CHANGES, _CLASSES))
    text = f"A copy of a data set, mended by masksmith check --fix. It is whole once {CHANGES} is there.\n"
    files.write_text(out / _MARK, text)
    written.write_list(out, _names(plan))
    table = plan.readings[0].table
    known = masks.written_table(table, ignores=True)
    ignores = False
    for done, (item, reading) in enumerate(zip(plan.items, plan.readings, strict=True), 1):
        ignores |= _write(item, reading, plan, out, known)
        progress(done, len(plan.items))
    files.write_text(out / _CLASSES, masks.written_table(table, ignores=ignores).to_csv())
    files.write_text(out / CHANGES, plan.log.to_csv())
    return plan.log.changes


def _plan(checkup: Checkup, settings: DataSettings) -> _Plan:
    log = Log(checkup.dataset.root)
    items = parts.sound(_items(checkup, log), checkup, log)
    parts.require_enough(items, checkup.dataset.root)
    gone = {p.image for p in checkup.dataset.pairs} - {i.pair.image for i in items}
    photographs = any(f.kind == "picture as mask" for f in checkup.findings)
    anew = checkup.decision is None or (photographs and bool(gone))
    found = readings.readings(items, checkup, settings, anew=anew)
    names = {tuple(r.table.names) for r in found}
    if len(names) > 1:
        raise DataError(
            where=checkup.dataset.root,
            expected="the same classes in all masks",
            received=" and ".join(sorted(", ".join(n[:5]) for n in names)[:2]),
            remedy="save all masks in one way",
        )
    how = {i.number: r for i, r in zip(items, found, strict=True)}
    items = parts.understood(items, found, log)
    items, common = _alike(items, log)
    items = parts.without_copies(items, checkup.relations, log)
    parts.require_enough(items, checkup.dataset.root)
    parts.joined(items, checkup.relations, log)
    parts.named(items, log)
    found = [how[i.number] for i in items]
    turns = masks.swaps(items, found) | _turned(items, checkup)
    return _Plan(items, found, turns, _inverted(items, checkup, len(found[0].table)), common, log)


def _items(checkup: Checkup, log: Log) -> list[Item]:
    """The pairs that can be read, without what only relations need."""
    items = []
    dataset = checkup.dataset
    seen = scan(dataset.pairs) if checkup.seen is None else checkup.seen
    # The scan has seen the pairs before they were split.
    for number, (pair, (_, facts)) in enumerate(zip(dataset.pairs, seen, strict=True)):
        if facts.picture is None or facts.mask is None:
            kind, where, _, received, _ = facts.errors[0]
            guilty = next((p for p in (*pair.images, *pair.label.files) if str(p) == where), pair.mask)
            other = pair.mask if guilty in pair.images else pair.image
            log.add(guilty, f"left out, with {other.name}", f"{FINDINGS[kind].what}: {received}")
            continue
        picture = replace(facts.picture, digest=b"", thumb=b"", strips=b"", sketch=b"")
        mask = replace(facts.mask, things={})
        items.append(Item(number, pair, picture, mask, pair.split or "train", pair.name))
    return items


def _alike(items: Sequence[Item], log: Log) -> tuple[list[Item], Common]:
    """The items whose pictures can be brought to one dtype and number of channels."""
    common = pictures.common(items)
    kept = []
    for item in items:
        kind = pictures.can_follow(item, common)
        if not kind:
            kept.append(item)
            continue
        have, want = (
            (item.picture.channels, common.channels) if kind == "channels" else (item.picture.dtype, common.dtype)
        )
        why = f"{FINDINGS[kind].what}: {have} among {want}, and no way from one to the other without guessing"
        log.add(item.pair.image, f"left out, with {item.pair.mask.name}", why)
    return kept, common


def _turned(items: Sequence[Item], checkup: Checkup) -> dict[int, str]:
    """Masks of the right size that are turned, by the number of the item."""
    told = {p for f in checkup.findings if f.kind in {"transposed", "turned"} for p in f.files}
    found = {}
    for item in items:
        seen = item.mask.alignment
        if seen is None or item.mask_size != item.size or item.pair.mask not in told:
            continue
        if seen.turned > _TURNED * max(seen.here, 0.0):
            found[item.number] = seen.turn
    return found


def _inverted(items: Sequence[Item], checkup: Checkup, classes: int) -> set[int]:
    told = {p for f in checkup.findings if f.kind == "inverted" for p in f.files}
    shared = Counter(i.pair.mask for i in items)
    return {i.number for i in items if classes == 2 and i.pair.mask in told and shared[i.pair.mask] == 1}


def _write(item: Item, reading: Reading, plan: _Plan, out: Path, table: ClassTable) -> bool:
    """Write a pair; True if pixels of it are ignored."""
    mended = masks.mended(item, reading, plan.turns, inverted=item.number in plan.inverted)
    indices = mended.indices_HW
    for what, kind in mended.done:
        plan.log.add(item.pair.mask, what, FINDINGS[kind].what)
    rewritten = pictures.is_rewritten(item, plan.common)
    picture = images.read_channels(item.pair.images).with_channels(item.picture.channels) if rewritten else None
    if picture is not None and picture.valid_HW is not None:
        # The new file cannot say itself where it holds nothing, so the mask does.
        indices = np.where(picture.valid_HW, indices, np.uint8(IGNORE))
        plan.log.add(item.pair.mask, "pixels ignored where the picture has none", "the picture was converted")
    home = out / item.part
    for name, content in pictures.copies(item, plan.common, picture, plan.log):
        files.write_bytes(home / "images" / name, content)
    files.write_bytes(home / "masks" / f"{item.name}.png", images.encode_png(indices, masks.palette(table)))
    return bool((indices == IGNORE).any())


def _names(plan: _Plan) -> list[str]:
    """All files that the pairs may become; also those of one that is not written in the end are nobody else's."""
    of_masks = [f"{item.part}/masks/{item.name}.png" for item in plan.items]
    return of_masks + [
        f"{item.part}/images/{name}" for item in plan.items for name in pictures.names(item, plan.common)
    ]


def _require_apart(dataset: Dataset, out: Path) -> None:
    """The copy must not lie in the data set, nor the data set in the copy.

    Raises:
        DataError: it does.
    """
    homes = {p.parent.resolve() for pair in dataset.pairs for p in (*pair.images, *pair.label.files)}
    if dataset.layout not in {"list", "given folders"}:
        homes.add(dataset.root.resolve())
    place = out.resolve()
    if any(place.is_relative_to(home) or home.is_relative_to(place) for home in homes):
        raise DataError(
            where=out,
            expected="a folder outside of the data set",
            received=f"one that lies in {dataset.root}, or around it",
            remedy="give another folder after --fix",
        )
