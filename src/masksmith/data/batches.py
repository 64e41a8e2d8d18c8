"""Batches of training crops, prepared ahead of the network by threads.

Rule: a batch is a function of (seed, step) alone, so that training goes on after an interruption
exactly where it was, whatever the number of threads.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from masksmith import images, labels
from masksmith.classes import ClassTable
from masksmith.data import focus
from masksmith.data.augment import Aim, Pixels, draw_crop
from masksmith.data.dataset import Pair
from masksmith.data.focus import Focus
from masksmith.data.preprocessing import Preprocessing
from masksmith.data.room import Room
from masksmith.errors import DataError, EnvironmentFault, MasksmithError, RecipeError
from masksmith.keys import Mask, ignored_value
from masksmith.labels import Grid
from masksmith.recipe import AugmentSettings

# Batches that lie ready: enough that a slow one is never waited for, few enough for any memory.
_AHEAD = 4

_Valid = npt.NDArray[np.bool_] | None


class PairReader:
    """Reads pairs as (pixels (H, W, C), mask (H, W)) and keeps them in memory while they fit."""

    def __init__(
        self, pairs: Sequence[Pair], table: ClassTable, preprocessing: Preprocessing, room: Room | None = None
    ) -> None:
        """``room`` is shared with other readers; None: this one has its own."""
        self.pairs = list(pairs)
        self.table = table
        self.preprocessing = preprocessing
        self._kept: dict[int, tuple[Pixels, Mask, _Valid]] = {}
        self._places: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
        self._room = Room() if room is None else room
        # Threads that want the same picture decode it once, one after the other where it cannot be kept.
        self._decoding = [threading.Lock() for _ in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> tuple[Pixels, Mask]:
        """Pair ``index``, its pixels conforming to the preprocessing.

        Raises:
            DataError: a file that has changed since the check.
        """
        return self.read_valid(index)[:2]

    def read_valid(self, index: int) -> tuple[Pixels, Mask, _Valid]:
        """As :meth:`read`, and False where the picture says that there is nothing; None where all pixels are valid."""
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        with self._decoding[index]:
            kept = self._kept.get(index) or self._decoded(index)
            if index not in self._kept and self._room.take(sum(part.nbytes for part in kept if part is not None)):
                self._kept[index] = kept
        return kept

    def _decoded(self, index: int) -> tuple[Pixels, Mask, _Valid]:
        pair = self.pairs[index]
        with _naming(pair):
            picture = images.read_channels(pair.images).with_channels(self.preprocessing.channels)
            pixels = self.preprocessing.conform(picture.pixels_HWC, pair.image, picture.valid_HW)
            mask = labels.read_mask(pair.label, self.table, Grid(pair.image, *pixels.shape[:2]))
            if picture.valid_HW is not None:  # nothing is there to be learnt from
                mask = np.where(picture.valid_HW, mask, mask.dtype.type(ignored_value(mask)))
        return pixels, mask, picture.valid_HW

    def pixel(self, index: int, mask_HW: Mask, key: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """Row and column of a random pixel of ``key`` in ``mask_HW``, which is that of ``index``; None if it has none.

        The mask is handed in: where memory does not keep it, it would be decoded twice for one crop.
        """
        if (index, key) not in self._places:
            self._places[index, key] = focus.places(mask_HW, key, overlapping=self.table.overlapping)
        found = self._places[index, key]
        if not len(found):
            return None
        y, x = divmod(int(found[rng.integers(len(found))]), mask_HW.shape[1])
        return y, x


@dataclass(frozen=True)
class Sampling:
    """How crops are drawn: ``visits`` are pair indices, one for each crop of an epoch."""

    visits: tuple[int, ...]
    crop_px: int
    batch_size: int
    seed: int
    focus: Focus | None = None
    answered_px: int | None = None
    """As of :class:`Aim`."""


def visits(sizes: Sequence[tuple[int, int]], crop_px: int, at_least: int) -> tuple[int, ...]:
    """Each picture as often as crops cover its area, all of them repeated up to ``at_least``.

    >>> visits([(100, 100), (200, 100)], 100, 1)
    (0, 1, 1)
    """
    once = [
        index for index, (height, width) in enumerate(sizes) for _ in range(max(1, round(height * width / crop_px**2)))
    ]
    return tuple(once * max(1, -(-at_least // len(once))))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, visits: int) -> npt.NDArray[np.int64]:
    """The order of an epoch's visits; two are kept, since a batch may span the end of one."""
    return np.random.default_rng([seed, epoch]).permutation(visits)


