"""Where a picture is cut: windows along each axis, and what is kept of each one's answer.

Rule: the kept parts cover the picture, each pixel once, or with weights whose sum is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from masksmith.errors import InputError
from masksmith.models import field
from masksmith.models.unet import UNet

# Beyond this side context costs little, and the memory that a window needs grows for nothing. Windows that are
# faded are larger: each pixel that more of the picture is seen from is nearer to the answer for the whole.
_LARGEST_TILE_PX, _LARGEST_FADED_PX = 1280, 2048
_SMALLEST_TILE_PX = 256
# A window must answer for this many times its context, or the context would be most of the work: it is faded instead.
_LEAST_PER_CONTEXT = 2
# The share of a faded window on each side that only adds to a neighbour's answer.
_FADED = 1 / 12
# Maps of the finest level that a decoder block holds at once: skip and coarser map, both joined, its own two.
_FINEST_MAPS = 6


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut for one network.

    ``context_px`` lies on each side of the ``tile_px`` that each window answers for; both are multiples of the
    network's stride. It is cut away, or with ``blend`` faded out, since no context of any width is enough.
    """

    tile_px: int
    context_px: int
    blend: bool = False
    batch: int = 1
    grid_px: int = 1
    """Tiles are multiples of this besides those of the network's stride, so that several networks cut alike."""


