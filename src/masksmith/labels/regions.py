"""What the readers of drawn regions share: a safe way to read their files, and the one rasteriser.

Rule: whatever bytes a file holds, the answer is a value or one DataError; and every outline of
every kind of file is filled by the same function, so that one drawing gives one set of pixels.

Coordinates are (x, y) in pixels: (0, 0) is the corner of the first pixel, (0.5, 0.5) its centre.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from masksmith.errors import DataError
from masksmith.labels.source import Grid, LabelSource, RawMask
from masksmith.limits import MAX_ANNOTATION_BYTES, MAX_OVERLAPPING_CLASSES, MAX_PICTURE_PIXELS

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
T = TypeVar("T")

BACKGROUND = "background"

# Enough to see the outer keys of any annotation file, too little to be slow on thousands of files.
_HEAD_BYTES = 65_536

# Coordinates beyond this are moved to it: products of two still have all their digits.
FAR_PX = 1e9

# The COCO rule draws an outline on a grid five times as fine as the pixels.
_COCO_SCALE = 5

# Outlines are cut further outside than this: a cut rounds its ends, which can move an edge by a
# tenth of a pixel, and without any cut the steps to far-off corners would fill the memory.
_OVERHANG_PX = 4096

# Its code takes 20 bytes for each step of an outline, and does not ask whether it gets them.
_MOST_STEPS = MAX_PICTURE_PIXELS // 8


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One drawn region: an outline and its holes, or a mask whose first pixel is at (left, top)."""

    name: str
    rings: tuple[F64, ...] = ()
    mask_HW: Bool | None = None
    left: int = 0
    top: int = 0


def is_background(name: str) -> bool:
    """Whether a category is the background; LabelMe writes ``_background_``."""
    return name.strip().strip("_").casefold() == BACKGROUND


def name_table(found: Iterable[str]) -> tuple[str, ...]:
    """The names in their order, each once, with "background" first."""
    return (BACKGROUND, *dict.fromkeys(name for name in found if not is_background(name)))


def draw(
    regions: Iterable[Region], names: tuple[str, ...], grid: Grid, where: object, overlapping: bool = False
) -> RawMask:
    """Fill the regions in their order, later ones over earlier ones, or each name in its own layer.

    Edges follow the COCO rule, holes are cut out, what is outside the picture is cut off, and an
    outline without an area is left out.

    Raises:
        DataError: a coordinate is not a number, or an outline is too long to be drawn.
    """
    if overlapping:
        return _draw_layers(regions, names[1:], grid, where)
    if len(names) > np.iinfo(np.uint16).max:
        raise fault(where, "at most 65,535 names", f"{len(names):,}", "give the classes fewer names")
    values_HW = np.zeros((grid.height, grid.width), np.uint8 if len(names) <= 256 else np.uint16)
    index = {name: position for position, name in enumerate(names)}
    over = 0
    for region in regions:
        value = 0 if is_background(region.name) else index[region.name]
        part_HW, inside_HW = _placed(values_HW, region, where)
        if value and part_HW.any():
            before = part_HW[inside_HW]
            over += int(np.count_nonzero(before)) - int(np.count_nonzero(before == value))
        np.copyto(part_HW, value, where=inside_HW)
    return RawMask(values_HW, names=names, drawn_over=over)


def _draw_layers(regions: Iterable[Region], names: tuple[str, ...], grid: Grid, where: object) -> RawMask:
    """Each name in a bit of its own; a region of the background says nothing there."""
    if len(names) > MAX_OVERLAPPING_CLASSES + 1:  # one of them may be ignored
        raise fault(
            where,
            f"at most {MAX_OVERLAPPING_CLASSES} names of classes that overlap",
            f"{len(names):,}",
            "remove the names that are not used, or leave --overlapping out",
        )
    bits_HW = np.zeros((grid.height, grid.width), np.uint16)
    for region in regions:
        if not is_background(region.name):
            part_HW, inside_HW = _placed(bits_HW, region, where)
            part_HW[inside_HW] |= np.uint16(1 << names.index(region.name))
    return RawMask(bits_HW, names=names, overlapping=True)


def _placed(values_HW: npt.NDArray[np.integer], region: Region, where: object) -> tuple[npt.NDArray[np.integer], Bool]:
    """The part of the picture that a region can reach, to be written to, and the region in it."""
    if region.mask_HW is None:
        return _inside(values_HW, region.rings, where) if region.rings else _nothing(values_HW)
    mask_HW = region.mask_HW
    top, left = max(0, region.top), max(0, region.left)
    mask_HW = mask_HW[top - region.top :, left - region.left :]
    part_HW = values_HW[top:, left:][: mask_HW.shape[0], : mask_HW.shape[1]]
    return part_HW, mask_HW[: part_HW.shape[0], : part_HW.shape[1]]


def _nothing(values_HW: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.integer], Bool]:
    return values_HW[:0], np.zeros((0, values_HW.shape[1]), np.bool_)


