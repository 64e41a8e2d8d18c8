"""What labels are made of: class tables with odd names and near colours, masks with all that outlines find hard.

Rule: a made thing is a few numbers and names, which a fault tells, and the same numbers give the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from masksmith.classes import ClassTable, Encoding, Entry
from masksmith.keys import IGNORE, Mask, join_layers, unpack
from masksmith.labels.regions import is_background
from masksmith.limits import MAX_CLASSES, MAX_OVERLAPPING_CLASSES

Bool = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]

# Names that a format could trip over: its own quotes, separators and words, letters of all lands.
ODD = (
    "a, b", 'say "x"', "it's", "x;y", "ä ö", "道路", "🌲 tree", "a\u2028b", "#1", "=1+2", "true", "null", "0", "1e5", "-",
    "name", "void", "ignore", "a: b", "<b>&amp;", "%s", "back\\slash", "{a: [1]}", "a/b", "CON", "object", "x" * 300, "'",
    '"', ",", "~", "*a", "!!int 1", "é", "e\u0301", "A", "a", "\u202eabc", "1", "01", "ground",
)  # fmt: skip
# How a table may write what is none of its classes.
BACKGROUNDS = ("background", "Background", "_background_")
SHAPES = ("noise", "blobs", "few", "nested", "checkers", "diagonal", "whole")
# Salt and pepper has a region for nearly each pixel: a larger one says nothing more, and takes long.
_MOST_NOISE_PX = 16


def _is_name(name: str) -> bool:
    return bool(name) and not is_background(name)


NAMES = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=9).map(str.strip).filter(_is_name),
)


@dataclass(frozen=True)
class Made:
    """A mask and its classes, as a network could have answered."""

    color: int
    """The first class's; the next ones follow in steps."""
    step: int
    shape: str
    height: int
    width: int
    seed: int
    overlapping: bool
    placed: bool
    """Whether the picture has a place on the map."""
    with_gaps: bool
    """Whether some pixels of the picture are none."""
    names: tuple[str, ...]

    @cached_property
    def table(self) -> ClassTable:
        """Values are class numbers, as predicted masks have them."""
        first = int(self.overlapping)
        colors = [unpack((self.color + n * self.step) % 2**24) for n in range(len(self.names))]
        rows = (Entry(name, color, n + first) for n, (name, color) in enumerate(zip(self.names, colors, strict=True)))
        return ClassTable(tuple(rows), overlapping=self.overlapping)

    @cached_property
    def background(self) -> int | None:
        """Its index, where there is one."""
        return next((n for n, name in enumerate(self.names) if is_background(name)), None)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        most = _MOST_NOISE_PX if self.shape == "noise" else max(self.height, self.width)
        return min(self.height, most), min(self.width, most)

    @cached_property
    def mask_HW(self) -> Mask:
        """Class indices, or bits."""
        rng = np.random.default_rng(self.seed)
        if not self.overlapping:
            return drawn(self.shape, self.size, len(self.names), rng)
        return join_layers(np.stack([drawn(self.shape, self.size, 2, rng) > 0 for _ in self.names]))

    @cached_property
    def valid_HW(self) -> Bool | None:
        """False where the picture has nothing; None where it is whole."""
        if not self.with_gaps:
            return None
        there: Bool = drawn("blobs", self.size, 2, np.random.default_rng(self.seed + 1)) > 0
        return None if there.all() else there


