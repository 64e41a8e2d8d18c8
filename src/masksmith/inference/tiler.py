"""Run a network over a picture of any size, window by window, and join the answers.

Where the network's receptive field is known, each window has so much context around what is kept of its
answer that the joined answer equals that for the whole picture. Where a pixel depends on the whole
picture, windows overlap and fade into each other.

Where memory is short for a window, it is cut again.

Rule: every pixel gets one answer, at the picture's own size; no more is held than a row of windows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from masksmith.errors import is_out_of_memory
from masksmith.inference import tiling
from masksmith.inference.tiling import Span, Tiling
from masksmith.models import field
from masksmith.models.unet import UNet, to_probabilities
from masksmith.planning import probe

F32 = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)
Pixels = npt.NDArray[np.generic]
Read = Callable[[int, int, int, int], Pixels]
"""``read(y, x, height, width)``: pixels (height, width, C) of that part of the picture."""
_ReadStandard = Callable[[int, int, int, int], F32]
Answer = Callable[[Tensor], F32]
"""Class probabilities (B, K, H', W') of standardised windows (B, C, H, W)."""

# A window that is to take less memory has at most this share of the pixels.
_LESS = 0.75


@dataclass(frozen=True)
class Block:
    """A part of the answer: class probabilities (K, h, w) from row ``y`` and column ``x`` on."""

    y: int
    x: int
    probabilities_KHW: F32


def blocks(
    network: UNet, size: tuple[int, int], read: _ReadStandard, cut: Tiling, answer: Answer, *, start: int = 0
) -> Iterator[Block]:
    """The answer for a picture of ``size`` (height, width), part by part from the top; the parts cover it.

    From row ``start`` on, which is where a block began. ``read`` gives standardised pixels; it is called from another thread, one window ahead of the network.
    """
    yield from _blocks(network, size, read, cut, _Frugal(network, cut, answer), start)


def _blocks(
    network: UNet, size: tuple[int, int], read: _ReadStandard, cut: Tiling, answer: Answer, start: int = 0
) -> Iterator[Block]:
    """As :func:`blocks`, by an answer that either has room or fails."""
    rows, columns = (tiling.spans(network, side, cut) for side in size)
    rows = [row for row in rows if row.last > start]
    groups = [[(row, column) for column in group] for row in rows for group in _alike(columns, cut.batch)]
    joined = _faded if cut.blend and len(groups) > 1 else _kept
    with ThreadPoolExecutor(1, thread_name_prefix="windows") as ahead:
        for block in joined(size[1], _answers(groups, read, answer, ahead)):
            if block.y >= start:
                yield block


def part_of(pixels_HWC: npt.NDArray[Number]) -> Callable[[int, int, int, int], npt.NDArray[Number]]:
    """Windows of a picture in memory."""
    return lambda y, x, height, width: pixels_HWC[y : y + height, x : x + width]


def whole(size: tuple[int, int], found: Iterator[Block]) -> F32:
    """Class probabilities (K, H, W) of a picture of ``size`` (height, width), put together."""
    first = next(found)
    if first.probabilities_KHW.shape[1:] == size:
        return first.probabilities_KHW
    out = np.empty((len(first.probabilities_KHW), *size), np.float32)
    for block in itertools.chain([first], found):
        _, height, width = block.probabilities_KHW.shape
        out[:, block.y : block.y + height, block.x : block.x + width] = block.probabilities_KHW
    return out


def torch_answer(network: UNet, precision: str, *, overlapping: bool = False) -> Answer:
    """The answer of a network of torch on its device. With ``overlapping`` each class has a probability of its own."""
    device = next(network.parameters()).device

    def answer(x_BCHW: Tensor) -> F32:
        x_BCHW = x_BCHW.to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), probe.autocast(device, precision):
            logits: Tensor = network(x_BCHW)
            found: F32 = to_probabilities(logits, overlapping=overlapping).cpu().numpy()
        return found

    return answer


def release() -> None:
    """Give back what PyTorch keeps of a graphics card's memory, as a failed attempt leaves it in odd pieces."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.cuda.empty_cache()


