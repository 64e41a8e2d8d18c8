"""Pictures that belong together: copies, parts of one scene, neighbouring tiles.

Rule: what must not be torn apart by a split is found before pictures are split.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.data import signature
from masksmith.data.findings import Finding, note
from masksmith.data.overview import Overview
from masksmith.data.pairing import Pair
from masksmith.errors import DataError

C64 = npt.NDArray[np.complex64]
Bounds = tuple[float, float, float, float]

# Small copies that agree this much are compared in full; the rest is no suspicion.
_CANDIDATE = 0.7
# Comparisons in full, for each picture of the set and at least: pictures of one kind of scene all
# look alike at 12 pixels, and each comparison takes as long as a small picture takes to be read.
_COMPARED_EACH = 4
_COMPARED_AT_LEAST = 400
# Pictures kept for further comparisons: 100 MB of colour.
_KEPT = 512
# What two copies keep in common after JPEG, a change of brightness or a shift of some pixels.
_SAME = 0.8
_COMPARED_PX = 128
# Detail weaker than this share of the picture's own is the noise of the camera or of JPEG.
_FLOOR = 0.25
_SHIFT_PX = 8
# Windows of 64 pixels that are equal to the bit are no chance; a few may be a logo or a scale bar.
_SHARED_WINDOWS = 4
# Pictures whose similarities are computed at once: 256 with 2048 others are 2 MB.
_BLOCK = 256
# Of fewer pictures the mean is no more than the pictures themselves.
_ENOUGH_FOR_A_MEAN = 12
# Neighbouring tiles agree along their common border; others do not.
_BORDER = 0.5
# Georeferenced pictures that share more than this of the smaller one overlap; less is a common edge.
_OVERLAP = 0.01


@dataclass(frozen=True, slots=True)
class Relation:
    """Two pairs by their numbers; ``kind`` is "copy", "near copy", "scene" or "tiles"."""

    kind: str
    first: int
    second: int


class _Joined:
    """Which numbers have been joined, however far."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, i: int) -> int:
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        a, b = self.root(i), self.root(j)
        self._parent[max(a, b)] = min(a, b)


def find(view: Overview) -> tuple[list[Relation], list[Finding]]:
    """What is related, and a note where likely copies were too many to be looked at.

    Of two pictures the closest relation alone. Of many that are alike within a part no more than
    it takes to lead from each to each; across parts all.
    """
    alike, left = _alike(view)
    known: dict[tuple[int, int], str] = {}
    for kind, found in (
        ("copy", _same(view)),
        ("near copy", alike),
        ("scene", _overlapping(view)),
        ("scene", _sharing(view)),
        ("tiles", _touching(view)),
        ("tiles", _neighbours(view)),
    ):
        for i, j in found:
            known.setdefault((min(i, j), max(i, j)), kind)
    text = f"{left} likely near copies were not compared, as too many pictures look alike"
    told = [note("not compared", text)] if left else []
    return [Relation(kind, i, j) for (i, j), kind in known.items()], told


def _same(view: Overview) -> Iterator[tuple[int, int]]:
    """Each copy with the first one of all, and with the first one of its own part."""
    first: dict[bytes, int] = {}
    for (digest, _), members in _by_content(view).items():
        one = first.setdefault(digest, members[0])
        yield from ((one, i) for i in members if i != one)
        yield from ((members[0], i) for i in members[1:])


def _by_content(view: Overview) -> dict[tuple[bytes, str], list[int]]:
    """The pictures of each content in each part; one of a single value says nothing."""
    out: dict[tuple[bytes, str], list[int]] = defaultdict(list)
    for i, row in enumerate(view.rows):
        if row is not None and row.high > row.low:
            out[view.digests[i], view.pairs[i].split].append(i)
    return out


def _alike(view: Overview) -> tuple[list[tuple[int, int]], int]:
    """Likely copies by their small copies, made sure of by the pictures themselves; and how many were left."""
    used = [members[0] for members in _by_content(view).values()]  # exact copies are known already
    if len(used) < 2:
        return [], 0
    thumbs = _centred(view, used)
    spectra = lru_cache(maxsize=_KEPT)(lambda i: _spectra(view.pairs[i]))
    groups = _Joined(len(view.pairs))
    found: list[tuple[int, int]] = []
    compared = left = 0
    for start in range(0, len(used), _BLOCK):
        most = max(_COMPARED_AT_LEAST, _COMPARED_EACH * min(start + _BLOCK, len(used)))
        for i, j in _likely(thumbs, start, np.array([groups.root(i) for i in used]), used):
            if groups.root(i) == groups.root(j) or view.digests[i] == view.digests[j]:
                continue
            if compared == most:
                left += 1
                continue
            compared += 1
            if _equal_content(spectra(i), spectra(j)):
                found.append((i, j))
                # Across parts each is told; pictures without a part must be joined without those of another.
                if view.pairs[i].split == view.pairs[j].split:
                    groups.join(i, j)
    return found, left