def drawn(shape: str, size: tuple[int, int], classes: int, rng: np.random.Generator) -> U8:
    """A mask (H, W) of class indices."""
    y, x = np.indices(size)
    kept = rng.choice(classes, min(classes, int(rng.integers(1, 9))), replace=False)
    a, b = (int(n) for n in rng.integers(1, 5, 2))
    if shape == "noise":
        found = rng.integers(0, classes, size)
    elif shape == "blobs":
        heights = rng.random((len(kept), *size)).astype(np.float32)
        found = kept[np.argmax([cv2.blur(layer, (2 * a + 1, 2 * b + 1)) for layer in heights], axis=0)]
    elif shape == "few":
        found = np.full(size, kept[0])
        places = rng.integers(0, size[0] * size[1], a * b)
        found.ravel()[places] = rng.choice(kept, len(places))
    elif shape == "nested":
        edge = np.minimum(np.minimum(y, size[0] - 1 - y), np.minimum(x, size[1] - 1 - x))
        found = kept[edge // a % len(kept)]
    elif shape == "checkers":
        found = kept[(y // a + x // b) % len(kept)]
    elif shape == "diagonal":  # pixels of one class that meet over corners alone, and close rings there
        found = kept[((y + x) // a % 3 * ((y - x) // b % 3) == 0).astype(int) % len(kept)]
    else:
        found = np.full(size, kept[0])
    whole: U8 = found.astype(np.uint8)
    return whole


@st.composite
def made(draw: st.DrawFn) -> Made:
    """A mask and its classes: a few mostly, sometimes as many as there may be."""
    overlapping = draw(st.sampled_from([False] * 5 + [True]))
    few = st.integers(1, 6)
    count = draw(
        st.integers(1, MAX_OVERLAPPING_CLASSES)
        if overlapping
        else st.one_of(*[few] * 12, st.sampled_from((2, 40, 40, MAX_CLASSES)))
    )
    names = draw(_names(count, background=not overlapping))
    side = st.one_of(st.integers(1, 9), st.integers(5, 24), st.integers(1, 60))
    return Made(
        draw(st.integers(0, 2**24 - 1)),
        draw(st.sampled_from((1, 2, 256, 65536, 65793, 4_271_733))),
        draw(st.sampled_from(SHAPES)),
        draw(side),
        draw(side),
        draw(st.integers(0, 2**32 - 1)),
        overlapping,
        draw(st.booleans()),
        draw(st.sampled_from((False, False, True))),
        names,
    )


@st.composite
def _names(draw: st.DrawFn, count: int, *, background: bool) -> tuple[str, ...]:
    odd = draw(st.lists(NAMES, unique=True, max_size=min(count, 6)))
    rest = (name for n in range(2 * count + 9) if (name := f"class {n}") not in odd)
    names = [*odd, *rest][:count]
    if background and draw(st.sampled_from((True, True, False))):
        names[draw(st.integers(0, count - 1))] = draw(st.sampled_from(BACKGROUNDS))
    return tuple(names)


@st.composite
def tables(draw: st.DrawFn) -> ClassTable:
    """Any class table: values with gaps, rows that are ignored, in any order, read by value, colour or name."""
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=12))
    overlapping = draw(st.booleans())
    encoding: Encoding = "value" if overlapping else draw(st.sampled_from(("value", "color", "name", "instances")))
    values = draw(st.lists(st.integers(0, 65535), unique=True, min_size=len(names), max_size=len(names)))
    base, step = draw(st.integers(0, 2**24 - 1)), draw(st.sampled_from((1, 256, 65793)))
    ignored = draw(st.sets(st.integers(1, 12), max_size=3))
    rows = [
        Entry(name, unpack((base + n * step) % 2**24), value, ignored=n in ignored)
        for n, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    if encoding in {"value", "name"} and draw(st.booleans()):  # one colour for all of them
        rows = [replace(row, color=rows[0].color) for row in rows]
    return ClassTable(tuple(draw(st.permutations(rows))), encoding, overlapping=overlapping)


def with_ignore(table: ClassTable) -> ClassTable:
    """The same with 255 as what is ignored, in a grey that no class has."""
    taken = {entry.color for entry in table.entries}
    free = next((grey, grey, grey) for grey in range(255, -1, -1) if (grey, grey, grey) not in taken)
    return replace(table, entries=(*table.entries, Entry("no pixel", free, IGNORE, ignored=True)))
