"""Tell masks that lossy compression or smoothing has blurred, and find their true values.

A class has patches: pixels whose eight neighbours are like them. Values that blur has made lie on
the edges between patches and have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from masksmith.classes import unpack
from masksmith.labels.decision import Unclear
from masksmith.labels.scan import MaskScan

# A patch smaller than this share of a set's pixels is noise of the compression.
_MAIN_SHARE = 0.002
# Keys no farther than this from a more frequent one are that one, slightly off (out of 255): the patches that JPEG
# makes of one class lie within 16 of it even at quality 10, and those of two classes may lie closer than 40.
_NEAR = 16
# So near to a class is no class of its own where it has no patch and the classes are further apart than _NEAR.
_BESIDE = 4
# Values on edges alone that make a set suspicious: fewer may be a thin class.
FEWEST = 3
# Patches hold most pixels of a mask, and few of a photograph.
_PATCH_SHARE = 0.5
# Patches hold so much of a class in a mask where it occurs; of a value that JPEG has made, at quality 50 and better,
# at most a quarter, or half of the few that lie one beside a class.
_OWN_SHARE = 0.6


def is_lossy(path: Path) -> bool:
    """Whether the format loses what is sharp; of a WebP file, what its first bytes say."""
    suffix = path.suffix.lower()
    return suffix in {".jpg", ".jpeg", ".jfif"} or (suffix == ".webp" and not _is_lossless_webp(path))


def _is_lossless_webp(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(34)
    except OSError:
        return False
    # The pixels come first, or behind the header of extended files; "VP8 " is the lossy kind.
    return head[12:16] == b"VP8L" or (head[12:16] == b"VP8X" and head[30:34] == b"VP8L")


def has_lossy(scans: Sequence[MaskScan]) -> bool:
    """Whether the format has added values to some of these masks, as far as one can tell without knowing them."""
    return any(is_lossy(s.path) and len(s.keys) > 2 for s in scans)


def is_blurred(scans: Sequence[MaskScan]) -> bool:
    """Whether most values of these masks come from blur; False for photographs."""
    is_color = _in_color(scans)
    counts, solid = _totals(scans, is_color)
    edges = [k for k in counts if solid[k] == 0]
    main = main_keys(scans)
    pixels = sum(counts.values())
    if pixels == 0 or sum(solid.values()) < _PATCH_SHARE * pixels or len(main) < 2:
        return False
    if any(is_lossy(s.path) for s in scans) and len(counts) > len(main) + 1:
        return True
    if len(edges) < len(counts) - len(edges):
        return False
    # A good JPEG leaves 1 beside 0 and 254 beside 255: two values, but each next to a class and nowhere a patch.
    beside = bool(edges) and all(min(_distance(k, m, is_color) for m in main) <= _BESIDE for k in edges)
    return len(edges) >= FEWEST or beside


def main_keys(scans: Sequence[MaskScan]) -> list[int]:
    """The values or colours of the patches, most frequent first."""
    is_color = _in_color(scans)
    counts, solid = _totals(scans, is_color)
    least = _MAIN_SHARE * sum(counts.values())
    kept: list[int] = []
    for key, n in solid.most_common():
        if n >= least and all(_distance(key, other, is_color) > _NEAR for other in kept):
            kept.append(key)
    return kept


def is_doubtful(scans: Sequence[MaskScan]) -> bool:
    """Whether a mask has patches of a value that is no main key and more than a main key slightly off.

    That value may be a class: of another it lies no farther than what compression makes, or it is rare in the set.
    """
    main, is_color = main_keys(scans), _in_color(scans)
    for s in scans if main else ():
        counts, solid = _totals([s], is_color)
        least = _MAIN_SHARE * sum(counts.values())
        own = [k for k, n in solid.items() if n >= max(least, _OWN_SHARE * counts[k])]
        ways = [min((_distance(k, m, is_color), m) for m in main) for k in own]
        if any(far > _NEAR for far, _ in ways) or len({m for _, m in ways}) < len(own):
            return True
    return False


def of_things(scans: Sequence[MaskScan]) -> tuple[int, ...]:
    """Of lossy masks that hold a background and one other value: these two; else nothing."""
    main = sorted(main_keys(scans))
    return tuple(main) if len(main) == 2 and main[0] <= _NEAR and not is_doubtful(scans) else ()


def cleared(scans: Sequence[MaskScan]) -> list[MaskScan]:
    """The scans with the main keys alone."""
    main = main_keys(scans)
    found = []
    for s in scans:
        counts = {k: s.keys.get(k, 1) for k in main}
        found.append(replace(s, values=counts) if s.values is not None else replace(s, colors=counts))
    return found


def _in_color(scans: Sequence[MaskScan]) -> bool:
    return any(s.values is None for s in scans)


def _totals(scans: Sequence[MaskScan], is_color: bool) -> tuple[Counter[int], Counter[int]]:
    counts: Counter[int] = Counter()
    solid: Counter[int] = Counter()
    for s in scans:
        grey = is_color and s.values is not None
        counts.update((s.colors or {}) if grey else s.keys)
        solid.update({k * 0x010101 if grey and not s.from_palette else k: n for k, n in s.solid.items()})
    return counts, solid


def _distance(a: int, b: int, is_color: bool) -> float:
    if not is_color:
        return abs(a - b)
    return float(sum((x - y) ** 2 for x, y in zip(unpack(a), unpack(b), strict=True)) ** 0.5)


def fault(scans: Sequence[MaskScan], instead: str) -> Unclear:
    """What is to be said of blurred masks; ``instead``: what helps besides saving them anew, if anything does."""
    worst = max(scans, key=lambda s: s.distinct)
    told_as = "lossy" if instead else "undefined"  # a mended copy would make a class of each number
    kind = "values" if worst.values is not None else "colours"
    main = len(main_keys(scans))
    return Unclear(
        where=worst.path,
        expected=f"a mask with a few {kind}, one a class",
        received=f"{worst.distinct} {kind}, of which {main} are patches and the others lie on edges"
        + (" (JPEG blurs the edges of masks)" if is_lossy(worst.path) else ""),
        remedy="save masks as PNG without smoothing" + (f", or {instead}" if instead else ""),
    ).of(told_as, lambda s: is_lossy(s.path) or len(s.keys) - len(s.solid) >= FEWEST)
