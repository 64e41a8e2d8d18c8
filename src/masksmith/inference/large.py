"""Segment a picture that is larger than memory, part by part, into a file.

Rule: memory follows the window and not the picture; what is finished is kept when the work is killed,
and the result's name appears only when it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith import files, images
from masksmith.classes import IGNORE, U8
from masksmith.errors import InputError
from masksmith.images import Strips
from masksmith.inference.answering import Answering, choose


def segment_large(
    answering: Answering,
    picture: Path,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Write the mask of a picture of any size as a tiled TIFF of class indices, in the picture's place on the map.

    A call that was killed goes on behind its last finished row of windows.

    Args:
        answering: what ``masksmith.load`` gives.
        picture: TIFF and NPY are read in parts; other formats as far as they fit into memory.
        out: a ``.tif`` file.
        overwrite: replace a file of that name.
        progress: hears how many rows of how many are done.

    Returns:
        The share of each class, by name; pixels that the file says are none do not count.

    Raises:
        DataError: a picture that cannot be read, or that the network is not made for.
        InputError: ``out`` exists, is no ``.tif``, or the classes overlap.
        EnvironmentFault: it cannot be written.
    """
    files.refuse_existing(out, overwrite=overwrite)
    _require(answering, out)
    work = _Unfinished(answering, picture, out)
    try:
        for block in answering.blocks(work.size, work.read, start=work.rows):
            work.take(block.y, block.x, choose(block.probabilities_KHW))
            progress(work.rows, work.size[0])
    except BaseException:
        if not work.rows:  # nothing to go on with
            work.remove()
        raise
    with files.writing(out) as file:
        images.write_index_tiff(file, work.mask_HW, answering.model.table.palette_256, geo=images.geo_tags(picture))
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

    def __init__(self, answering: Answering, picture: Path, out: Path) -> None:
        self.strips = Strips(picture)
        self.preprocessing = answering.model.preprocessing
        self.size = (self.strips.header.height, self.strips.header.width)
        self._files = [out.with_name(f".{out.name}.{kind}") for kind in ("rows", "invalid", "mask")]
        self._identity = _identity(answering, picture)
        self.rows = self._rows_done()
        if not self.rows:
            self.remove()
        self.mask_HW = files.open_map(self._files[2], *self.size)
        self._invalid_HW: npt.NDArray[np.uint8] | None = None
        if self._files[1].is_file():
            self._invalid_HW = files.open_map(self._files[1], *self.size)

    def read(self, y: int, x: int, height: int, width: int) -> npt.NDArray[np.generic]:
        """Conforming pixels; those that the file says are none are remembered."""
        found = self.strips.window(y, x, height, width)
        if found.valid_HW is not None:
            if self._invalid_HW is None:
                self._invalid_HW = files.open_map(self._files[1], *self.size)
            self._invalid_HW[y : y + height, x : x + width] = ~found.valid_HW
        return self.preprocessing.conform(found.pixels_HWC, self.strips.path)

    def take(self, y: int, x: int, mask_HW: npt.NDArray[np.generic]) -> None:
        """A finished part. Parts come row by row, so that one that begins lower ends the row above it."""
        if y > self.rows:
            self._flush()
            files.write_text(self._files[0], json.dumps([*self._identity, y]))
            self.rows = y
        part = (slice(y, y + mask_HW.shape[0]), slice(x, x + mask_HW.shape[1]))
        if self._invalid_HW is not None:
            mask_HW = np.where(self._invalid_HW[part] > 0, IGNORE, mask_HW)
        self.mask_HW[part] = mask_HW

    def shares(self, names: list[str]) -> dict[str, float]:
        """Counted strip by strip."""
        counts = np.zeros(256, np.int64)
        for y in range(0, self.size[0], 512):
            strip: U8 = np.asarray(self.mask_HW[y : y + 512])
            counts += np.bincount(strip.ravel(), minlength=256)
        total = max(1, int(counts[: len(names)].sum()))
        return {name: float(n / total) for name, n in zip(names, counts, strict=False)}

    def remove(self) -> None:
        """Nothing is left beside the result."""
        files.remove(self._files)

    def _flush(self) -> None:
        for held in (self.mask_HW, self._invalid_HW):
            if isinstance(held, np.memmap):
                held.flush()

    def _rows_done(self) -> int:
        """Of an earlier call with the same picture, network and windows; else none."""
        try:
            *identity, rows = json.loads(self._files[0].read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return 0
        whole = self._files[2].is_file() and self._files[2].stat().st_size == self.size[0] * self.size[1]
        return int(rows) if whole and identity == self._identity and isinstance(rows, int) else 0


def _identity(answering: Answering, picture: Path) -> list[object]:
    """What must be the same for unfinished work to be gone on with."""
    about = picture.stat()
    return [str(picture.resolve()), about.st_size, about.st_mtime_ns, answering.identity]