def _inside(
    values_HW: npt.NDArray[np.integer], rings: Sequence[F64], where: object
) -> tuple[npt.NDArray[np.integer], Bool]:
    """Fill within the region's own window, so that the cost follows the region and not the picture."""
    near = [_near(ring, where) for ring in rings]
    if len(near[0]) < 3:
        return _nothing(values_HW)
    height, width = values_HW.shape
    # A pixel of margin: the rule never colours beyond it, and coordinates stay above zero, where
    # truncating is rounding down; so a window gives the pixels that the whole picture would.
    left, top = np.maximum(np.floor(near[0].min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(near[0].max(axis=0)).astype(int) + 1, (width, height))
    if right <= left or bottom <= top:
        return _nothing(values_HW)
    window, origin = (int(bottom - top), int(right - left)), np.array([left, top], np.float64)
    inside_HW = _filled(near[0] - origin, window, where)
    for hole in near[1:]:
        inside_HW &= ~_filled(hole - origin, window, where)
    return values_HW[top:bottom, left:right], inside_HW


def _filled(ring: F64, window: tuple[int, int], where: object) -> Bool:
    height, width = window
    reach = max(window) + _OVERHANG_PX
    if len(ring) >= 3 and (ring.min() < -reach or (ring > (width + reach, height + reach)).any()):
        ring = _clipped(ring, -reach, (width + reach, height + reach))
    if _is_degenerate(ring):
        return np.zeros(window, np.bool_)
    steps = np.abs(np.diff(ring, axis=0, append=ring[:1])).max(axis=1).sum() * _COCO_SCALE
    if steps > _MOST_STEPS:
        raise fault(where, f"an outline of at most {_MOST_STEPS // _COCO_SCALE:,} pixels", "a longer one")
    coded = coco_mask.frPyObjects([ring.ravel().tolist()], height, width)[0]["counts"]
    # Its own decoder warns of NumPy 2 each time.
    return decode_runs(unpack_runs(coded.decode("ascii"), where), window, "F", where)


def _clipped(ring: F64, low: float, high: tuple[float, float]) -> F64:
    """The part of a ring within a rectangle, side by side (Sutherland and Hodgman, 1974)."""
    for axis in (0, 1):
        for sign, bound in ((1.0, low), (-1.0, -high[axis])):
            if not len(ring):
                return ring
            following = np.roll(ring, -1, axis=0)
            depth, next_depth = sign * ring[:, axis] - bound, sign * following[:, axis] - bound
            inside = depth >= 0
            crossing = inside != (next_depth >= 0)
            share = depth / np.where(crossing, depth - next_depth, 1.0)
            cut = ring + np.where(crossing, share, 0.0)[:, None] * (following - ring)
            ring = np.stack([ring, cut], axis=1)[np.stack([inside, crossing], axis=1)]
    return ring


def _is_degenerate(ring: F64) -> bool:
    """Whether a ring is a point or a line; a signed area would also drop a figure of eight."""
    if len(ring) < 3:
        return True
    from_first = ring - ring[0]
    length2 = (from_first**2).sum(axis=1)
    far = from_first[int(length2.argmax())]
    cross = from_first[:, 0] * far[1] - from_first[:, 1] * far[0]
    return bool(np.abs(cross).max() <= 1e-9 * length2.max())


def as_points(raw: object, where: object) -> F64:
    """(N, 2) from a flat list x, y, x, y … or from a list of pairs, of which further numbers are dropped.

    Raises:
        DataError: it is no such list, or holds something that is not a finite number.
    """
    try:
        array = np.asarray(raw)
    except ValueError:  # lists of different lengths
        array = np.zeros(0, np.object_)
    if isinstance(raw, (list, tuple, np.ndarray)) and array.dtype.kind in "iuf":
        if array.size == 0:
            return np.zeros((0, 2))
        if array.ndim == 1 and array.size % 2 == 0:
            array = array.reshape(-1, 2)
        if array.ndim == 2 and array.shape[1] >= 2:
            return _near(array[:, :2].astype(np.float64), where)
    raise fault(where, "points of two numbers each", _shown(raw))


def _near(points: F64, where: object) -> F64:
    if not np.isfinite(points).all():
        raise fault(where, "finite numbers as coordinates", "not-a-number or an infinite one")
    return np.clip(points, -FAR_PX, FAR_PX)


def decode_runs(runs: npt.NDArray[Any], size: tuple[int, int], order: Literal["C", "F"], where: object) -> Bool:
    """A mask (H, W) from run lengths that begin outside; rows first ("C") or columns first ("F").

    Raises:
        DataError: they are no whole numbers, or do not sum up to the size.
    """
    count = size[0] * size[1]
    is_whole = runs.ndim == 1 and runs.dtype.kind in "iu" and runs.size > 0 and count <= MAX_PICTURE_PIXELS
    # Each is checked before their sum, which would wrap around.
    if not is_whole or runs.min() < 0 or runs.max() > count or int(runs.sum()) != count:
        raise fault(where, f"run lengths that sum up to {size[1]}×{size[0]} pixels", _shown(runs[:20].tolist()))
    return np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(size, order=order)


def unpack_runs(text: str, where: object) -> npt.NDArray[np.int64]:
    """Run lengths from COCO's text: five bits a character, the lowest first, a sixth says "more follows".

    From the fourth on, a number is the difference to the run two before it. This is done here, and
    no text of a file is handed to the COCO code, because that trusts what it gets.

    Raises:
        DataError: it is no such text.
    """
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - ord("0")
    ends = (codes & 32) == 0
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or not ends[-1]:
        raise fault(where, "run lengths in COCO's compressed form", repr(text[:40]))
    starts = np.flatnonzero(np.concatenate([[True], ends[:-1]]))
    lengths = np.diff(np.append(starts, codes.size))
    if lengths.max() > 7:  # 35 bits: more than any picture has pixels
        raise fault(where, "run lengths of at most seven characters", f"one of {lengths.max()}")
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((codes & 31) << (5 * place), starts)
    runs -= np.where((codes[ends] & 16) != 0, np.left_shift(1, 5 * lengths), 0)
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return runs


def fault(where: object, expected: str, received: str, remedy: str = "") -> DataError:
    """The error about an annotation file."""
    remedy = remedy or "correct it in the program that drew it, and export it again"
    return DataError(where=where, expected=expected, received=received, remedy=remedy)


def check_size(width: object, height: object, grid: Grid, where: object) -> None:
    """An annotation that says its picture's size must be right.

    Raises:
        DataError: it is the size of another picture.
    """
    if (width is not None and width != grid.width) or (height is not None and height != grid.height):
        raise fault(
            where,
            f"an annotation of {grid.image.name} with its {grid.width}×{grid.height} pixels",
            f"one of {_shown(width)}×{_shown(height)} pixels",
            "use the pictures that were annotated, at their full size",
        )


def one_picture(pictures: Mapping[str, Sequence[T]], source: LabelSource, grid: Grid) -> T:
    """What a file that annotates many pictures has about this one.

    Raises:
        DataError: nothing, or more than one picture of that name.
    """
    wanted = source.key or grid.image.name
    found = list(pictures.get(wanted, ()))
    if not found:  # the file may know the picture by a folder that is not there any more
        last = _last_part(wanted)
        found = [entry for name, entries in pictures.items() if _last_part(name) == last for entry in entries]
    if len(found) == 1:
        return found[0]
    raise fault(
        source.path,
        f'one picture "{wanted}"',
        f"{len(found)} of that name" if found else f"{len(pictures)} others",
        "give each picture a name of its own" if found else "export the annotations together with this picture",
    )


def _last_part(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def read_bytes(path: Path) -> bytes:
    """The content of an annotation file.

    Raises:
        DataError: it cannot be read, or is too large to be parsed.
    """
    try:
        size = path.stat().st_size
        if size > MAX_ANNOTATION_BYTES:
            limit = f"an annotation file of at most {MAX_ANNOTATION_BYTES / 2**30:.0f} GiB"
            raise fault(path, limit, f"{size / 2**30:.1f} GiB", "export it in parts")
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise fault(path, "a readable annotation file", reason, "check the path and its permissions") from error


def load_json(path: Path) -> object:
    """The value of a JSON file.

    Raises:
        DataError: it cannot be read, or is no JSON.
    """
    content = read_bytes(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        received = f"a broken one ({_first_line(error)})" if content.strip() else "an empty file"
        raise fault(path, "a whole JSON file", received, "export or copy it again") from error


@contextmanager
def told(path: Path, kind: str) -> Iterator[None]:
    """One sentence for whatever a file of the wrong structure makes Python raise."""
    try:
        yield
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else _first_line(error)
        raise fault(path, f"a whole {kind}", f"one that departs from the format ({reason})") from error


def head(path: Path) -> bytes:
    """The first bytes of a file; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def outer_keys(content: bytes) -> set[str]:
    """The keys of the outermost JSON object, as far as this beginning of a file shows them."""
    keys, depth, last = set(), 0, b""
    for match in re.finditer(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:]', content, re.DOTALL):
        token = match[0]
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        elif token == b":" and depth == 1:
            keys.add(last[1:-1].decode("utf-8", "replace"))
        last = token
    return keys if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else set()


def stamp(path: Path) -> tuple[Path, int, int]:
    """What changes when a file does: the key under which its parsed content is kept.

    Raises:
        DataError: there is no such file.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise fault(path, "an annotation file", error.strerror or "nothing", "check the path") from error
    return path, stat.st_mtime_ns, stat.st_size


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _shown(value: object) -> str:
    """A value as a message shows it: short, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
