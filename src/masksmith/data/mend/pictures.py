"""Pictures as bytes for the copy: as they are, or brought to the channels and dtype of the others.

Rule: what one sound file holds is copied byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.data.mend.item import Item, Log
from masksmith.images import Picture

# 255 times this is 65,535: white stays white.
_BYTE_TO_WORD = 257
_FULL = {"uint8": 255, "uint16": 65535}
_FLOATS = ("float16", "float32", "float64")
# The place of a picture on the map, in a file beside it.
_WORLD_FILES = (".tfw", ".jgw", ".pgw", ".wld")


@dataclass(frozen=True)
class Common:
    """What most pictures have; 0 and "" where they need not agree or do."""

    channels: int = 0
    dtype: str = ""
    from_0_to_1: bool = False
    """The pictures of this dtype are floats from 0 to 1."""


def common(items: Sequence[Item]) -> Common:
    """The number of channels and the dtype that the others are brought to."""
    channels = Counter(i.picture.channels for i in items)
    dtypes = Counter(i.picture.dtype for i in items)
    dtype = dtypes.most_common(1)[0][0] if len(dtypes) > 1 else ""
    # Grey among colour is no fault.
    number = channels.most_common(1)[0][0] if len(channels) > 1 and set(channels) != {1, 3} else 0
    scaled = dtype in _FLOATS and all(_is_scaled(i) for i in items if i.picture.dtype == dtype)
    return Common(number, dtype, scaled)


def _is_scaled(item: Item) -> bool:
    return item.picture.low >= 0.0 and item.picture.high <= 1.0


def differs(item: Item, goal: Common) -> bool:
    """Whether the picture has other channels or another dtype."""
    return goal.channels not in {0, item.picture.channels} or goal.dtype not in {"", item.picture.dtype}


def can_follow(item: Item, goal: Common) -> str:
    """The kind of the finding that no conversion mends, or ""."""
    have = item.picture.channels
    if goal.channels not in {0, have} and (have, goal.channels) not in {(1, 3), (4, 3)}:
        return "channels"
    old, new = item.picture.dtype, goal.dtype
    if new in {"", old} or (old in _FULL and new in _FULL) or (old in _FLOATS and new in _FLOATS):
        return ""
    if old in _FLOATS and new in _FULL:
        return "" if _is_scaled(item) else "dtype"
    return "" if old in _FULL and new in _FLOATS and goal.from_0_to_1 else "dtype"


def names(item: Item, goal: Common) -> list[str]:
    """How the files may be called that ``copies`` gives, before any pixel is read."""
    path = item.pair.image
    endings = [".png", ".tif"] if is_rewritten(item, goal) else [path.name[len(images.stem(path)) :]]
    return [item.name + ending for ending in (*endings, *(file.suffix for file in _world_files(path)))]


def copies(item: Item, goal: Common, picture: Picture | None, log: Log) -> list[tuple[str, bytes]]:
    """(file name, content) of the picture and what belongs to it.

    Args:
        item: a pair.
        goal: what it is brought to.
        picture: its pixels, where it is to be written anew.
        log: is told of what changes.
    """
    path = item.pair.image
    beside = [(f"{item.name}{w.suffix}", w.read_bytes()) for w in _world_files(path)]
    if picture is None:
        return [(item.name + path.name[len(images.stem(path)) :], path.read_bytes()), *beside]
    pixels = picture.pixels_HWC
    if len(item.pair.images) > 1:
        for file in item.pair.images:
            log.add(file, f"joined into {item.name}.tif", "a file for each channel")
    if differs(item, goal):
        pixels = _converted(item, goal, pixels, log)
    if pixels.shape[2] in {1, 3} and pixels.dtype in (np.uint8, np.uint16) and len(item.pair.images) == 1:
        return [(f"{item.name}.png", images.encode_png(pixels)), *beside]
    return [(f"{item.name}.tif", images.encode_tiff(pixels)), *beside]


def is_rewritten(item: Item, goal: Common) -> bool:
    """Whether the file's own word on where it holds nothing is lost."""
    return len(item.pair.images) > 1 or differs(item, goal)


def _world_files(path: Path) -> list[Path]:
    return [file for ending in _WORLD_FILES if (file := path.with_suffix(ending)).is_file()]


def _converted(item: Item, goal: Common, pixels: npt.NDArray[Any], log: Log) -> npt.NDArray[Any]:
    is_lost = item.picture.bounds is not None and not _world_files(item.pair.image)
    lost = "; its place on the map is not kept" if is_lost else ""
    have = pixels.shape[2]
    if goal.channels not in {0, have}:
        how = "grey repeated" if have == 1 else "the fourth channel cut"
        log.add(item.pair.image, f"{how}{lost}", f"{have} channels among pictures with {goal.channels}")
        pixels = np.repeat(pixels, 3, axis=2) if have == 1 else pixels[..., :3]
    old = str(pixels.dtype)
    if goal.dtype not in {"", old}:
        log.add(item.pair.image, f"converted to {goal.dtype}{lost}", f"{old} among pictures of {goal.dtype}")
        pixels = _scaled(pixels, goal.dtype)
    return pixels


def _scaled(pixels: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    out: npt.NDArray[Any]
    old = str(pixels.dtype)
    if old in _FLOATS and dtype in _FLOATS:
        out = pixels.astype(dtype)
    elif old in _FLOATS:
        out = np.rint(np.nan_to_num(pixels.astype(np.float64)) * _FULL[dtype]).astype(dtype)
    elif dtype in _FLOATS:
        out = (pixels / np.float64(_FULL[old])).astype(dtype)
    elif dtype == "uint16":
        out = pixels.astype(np.uint16) * np.uint16(_BYTE_TO_WORD)
    else:
        out = np.rint(pixels / _BYTE_TO_WORD).astype(np.uint8)
    return out
