"""Which pictures a page shows: those that findings name, in turn, then a sample over the parts.

Rule: no file is opened here, and the same data set gives the same choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from masksmith.data.findings import FINDINGS, Finding
from masksmith.data.pairing import Pair
from masksmith.labels import LabelSource

# Pictures on a page in all: about a megabyte, and more than anybody looks at.
_MOST = 24
# Of these the suspicious ones, so that there is room to see what is usual.
_MOST_SUSPICIOUS = 16
_SAMPLE = 12


@dataclass(frozen=True)
class Item:
    """A pair, or a picture without a mask; ``reasons`` are the findings that name it."""

    name: str
    part: str
    images: tuple[Path, ...]
    label: LabelSource | None
    reasons: tuple[tuple[int, str], ...] = ()
    """(number of the finding from 0, what it is)."""

    @property
    def image(self) -> Path:
        """The picture's (first) file."""
        return self.images[0]


def choose(pairs: Sequence[Pair], findings: Sequence[Finding]) -> tuple[list[Item], list[Item]]:
    """The suspicious items, those of the worst findings first, and a sample of the others."""
    of_file = _by_file(pairs)
    reasons: dict[str, list[tuple[int, str]]] = {}
    queues: list[list[Item]] = []
    for number, finding in enumerate(findings):
        if finding.severity == "note":
            continue
        queue = []
        for file in finding.files:
            item = of_file.get(str(file)) or _alone(file, finding)
            if item is None:
                continue
            known = reasons.setdefault(str(item.image), [])
            if not known or known[-1][0] != number:
                known.append((number, FINDINGS[finding.kind].what))
                queue.append(item)
        queues.append(queue)
    chosen: dict[str, Item] = {}
    for item in _in_turn(queues):
        if len(chosen) == _MOST_SUSPICIOUS:
            break
        chosen.setdefault(str(item.image), item)
    suspicious = [
        Item(item.name, item.part, item.images, item.label, tuple(reasons[key])) for key, item in chosen.items()
    ]
    suspicious.sort(key=lambda item: item.reasons[0][0])
    return suspicious, _sample([p for p in pairs if str(p.image) not in reasons], min(_SAMPLE, _MOST - len(chosen)))


def _by_file(pairs: Sequence[Pair]) -> dict[str, Item]:
    """The item of each file; a file with the annotations of many pictures points at none."""
    found: dict[str, Item] = {}
    shared: set[str] = set()
    for pair in pairs:
        item = _item(pair)
        for file in map(str, (*pair.images, *pair.label.files)):
            if file in found:
                shared.add(file)
            found[file] = item
    return {file: item for file, item in found.items() if file not in shared}


def _item(pair: Pair) -> Item:
    return Item(pair.image.name, pair.split, pair.images, pair.label)


def _alone(file: Path, finding: Finding) -> Item | None:
    return Item(file.name, "", (file,), None) if finding.kind == "unpaired" else None


def _in_turn(queues: Sequence[Sequence[Item]]) -> Iterator[Item]:
    """The first of each finding, then the second of each: one kind does not hide the others."""
    for row in zip_longest(*queues):
        yield from (item for item in row if item is not None)


def _sample(pairs: Sequence[Pair], count: int) -> list[Item]:
    """Pairs evenly over each part, the parts in the order of the data set."""
    parts: dict[str, list[Pair]] = {}
    for pair in pairs:
        parts.setdefault(pair.split, []).append(pair)
    if not parts or count < 1:
        return []
    room = dict.fromkeys(parts, 0)
    while sum(room.values()) < count and any(room[s] < len(parts[s]) for s in parts):
        free = [s for s in parts if room[s] < len(parts[s])]
        room[min(free, key=lambda s: room[s])] += 1
    return [
        _item(members[(2 * k + 1) * len(members) // (2 * room[s])])
        for s, members in parts.items()
        for k in range(room[s])
    ]