class Batches:
    """The batches of a training, by step."""

    def __init__(self, reader: PairReader, sampling: Sampling, augment: AugmentSettings) -> None:
        self.reader = reader
        self.sampling = sampling
        self.augment = augment

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which each visit has had its turn (rounded)."""
        return max(1, round(len(self.sampling.visits) / self.sampling.batch_size))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch ``step``: float32 (B, C, crop, crop) in channels-last memory, int64 (B, crop, crop)."""
        size, crop = self.sampling.batch_size, self.sampling.crop_px
        pixels_BHWC = np.empty((size, crop, crop, self.reader.preprocessing.channels), np.float32)
        masks_BHW = np.empty((size, crop, crop), np.int64)
        for place in range(size):
            epoch, index = divmod(step * size + place, len(self.sampling.visits))
            rng = np.random.default_rng([self.sampling.seed, epoch, index])
            picture, key = self._drawn(epoch, index, rng)
            with _naming(self.reader.pairs[picture]):
                pixels, mask = self.reader.read(picture)
                pixel = None if key is None else self.reader.pixel(picture, mask, key, rng)
                aim = Aim(crop, pixel, self.sampling.answered_px)
                pixels_BHWC[place], masks_BHW[place] = draw_crop(
                    pixels, mask, aim, self.augment, self.reader.preprocessing, rng
                )
        return torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2), torch.from_numpy(masks_BHW)

    def _drawn(self, epoch: int, index: int, rng: np.random.Generator) -> tuple[int, int | None]:
        """The picture of a visit; or one with a rare class in its place, and the key of what the crop is to hold."""
        sampling = self.sampling
        drawn = sampling.focus.draw(rng) if sampling.focus is not None else None
        if drawn is not None:
            return drawn
        visit = _order(sampling.seed, epoch, len(sampling.visits))[index]
        return sampling.visits[visit], None

    def stream(
        self, first: int, last: int | None, workers: int, *, wait: bool = False
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Batches ``first`` … ``last - 1`` (None: without end) in order, made ahead by ``workers`` threads.

        An error in a thread is raised here, at the batch that it concerns. A stream that is closed before its end
        leaves the batches alone that are being made, or with ``wait`` waits for them.
        """
        pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
        waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()
        try:
            for step in itertools.count(first) if last is None else range(first, last):
                while len(waiting) < _AHEAD + workers and (last is None or step + len(waiting) < last):
                    waiting.append(_submitted(pool, self.batch, step + len(waiting)))
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=wait, cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, make: Callable[[int], tuple[Tensor, Tensor]], step: int
) -> Future[tuple[Tensor, Tensor]]:
    """What will be the batch of a step; the system may refuse the thread for it."""
    try:
        return pool.submit(make, step)
    except RuntimeError as error:
        raise EnvironmentFault(
            where="workers",
            expected="threads that prepare crops",
            received=str(error),
            remedy="set workers=1, or end other programs",
        ) from error


@contextmanager
def _naming(pair: Pair) -> Iterator[None]:
    """Name the picture whose crop could not be made, in the error that a thread hands on.

    Raises:
        MasksmithError: in place of whatever went wrong.
    """
    try:
        yield
    except RecipeError as error:  # of somebody's own augmentation, which does not know the picture
        where = f"{error.where}, at {pair.image}"
        raise RecipeError(where=where, expected=error.expected, received=error.received, remedy=error.remedy) from error
    except MasksmithError:  # it names the file
        raise
    except Exception as error:  # of whatever library: a person wants to know at which picture
        raise _at(pair, error) from error


def _at(pair: Pair, error: Exception) -> MasksmithError:
    if isinstance(error, MemoryError) or "memory" in str(error).lower():  # the latter is OpenCV's
        return EnvironmentFault(
            where=pair.image,
            expected="memory for this picture and its mask",
            received="none",
            remedy="set workers=1, close other programs, or cut the picture into smaller ones",
        )
    return DataError(
        where=pair.image,
        expected="a picture and mask that crops can be cut from",
        received=f"{type(error).__name__}: {' '.join(str(error).split())}",
        remedy="look at it with masksmith check, or take it out",
    )