class _Frugal:
    """An answer by smaller windows, from the moment on at which memory is short for whole ones.

    The window is then cut as a picture is, with as much context for each part, so that the joined answer is the same;
    only where windows fade, since a pixel depends on the whole picture, is it as that of a smaller tile.
    """

    def __init__(self, network: UNet, cut: Tiling, answer: Answer) -> None:
        self._network, self._usual, self._answer = network, cut, answer
        self._finer: Tiling | None = None

    def __call__(self, x_BCHW: Tensor) -> F32:
        while True:
            try:
                return self._answer(x_BCHW) if self._finer is None else self._in_parts(x_BCHW, self._finer)
            except Exception as error:  # of a processor it is a RuntimeError like others
                if not is_out_of_memory(error):
                    raise
            release()  # after the handler, since the error holds what the attempt held
            self._finer = self._less((x_BCHW.shape[2], x_BCHW.shape[3]))

    def _in_parts(self, x_BCHW: Tensor, cut: Tiling) -> F32:
        pictures = x_BCHW.permute(0, 2, 3, 1).numpy()
        size = (pictures.shape[1], pictures.shape[2])
        each = (_blocks(self._network, size, part_of(one), cut, self._answer) for one in pictures)
        return np.stack([whole(size, found) for found in each])

    def _less(self, size: tuple[int, int]) -> Tiling:
        """How to cut a window of ``size`` into clearly smaller ones than before.

        Raises:
            MemoryError: no smaller ones can be.
        """
        grid, context = tiling.grid_px(self._network), field.context_px(self._network)
        before = size[0] * size[1] if self._finer is None else self._largest(size, self._finer)
        tile = max(size) if self._finer is None else self._finer.tile_px
        # "valid" networks bring their context with the window, whose border cannot be told from the picture's.
        while tile > grid and self._network.padding == "same":
            tile = max(grid, tile // 2 // grid * grid)
            if context is None or self._usual.blend:
                finer = Tiling(tile, min(self._usual.context_px, tile // 4 // grid * grid), blend=True)
            else:
                finer = Tiling(tile, context)
            if self._largest(size, finer) <= _LESS * before:
                return finer
        raise MemoryError(f"no room for a window of {size[0]} x {size[1]} pixels, nor for smaller ones")

    def _largest(self, size: tuple[int, int], cut: Tiling) -> int:
        """Pixels of the largest window."""
        height, width = (max(len(span.index) for span in tiling.spans(self._network, n, cut)) for n in size)
        return height * width


def _alike(columns: Sequence[Span], batch: int) -> Iterator[list[Span]]:
    """Neighbours of one width, as many as go through the network together."""
    group: list[Span] = []
    for span in columns:
        if group and (len(group) == batch or len(span.index) != len(group[0].index)):
            yield group
            group = []
        group.append(span)
    yield group


_Window = tuple[Span, Span]


def _answers(
    groups: Sequence[list[_Window]], read: _ReadStandard, answer: Answer, ahead: ThreadPoolExecutor
) -> Iterator[tuple[_Window, F32]]:
    """Each window with what is kept of its answer (K, h, w)."""
    waiting = ahead.submit(_load, groups[0], read)
    for place, group in enumerate(groups):
        x_BCHW = waiting.result()
        if place + 1 < len(groups):
            waiting = ahead.submit(_load, groups[place + 1], read)
        for (row, column), found_KHW in zip(group, answer(x_BCHW), strict=True):
            kept = found_KHW[:, row.skip : row.skip + len(row.weight), column.skip : column.skip + len(column.weight)]
            yield (row, column), kept


def _load(group: list[_Window], read: _ReadStandard) -> Tensor:
    return torch.from_numpy(np.stack([_pixels(row.index, column.index, read) for row, column in group])).permute(
        0, 3, 1, 2
    )


def _pixels(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], read: _ReadStandard) -> F32:
    """The window of a picture; a mirrored one is put together from what is there."""
    y, x = int(rows.min()), int(columns.min())
    part = read(y, x, int(rows.max()) + 1 - y, int(columns.max()) + 1 - x)
    if part.shape[:2] == (len(rows), len(columns)):
        return part
    mirrored: F32 = part[rows - y][:, columns - x]
    return mirrored


def _kept(_width: int, answers: Iterator[tuple[_Window, F32]]) -> Iterator[Block]:
    for (row, column), found in answers:
        yield Block(row.first, column.first, found)


def _faded(width: int, answers: Iterator[tuple[_Window, F32]]) -> Iterator[Block]:
    """Sums of weighted answers, given out as soon as no further row of windows adds to them."""
    total: F32 | None = None
    top, current = 0, None
    for (row, column), found in answers:
        if total is None:
            top = row.first  # 0, or where killed work goes on
            total = np.zeros((len(found), row.last - top, width), np.float32)
        elif row is not current:
            # The rows above this row of windows are done.
            done, rest = np.split(total, [row.first - top], axis=1)
            yield Block(top, 0, done)
            top, total = row.first, np.zeros((len(found), row.last - row.first, width), np.float32)
            total[:, : rest.shape[1]] = rest
        current = row
        weighted = found * row.weight[:, None] * column.weight
        total[:, row.first - top : row.last - top, column.first : column.last] += weighted
    if total is not None:
        yield Block(top, 0, total)
