"""Made scenes for the faulty sets: discs, bars and squares, brighter than a backdrop that is like no other.

Rule: a scene follows from its seed alone, and what stands in the mask can be seen in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

# Disc, bar, square: each has a tint of its own, all of them brighter than any backdrop.
_TINTS = ((0.78, 0.62, 0.50), (0.55, 0.78, 0.62), (0.60, 0.62, 0.86))


@dataclass(frozen=True)
class Scene:
    """Colours 0..1, float (H, W, 3), and the truth: 0 backdrop, 1 disc, 2 bar, 3 square, uint8 (H, W)."""

    pixels_HWC: F64
    kinds_HW: U8

    def crop(self, y: int, x: int, height: int, width: int) -> Scene:
        """A window of the scene."""
        cut = (slice(y, y + height), slice(x, x + width))
        return Scene(self.pixels_HWC[cut], self.kinds_HW[cut])


def scene(
    seed: int,
    size: tuple[int, int] = (72, 96),
    *,
    objects: int = 6,
    half: tuple[int, int] = (6, 10),
    only: tuple[int, ...] = (1, 2, 3),
) -> Scene:
    """The scene of a seed, with objects of the kinds ``only``; ``half`` is the range of half an object's size."""
    rng = np.random.default_rng([17, seed])
    kinds = np.zeros(size, np.uint8)
    for number in range(objects):
        _place(kinds, only[number % len(only)], half, rng)
    return Scene(paint(backdrop(size, rng), kinds, rng), kinds)


def backdrop(size: tuple[int, int], rng: np.random.Generator) -> F64:
    """Clouds of two sizes around a tint, about 0.15 to 0.5: float (H, W, 3)."""
    height, width = size
    out: F64 = np.broadcast_to(rng.uniform(0.26, 0.38, 3), (height, width, 3)).copy()
    for spacing, strength in ((20, 0.05), (7, 0.025)):
        coarse = rng.normal(0, strength, (height // spacing + 2, width // spacing + 2, 3)).astype(np.float32)
        out += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return out


def paint(ground_HWC: F64, kinds_HW: U8, rng: np.random.Generator) -> F64:
    """The objects on their ground, with a texture, soft edges and a camera's noise."""
    out = ground_HWC.copy()
    gain = rng.uniform(0.92, 1.06)
    texture = rng.normal(0, 0.04, kinds_HW.shape)
    for kind, tint in enumerate(_TINTS, start=1):
        inside = kinds_HW == kind
        out[inside] = np.array(tint) * gain + texture[inside, None]
    out = cv2.GaussianBlur(out, (0, 0), 0.6) + rng.normal(0, 0.02, out.shape)
    clipped: F64 = np.clip(out, 0.02, 0.98)
    return clipped


def _place(kinds_HW: U8, kind: int, half: tuple[int, int], rng: np.random.Generator) -> None:
    """Draw one object where nothing is yet; none if there is no room."""
    height, width = kinds_HW.shape
    for _ in range(60):
        r = int(rng.integers(half[0], half[1] + 1))
        y, x = int(rng.integers(r + 1, height - r - 1)), int(rng.integers(r + 1, width - r - 1))
        stencil = _stencil(kinds_HW.shape, kind, (y, x, r), lies=bool(rng.integers(2)))
        if not kinds_HW[cv2.dilate(stencil, np.ones((7, 7), np.uint8)) > 0].any():
            kinds_HW[stencil > 0] = kind
            return


def _stencil(size: tuple[int, ...], kind: int, place: tuple[int, int, int], *, lies: bool) -> U8:
    y, x, r = place
    stencil = np.zeros(size, np.uint8)
    if kind == 1:
        cv2.circle(stencil, (x, y), r, (1,), -1)
    else:
        thin = max(2, r // 3)
        down, across = (r, r) if kind == 3 else (thin, r) if lies else (r, thin)
        stencil[y - down : y + down + 1, x - across : x + across + 1] = 1
    return stencil
