"""Segment a picture that is larger than memory, part by part, into a file.

Rule: memory follows the window and not the picture; what is finished is kept when the work is killed,
and the result's name appears only when it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from masksmith import files, images
from masksmith.classes import IGNORE, U8
from masksmith.errors import InputError
from masksmith.images import Strips
from masksmith.inference import cleanup
from masksmith.inference.answering import Answering
from masksmith.limits import MAX_NAME_BYTES

# Rows that are counted at once.
_BAND_ROWS = 512


def segment_large(
    answering: Answering,
    picture: Path,
    out: Path,
    *,
    overwrite: bool = False,
    thresholds: Mapping[str, float] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Write the mask of a picture of any size as a tiled TIFF of class indices, in the picture's place on the map.

    A call that was killed goes on behind its last finished row of windows.

    Args:
        answering: what ``masksmith.load`` gives.
        picture: TIFF, NPY and Zarr are read in parts; other formats as far as they fit into memory.
        out: a ``.tif`` file.
        overwrite: replace a file of that name.
        thresholds: of classes by name, as in ``cleanup``; regions and holes are not seen in parts of a picture.
        progress: hears how many rows of how many are done.

    Returns:
        The share of each class, by name; pixels that the file says are none do not count.

    Raises:
        DataError: a picture that cannot be read, or that the network is not made for.
        InputError: ``out`` exists, is no ``.tif``, the classes overlap, or a threshold is of none of them.
        EnvironmentFault: it cannot be written.
    """
    files.refuse_existing(out, overwrite=overwrite)
    _require(answering, out)
    wanted = cleanup.by_index(answering.model.table, thresholds or {})
    work = _Unfinished(answering, picture, out, wanted)
    try:
        if work.rows < work.size[0]:  # or it was killed while the result was written
            for block in answering.blocks(work.size, work.read, start=work.rows):
                work.take(block.y, block.x, cleanup.decide(block.probabilities_KHW, wanted).astype(np.uint8))
                progress(work.rows, work.size[0])
            work.finish()
    except BaseException:
        if not work.rows:  # nothing to go on with
            work.remove()
        raise
    with files.writing(out) as file:
        palette = answering.model.table.palette_256
        images.write_bands(file, work.mask, geo=work.place, palette_256=palette, nodata=IGNORE)
    progress(work.size[0], work.size[0])
    shares = work.shares(answering.model.table.names)
    work.remove()
    return shares


def _require(answering: Answering, out: Path) -> None:
    if out.suffix.lower() not in {".tif", ".tiff"}:
        raise InputError(
            where=out, expected="a name that ends in .tif", received=out.suffix or "none", remedy="give another name"
        )
    if answering.model.table.overlapping:
        raise InputError(
            where=out,
            expected="one class for each pixel in a large picture",
            received="classes that overlap",
            remedy="cut the picture into parts",
        )


class _Unfinished:
    """The mask so far, in a file beside the result's place, and how many of its rows are done."""

    def __init__(self, answering: Answering, picture: Path, out: Path, thresholds: Mapping[int, float]) -> None:
        self.strips = Strips(picture)
        self.place = images.geo_tags(images.georeference(picture))  # before hours of work, as it may be broken
        self.preprocessing = answering.model.preprocessing
        self.size = (self.strips.header.height, self.strips.header.width)
        self._state, self._mask = (_beside(out, kind) for kind in ("rows", "mask"))
        self._identity = _identity(answering, picture, thresholds)
        self.rows = self._rows_done()
        if not self.rows:
            self.remove()
        self.mask = files.Rows(self._mask, *self.size)
        self._current_HW: U8 = np.empty((0, self.size[1]), np.uint8)  # the rows from ``rows`` on
        self._invalid: list[tuple[int, int, npt.NDArray[np.bool_]]] = []
        self._lock = Lock()

    def read(self, y: int, x: int, height: int, width: int) -> npt.NDArray[np.generic]:
        """Conforming pixels; those that the file says are none are remembered until their rows are done."""
        found = self.strips.window(y, x, height, width).with_channels(self.preprocessing.channels)
        if found.valid_HW is not None and not found.valid_HW.all():
            with self._lock:  # windows are read by another thread
                self._invalid.append((y, x, ~found.valid_HW))
        return self.preprocessing.conform(found.pixels_HWC, self.strips.path, found.valid_HW)

    def take(self, y: int, x: int, mask_HW: U8) -> None:
        """A finished part. Parts come row by row, so that one that begins lower ends the row above it."""
        height, width = mask_HW.shape
        if y > self.rows:
            self._finish_row()
        if y + height > self.rows + len(self._current_HW):
            self._current_HW = np.empty((height, self.size[1]), np.uint8)
        self._current_HW[:, x : x + width] = mask_HW

    def finish(self) -> None:
        """No more parts come."""
        self._finish_row()

    def shares(self, names: list[str]) -> dict[str, float]:
        """Counted band by band."""
        counts = np.zeros(256, np.int64)
        for y in range(0, self.size[0], _BAND_ROWS):
            counts += np.bincount(self.mask[0, y : y + _BAND_ROWS].ravel(), minlength=256)
        total = max(1, int(counts[: len(names)].sum()))
        return {name: float(n / total) for name, n in zip(names, counts, strict=False)}

    def remove(self) -> None:
        """Nothing is left beside the result."""
        files.remove([self._state, self._mask])

    def _finish_row(self) -> None:
        """The row of windows is on the disk before it is said to be done."""
        last = self.rows + len(self._current_HW)
        with self._lock:
            for top, left, invalid_HW in self._invalid:
                first, end = max(top, self.rows), min(top + len(invalid_HW), last)
                if first < end:
                    part_HW = self._current_HW[first - self.rows : end - self.rows, left : left + invalid_HW.shape[1]]
                    part_HW[invalid_HW[first - top : end - top]] = IGNORE
            self._invalid = [found for found in self._invalid if found[0] + len(found[2]) > last]
        self.mask.write(self.rows, self._current_HW)
        files.write_text(self._state, json.dumps([*self._identity, last]))
        self.rows, self._current_HW = last, self._current_HW[:0]

    def _rows_done(self) -> int:
        """Of an earlier call with the same picture, network and windows; else none."""
        try:
            *identity, rows = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return 0
        whole = files.Rows.is_there(self._mask, *self.size)
        return int(rows) if whole and identity == self._identity and isinstance(rows, int) else 0


def _beside(out: Path, kind: str) -> Path:
    """A helper's place; instead of a long name its digest, since what is added must fit as well."""
    name = f".{out.name}.{kind}"
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = f".{files.sha256(os.fsencode(out.name))}.{kind}"
    return out.with_name(name)


def _identity(answering: Answering, picture: Path, thresholds: Mapping[int, float]) -> list[object]:
    """What must be the same for unfinished work to be gone on with."""
    # A Zarr is a folder: the newest of its files.
    about = max((path.stat() for path in (picture, *picture.rglob("*"))), key=lambda found: found.st_mtime_ns)
    decided = "".join(f" {index}={share!r}" for index, share in sorted(thresholds.items()))
    return [str(picture.resolve()), about.st_size, about.st_mtime_ns, answering.identity + decided]
