"""Sets whose masks have another size, other values than classes, or are no masks at all."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from corpus_faulty.scenes import U8, scene
from corpus_faulty.sets import COLORS, MASKS, Made, Style, lay, palette_picture, starts_from, write

BINARY = Style(seed=11)
INDEX = Style("flat", mask="index", classes=4, seed=12)
NAMED = Style("flat", mask="index", classes=4, table=True, seed=13)
COLOR = Style("beside", picture="jpeg", mask="color", classes=4, table=True, seed=14)
UNNAMED = Style(mask="color", classes=4, seed=15)
SQUARE = Style(mask="index", classes=4, size=(80, 80), seed=16)
SIDE = Style("side", mask="binary", seed=17)


def _smooth(mask: U8, sigma: float = 0.6) -> U8:
    out: U8 = cv2.GaussianBlur(mask, (0, 0), sigma).astype(np.uint8)
    return out


def _through_jpeg(mask: U8, quality: int = 85) -> U8:
    kept = io.BytesIO()
    Image.fromarray(mask).save(kept, "JPEG", quality=quality)
    return np.asarray(Image.open(kept))


def _drawn_small(mask: U8) -> U8:
    """Drawn at half the size and enlarged as photographs are."""
    out: U8 = cv2.resize(mask[::2, ::2], mask.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return out


def _encoded(one: Made, kind: str = "") -> U8:
    return np.asarray(MASKS[kind or one.style.mask](one.classes_HW()))


@starts_from(BINARY)
def half_size(root: Path, made: list[Made]) -> None:
    write(made[3].mask, _encoded(made[3])[::2, ::2])


@starts_from(INDEX)
def a_row_short(root: Path, made: list[Made]) -> None:
    write(made[3].mask, _encoded(made[3])[:-1])


@starts_from(COLOR)
def double_size(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _encoded(one).repeat(2, axis=0).repeat(2, axis=1))


@starts_from(SIDE)
def padded(root: Path, made: list[Made]) -> None:
    """Two masks were padded to a multiple of 32 for a network, their pictures were not."""
    for one in made[3:5]:
        write(one.mask, np.pad(_encoded(one), ((0, 24), (0, 0))))


@starts_from(BINARY)
def one_transposed(root: Path, made: list[Made]) -> None:
    write(made[3].mask, _encoded(made[3]).T)


@starts_from(UNNAMED)
def all_transposed(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _encoded(one).swapaxes(0, 1))


@starts_from(INDEX)
def one_turned(root: Path, made: list[Made]) -> None:
    write(made[3].mask, np.rot90(_encoded(made[3])))


@starts_from(SQUARE)
def all_transposed_squares(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _encoded(one).T)


@starts_from(SQUARE)
def some_transposed_squares(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        write(one.mask, _encoded(one).T)


@starts_from(SQUARE)
def some_turned_squares(root: Path, made: list[Made]) -> None:
    for one in made[12:15]:
        write(one.mask, np.rot90(_encoded(one)))


@starts_from(COLOR)
def turned_by_its_camera(root: Path, made: list[Made]) -> None:
    """The picture says in its EXIF data that it is to be turned; its mask was drawn on it as stored."""
    with Image.open(made[3].image) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        write(made[3].image, image.copy(), exif=exif)


@starts_from(NAMED)
def unknown_value(root: Path, made: list[Made]) -> None:
    mask = _encoded(made[3]).copy()
    mask[mask == 2] = 7
    write(made[3].mask, mask)


@starts_from(COLOR)
def unknown_colour(root: Path, made: list[Made]) -> None:
    mask = _encoded(made[3]).copy()
    mask[made[3].classes_HW() == 2] = (250, 200, 10)
    write(made[3].mask, mask)


@starts_from(NAMED)
def counted_from_one(root: Path, made: list[Made]) -> None:
    """Two masks come from a tool that counts classes from 1."""
    for one in made[3:5]:
        write(one.mask, _encoded(one) + 1)


@starts_from(NAMED)
def sixteen_bit_value(root: Path, made: list[Made]) -> None:
    mask = _encoded(made[3]).astype(np.uint16)
    mask[mask == 3] = 300
    write(made[3].mask, mask)


@starts_from(Style(mask="palette", classes=4, table=True, seed=18))
def unknown_index(root: Path, made: list[Made]) -> None:
    mask = made[3].classes_HW()
    mask[mask == 3] = 9
    write(made[3].mask, palette_picture(mask, [*COLORS, *[(9, 9, 9)] * 5, (120, 10, 160)]))


@starts_from(Style(mask="index", classes=4, seed=19))
def class_that_the_table_lacks(root: Path, made: list[Made]) -> None:
    (root / "classes.csv").write_text("name,r,g,b\nbackground,0,0,0\ndisc,200,40,40\nbar,40,180,60\n")


@starts_from(SIDE)
def jpeg_masks(root: Path, made: list[Made]) -> None:
    for one in made:
        one.mask.unlink()
        write(one.mask.with_suffix(".jpg"), _encoded(one), quality=80)


@starts_from(INDEX)
def jpeg_mask(root: Path, made: list[Made]) -> None:
    """JPEG of the values 0 to 3: nearly black, and not what it was."""
    made[3].mask.unlink()
    write(made[3].mask.with_suffix(".jpg"), _encoded(made[3]), quality=80)


@starts_from(BINARY)
def jpeg_saved_as_png(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _through_jpeg(_encoded(one)))


@starts_from(BINARY)
def soft_edges(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _smooth(_encoded(one)))


@starts_from(COLOR)
def soft_colours(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _smooth(_encoded(one)))


@starts_from(Style(mask="grey", classes=4, seed=20))
def enlarged(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _drawn_small(_encoded(one)))


@starts_from(UNNAMED)
def enlarged_colours(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, _drawn_small(_encoded(one)))


@starts_from(INDEX)
def enlarged_indices(root: Path, made: list[Made]) -> None:
    """Between background and class 3 lie rims of classes 1 and 2: each value is one of a class."""
    for one in made:
        write(one.mask, _drawn_small(_encoded(one)))


@starts_from(Style("beside", table=True, seed=21))
def one_soft_mask(root: Path, made: list[Made]) -> None:
    write(made[3].mask, _smooth(_encoded(made[3])))


@starts_from(BINARY)
def pictures_as_masks(root: Path, made: list[Made]) -> None:
    for one in made:
        one.mask.write_bytes(one.image.read_bytes())


@starts_from(SIDE)
def one_picture_as_mask(root: Path, made: list[Made]) -> None:
    with Image.open(made[3].image) as image:
        write(made[3].mask, image.convert("L"))


@starts_from(INDEX)
def overlays(root: Path, made: list[Made]) -> None:
    """Masks laid over the pictures, as they are shown, instead of the masks."""
    for one in made:
        shown = one.scene.pixels_HWC * 255 * 0.5 + _encoded(one, "color") * 0.5
        write(one.mask, np.round(shown).astype(np.uint8))


@starts_from(NAMED)
def photograph_among_masks(root: Path, made: list[Made]) -> None:
    with Image.open(made[3].image) as image:
        write(made[3].mask, image.copy())


@starts_from(BINARY)
def all_black(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, np.zeros_like(_encoded(one)))


@starts_from(SIDE)
def all_white(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, np.full_like(_encoded(one), 255))


@starts_from(UNNAMED)
def one_colour(root: Path, made: list[Made]) -> None:
    for one in made:
        write(one.mask, np.full_like(_encoded(one), 40))


@starts_from(Style(mask="ones", seed=22))
def two_ways_of_binary(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        write(one.mask, _encoded(one, "binary"))


@starts_from(Style("side", mask="ones", seed=23))
def half_and_half(root: Path, made: list[Made]) -> None:
    for one in made[::2]:
        write(one.mask, _encoded(one, "binary"))


@starts_from(Style("flat", mask="palette", classes=4, seed=24))
def other_palette(root: Path, made: list[Made]) -> None:
    """Another tool gave two masks a palette in which bar and square have changed places."""
    for one in made[3:5]:
        turned = np.array((0, 1, 3, 2), np.uint8)[one.classes_HW()]
        write(one.mask, palette_picture(turned, [COLORS[i] for i in (0, 1, 3, 2)]))


@starts_from(Style(mask="index", classes=4, seed=25))
def colours_among_indices(root: Path, made: list[Made]) -> None:
    for one in made[3:6]:
        write(one.mask, _encoded(one, "color"))


def numbered_things(root: Path) -> None:
    """Each cell has a number of its own, as instance segmentation writes them; two to eight in a picture."""
    shown = [scene(2600 + i, objects=2 + i % 7, only=(1,)) for i in range(18)]
    for one in lay(root, Style("flat", picture="grey"), shown):
        _, numbers = cv2.connectedComponents(one.classes_HW(), connectivity=4)
        write(one.mask, numbers.astype(np.uint8))


@starts_from(Style("side", seed=27))
def many_numbered_things(root: Path, made: list[Made]) -> None:
    """The same in 16 bits, with numbers that go on from picture to picture."""
    last = 0
    for one in made:
        count, numbers = cv2.connectedComponents(one.classes_HW(), connectivity=4)
        numbers[numbers > 0] += last
        last += count - 1
        write(one.mask, numbers.astype(np.uint16))


@starts_from(SIDE)
def two_brightnesses(root: Path, made: list[Made]) -> None:
    """Three binary masks are 0 and 128, where all others are 0 and 255."""
    for one in made[3:6]:
        write(one.mask, _encoded(one) // 255 * 128)


@starts_from(INDEX)
def bands_that_overlap(root: Path, made: list[Made]) -> None:
    """A band for each class; in two masks the things have grown in each band by itself, into one another."""
    for number, one in enumerate(made):
        bands = np.stack([one.classes_HW() == k for k in range(4)], axis=2).astype(np.uint8) * 255
        one.mask.unlink()
        grown = cv2.dilate(bands, np.ones((3, 3), np.uint8))
        write(one.mask.with_suffix(".tif"), grown if number in (3, 4) else bands)
