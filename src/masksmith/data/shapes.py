"""Synthetic shapes: pictures with exact masks, any size and number of classes, from a seed.

Rule: the mask is drawn first and without smoothing; the picture is painted through it, so that
both agree to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.classes import U8, ClassTable, Entry, default_color
from masksmith.errors import InputError

Points = npt.NDArray[np.float64]


def _polygon(corners: int, phase: float = 0.0) -> Points:
    angles = 2 * math.pi * (np.arange(corners) + phase) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star(tips: int, inner: float) -> Points:
    radius = np.where(np.arange(2 * tips) % 2 == 0, 1.0, inner)
    return _polygon(2 * tips) * radius[:, None]


def _cross(arm: float) -> Points:
    a = arm
    return np.array(
        [[-a, -1], [a, -1], [a, -a], [1, -a], [1, a], [a, a], [a, 1], [-a, 1], [-a, a], [-1, a], [-1, -a], [-a, -a]]
    )


# Outlines in the unit circle. A shape is one of these, filled or hollow.
OUTLINES: dict[str, Callable[[], Points]] = {
    "circle": lambda: _polygon(64),
    "square": lambda: _polygon(4, 0.5),
    "triangle": lambda: _polygon(3),
    "cross": lambda: _cross(0.3),
    "star": lambda: _star(5, 0.4),
    "hexagon": lambda: _polygon(6),
}

KINDS: tuple[str, ...] = (*OUTLINES, *(f"hollow {name}" for name in OUTLINES))
"""The classes in order, after the background: filled shapes, then hollow ones."""


@dataclass(frozen=True)
class Drawing:
    """One picture uint8 (H, W, 3) and its mask uint8 (H, W)."""

    pixels_HWC: U8
    mask_HW: U8


def class_table(num_classes: int) -> ClassTable:
    """The background and the first ``num_classes - 1`` of ``KINDS``.

    Raises:
        InputError: fewer than 2 or more classes than there are.
    """
    if not 2 <= num_classes <= len(KINDS) + 1:
        raise InputError(
            where="--classes",
            expected=f"2 to {len(KINDS) + 1} classes, the background being one",
            received=str(num_classes),
            remedy="give a number in that range",
        )
    names = ("background", *KINDS[: num_classes - 1])
    return ClassTable(tuple(Entry(name, default_color(i), i) for i, name in enumerate(names)))


def draw(size_px: int, num_classes: int, seed: int, index: int) -> Drawing:
    """Drawing ``index`` of the set that ``seed`` names."""
    rng = np.random.default_rng([seed, index])
    mask = np.zeros((size_px, size_px), np.uint8)
    picture = _background(size_px, rng)
    for _ in range(int(rng.integers(2, 6))):
        kind = int(rng.integers(1, num_classes))
        stencil = _stencil(size_px, KINDS[kind - 1], rng)
        # A shape never covers another one, so that no mask holds an unrecognisable rest.
        if np.any(mask[cv2.dilate(stencil, np.ones((5, 5), np.uint8)) > 0]):
            continue
        mask[stencil > 0] = kind
        around = picture.mean(axis=(0, 1))
        color = rng.uniform(0, 255, 3)
        while np.abs(color - around).max() < 60:  # no shape melts into what lies behind it
            color = rng.uniform(0, 255, 3)
        picture[stencil > 0] = color
    picture = cv2.GaussianBlur(picture, (0, 0), 0.7) + rng.normal(0, rng.uniform(4, 16), picture.shape)
    return Drawing(np.clip(picture, 0, 255).astype(np.uint8), mask)


def _background(size_px: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A slope between two colours with soft clouds on it, float64 (H, W, 3)."""
    first, second = rng.uniform(40, 215, 3), rng.uniform(40, 215, 3)
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px - 0.5
    slope = (np.cos(angle) * x + np.sin(angle) * y + 0.7) / 1.4
    coarse = rng.normal(0, 12, (6, 6, 3)).astype(np.float32)
    clouds = cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    blend: npt.NDArray[np.float64] = first + slope[..., None] * 0.4 * (second - first) + clouds
    return blend


def _stencil(size_px: int, kind: str, rng: np.random.Generator) -> U8:
    """One shape at a random place, size and turn: uint8 (H, W), 0 or 1."""
    radius = size_px * rng.uniform(0.11, 0.24)
    center = rng.uniform(radius, size_px - radius, 2)
    angle = rng.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    outline = OUTLINES[kind.removeprefix("hollow ")]() @ turn.T * radius
    stencil = np.zeros((size_px, size_px), np.uint8)
    cv2.fillPoly(stencil, [np.round(outline + center).astype(np.int32)], (1,))
    if kind.startswith("hollow "):
        cv2.fillPoly(stencil, [np.round(outline * 0.55 + center).astype(np.int32)], (0,))
    return stencil