def _likely(
    thumbs: npt.NDArray[np.float16], start: int, groups: npt.NDArray[np.int64], used: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Those that look alike when small, of a block and all after it in different groups, the likeliest first."""
    rows = thumbs[start : start + _BLOCK].astype(np.float32)
    met: list[npt.NDArray[np.float64]] = []
    for b in range(start, len(used), 8 * _BLOCK):
        scores = rows @ thumbs[b : b + 8 * _BLOCK].astype(np.float32).T
        i, j = np.nonzero(scores > _CANDIDATE)
        new = (start + i < b + j) & (groups[start + i] != groups[b + j])
        met.append(np.stack([scores[i, j], start + i, b + j])[:, new])
    score, first, second = np.concatenate(met, axis=1)
    for k in np.lexsort((second, first, -score)).tolist():
        yield used[int(first[k])], used[int(second[k])]


def _centred(view: Overview, used: Sequence[int]) -> npt.NDArray[np.float16]:
    """The small copies as vectors of length 1 whose products are correlations, float16 (n, pixels)."""
    pixels = signature.THUMB_PX**2
    out = np.empty((len(used), pixels), np.float16)
    common = np.zeros(pixels)
    # What all pictures have in common (a frame, a vignette, the sky) makes no two of them alike.
    for final in (False, True):
        for start in range(0, len(used), _BLOCK):
            members = used[start : start + _BLOCK]
            block = np.stack([np.frombuffer(view.thumbs[i], np.uint8) for i in members]).astype(np.float32)
            block -= block.mean(axis=1, keepdims=True)
            if not final:
                common += block.sum(axis=0, dtype=np.float64)
                continue
            if len(used) >= _ENOUGH_FOR_A_MEAN:
                block -= (common / len(used)).astype(np.float32)
            out[start : start + _BLOCK] = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-6)
    return out


def _equal_content(first: C64 | None, second: C64 | None) -> bool:
    if first is None or second is None:
        return False
    if first.shape != second.shape:  # the same in grey and in colour
        first, second = first.mean(axis=0, keepdims=True), second.mean(axis=0, keepdims=True)
    product = (first * np.conj(second)).mean(axis=0)
    surface = np.fft.irfft2(product, s=(_COMPARED_PX, _COMPARED_PX)) / (_COMPARED_PX**2)
    near = np.r_[-_SHIFT_PX : _SHIFT_PX + 1]
    return bool(surface[np.ix_(near, near)].max() >= _SAME)


def _spectra(pair: Pair) -> C64 | None:
    """Spectra of up to three channels at ``_COMPARED_PX`` without what is coarse, each of mean 0 and deviation 1.

    One strong edge must not speak for the whole: two discs of a size on different ground are no
    copies. So the detail is brought to like strength everywhere, and colours count.
    """
    try:
        pixels = images.read_channels(pair.images).pixels_HWC[..., :3]
    except DataError:
        return None
    channels = [signature.grey(pixels[..., c : c + 1]) for c in range(pixels.shape[2])]
    small = [cv2.resize(c, (_COMPARED_PX, _COMPARED_PX), interpolation=cv2.INTER_AREA) for c in channels]
    fine = np.stack([np.asarray(c - cv2.GaussianBlur(c, (0, 0), 8.0), np.float32) for c in small])
    floor = _FLOOR * float(fine.std())
    if floor < 1e-9:
        return None
    strength = np.stack([np.sqrt(cv2.GaussianBlur(c * c, (0, 0), 8.0)) for c in fine]) + floor
    even = fine / strength
    even -= even.mean(axis=(1, 2), keepdims=True)
    even /= np.maximum(even.std(axis=(1, 2), keepdims=True), 1e-6)
    return np.fft.rfft2(even).astype(np.complex64)


def _sharing(view: Overview) -> Iterator[tuple[int, int]]:
    """Pictures whose sketches have windows in common."""
    values = np.sort(np.frombuffer(b"".join(view.sketches), np.uint64))
    repeated = np.unique(values[1:][values[1:] == values[:-1]])
    owners: dict[int, list[int]] = defaultdict(list)
    for i, stored in enumerate(view.sketches):
        for window in np.intersect1d(np.frombuffer(stored, np.uint64), repeated).tolist():
            owners[window].append(i)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for members in owners.values():
        if len(members) > 8:  # a pattern of many pictures, such as a scale bar or a repeated grid
            continue
        for pair in itertools.combinations(members, 2):
            shared[pair] += 1
    for pair, count in shared.items():
        if count >= _SHARED_WINDOWS:
            yield pair


def _overlapping(view: Overview) -> Iterator[tuple[int, int]]:
    for i, j, share in _meetings(view):
        if share > _OVERLAP:
            yield i, j


def _touching(view: Overview) -> Iterator[tuple[int, int]]:
    for i, j, share in _meetings(view):
        if share <= _OVERLAP:
            yield i, j


def _meetings(view: Overview) -> Iterator[tuple[int, int, float]]:
    """Pairs of georeferenced pictures that meet, with the share of the smaller one in both.

    Of a place that was taken many times the first picture in each part speaks for the others:
    a series of thousands has millions of pairs.
    """
    places: dict[tuple[Bounds, int | None, str], list[int]] = defaultdict(list)
    for i, (row, pair) in enumerate(zip(view.rows, view.pairs, strict=True)):
        if row is not None and row.bounds is not None:
            places[row.bounds, row.epsg, pair.split].append(i)
    ordered = sorted(places.items(), key=lambda place: place[0][0][0])
    for a, ((one, crs, _), members) in enumerate(ordered):
        slack = 1e-3 * max(one[2] - one[0], 1e-12)
        for (other, other_crs, _), others in ordered[a:]:
            if other[0] > one[2] + slack:
                break
            share = _shared(one, other, slack) if crs == other_crs else None
            if share is None:
                continue
            yield from ((members[0], j, share) for j in (others if other == one else others[:1]) if j != members[0])
            if other == one and others is not members:
                yield from ((i, others[0], share) for i in members[1:])


def _shared(one: Bounds, other: Bounds, slack: float) -> float | None:
    """The share of the smaller place in both; None where they do not meet, or in a corner alone."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide < -slack or high < -slack or max(wide, high) <= slack:
        return None
    least = min((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return max(0.0, wide) * max(0.0, high) / max(least, 1e-12)


def _neighbours(view: Overview) -> Iterator[tuple[int, int]]:
    """Tiles named by row and column whose borders continue each other."""
    scenes: dict[tuple[str, str], dict[tuple[int, int], int]] = defaultdict(dict)
    for i, pair in enumerate(view.pairs):
        folder, _, name = pair.name.rpartition("/")
        match = signature.TILE_NAME.match(name)
        if match and view.rows[i] is not None:
            scenes[folder, match["scene"]][int(match["row"]), int(match["column"])] = i
    for tiles in scenes.values():
        rows, columns = sorted({r for r, _ in tiles}), sorted({c for _, c in tiles})
        if len(rows) < 2 or len(columns) < 2 or 2 * len(tiles) < len(rows) * len(columns):
            continue
        yield from _continued(view, tiles, rows, columns)


def _continued(
    view: Overview, tiles: dict[tuple[int, int], int], rows: Sequence[int], columns: Sequence[int]
) -> Iterator[tuple[int, int]]:
    top, bottom, left, right = range(4)
    down, right_step = (min(b - a for a, b in itertools.pairwise(v)) for v in (rows, columns))
    # The first number may count to the right as well as down: the borders say which.
    for down_first in (True, False):
        met: list[tuple[int, int, float]] = []
        for (r, c), i in tiles.items():
            below, beside = (r + down, c), (r, c + right_step)
            for neighbour, ours, theirs in (
                (below, bottom if down_first else right, top if down_first else left),
                (beside, right if down_first else bottom, left if down_first else top),
            ):
                if neighbour in tiles:
                    j = tiles[neighbour]
                    met.append((i, j, _agreement(view.strips[i], view.strips[j], ours, theirs)))
        if met and float(np.median([score for _, _, score in met])) >= _BORDER:
            yield from ((i, j) for i, j, _ in met)
            return


def _agreement(a: bytes, b: bytes, ours: int, theirs: int) -> float:
    one, other = (np.frombuffer(s, np.uint8).reshape(4, -1)[k].astype(float) for s, k in ((a, ours), (b, theirs)))
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / scale if scale > 1e-9 else 0.0


def groups(relations: Sequence[Relation], count: int) -> list[int]:
    """The number of the group of each pair: what is related, however far, has one."""
    joined = _Joined(count)
    for relation in relations:
        joined.join(relation.first, relation.second)
    return [joined.root(i) for i in range(count)]
