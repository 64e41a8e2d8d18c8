"""Crops of made pictures with whatever is allowed to change them: picture and mask stay together, to the pixel.

Where a crop comes from is read off a picture whose pixels tell their own place, cropped by the same generator; what
a mask or another picture must be there is then known, whatever the crop's code does.

Rule: a place that interpolation has read off is known to ``SURE_PX``; the mask's pixel is known but where that may be
either side of the line between two, and there it is one of them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import write_set
from masksmith.classes import ClassTable, make_entries
from masksmith.data import dataset
from masksmith.data.augment import Aim, draw_crop
from masksmith.data.batches import Batches, PairReader, Sampling
from masksmith.data.focus import Focus
from masksmith.data.preprocessing import F32, Preprocessing
from masksmith.images.picture import DTYPES
from masksmith.keys import IGNORED_BIT, Mask, ignored_value
from masksmith.recipe import AugmentSettings, DataSettings
from reliability.harness import Outcome
from reliability.harness.drawing import draw

Pixels = npt.NDArray[np.generic]
Ints = npt.NDArray[np.intp]
# OpenCV rounds places to a 32nd of a pixel where it interpolates; twice that.
SURE_PX = 1 / 16
# Every so many examples, batches are made by several threads.
_OF_BATCHES = 25
# Fewer pixels than these tell no zoom and no angle.
_LEAST_OF_A_FIT, _LEAST_SPREAD_PX, _LEAST_SEEN_PX = 30, 6, 2
_FAULTS_KEPT = 20
_GEOMETRY: dict[str, Any] = {"brightness": 0, "contrast": 0, "noise": 0}

_SCALES = st.one_of(
    st.sampled_from(((0.8, 1.25), (0.5, 1.0), (2.0, 2.0), (1.0, 1.5))),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(lambda logs: (math.exp(min(logs)), math.exp(max(logs)))),
)
_STRENGTHS = st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 1e6))
_SHARES = st.one_of(st.just(0.0), st.floats(0, 1))


@dataclass(frozen=True)
class Example:
    """What is drawn of one crop. ``aim``: 0 any place, 1 a pixel, 2 one of the corners."""

    dtype: str
    channels: int
    size: tuple[int, int]
    crop: int
    whole_pixels: bool
    flip: str
    scale: tuple[float, float]
    rotate_deg: float
    brightness: float
    contrast: float
    noise: float
    shade: float
    blur: float
    aim: int
    classes: int
    cell: int
    overlapping: bool
    gaps: bool
    seed: int

    def geometry(self) -> dict[str, Any]:
        """What moves pixels."""
        if self.whole_pixels:
            return {"flip": self.flip, "scale": (1.0, 1.0), "rotate_deg": 0}
        return {"flip": self.flip, "scale": self.scale, "rotate_deg": self.rotate_deg}

    def light(self) -> dict[str, Any]:
        """What changes their values."""
        names = ("brightness", "contrast", "noise", "shade", "blur")
        return {name: getattr(self, name) for name in names}


_SIDES = st.one_of(st.integers(1, 90), st.integers(1, 12))
EXAMPLES: st.SearchStrategy[Example] = st.builds(
    Example,
    dtype=st.sampled_from(sorted(DTYPES)),
    channels=st.integers(1, 9),
    size=st.tuples(_SIDES, _SIDES),
    crop=st.one_of(st.integers(8, 32), st.integers(8, 100)),
    whole_pixels=st.booleans(),
    flip=st.sampled_from(("none", "horizontal", "all")),
    scale=_SCALES,
    rotate_deg=st.one_of(st.sampled_from((0.0, 10.0, 45.0, 180.0)), st.floats(0, 180)),
    brightness=_STRENGTHS,
    contrast=_SHARES.map(lambda share: min(share, 0.999)),
    noise=_STRENGTHS,
    shade=_STRENGTHS,
    blur=_SHARES,
    aim=st.integers(0, 2),
    classes=st.integers(1, 6),
    cell=st.integers(1, 12),
    overlapping=st.booleans(),
    gaps=st.booleans(),
    seed=st.integers(0, 2**32),
)


def made(example: Example, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A picture of noise over all of its dtype's range, and a mask of cells, of which some do not count."""
    height, width = example.size
    dtype, shape = np.dtype(example.dtype), (height, width, example.channels)
    if dtype.kind == "f":
        pixels: Pixels = (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4)).astype(dtype)
    elif dtype.kind == "b":
        pixels = rng.integers(0, 2, shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        pixels = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    cells = rng.integers(0, example.classes + 1, (-(-height // example.cell), -(-width // example.cell)))
    cells_HW = cells.repeat(example.cell, axis=0).repeat(example.cell, axis=1)[:height, :width]
    if example.overlapping:
        bits_HW = rng.integers(0, 2**example.classes, cells_HW.max() + 1)[cells_HW]
        return pixels, np.where(cells_HW == example.classes, IGNORED_BIT, bits_HW).astype(np.uint16)
    return pixels, np.where(cells_HW == example.classes, 255, cells_HW).astype(np.uint8)


def with_gaps(example: Example, pixels: Pixels) -> Pixels:
    """The same with some numbers that are none, where floats can say so and it is drawn."""
    if not (example.gaps and pixels.dtype.kind == "f"):
        return pixels
    pixels = pixels.copy()
    pixels[:: example.cell + 1, ::3] = (np.nan, np.inf, -np.inf)[example.cell % 3]
    return pixels


@dataclass(frozen=True)
class Place:
    """Where each pixel of a crop comes from, as a picture of places says, and which come from outside."""

    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    outside: npt.NDArray[np.bool_]


def place_of(example: Example, aim: Aim) -> Place:
    """By the generator and the settings of the crop itself."""
    places = np.stack(np.mgrid[: example.size[0], : example.size[1]], axis=2).astype(np.float64)
    moved = AugmentSettings(**example.geometry(), **_GEOMETRY)
    nothing = np.zeros(example.size, np.uint8)
    rng = np.random.default_rng(example.seed)
    crop, mask = draw_crop(places, nothing, aim, moved, _plain(2, "float64"), rng)
    return Place(crop[..., 0].astype(np.float64), crop[..., 1].astype(np.float64), mask != 0)


def _plain(channels: int, dtype: str) -> Preprocessing:
    return Preprocessing(channels, dtype, (0.0,) * channels, (1.0,) * channels)


def _between(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], side: int) -> tuple[Ints, Ints]:
    return tuple(np.clip(np.floor(n), 0, side - 1).astype(np.intp) for n in (low, high))  # type: ignore[return-value]


def judge_mask(found: Mask, source: Mask, place: Place, *, whole_pixels: bool) -> tuple[int, int, int]:
    """How many pixels are wrong, of how many it is known which one they are, and of how many one of several."""
    near = 0 if whole_pixels else SURE_PX
    rows = _between(place.y + 0.5 - near, place.y + 0.5 + near, source.shape[0])
    columns = _between(place.x + 0.5 - near, place.x + 0.5 + near, source.shape[1])
    allowed = np.stack([np.where(place.outside, ignored_value(source), source[y, x]) for y in rows for x in columns])
    wrong = ~(allowed == found).any(axis=0)
    sure = place.outside | ((rows[0] == rows[1]) & (columns[0] == columns[1]))
    return int(wrong.sum()), int(sure.sum()), int((~sure).sum())


def judge_pixels(found: F32, source: Pixels, place: Place, *, whole_pixels: bool) -> int:
    """How many pixels are not what is there; where it lies between pixels, not between them by its share."""
    height, width = source.shape[:2]
    values: F32 = source.astype(np.float32)
    if whole_pixels:
        if not (np.array_equal(place.y, np.round(place.y)) and np.array_equal(place.x, np.round(place.x))):
            return found[..., 0].size
        # What is no number is the mean, which is 0 here.
        values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
        expected = values[place.y.astype(np.intp), place.x.astype(np.intp)]
        return int((found != expected).any(axis=2).sum())
    top, left = np.floor(place.y - SURE_PX), np.floor(place.x - SURE_PX)
    around = np.stack(
        [
            values[np.clip(top + down, 0, height - 1).astype(np.intp), np.clip(left + right, 0, width - 1).astype(np.intp)]
            for down in range(3)
            for right in range(3)
        ]
    )  # fmt: skip
    (y, y_next), (x, x_next) = _between(place.y, place.y + 1, height), _between(place.x, place.x + 1, width)
    down, right = ((n - np.floor(n)).astype(np.float64)[..., None] for n in (place.y, place.x))
    upper = values[y, x] * (1 - right) + values[y, x_next] * right
    lower = values[y_next, x] * (1 - right) + values[y_next, x_next] * right
    span = around.max(axis=0).astype(np.float64) - around.min(axis=0)
    # A place may be off by as much along both axes; whole numbers are rounded, and single precision adds its own.
    spare = 2 * SURE_PX * span + (source.dtype.kind in "iu") + 1e-5 * np.abs(around).max(axis=0)
    return int((np.abs(found - (upper * (1 - down) + lower * down)) > spare).any(axis=2).sum())


def judge_map(example: Example, place: Place, aim: Aim) -> str:
    """Whether the crop is one turned, zoomed and perhaps mirrored part of the picture, by as much as is allowed."""
    height, width = example.size
    inside = (place.y >= 1) & (place.y <= height - 2) & (place.x >= 1) & (place.x <= width - 2) & ~place.outside
    rows, columns = np.nonzero(inside)
    if example.whole_pixels:
        kept = int((~place.outside).sum())
        expected = min(height, aim.crop_px) * min(width, aim.crop_px)
        if kept != expected:
            return f"{kept} pixels of the picture in place of {expected}"
    if len(rows) < _LEAST_OF_A_FIT or min(np.ptp(rows), np.ptp(columns)) < _LEAST_SPREAD_PX:
        return ""
    known = np.column_stack([columns, rows, np.ones(len(rows))])
    wanted = np.column_stack([place.x[inside], place.y[inside]])
    if min(np.ptp(wanted, axis=0)) < _LEAST_SEEN_PX:
        return ""
    fit, *_ = np.linalg.lstsq(known, wanted, rcond=None)
    if np.abs(known @ fit - wanted).max() > SURE_PX:
        return "places that no turn, zoom and shift explains"
    everywhere = np.column_stack([*(n.ravel() for n in np.mgrid[: aim.crop_px, : aim.crop_px][::-1]), np.ones(aim.crop_px**2)])  # fmt: skip
    x, y = (everywhere @ fit).T.reshape(2, aim.crop_px, aim.crop_px)
    # What is read off the middle of a picture is less sure far from it.
    spare = SURE_PX * (1 + 4 * aim.crop_px / min(np.ptp(rows), np.ptp(columns)))
    beyond = np.maximum(np.maximum(-0.5 - y, y - height + 0.5), np.maximum(-0.5 - x, x - width + 0.5))
    if ((beyond > spare) & ~place.outside).any() or ((beyond < -spare) & place.outside).any():
        return "what is outside the picture is not what does not count"
    return _judge_turn(example, fit[:2].T, spare)


def _judge_turn(example: Example, linear: npt.NDArray[np.float64], spare: float) -> str:
    zoom = 1 / math.sqrt(abs(np.linalg.det(linear)))
    share = 1 + 0.2 * spare * zoom
    scale = example.geometry()["scale"]
    if not scale[0] / share <= zoom <= scale[1] * share:
        return f"a zoom of {zoom:.3f}"
    if np.linalg.det(linear) < 0 and example.flip == "none":
        return "a mirror image"
    turned = math.degrees(math.atan2(-linear[0, 1], linear[1, 1]))
    if example.flip == "all":
        turned = (turned + 45) % 90 - 45
        allowed = min(45.0, example.geometry()["rotate_deg"])
    else:
        allowed = example.geometry()["rotate_deg"]
    return f"turned by {turned:.1f} degrees" if abs(turned) > allowed + 20 * spare * zoom else ""


def judge_aim(example: Example, place: Place, aim: Aim) -> str:
    """Whether the crop holds what it is aimed at, or at least its neighbour where it skips pixels."""
    if aim.pixel is None:
        return ""
    away = np.maximum(np.abs(place.y - aim.pixel[0]), np.abs(place.x - aim.pixel[1])).min()
    most = 0 if example.whole_pixels else math.sqrt(0.5) / example.scale[0] + SURE_PX
    return f"{away:.1f} pixels away from what it is aimed at" if away > most else ""


def _aim(example: Example, rng: np.random.Generator) -> Aim:
    height, width = example.size
    pixel = (int(rng.integers(height)), int(rng.integers(width)))
    if example.aim == 2:
        pixel = (pixel[0] % 2 * (height - 1), pixel[1] % 2 * (width - 1))
    return Aim(example.crop, pixel if example.aim else None)


class _Tally:
    """What was counted over all examples."""

    def __init__(self, folder: Path) -> None:
        self.pairs = dataset.find(write_set(folder / "set", count=6, parts=("train",)), DataSettings()).part("train")
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def one(self, example: Example) -> None:
        """An example, and what is found of it."""
        self.counts["examples"] += 1
        try:
            found = self._crops(example)
            if self.counts["examples"] % _OF_BATCHES == 0:
                found.append(self._batches(example))
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        self.faults += [f"{fault} of {example}" for fault in found if fault]
        del self.faults[_FAULTS_KEPT:]

    def _crops(self, example: Example) -> list[str]:
        rng = np.random.default_rng([example.seed, 1])
        pixels, mask = made(example, rng)
        aim, exact = _aim(example, rng), example.whole_pixels
        pixels = with_gaps(example, pixels) if exact else pixels  # interpolation spreads them to their neighbours
        place = place_of(example, aim)
        before = pixels.tobytes(), mask.tobytes()
        crop, crop_mask = self._crop(example, pixels, mask, aim, _GEOMETRY)
        wrong, sure, open_ = judge_mask(crop_mask, mask, place, whole_pixels=exact)
        kind = "exactly" if exact else "interpolated"
        self.counts[f"mask {kind}"] += sure
        self.counts["mask open"] += open_
        self.counts[f"picture {kind}"] += crop[..., 0].size
        wrong_pixels = judge_pixels(crop, pixels, place, whole_pixels=exact)
        self.counts["differing"] += wrong + wrong_pixels
        return [
            f"{wrong} pixels of the mask do not belong to the picture's" if wrong else "",
            f"{wrong_pixels} pixels of the picture are not what is there" if wrong_pixels else "",
            judge_map(example, place, aim),
            judge_aim(example, place, aim),
            self._changed(example, pixels, mask, aim, crop_mask),
            "the given arrays were changed" if (pixels.tobytes(), mask.tobytes()) != before else "",
        ]

    def _crop(self, example: Example, pixels: Pixels, mask: Mask, aim: Aim, light: dict[str, Any]) -> tuple[F32, Mask]:
        self.counts["crops"] += 1
        augment = AugmentSettings(**example.geometry(), **light)
        rng = np.random.default_rng(example.seed)
        return draw_crop(pixels, mask, aim, augment, _plain(example.channels, example.dtype), rng)

    def _changed(self, example: Example, pixels: Pixels, mask: Mask, aim: Aim, still_mask: Mask) -> str:
        """Of light, noise and blur besides: the same twice, the same mask, and numbers that a network can take."""
        pixels = with_gaps(example, pixels)
        first, second = (self._crop(example, pixels, mask, aim, example.light()) for _ in range(2))
        if first[0].tobytes() != second[0].tobytes() or first[1].tobytes() != second[1].tobytes():
            return "the same generator gives another crop"
        if first[0].dtype != np.float32 or first[0].shape != (aim.crop_px, aim.crop_px, example.channels):
            return f"{first[0].dtype} of {first[0].shape}"
        if first[1].dtype != mask.dtype or not np.array_equal(first[1], still_mask):
            return "light, noise or blur change the mask"
        if not set(np.unique(first[1])) <= {*np.unique(mask), ignored_value(mask)}:
            return "classes that are not in the mask"
        return "" if np.isfinite(first[0]).all() else "numbers that are not finite"

    def _batches(self, example: Example) -> str:
        """Made by several threads, or alone and in another order, or one by one: the same crops."""
        augment = AugmentSettings(**example.geometry(), **example.light())
        rng = np.random.default_rng(example.seed)
        size, count = int(rng.integers(1, 5)), int(rng.integers(2, 6))
        focus = Focus(0.5, ((1, tuple(range(len(self.pairs)))),)) if example.aim else None
        visits = tuple(range(len(self.pairs))) * 2

        def batches(size: int) -> Batches:
            reader = PairReader(self.pairs, ClassTable(make_entries("ab")), _plain(3, "uint8"))
            return Batches(reader, Sampling(visits, example.crop, size, example.seed, focus), augment)

        stream = batches(size).stream(0, count, workers=1 + example.channels % 4)
        threaded = [torch.cat([part.reshape(size, -1).double() for part in batch], dim=1) for batch in stream]
        again = batches(size)
        backwards = [again.batch(step) for step in reversed(range(count))][::-1]
        alone = [batches(1).batch(number) for number in range(size * count)]
        self.counts["batches"] += 2 * count + len(alone)
        for step, together in enumerate(threaded):
            by_one = [[alone[step * size + place][part] for place in range(size)] for part in (0, 1)]
            for other in (backwards[step], tuple(torch.cat(parts) for parts in by_one)):
                if not torch.equal(together, torch.cat([part.reshape(size, -1).double() for part in other], dim=1)):
                    return f"batch {step} depends on what was made before or beside it"
        return ""


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """``many`` pictures, of each three crops; batches of every twenty-fifth."""
    tally = _Tally(folder)
    draw(given(EXAMPLES)(tally.one), many, seed)
    counts = tally.counts
    return Outcome(
        {
            "examples": counts["examples"],
            "crops": counts["crops"],
            "batches": counts["batches"],
            "pixels of masks compared, crops of whole pixels": counts["mask exactly"],
            "pixels of pictures compared, crops of whole pixels": counts["picture exactly"],
            "pixels of masks compared, turned or zoomed": counts["mask interpolated"],
            "of masks, on the line between two pixels: one of them": counts["mask open"],
            "pixels of pictures compared, turned or zoomed": counts["picture interpolated"],
            "differing pixels": counts["differing"],
        },
        tuple(tally.faults),
    )
