"""Pictures that belong together: copies, parts of one scene, neighbouring tiles.

Rule: what must not be torn apart by a split is found before pictures are split.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.data import signature
from masksmith.data.overview import Overview
from masksmith.data.pairing import Pair
from masksmith.errors import DataError

F32 = npt.NDArray[np.float32]

# Small copies that agree this much are compared in full; the rest is no suspicion.
_CANDIDATE = 0.7
# Comparisons in full: pictures with the same frame or vignette all look alike at 12 pixels.
_MOST_COMPARED = 400
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


def find(view: Overview) -> list[Relation]:
    """All relations; of two pictures the closest alone."""
    known: dict[tuple[int, int], str] = {}
    for kind, found in (
        ("copy", _same(view)),
        ("near copy", _alike(view)),
        ("scene", _overlapping(view)),
        ("scene", _sharing(view)),
        ("tiles", _touching(view)),
        ("tiles", _neighbours(view)),
    ):
        for i, j in found:
            known.setdefault((min(i, j), max(i, j)), kind)
    return [Relation(kind, i, j) for (i, j), kind in known.items()]


def _same(view: Overview) -> Iterator[tuple[int, int]]:
    first: dict[bytes, int] = {}
    for i, digest in enumerate(view.digests):
        row = view.rows[i]
        if row is None or row.high == row.low:
            continue
        if digest in first:
            yield first[digest], i
        else:
            first[digest] = i


def _alike(view: Overview) -> Iterator[tuple[int, int]]:
    """Likely copies by their small copies, made sure of by the pictures themselves."""
    used = [i for i, r in enumerate(view.rows) if r is not None and r.high > r.low]
    if len(used) < 2:
        return
    thumbs = _centred(view, used)
    candidates: list[tuple[float, int, int]] = []
    for a in range(0, len(used), _BLOCK):
        rows = thumbs[a : a + _BLOCK].astype(np.float32)
        for b in range(a, len(used), 8 * _BLOCK):
            scores = rows @ thumbs[b : b + 8 * _BLOCK].astype(np.float32).T
            for i, j in zip(*np.nonzero(scores > _CANDIDATE), strict=True):
                if a + i < b + j:
                    candidates.append((float(scores[i, j]), used[a + i], used[b + j]))
        if len(candidates) > 20 * _MOST_COMPARED:
            candidates = sorted(candidates, reverse=True)[:_MOST_COMPARED]
    seen: dict[int, F32 | None] = {}
    for _, i, j in sorted(candidates, reverse=True)[:_MOST_COMPARED]:
        if view.digests[i] != view.digests[j] and _equal_content(view.pairs[i], view.pairs[j], i, j, seen):
            yield i, j


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


def _equal_content(a: Pair, b: Pair, i: int, j: int, seen: dict[int, F32 | None]) -> bool:
    for number, pair in ((i, a), (j, b)):
        if number not in seen:
            seen[number] = _detail(pair)
    first, second = seen[i], seen[j]
    if first is None or second is None:
        return False
    if first.shape != second.shape:  # the same in grey and in colour
        first, second = first.mean(axis=0, keepdims=True), second.mean(axis=0, keepdims=True)
    spectra = np.fft.rfft2(first) * np.conj(np.fft.rfft2(second))
    surface = np.fft.irfft2(spectra.mean(axis=0), s=first.shape[1:]) / (_COMPARED_PX**2)
    near = np.r_[-_SHIFT_PX : _SHIFT_PX + 1]
    return bool(surface[np.ix_(near, near)].max() >= _SAME)


def _detail(pair: Pair) -> F32 | None:
    """Up to three channels at ``_COMPARED_PX`` without what is coarse, each of mean 0 and deviation 1.

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
    out: F32 = even / np.maximum(even.std(axis=(1, 2), keepdims=True), 1e-6)
    return out


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


def _placed(view: Overview) -> list[tuple[int, tuple[float, float, float, float], int | None]]:
    return [(i, r.bounds, r.epsg) for i, r in enumerate(view.rows) if r is not None and r.bounds is not None]


def _overlapping(view: Overview) -> Iterator[tuple[int, int]]:
    for i, j, share, _ in _meetings(view):
        if share > _OVERLAP:
            yield i, j


def _touching(view: Overview) -> Iterator[tuple[int, int]]:
    for i, j, share, common in _meetings(view):
        if share <= _OVERLAP and common:
            yield i, j


def _meetings(view: Overview) -> Iterator[tuple[int, int, float, bool]]:
    """Pairs of georeferenced pictures that meet: share of the smaller one, and a common edge."""
    placed = sorted(_placed(view), key=lambda p: p[1][0])
    for a, (i, one, crs) in enumerate(placed):
        slack = 1e-3 * max(one[2] - one[0], 1e-12)
        for j, other, other_crs in placed[a + 1 :]:
            if other[0] > one[2] + slack:
                break
            if crs != other_crs:
                continue
            wide = min(one[2], other[2]) - max(one[0], other[0])
            high = min(one[3], other[3]) - max(one[1], other[1])
            if wide < -slack or high < -slack or max(wide, high) <= slack:
                continue
            least = min((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
            yield i, j, max(0.0, wide) * max(0.0, high) / max(least, 1e-12), True


def _neighbours(view: Overview) -> Iterator[tuple[int, int]]:
    """Tiles named by row and column whose borders continue each other."""
    scenes: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    for i, pair in enumerate(view.pairs):
        match = signature.TILE_NAME.match(pair.name.rsplit("/", 1)[-1])
        if match and view.rows[i] is not None:
            scenes[match["scene"]][int(match["row"]), int(match["column"])] = i
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
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for relation in relations:
        a, b = root(relation.first), root(relation.second)
        parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(count)]
