"""Sets whose pictures disagree with each other, hold no usable numbers, or show nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from corpus_faulty.scenes import Scene
from corpus_faulty.sets import PICTURES, Made, Pixels, Style, starts_from, write

COLOR = Style(seed=41)
FLOAT = Style("flat", picture="float", mask="index", classes=4, seed=42)


def _pixels(one: Made, kind: str = "") -> Pixels:
    return PICTURES[kind or one.style.picture][1](one.scene)


def _retold(one: Made, gain: float, offset: float) -> None:
    """The picture with another exposure."""
    one.repaint(Scene(np.clip(one.scene.pixels_HWC * gain + offset, 0, 1), one.scene.kinds_HW))


def _as_tiff(one: Made, pixels: Pixels) -> None:
    one.image.unlink()
    write(one.image.with_suffix(".tif"), pixels)


@starts_from(Style(picture="4 bands", seed=43))
def colour_among_four(root: Path, made: list[Made]) -> None:
    for one in made[3:5]:
        write(one.image, _pixels(one, "colour tiff"))


@starts_from(Style("flat", picture="5 bands", mask="index", classes=4, seed=44))
def colour_among_five(root: Path, made: list[Made]) -> None:
    _as_tiff(made[3], _pixels(made[3], "colour tiff"))


@starts_from(Style(picture="5 bands", seed=45))
def a_band_lost(root: Path, made: list[Made]) -> None:
    write(made[14].image, _pixels(made[14], "4 bands"))


@starts_from(Style("flat", picture="grey", seed=46))
def sixteen_among_eight(root: Path, made: list[Made]) -> None:
    for one in made[3:5]:
        _as_tiff(one, _pixels(one, "16 bits"))


@starts_from(Style("side", picture="grey", mask="ones", seed=47))
def float_among_eight(root: Path, made: list[Made]) -> None:
    _as_tiff(made[3], _pixels(made[3], "float"))


@starts_from(Style(picture="16 bits", seed=48))
def float_among_sixteen(root: Path, made: list[Made]) -> None:
    for one in made[12:15]:
        write(one.image, _pixels(one, "float"))


@starts_from(FLOAT)
def nothing_measured(root: Path, made: list[Made]) -> None:
    write(made[3].image, np.full(made[3].scene.kinds_HW.shape, np.nan, np.float32))


@starts_from(FLOAT)
def all_infinite(root: Path, made: list[Made]) -> None:
    write(made[3].image, np.full(made[3].scene.kinds_HW.shape, np.inf, np.float32))


@starts_from(FLOAT)
def huge_numbers(root: Path, made: list[Made]) -> None:
    """A driver's mark for "no value", 3.4e38, stands in some pixels."""
    pixels = np.array(_pixels(made[3]), np.float32)
    pixels[:10, :10] = 3.4e38
    write(made[3].image, pixels)


@starts_from(FLOAT)
def float_to_255(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        write(one.image, (np.asarray(_pixels(one)) * np.float32(255)).astype(np.float32))


@starts_from(Style(picture="16 bits", seed=49))
def twelve_among_sixteen(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        write(one.image, _pixels(one, "12 bits"))


@starts_from(replace(FLOAT, layout="split", seed=50))
def validation_in_percent(root: Path, made: list[Made]) -> None:
    """The pictures of the validation part are 0 to 100, those to train on are 0 to 1."""
    for one in made[12:]:
        write(one.image, (np.asarray(_pixels(one)) * np.float32(100)).astype(np.float32))


@starts_from(COLOR)
def black_picture(root: Path, made: list[Made]) -> None:
    write(made[3].image, np.zeros_like(_pixels(made[3])))


@starts_from(Style("flat", mask="index", classes=4, seed=51))
def even_picture(root: Path, made: list[Made]) -> None:
    write(made[3].image, np.full_like(_pixels(made[3]), 128))


@starts_from(COLOR)
def overexposed(root: Path, made: list[Made]) -> None:
    for one in made[3:5]:
        _retold(one, 4, 0)


@starts_from(Style("beside", picture="grey", mask="ones", seed=52))
def underexposed(root: Path, made: list[Made]) -> None:
    for one in made[3:5]:
        _retold(one, 2, -1.05)
