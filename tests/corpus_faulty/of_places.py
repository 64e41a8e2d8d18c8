"""Sets whose masks can be read and do not say what the pictures show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from corpus_faulty.scenes import U8, scene
from corpus_faulty.sets import NAMES, Made, Style, lay, starts_from, write_table

BINARY = Style(seed=61)
INDEX = Style("flat", mask="index", classes=4, seed=62)
SIDE = Style("side", picture="grey", mask="ones", seed=63)


def _shift(made: Iterable[Made], down: int, right: int) -> None:
    for one in made:
        one.remask(moved(one.classes_HW(), down, right))


def moved(mask_HW: U8, down: int, right: int) -> U8:
    """The mask moved over its frame; background comes in."""
    out = np.zeros_like(mask_HW)
    height, width = mask_HW.shape
    out[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = mask_HW[
        max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    return out


@starts_from(BINARY)
def all_shifted(root: Path, made: list[Made]) -> None:
    _shift(made, 0, 8)


@starts_from(INDEX)
def all_classes_shifted(root: Path, made: list[Made]) -> None:
    _shift(made, 7, 0)


@starts_from(SIDE)
def some_shifted(root: Path, made: list[Made]) -> None:
    _shift(made[3:6], 6, -6)


@starts_from(BINARY)
def one_shifted(root: Path, made: list[Made]) -> None:
    _shift(made[3:4], -10, 0)


@starts_from(INDEX)
def validation_shifted(root: Path, made: list[Made]) -> None:
    _shift(made[12:], -6, 4)


@starts_from(BINARY)
def two_inverted(root: Path, made: list[Made]) -> None:
    for one in made[3:5]:
        one.remask(1 - one.classes_HW())


@starts_from(SIDE)
def three_inverted(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        one.remask(1 - one.classes_HW())


@starts_from(BINARY)
def some_empty(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        one.remask(np.zeros_like(one.classes_HW()))


@starts_from(INDEX)
def most_empty(root: Path, made: list[Made]) -> None:
    """Whoever drew the masks has not come further; every picture shows objects."""
    for number, one in enumerate(made):
        if number % 3:
            one.remask(np.zeros_like(one.classes_HW()))


@starts_from(Style(mask="index", classes=3, seed=64))
def class_that_never_occurs(root: Path, made: list[Made]) -> None:
    write_table(root, 4)


@starts_from(Style("beside", mask="color", classes=4, seed=65))
def colour_that_never_occurs(root: Path, made: list[Made]) -> None:
    rows = "background,0,0,0\ndisc,200,40,40\nbar,40,180,60\nsquare,50,80,210\nring,250,250,20\n"
    (root / "classes.csv").write_text("name,r,g,b\n" + rows)


@starts_from(Style(mask="index", classes=4, seed=66))
def alike_colours(root: Path, made: list[Made]) -> None:
    colors = ("0,0,0", "200,40,40", "40,180,60", "40,180,60")
    (root / "classes.csv").write_text(
        "name,r,g,b\n" + "".join(f"{n},{c}\n" for n, c in zip(NAMES, colors, strict=True))
    )


def squares_to_train_alone(root: Path) -> None:
    """No square in the validation part, in its pictures or its masks."""
    style = Style(mask="index", classes=4, table=True, seed=67)
    lay(root, style, [scene(6700 + i, only=(1, 2, 3) if i < style.train else (1, 2)) for i in range(style.count)])


def bars_to_validate_alone(root: Path) -> None:
    """No bar in the pictures to train on."""
    style = Style("beside", mask="color", classes=4, table=True, seed=68)
    lay(root, style, [scene(6800 + i, only=(1, 3) if i < style.train else (1, 2, 3)) for i in range(style.count)])
