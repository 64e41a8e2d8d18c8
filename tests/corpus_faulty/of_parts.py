"""Sets whose parts hold the same pictures, pieces of one scene, or nothing."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from corpus_faulty.scenes import Scene, scene
from corpus_faulty.sets import MASKS, PICTURES, Made, Style, add, lay, starts_from, write

BINARY = Style(seed=71)
JPEG = Style("beside", picture="jpeg", mask="index", classes=4, seed=72)
GEO = Style(picture="colour tiff", mask="index", classes=4, seed=73)
TILES = Style(size=(64, 64), count=24, train=16, seed=74)

_PIXEL_M = 0.5


def _same(first: Made, second: Made, shown: Scene | None = None) -> None:
    """The second pair becomes the first, or what is given of it."""
    second.repaint(shown or first.scene)
    shutil.copyfile(first.mask, second.mask)


def _again_as_jpeg(one: Made, quality: int) -> Image.Image:
    kept = io.BytesIO()
    with Image.open(one.image) as image:
        image.convert("RGB").save(kept, "JPEG", quality=quality)
    return Image.fromarray(np.asarray(Image.open(kept)))


@starts_from(BINARY)
def copied(root: Path, made: list[Made]) -> None:
    _same(made[3], made[7])


@starts_from(BINARY)
def copied_as_jpeg(root: Path, made: list[Made]) -> None:
    _same(made[3], made[7])
    write(made[7].image, _again_as_jpeg(made[3], 85))


@starts_from(JPEG)
def copied_with_other_mask(root: Path, made: list[Made]) -> None:
    """One picture under two names, drawn by two people who do not agree."""
    made[7].image.write_bytes(made[3].image.read_bytes())
    mask = made[3].classes_HW()
    mask[mask == 3] = 1
    made[7].remask(mask)


@starts_from(BINARY)
def leak_exact(root: Path, made: list[Made]) -> None:
    _same(made[3], made[14])


@starts_from(BINARY)
def leak_encoded(root: Path, made: list[Made]) -> None:
    _same(made[3], made[14])
    write(made[14].image, _again_as_jpeg(made[3], 90))


@starts_from(JPEG)
def leak_jpeg_again(root: Path, made: list[Made]) -> None:
    _same(made[3], made[14])
    write(made[14].image, _again_as_jpeg(made[3], 40), quality=40)


@starts_from(BINARY)
def leak_brighter(root: Path, made: list[Made]) -> None:
    first = made[3].scene
    _same(made[3], made[14], Scene(np.clip(first.pixels_HWC * 1.2 + 0.03, 0, 1), first.kinds_HW))


@starts_from(BINARY)
def leak_shifted(root: Path, made: list[Made]) -> None:
    """Two cuts of one picture, 3 pixels apart: the scan was taken twice."""
    height, width = BINARY.size
    large = scene(7100, (height + 4, width + 4))
    for one, y, x in ((made[3], 0, 0), (made[14], 2, 3)):
        add(root, BINARY, "train" if one is made[3] else "val", one.image.stem, large.crop(y, x, height, width))


def _crops(root: Path, step_px: int, style: Style) -> None:
    """Two crops of one wide scene, one in each part."""
    height, width = style.size
    wide = scene(7500 + step_px, (height, width + step_px), objects=10)
    made = lay(root, style)
    for one, part, x in ((made[3], "train", 0), (made[14], "val", step_px)):
        add(root, style, part, one.image.stem, wide.crop(0, x, height, width))


def crops_half(root: Path) -> None:
    _crops(root, 48, BINARY)


def crops_third(root: Path) -> None:
    """32 of 96 columns in common."""
    _crops(root, 64, JPEG)


def write_georeferenced(one: Made, left: float, top: float) -> None:
    """The picture as a GeoTIFF whose upper left corner lies there, in metres of UTM zone 16 north."""
    tags = [
        (33550, "d", 3, (_PIXEL_M, _PIXEL_M, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, left, top, 0.0), True),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32616), True),
    ]
    write(one.image, PICTURES["colour tiff"][1](one.scene), extratags=tags)


def _georeferenced(root: Path, wide: Scene | None, step_px: int) -> None:
    """Pictures a kilometre apart, but for two that lie ``step_px`` apart."""
    made = lay(root, GEO)
    height, width = GEO.size
    if wide is not None:
        made[3] = add(root, GEO, "train", "img_003", wide.crop(0, 0, height, width))
        made[14] = add(root, GEO, "val", "img_014", wide.crop(0, step_px, height, width))
    for number, one in enumerate(made):
        write_georeferenced(one, 440_000 + 1000 * number, 3_650_000)
    write_georeferenced(made[14], 440_000 + 1000 * 3 + step_px * _PIXEL_M, 3_650_000)


def geo_overlap(root: Path) -> None:
    _georeferenced(root, scene(7600, (72, 144), objects=10), 48)


def geo_another_day(root: Path) -> None:
    """The same ground, half in common, taken in another season: the pixels do not tell, the coordinates do."""
    _georeferenced(root, None, 48)


def geo_adjacent(root: Path) -> None:
    """Two cuts of one map that touch."""
    _georeferenced(root, scene(7700, (72, 192), objects=12), 96)


def mosaic(rows: int, columns: int, seed: int) -> list[Scene]:
    """The tiles of one large scene, row by row, with nothing between them."""
    side = TILES.size[0]
    whole = scene(seed, (rows * side, columns * side), objects=6 * rows * columns, half=(5, 8))
    return [whole.crop(r * side, c * side, side, side) for r in range(rows) for c in range(columns)]


def _tiles(root: Path, name: str, style: Style = TILES) -> None:
    """Every third tile is for validation: each of them touches tiles to train on."""
    tiles = mosaic(4, 6, 7800)
    places = [(number, *divmod(number, 6)) for number in range(24)]
    for number, row, column in places:
        called = name.format(r=row, c=column, y=64 * row, x=64 * column)
        add(root, style, "val" if number % 3 == 2 else "train", called, tiles[number])


def tiles_by_row_and_column(root: Path) -> None:
    _tiles(root, "mosaic_r{r}_c{c}")


def tiles_by_pixels(root: Path) -> None:
    _tiles(root, "area_x{x:04}_y{y:04}", Style("beside", picture="grey", mask="ones", size=(64, 64)))


def tiles_by_two_numbers(root: Path) -> None:
    _tiles(root, "map_{r:02}_{c:02}", Style(picture="16 bits", size=(64, 64)))


@starts_from(Style("flat", seed=75))
def torn_patient(root: Path, made: list[Made]) -> None:
    """A list that puts one picture of a patient into training and the other into validation."""
    rows = ["image,mask,split,group"]
    for number, one in enumerate(made):
        patient = "p3" if number in {3, 14} else f"p{number}"
        cells = (one.image.relative_to(root), one.mask.relative_to(root), "train" if number < 12 else "val", patient)
        rows.append(",".join(map(str, cells)))
    (root / "list.csv").write_text("\n".join(rows))


def one_picture(root: Path) -> None:
    lay(root, Style("flat", count=1, seed=81))


def one_picture_beside(root: Path) -> None:
    lay(root, Style("side", mask="ones", count=1, seed=82))


@starts_from(Style(seed=83))
def nothing_to_train_on(root: Path, made: list[Made]) -> None:
    """The folders of the train part are there and empty."""
    for one in made[:12]:
        one.image.unlink()
        one.mask.unlink()


@starts_from(Style("beside", seed=84))
def no_train_folder(root: Path, made: list[Made]) -> None:
    for folder in ("train", "train_labels"):
        shutil.rmtree(root / folder)


@starts_from(Style("flat", mask="index", classes=4, seed=85))
def spare_masks(root: Path, made: list[Made]) -> None:
    for one in made[3:5]:
        one.image.unlink()


@starts_from(Style(seed=86))
def spare_masks_in_val(root: Path, made: list[Made]) -> None:
    write(root / "val" / "masks" / "img_077.png", MASKS["binary"](scene(8677).kinds_HW))


@starts_from(Style(seed=87))
def val_without_masks(root: Path, made: list[Made]) -> None:
    shutil.rmtree(root / "val" / "masks")


@starts_from(Style("beside", seed=88))
def valid_without_labels(root: Path, made: list[Made]) -> None:
    shutil.rmtree(root / "val_labels")
    (root / "val").rename(root / "valid")
