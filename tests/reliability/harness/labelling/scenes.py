"""Scenes of right-angled shapes, of which each pixel can be told without drawing.

Rule: the pixels that are wanted are filled here row by row; no code of masksmith draws a shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import strategies as st

from masksmith.classes import ClassTable, Entry
from masksmith.keys import unpack
from reliability.harness.labelling.made import NAMES, U8, Bool

# So far outlines may lie outside of the picture, in formats that allow it.
_OVER_PX = 6
# No XML may hold these.
_NO_XML = "\ufffe\uffff"
# From one colour to the next, of 2 ** 24.
_STEP = 31


@dataclass(frozen=True)
class Shape:
    """Steps along a line: between x and the next x it reaches from ``top`` so far down; or rows and columns swapped."""

    name: int
    xs: tuple[int, ...]
    top: int
    depths: tuple[int, ...]
    swapped: bool
    as_mask: bool

    @cached_property
    def ring(self) -> list[list[int]]:
        """Its corners [x, y], not closed."""
        points = [[self.xs[0], self.top], [self.xs[-1], self.top]]
        for n in reversed(range(len(self.depths))):
            points += [[self.xs[n + 1], self.top + self.depths[n]], [self.xs[n], self.top + self.depths[n]]]
        return [point[::-1] for point in points] if self.swapped else points

    @property
    def is_box(self) -> bool:
        """Whether two corners say all of it."""
        return len(self.depths) == 1

    def inside(self, size: tuple[int, int]) -> Bool:
        """Its pixels, (H, W)."""
        high, wide = size[::-1] if self.swapped else size
        out = np.zeros((high, wide), np.bool_)
        for left, right, depth in zip(self.xs, self.xs[1:], self.depths, strict=False):
            out[max(0, self.top) : max(0, self.top + depth), max(0, left) : max(0, right)] = True
        return out.T if self.swapped else out


@dataclass(frozen=True)
class Scene:
    """Shapes of some names, later ones over earlier ones; value 0 is the background, n + 1 the name n."""

    names: tuple[str, ...]
    height: int
    width: int
    over: bool
    shapes: tuple[Shape, ...]
    color: int
    seed: int
    picture: int
    """The kind of mask picture that it is written as, counted on and on."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @cached_property
    def mask_HW(self) -> U8:
        """The values that are wanted."""
        out = np.zeros(self.size, np.uint8)
        for shape in self.shapes:
            out[shape.inside(self.size)] = shape.name + 1
        return out

    @property
    def table(self) -> ClassTable:
        """Read by name, with a colour for each."""
        rows = ("background", *self.names)
        entries = (Entry(name, unpack((self.color + n * _STEP) % 2**24), n) for n, name in enumerate(rows))
        return ClassTable(tuple(entries), "name")


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A small picture and up to eight shapes."""
    names = tuple(
        draw(st.lists(NAMES.filter(lambda n: not set(n) & set(_NO_XML)), unique=True, min_size=1, max_size=4))
    )
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    over = draw(st.booleans())
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    shapes = tuple(_shape(rng, len(names), (height, width), over) for _ in range(draw(st.integers(0, 8))))
    kind = draw(st.integers(0, 999))
    return Scene(names, height, width, over, shapes, draw(st.integers(0, 2**24 - 1)), seed, kind)


def _shape(rng: np.random.Generator, names: int, size: tuple[int, int], over: bool) -> Shape:
    swapped = bool(rng.integers(2))
    high, wide = size[::-1] if swapped else size
    spare = _OVER_PX if over else 0
    top = int(rng.integers(-spare, high + spare))
    places = np.arange(-spare, wide + spare + 1)
    xs = np.sort(rng.choice(places, min(len(places), int(rng.choice([2, 2, 3, 5, 8]))), replace=False))
    depths = rng.integers(1, high + spare - top + 1, len(xs) - 1)
    ints = tuple(map(int, xs)), top, tuple(map(int, depths))
    return Shape(int(rng.integers(names)), *ints, swapped, bool(rng.integers(4) == 0))
