"""Small charts, as the rectangles and words of an SVG that the template draws.

Rule: a chart says in words and in a table what its bars say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from masksmith.errors import listed
from masksmith.report.page import percent

_WIDTH = 400
_BINS = 12
# Bars of a chart of rows; what is beyond them is in its table.
_ROWS = 16
_ROW_HEIGHT = 22
# Room for about 18 letters at the left of a row.
_LABEL_WIDTH = 128
_LABEL_LETTERS = 18
# Differences of larger values are not numbers any more.
_LARGEST = 1e300


@dataclass(frozen=True)
class Bar:
    """A rectangle; an empty ``color`` is the page's own."""

    x: float
    y: float
    width: float
    height: float
    color: str = ""


@dataclass(frozen=True)
class Word:
    """Text at a point; ``anchor`` as SVG names it."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Chart:
    """``text`` says it in a sentence, ``rows`` under ``head`` in figures."""

    title: str
    text: str
    head: tuple[str, str]
    rows: tuple[tuple[str, str], ...]
    bars: tuple[Bar, ...]
    words: tuple[Word, ...]
    height: int
    width: int = _WIDTH


def columns(title: str, values: Sequence[float], unit: str, span: tuple[float, float] | None = None) -> Chart:
    """A histogram of values, one for each picture.

    Args:
        title: what is counted.
        values: one or more finite numbers.
        unit: of the values.
        span: the ends of the axis; those of the values if not given.
    """
    shown = np.clip(np.array(values, float), -_LARGEST, _LARGEST)
    low, high = span or (float(shown.min()), float(shown.max()))
    # Equal values still need a bin with a width.
    high = high if high > low else low + max(abs(low) * 0.01, 1.0)
    counts, edges = np.histogram(shown, _BINS, (low, high))
    top, floor, step = 22, 150, _WIDTH / _BINS
    bars, words = [], []
    for number, count in enumerate(counts.tolist()):
        tall = (floor - top) * count / max(1, counts.max())
        bars.append(Bar(number * step + 2, floor - tall, step - 4, tall))
        if count:
            words.append(Word((number + 0.5) * step, floor - tall - 5, f"{count:,}"))
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        words.append(Word(part * _WIDTH, floor + 18, f"{low + part * (high - low):.4g}", anchor))
    words.append(Word(_WIDTH / 2, floor + 36, unit))
    rows = [
        (f"{a:.4g} to {b:.4g}", f"{n:,}") for a, b, n in zip(edges[:-1], edges[1:], counts.tolist(), strict=True) if n
    ]
    middle = float(np.median(shown))
    text = f"From {shown.min():.4g} to {shown.max():.4g}; half of the pictures are below {middle:.4g}"
    return Chart(title, text, (unit, "pictures"), tuple(rows), tuple(bars), tuple(words), floor + 44)


def rows(title: str, named: Sequence[tuple[str, float, str, str]], head: tuple[str, str], more: str = "") -> Chart:
    """Bars of what has a name.

    Args:
        title: what is compared.
        named: (name, length, the same in words, colour or "") of each, in the order to be shown.
        head: the heads of the table.
        more: a sentence to say instead of the largest three.
    """
    bars, words = [], []
    longest = max((length for _, length, _, _ in named), default=0) or 1
    room = _WIDTH - _LABEL_WIDTH - 64
    for number, (name, length, said, color) in enumerate(named[:_ROWS]):
        y = number * _ROW_HEIGHT
        wide = room * length / longest
        bars.append(Bar(_LABEL_WIDTH, y + 4, max(wide, 1 if length else 0), _ROW_HEIGHT - 8, color))
        short = name if len(name) <= _LABEL_LETTERS else name[: _LABEL_LETTERS - 1] + "…"
        words.append(Word(_LABEL_WIDTH - 8, y + 15.5, short, "end"))
        words.append(Word(_LABEL_WIDTH + wide + 6, y + 15.5, said, "start"))
    shown = min(len(named), _ROWS)
    if len(named) > shown:
        words.append(Word(_LABEL_WIDTH, shown * _ROW_HEIGHT + 15.5, f"and {len(named) - shown} more", "start"))
    largest = sorted(named, key=lambda one: -one[1])
    text = more or "Largest: " + listed((f"{name} {said}" for name, _, said, _ in largest), 3)
    table = tuple((name, said) for name, _, said, _ in named)
    return Chart(title, text, head, table, tuple(bars), tuple(words), (shown + (len(named) > shown)) * _ROW_HEIGHT + 4)


def shares(title: str, classes: Sequence[tuple[str, float, str]]) -> Chart:
    """The share of each class: (name, share, colour)."""
    return rows(title, [(name, share, percent(share), color) for name, share, color in classes], ("class", "share"))
