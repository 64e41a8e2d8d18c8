"""Made scenes: unique textured pictures with discs and squares, and the truth about each pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
Ring = list[tuple[float, float]]

HEIGHT, WIDTH = 40, 48
CLASSES = ("background", "disc", "square")
# No name is part of another one, so that a picture is known again whatever is put around its name.
NAMES = ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple")
# Columns in which one thing each lies: things never overlap and never touch.
_COLUMN_PX = 16


@dataclass(frozen=True)
class Thing:
    """A disc or a square. Coordinates are of pixel corners: the first pixel's centre is (0.5, 0.5)."""

    number: int
    label: int
    left: int
    top: int
    side: int

    @property
    def name(self) -> str:
        """The class."""
        return CLASSES[self.label]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return float(self.left), float(self.top), float(self.left + self.side), float(self.top + self.side)

    @property
    def center(self) -> tuple[float, float]:
        """Of the disc or the square."""
        return self.left + self.side / 2, self.top + self.side / 2

    @property
    def ring(self) -> Ring:
        """The outline: four corners, or 48 points on the circle."""
        left, top, right, bottom = self.box
        if self.name == "square":
            return [(left, top), (right, top), (right, bottom), (left, bottom)]
        (x, y), radius = self.center, self.side / 2
        angles = [2 * math.pi * i / 48 for i in range(48)]
        return [(round(x + radius * math.cos(a), 3), round(y + radius * math.sin(a), 3)) for a in angles]

    @property
    def inside_HW(self) -> npt.NDArray[np.bool_]:
        """The pixels whose centres lie inside."""
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
        (cx, cy), half = self.center, self.side / 2
        if self.name == "square":
            return (abs(x - cx) < half) & (abs(y - cy) < half)
        inside: npt.NDArray[np.bool_] = (x - cx) ** 2 + (y - cy) ** 2 < half**2
        return inside


@dataclass(frozen=True)
class Scene:
    """A picture uint8 (H, W, 3), and what is in it."""

    name: str
    pixels_HWC: U8
    things: tuple[Thing, ...]

    @property
    def grey_HW(self) -> U8:
        """The picture in grey."""
        return self.pixels_HWC[..., 1]

    @property
    def mask_HW(self) -> U8:
        """The truth: 0 background, 1 disc, 2 square."""
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for thing in self.things:
            mask[thing.inside_HW] = thing.label
        return mask

    @property
    def binary_HW(self) -> U8:
        """The truth without the difference between discs and squares: 0 or 1."""
        return (self.mask_HW > 0).astype(np.uint8)

    @property
    def instances_HW(self) -> U16:
        """The number of the thing to which a pixel belongs; 0 for the background."""
        instances = np.zeros((HEIGHT, WIDTH), np.uint16)
        for thing in self.things:
            instances[thing.inside_HW] = thing.number
        return instances


@lru_cache(maxsize=4)
def scenes(count: int = 8) -> tuple[Scene, ...]:
    """The first ``count`` scenes; each holds a disc and a square at least, and a third thing."""
    return tuple(_scene(index) for index in range(count))


def empty() -> Scene:
    """A picture with nothing in it."""
    return Scene("walnut", _texture(np.random.default_rng(99)), ())


def _scene(index: int) -> Scene:
    rng = np.random.default_rng([7, index])
    labels = rng.permutation([1, 2, 1 + index % 2])
    things = []
    for column, label in enumerate(labels):
        side = int(rng.integers(8, 15))
        left = column * _COLUMN_PX + int(rng.integers(1, _COLUMN_PX - side))
        top = int(rng.integers(1, HEIGHT - side))
        things.append(Thing(column + 1, int(label), left, top, side))
    scene = Scene(NAMES[index], _texture(rng), tuple(things))
    picture = scene.pixels_HWC.astype(np.int64)
    # The things are seen: discs brighter in red, squares brighter in blue, both brighter in green.
    picture[scene.mask_HW == 1] += (90, 70, 0)
    picture[scene.mask_HW == 2] += (0, 40, 90)
    return Scene(scene.name, np.clip(picture, 0, 255).astype(np.uint8), scene.things)


def _texture(rng: np.random.Generator) -> U8:
    """Coarse clouds with grain on a colour of its own: no two pictures are alike."""
    clouds = cv2.resize(rng.normal(0, 18, (5, 6, 3)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture = rng.uniform(50, 110, 3) + clouds + rng.normal(0, 8, (HEIGHT, WIDTH, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)