def choose(network: UNet, precision: str, most_bytes: int) -> Tiling:
    """The largest windows whose maps fit into ``most_bytes``; exact where the network and the memory allow it."""
    side = math.isqrt(most_bytes // _bytes_per_pixel(network, precision))
    stride, context = network.stride, field.context_px(network)
    if network.padding == "valid":
        side -= network.smallest_input  # what such a network loses comes with each window
        if context is not None:
            return Tiling(max(_SMALLEST_TILE_PX, min(_LARGEST_TILE_PX, side)), 0)
    elif context is not None and side - 2 * context >= max(_LEAST_PER_CONTEXT * context, stride):
        return Tiling(min(side - 2 * context, _LARGEST_TILE_PX) // stride * stride, context)
    side = max(_SMALLEST_TILE_PX, min(side, _LARGEST_FADED_PX))
    faded = -(-int(side * _FADED) // stride) * stride
    return Tiling(max(side - 2 * faded, 4 * faded) // stride * stride, faded, blend=True)


def room(most_bytes: float) -> int:
    """What windows may take in memory, as a whole number of bytes.

    Raises:
        InputError: it is none.
    """
    try:
        if int(most_bytes) == most_bytes >= 1:
            return int(most_bytes)
    except (OverflowError, TypeError, ValueError):  # endless, no number at all, not-a-number
        pass
    raise InputError(
        where="most_bytes",
        expected="a whole number of bytes, 1 or more",
        received=repr(most_bytes),
        remedy="leave it out, or give it as in most_bytes=2 * 10**9",
    )


def given(network: UNet, usual: Tiling, tile_px: int | None, context_px: int | None) -> Tiling:
    """The usual tiling with another tile or context, each rounded up to a multiple of what the network needs."""
    grid, needed = grid_px(network), field.context_px(network)
    tile = usual.tile_px if tile_px is None else max(grid, -(-tile_px // grid) * grid)
    if network.padding == "valid" and needed is not None:  # it brings its own context
        return replace(usual, tile_px=tile)
    context = usual.context_px if context_px is None else -(-context_px // grid) * grid
    blend = needed is None or context < needed
    if blend and context_px is None:  # a small tile fades over less
        context = max(grid, min(context, tile // 4 // grid * grid))
    return replace(usual, tile_px=max(tile, 4 * context) if blend else tile, context_px=context, blend=blend)


def quarters(network: UNet, usual: Tiling) -> tuple[int, Tiling]:
    """The side of what fits into one window, and a tiling that cuts that in four."""
    grid, side = grid_px(network), usual.tile_px + 2 * usual.context_px
    tile = max(grid, side // 2 // grid * grid)
    return side, replace(usual, tile_px=tile, context_px=min(usual.context_px, tile // 4 // grid * grid))


def _bytes_per_pixel(network: UNet, precision: str) -> int:
    """What a window takes in memory by the pixel, from above: skips, the finest level's maps, logits and answers."""
    size: int = 4 if precision == "fp32" else 2
    skips = sum(width / 4**level for level, width in enumerate(network.channels))
    maps: float = size * (skips + _FINEST_MAPS * network.channels[0]) / network.stem**2
    return math.ceil(maps + 4 * network.in_channels + 3 * 4 * max(2, network.num_classes))


@dataclass(frozen=True)
class Span:
    """A window along one axis."""

    index: npt.NDArray[np.intp]
    """The pixels that the network is given, in order."""
    first: int
    """Where in the picture the kept answer begins."""
    skip: int
    """Answers before those that are kept."""
    weight: npt.NDArray[np.float32]
    """Of each answer that is kept."""

    @property
    def last(self) -> int:
        """Where the kept answer ends: one after."""
        return self.first + len(self.weight)


def spans(network: UNet, side: int, tiling: Tiling) -> list[Span]:
    """The windows along one axis of ``side`` pixels."""
    tile = _even(side, tiling.tile_px, math.lcm(grid_px(network), tiling.grid_px))
    if network.padding == "valid" and not tiling.blend:
        return _unpadded(network, side, tile)
    whole, found = _whole(network, side), []
    for begin in range(0, side, tile):
        end = min(side, begin + tile)
        low, high = max(0, begin - tiling.context_px), min(side, end + tiling.context_px)
        index = np.arange(low, high) if network.padding == "same" else _taken(network, whole, low, high - low)
        if tiling.blend:
            found.append(Span(index, low, 0, _fading(low, high, side, tiling.context_px)))
        else:
            found.append(Span(index, begin, begin - low, np.ones(end - begin, np.float32)))
    return _shares(found, side) if tiling.blend else found


def _shares(found: list[Span], side: int) -> list[Span]:
    """The same with weights whose sum is 1 at each pixel: parts at the end may be shorter than their fading."""
    total = np.zeros(side, np.float32)
    for span in found:
        total[span.first : span.last] += span.weight
    return [replace(span, weight=span.weight / total[span.first : span.last]) for span in found]


def _unpadded(network: UNet, side: int, tile: int) -> list[Span]:
    """A "valid" network brings its own context, mirrored at the border of the picture.

    Where it interpolates, windows overlap by what that leaves unsure at borders inside the picture.
    """
    unsure = field.unsure_px(network)
    whole, found = _whole(network, side), []
    for begin in range(0, side, tile):
        kept, skip = min(tile, side - begin), min(begin, unsure)
        index = _taken(network, whole, begin - skip, skip + kept + unsure)
        found.append(Span(index, begin, skip, np.ones(kept, np.float32)))
    return found


def _whole(network: UNet, side: int) -> npt.NDArray[np.intp]:
    """The pixels of a side, and for a "valid" network the mirrored ones that it loses before and after."""
    margins = field.margins(network, side) if network.padding == "valid" else (0, 0)
    return np.pad(np.arange(side), margins, mode="reflect" if side > 1 else "edge")


def _taken(network: UNet, whole: npt.NDArray[np.intp], low: int, wanted: int) -> npt.NDArray[np.intp]:
    """What of them a "valid" network is given for so many answers from ``low`` on, or for as many as are left."""
    rest = len(whole) - low
    size = next((n for n in range(wanted, rest) if network.is_exact(n) and network.output_size(n) >= wanted), rest)
    return whole[low : low + size]


def _even(side: int, tile_px: int, stride: int) -> int:
    """The tile that cuts a side into equal parts, none larger than ``tile_px`` but by the stride."""
    parts = -(-side // max(tile_px, stride))
    return -(-side // (parts * stride)) * stride


def grid_px(network: UNet) -> int:
    """Windows that begin at multiples of this are pooled like the whole picture."""
    return network.stride if network.padding == "same" else int(2 ** (len(network.channels) - 1))


def common(networks: Sequence[UNet], tilings: Sequence[Tiling]) -> list[Tiling]:
    """A tiling for each network such that all of them cut a picture alike."""
    grid = math.lcm(*map(grid_px, networks))
    tile = max(grid, min(t.tile_px for t in tilings) // grid * grid)
    if not any(t.blend for t in tilings):
        return [replace(t, tile_px=tile, grid_px=grid) for t in tilings]
    faded = -(-max(t.context_px for t in tilings if t.blend) // grid) * grid
    return [Tiling(max(tile, 4 * faded), faded, blend=True, grid_px=grid) for _ in tilings]


def _fading(low: int, high: int, side: int, context_px: int) -> npt.NDArray[np.float32]:
    """1 in the middle; towards a neighbour half a wave down to 0, over what they share."""
    weight = np.ones(high - low, np.float32)
    width = min(2 * context_px, high - low)
    if not width:
        return weight
    rise = np.sin(0.5 * np.pi * (np.arange(width) + 0.5) / width) ** 2
    if low > 0:
        weight[:width] *= rise
    if high < side:
        weight[-width:] *= rise[::-1]
    return weight
