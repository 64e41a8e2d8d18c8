"""Small pictures with their masks, as data in the page: the suspicious ones, and a sample.

Rule: one picture at a time is in memory, and is shrunk at once; what cannot be read is said.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from masksmith import images, labels
from masksmith.classes import IGNORE, U8, ClassTable, Color, default_color
from masksmith.errors import DataError
from masksmith.keys import Mask, is_ignored, split_layers
from masksmith.labels import Grid, LabelSource, RawMask
from masksmith.limits import MAX_UNNAMED_VALUES
from masksmith.outputs.overlay import blend, show, tints
from masksmith.report.page import percent
from masksmith.report.page.choice import Item

# A picture on the page is no wider and no higher: two fit beside each other on most screens.
_SIDE_PX = 320
# Values beyond this are no measurements, and their differences would not fit in float32.
_LARGEST = 1e30
# Losses of this quality are not seen in pictures of this size, which then take about 15 kB.
_WEBP_QUALITY = 85
_OVER = "mask over picture"


@dataclass(frozen=True)
class Shown:
    """A picture in the page."""

    src: str
    width: int
    height: int
    alt: str
    title: str


@dataclass(frozen=True)
class Card:
    """An item with what could be shown of it; ``notes`` say what could not."""

    item: Item
    picture: Shown | None
    mask: Shown | None
    colors: tuple[Color, ...]
    """Of the classes in this overlay; empty where there is none."""
    notes: tuple[str, ...]


def cards(items: Sequence[Item], table: ClassTable | None) -> list[Card]:
    """Each item with its small pictures."""
    return [_card(item, table) for item in items]


def _card(item: Item, table: ClassTable | None) -> Card:
    notes: list[str] = []
    first: Shown | None = None
    second: Shown | None = None
    small: U8 | None = None
    size = (0, 0)
    try:
        picture = images.read_channels(item.images)
        size = (picture.pixels_HWC.shape[0], picture.pixels_HWC.shape[1])
        small = shrink(picture.pixels_HWC, picture.valid_HW)
        del picture  # the mask may be as large
        first = _shown(small, f"The picture {item.name}", "picture")
    except DataError as error:
        notes.append(f"The picture cannot be shown: {error.received}")
    # Drawn regions have no size of their own: without the picture there is no grid to put them on.
    if item.label is not None and (small is not None or item.label.reader == "picture"):
        try:
            second = _mask(item, item.label, size, small, table, notes)
        except DataError as error:
            notes.append(f"The mask cannot be shown: {error.received}")
    over = table is not None and small is not None and second is not None and second.title == _OVER
    colors = tuple(tints(small, table)) if over and small is not None and table is not None else ()
    return Card(item, first, second, colors, tuple(notes))


def _mask(
    item: Item, label: LabelSource, size: tuple[int, int], small: U8 | None, table: ClassTable | None, notes: list[str]
) -> Shown:
    """The mask over its picture; alone where it does not fit, as stored where it is of no class.

    Raises:
        DataError: it cannot be read.
    """
    raw = labels.read_raw(label, Grid(item.image, *size))
    mask: Mask | None = None
    try:
        mask = None if table is None else labels.encode(raw, table, label)
    except DataError as error:
        notes.append(f"The mask is shown as stored: {error.received}")
    if mask is None or table is None:
        return _shown(_stored(raw), f"The mask of {item.name} as stored", "mask as stored")
    tiny = _shrink_mask(mask)
    alt = f"The mask of {item.name}: {_held(tiny, table)}"
    if small is None or mask.shape != size:
        if small is not None:
            notes.append(
                f"The mask is shown alone: it has {mask.shape[1]}×{mask.shape[0]} pixels, its picture {size[1]}×{size[0]}"
            )
        return _shown(table.decode(tiny), alt, "mask alone")
    return _shown(blend(small, tiny, table), alt, _OVER)


def shrink(pixels_HWC: npt.NDArray[Any], valid_HW: npt.NDArray[np.bool_] | None = None) -> U8:
    """Any picture as small 8-bit RGB; what is no pixel does not decide the scale."""
    height, width = pixels_HWC.shape[:2]
    # Four pixels a side for each that is shown average well enough, whatever the picture's size.
    step = max(1, max(height, width) // (4 * _SIDE_PX))
    picked = pixels_HWC[::step, ::step, : 3 if pixels_HWC.shape[2] >= 3 else 1]
    if picked.dtype != np.uint8:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is cut below
            picked = np.clip(np.nan_to_num(picked.astype(np.float32)), -_LARGEST, _LARGEST)
        known = None if valid_HW is None else valid_HW[::step, ::step]
        if known is not None and known.any():
            picked[~known] = picked[known].min()
    size = _size(height, width)
    small = cv2.resize(np.ascontiguousarray(picked), size, interpolation=cv2.INTER_AREA)
    return show(small.reshape(size[1], size[0], -1))


def _size(height: int, width: int) -> tuple[int, int]:
    """Width and height on the page."""
    scale = min(1.0, _SIDE_PX / max(height, width, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrink_mask(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values are picked, never mixed: a mean of two classes is a third."""
    height, width = mask.shape[:2]
    columns, rows = _size(height, width)
    picked: npt.NDArray[Any] = mask[np.arange(rows) * height // rows][:, np.arange(columns) * width // columns]
    return picked


def _stored(raw: RawMask) -> U8:
    """A mask that no table explains: its own colours, or a colour for each of its values."""
    if raw.colors_HW3 is not None and (raw.values_HW is None or raw.from_palette):
        return np.ascontiguousarray(_shrink_mask(raw.colors_HW3)).astype(np.uint8)
    values = raw.values_HW if raw.values_HW is not None else raw.colors_HW3
    assert values is not None  # noqa: S101  a mask has one or the other
    small = _shrink_mask(values)
    present, ranks = np.unique(small, return_inverse=True)
    if len(present) > MAX_UNNAMED_VALUES:
        return show(small.astype(np.float32)[..., None])
    palette = np.array([default_color(rank) for rank in range(len(present))], np.uint8)
    return palette[ranks.reshape(small.shape)]


def _held(mask: Mask, table: ClassTable) -> str:
    """The three largest classes with their shares."""
    if table.overlapping:
        layers = zip((*table.names, "ignored"), (*split_layers(mask, len(table)), is_ignored(mask)), strict=True)
        held = sorted(((name, float(layer.mean())) for name, layer in layers), key=lambda one: -one[1])
        return ", ".join(f"{name} {percent(share)}" for name, share in held[:3] if share) or "nothing"
    counts = np.bincount(mask.ravel(), minlength=256)
    largest = sorted(np.flatnonzero(counts).tolist(), key=lambda index: -int(counts[index]))[:3]
    names = [(table.names[i] if i != IGNORE else "ignored", counts[i] / mask.size) for i in largest]
    return ", ".join(f"{name} {percent(float(share))}" for name, share in names)


def _shown(rgb_HW3: U8, alt: str, title: str) -> Shown:
    done, content = cv2.imencode(
        ".webp", np.ascontiguousarray(rgb_HW3[..., ::-1]), [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    )
    kind = "webp"
    if not done:  # a build of OpenCV without WebP
        content, kind = np.frombuffer(images.encode_png(rgb_HW3), np.uint8), "png"
    src = f"data:image/{kind};base64,{base64.b64encode(content.tobytes()).decode()}"
    return Shown(src, rgb_HW3.shape[1], rgb_HW3.shape[0], alt, title)
