"""Training crops: position, zoom, rotation and flip in one warp, then changes of brightness.

Rule: everything random comes from the generator that is passed in, so that a crop depends on
(seed, epoch, index) alone and not on which thread made it.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.data.preprocessing import F32, Preprocessing
from masksmith.errors import RecipeError
from masksmith.keys import Mask, as_mask, ignored_value
from masksmith.recipe import AugmentSettings

Pixels = npt.NDArray[np.generic]
Transform = Callable[..., Any]
"""``f(image=(H, W, C), mask=(H, W)) -> {"image": …, "mask": …}``, the albumentations shape."""

# OpenCV warps these dtypes; others are warped as float32.
_WARPABLE = {"uint8", "uint16", "int16", "float32", "float64"}
# OpenCV warps at most so many channels a call.
_TOGETHER = 4
# Pixels beside a crop's own that interpolating may ask for.
_BESIDE_PX = 2
# A blur of this many pixels is what a slightly unfocused lens does.
_BLUR_SIGMA_PX = 1.0
# A pixel that a crop is to hold lies within this share of it: a turn by 45 degrees keeps that of any crop.
_INSIDE = 0.7
# Numbers of noise that are kept, 4 MB: more than a colour crop of 512 pixels has.
_NOISE_TABLE = 2**20


@dataclass(frozen=True)
class Aim:
    """The side of a crop, and a pixel of the picture (row, column) that it is to hold; None: any place.

    ``answered_px`` is the side of its middle that the network answers for, where that is smaller: the rest is context
    and may lie outside of the picture. None: all of the crop.
    """

    crop_px: int
    pixel: tuple[int, int] | None = None
    answered_px: int | None = None

    @property
    def learnt_px(self) -> int:
        """The side of what is learnt from."""
        return self.crop_px if self.answered_px is None else self.answered_px


def draw_crop(
    pixels_HWC: Pixels,
    mask_HW: Mask,
    aim: Aim,
    settings: AugmentSettings,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> tuple[F32, Mask]:
    """One training sample: float32 (crop, crop, C), standardised, and a mask (crop, crop) as it was.

    What lies outside the picture is mirrored in the picture and ignored in the mask.
    """
    if settings.callable is not None:
        pixels_HWC, mask_HW = call_transform(load_transform(settings.callable), pixels_HWC.copy(), mask_HW.copy())
        settings = AugmentSettings(flip="none", scale=(1, 1), rotate_deg=0, brightness=0, contrast=0, noise=0)
        aim = replace(aim, pixel=None)  # who knows where it is now
    matrix = _draw_matrix(pixels_HWC.shape[0], pixels_HWC.shape[1], aim, settings, rng)
    crop_HWC, crop_mask = warp(pixels_HWC, mask_HW, matrix, aim.crop_px)
    return _photometric(preprocessing.standardize(crop_HWC), settings, rng), crop_mask


def warp(pixels_HWC: Pixels, mask_HW: Mask, matrix_23: npt.NDArray[np.float64], crop_px: int) -> tuple[Pixels, Mask]:
    """Picture and mask under one affine map from crop to picture coordinates (pixel centres).

    The picture is interpolated bilinearly, the mask takes the nearest pixel. A map of whole pixels copies both: where
    there is nothing in a picture of floats, a neighbour's weight of 0 would spread it.
    """
    pixels, nearby_23 = pixels_HWC, matrix_23
    warpable = str(pixels.dtype) in _WARPABLE
    if not warpable or pixels.shape[2] > _TOGETHER:  # no copies of the whole picture for one crop
        pixels, nearby_23 = _nearby(pixels, matrix_23, crop_px)
    if not warpable:
        pixels = pixels.astype(np.float32)
    size = (crop_px, crop_px)
    flags = cv2.WARP_INVERSE_MAP
    between = cv2.INTER_NEAREST if np.array_equal(matrix_23, np.round(matrix_23)) else cv2.INTER_LINEAR
    parts = [
        cv2.warpAffine(
            np.ascontiguousarray(pixels[..., c : c + _TOGETHER]),
            nearby_23,
            size,
            flags=flags | between,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        for c in range(0, pixels.shape[2], _TOGETHER)
    ]
    warped = np.concatenate([p if p.ndim == 3 else p[..., None] for p in parts], axis=2)
    mask = cv2.warpAffine(
        mask_HW,
        matrix_23,
        size,
        flags=flags | cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(ignored_value(mask_HW),),
    )
    return warped, as_mask(np.asarray(mask), mask_HW)


def _nearby(
    pixels_HWC: Pixels, matrix_23: npt.NDArray[np.float64], crop_px: int
) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """The part of a picture that a crop is made from, and the map into that part."""
    corners = np.array([[x, y, 1.0] for x in (0, crop_px - 1) for y in (0, crop_px - 1)]) @ matrix_23.T
    lowest = np.floor(corners.min(axis=0)).astype(int) - _BESIDE_PX
    highest = np.ceil(corners.max(axis=0)).astype(int) + _BESIDE_PX + 1
    columns, rows = (
        _mirrored_in(int(low), int(high), side)
        for low, high, side in zip(lowest, highest, pixels_HWC.shape[1::-1], strict=True)
    )
    moved_23 = matrix_23.copy()
    moved_23[:, 2] -= (columns.start, rows.start)
    return pixels_HWC[rows, columns], moved_23


def _mirrored_in(low: int, high: int, side: int) -> slice:
    """What ``low`` to ``high`` - 1 show of ``side`` pixels, mirrored at both ends without repeating the last one."""
    first = low if high <= side else min(low, 2 * side - 1 - high)
    last = high if low >= 0 else max(high, 1 - low)
    return slice(max(0, first), min(side, last))


def load_transform(name: str) -> Transform:
    """The callable that ``module:name`` names.

    Raises:
        RecipeError: it cannot be imported.
    """
    module, colon, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:  # where people keep the module; `python -m` looks there too
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute) if colon else None
    except (ImportError, AttributeError, ValueError, TypeError):  # the last two: names no import can have
        found = None
    if not callable(found):
        raise RecipeError(
            where="augment.callable",
            expected="module:name of f(image=, mask=) -> dict",
            received=f'"{name}"',
            remedy="check that Python can import it",
        )
    transform: Transform = found
    return transform


def call_transform(transform: Transform, pixels_HWC: Pixels, mask_HW: Mask) -> tuple[Pixels, Mask]:
    """Run somebody's transform and check what it answers.

    Raises:
        RecipeError: no mapping with an image and a mask of one size.
    """
    try:
        answer: Any = transform(image=pixels_HWC, mask=mask_HW)
    except Exception as error:  # somebody else's function: anything may come
        raise RecipeError(
            where="augment.callable",
            expected="f(image=, mask=) -> dict",
            received=f"{type(error).__name__}: {error}",
            remedy="correct the callable",
        ) from error
    image, mask = (answer.get("image"), answer.get("mask")) if isinstance(answer, Mapping) else (None, None)
    if not (isinstance(image, np.ndarray) and isinstance(mask, np.ndarray) and image.shape[:2] == mask.shape):
        raise RecipeError(
            where="augment.callable",
            expected='a dict with "image" (H, W, C) and "mask" (H, W) arrays of one size',
            received=type(answer).__name__
            if not isinstance(answer, Mapping)
            else ", ".join(f"{k}: {getattr(v, 'shape', type(v).__name__)}" for k, v in answer.items()),
            remedy="correct the callable",
        )
    return (image if image.ndim == 3 else image[..., None]), as_mask(mask, mask_HW)


def _draw_matrix(
    height: int, width: int, aim: Aim, settings: AugmentSettings, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """The map from crop to picture coordinates, (2, 3)."""
    zoom = math.exp(rng.uniform(math.log(settings.scale[0]), math.log(settings.scale[1])))
    angle = math.radians(rng.uniform(-settings.rotate_deg, settings.rotate_deg))
    mirror = settings.flip != "none" and rng.random() < 0.5
    if settings.flip == "all":
        angle += math.pi / 2 * int(rng.integers(4))
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    sign = -1.0 if mirror else 1.0
    linear = np.array([[sign * cos, -sin], [sign * sin, cos]])
    whole_pixels = settings.scale == (1.0, 1.0) and settings.rotate_deg == 0
    if whole_pixels:  # the cosine of a right angle is not quite 0
        linear = np.round(linear)
    # The reach in the picture of what is learnt from, along each axis; its centre stays so far from the border,
    # or in the middle where the picture is smaller than the crop.
    crop_px, learnt_px, sides = aim.crop_px, aim.learnt_px, (width, height)
    reach = np.abs(linear).sum(axis=1) * (learnt_px / 2)
    lowest = [min(r, side / 2) for r, side in zip(reach, sides, strict=True)]
    highest = [max(side - r, side / 2) for r, side in zip(reach, sides, strict=True)]
    if aim.pixel is None:
        center = [rng.uniform(low, high) for low, high in zip(lowest, highest, strict=True)]
    else:  # anywhere in the crop but at its border, of which a turn may cut the corners off
        away = _INSIDE * learnt_px / 2 / zoom
        wanted = [at + 0.5 + rng.uniform(-away, away) for at in reversed(aim.pixel)]
        center = [float(np.clip(c, low, high)) for c, low, high in zip(wanted, lowest, highest, strict=True)]
        if not _holds(linear, center, aim):  # a corner of the picture, which a turned crop does not reach from within
            center = wanted
    if whole_pixels:  # nothing is interpolated, the crop is a copy
        around = (crop_px - learnt_px) // 2
        center = [
            crop_px / 2
            + (int(rng.integers(side - learnt_px + 1)) - around if aim.pixel is None else math.floor(c - crop_px / 2))
            if side >= learnt_px
            else math.floor(side / 2) + crop_px % 2 / 2
            for c, side in zip(center, sides, strict=True)
        ]
    middle = np.full(2, (crop_px - 1) / 2)
    offset = np.array(center) - 0.5 - linear @ middle
    return np.column_stack([linear, offset])


def _holds(linear_22: npt.NDArray[np.float64], center: list[float], aim: Aim) -> bool:
    """Whether a crop around that centre (x, y) has the pixel that it is aimed at."""
    away = np.array([at + 0.5 for at in reversed(aim.pixel or ())]) - center
    return bool(np.abs(np.linalg.solve(linear_22, away)).max() <= aim.learnt_px / 2)


def _photometric(x_HWC: F32, settings: AugmentSettings, rng: np.random.Generator) -> F32:
    """Brightness, contrast, noise and blur of a standardised crop; in place where possible."""
    if settings.contrast:
        x_HWC *= np.float32(math.exp(rng.uniform(-1, 1) * math.log1p(settings.contrast)))
    if settings.brightness:
        x_HWC += np.float32(rng.uniform(-settings.brightness, settings.brightness))
    if settings.shade:
        x_HWC += _slope(x_HWC.shape[0], rng) * np.float32(settings.shade)
    if settings.blur and rng.random() < settings.blur:
        x_HWC = np.asarray(cv2.GaussianBlur(x_HWC, (0, 0), rng.uniform(0.1, _BLUR_SIGMA_PX)), np.float32).reshape(
            x_HWC.shape
        )
    if settings.noise:
        first = int(rng.integers(max(1, _NOISE_TABLE - x_HWC.size)))
        drawn: F32 = np.resize(_noise()[first : first + x_HWC.size], x_HWC.shape)
        x_HWC += drawn * np.float32(rng.uniform(0, settings.noise))
    return x_HWC


def _slope(side: int, rng: np.random.Generator) -> F32:
    """A plane or bowl over a crop (side, side, 1), from 0 at its lowest to at most 1: light that falls from one side."""
    place: F32 = np.linspace(-1, 1, side, dtype=np.float32)
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0, 1)
    slope: F32 = math.cos(angle) * place[:, None] + math.sin(angle) * place[None, :]
    rise = slope - slope.min()
    rise = (rise / rise.max()) ** np.float32(rng.uniform(0.5, 3))  # bent, as light falls off
    out: F32 = (rise * np.float32(strength))[..., None]
    return out


@lru_cache(maxsize=1)
def _noise() -> F32:
    """Normal numbers, from a random one of which a crop's noise begins: drawing them anew was a third of its cost."""
    drawn: F32 = np.random.default_rng(0).standard_normal(_NOISE_TABLE, dtype=np.float32)
    return drawn
