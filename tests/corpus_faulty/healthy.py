"""Healthy sets of many kinds, the odd ones among them: whatever is said of them is a false alarm, notes aside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from corpus_faulty.of_files import drawing
from corpus_faulty.of_parts import GEO, TILES, mosaic, write_georeferenced
from corpus_faulty.scenes import Scene, backdrop, paint, scene
from corpus_faulty.sets import Make, Style, add, lay, write


def plain(style: Style) -> Make:
    """A set of this style with nothing special about it."""

    def make(root: Path) -> None:
        lay(root, style)

    return make


def outlines_beside(root: Path) -> None:
    """LabelMe's rectangles."""
    for one in lay(root, Style("side", seed=201)):
        one.mask.unlink()
        one.image.with_suffix(".json").write_text(json.dumps(drawing(one)), encoding="utf-8")


def rims_ignored(root: Path) -> None:
    """Index masks with 255 around the objects, as in PASCAL VOC."""
    for one in lay(root, Style(mask="index", classes=4, seed=202)):
        mask = one.classes_HW()
        rim = cv2.morphologyEx((mask > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        mask[rim > 0] = 255
        one.remask(mask)


def drawn_generously(root: Path) -> None:
    """Masks a pixel or two wider than the objects, as hands draw them."""
    for number, one in enumerate(lay(root, Style("flat", seed=203))):
        wider = 3 + 2 * (number % 2)
        one.remask(cv2.dilate(one.classes_HW(), np.ones((wider, wider), np.uint8)).astype(np.uint8))


def many_sizes(root: Path) -> None:
    sizes = [(64 + 4 * (i % 8), 80 + 8 * (i % 5)) for i in range(18)]
    lay(root, Style(mask="index", classes=4), [scene(20400 + i, size) for i, size in enumerate(sizes)])


def grey_among_colour(root: Path) -> None:
    for one in lay(root, Style("beside", seed=205))[::6]:
        with Image.open(one.image) as image:
            write(one.image, image.convert("L"))


def dark_objects(root: Path) -> None:
    """Dark cells on a bright field."""
    shown = [scene(20600 + i) for i in range(18)]
    lay(root, Style(picture="grey", mask="bit"), [Scene(1 - s.pixels_HWC, s.kinds_HW) for s in shown])


def mostly_foreground(root: Path) -> None:
    """The class is the ground that objects lie on, about three quarters of each picture."""
    shown = [scene(20700 + i, only=(3,)) for i in range(18)]
    made = lay(root, Style("side", mask="ones"), shown)
    for one in made:
        one.remask(1 - one.classes_HW())


def few_and_small(root: Path) -> None:
    """Defects on a surface: half of the pictures have none, and the others little."""
    shown = [scene(20800 + i, objects=0 if i % 2 else 2, half=(3, 5)) for i in range(18)]
    lay(root, Style("flat"), shown)


def a_rare_class(root: Path) -> None:
    """Squares in each fourth picture only."""
    shown = [scene(20900 + i, only=(1, 2, 3) if i % 4 == 0 else (1, 2)) for i in range(18)]
    lay(root, Style(mask="color", classes=4, table=True), shown)


def organs(root: Path) -> None:
    """One patch of each class, or none where the cut does not meet it, as with organs in slices."""
    only = [(1, 2, 3), (1, 2, 3), (1, 3), (1, 2)]
    shown = [scene(22000 + i, objects=len(only[i % 4]), only=only[i % 4]) for i in range(18)]
    lay(root, Style("flat", picture="grey", mask="index", classes=4), shown)


def films(root: Path) -> None:
    """Two films by a camera that stands still, one in each part; things move by a few pixels a frame."""
    for part, seed, frames, start in (("train", 210, 12, (24, 14)), ("val", 211, 6, (58, 20))):
        rng = np.random.default_rng(seed)
        ground = backdrop((72, 96), rng)
        for frame in range(frames):
            kinds = np.zeros((72, 96), np.uint8)
            cv2.circle(kinds, (start[1] + 6 * frame, start[0]), 9, (1,), -1)
            top = 70 - start[0] + (-2 if part == "train" else 2) * frame
            kinds[top : top + 12, 60:72] = 3
            add(root, Style(), part, f"film{seed}_{frame:04}", Scene(paint(ground, kinds, rng), kinds))


def parts_under_one_camera(root: Path) -> None:
    """A workpiece in the same place each time, give or take a pixel; the defects differ."""
    rng = np.random.default_rng(219)
    ground = backdrop((76, 100), rng)
    cv2.circle(ground, (50, 38), 30, (0.55, 0.52, 0.5), 3)
    for number in range(18):
        y, x = (int(v) for v in rng.integers(0, 4, 2))
        kinds = scene(21900 + number, objects=3, half=(5, 8)).kinds_HW
        shown = Scene(paint(ground[y : y + 72, x : x + 96] * rng.uniform(0.95, 1.05), kinds, rng), kinds)
        add(root, Style(), "train" if number < 12 else "val", f"part_{number:03}", shown)


def tiles_apart(root: Path) -> None:
    """A mosaic whose rows 0 to 2 are for training and row 4 for validation."""
    tiles = mosaic(5, 6, 21200)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, 6)
        if row != 3:
            add(root, TILES, "train" if row < 3 else "val", f"mosaic_r{row}_c{column}", tile)


def maps_apart(root: Path) -> None:
    """Georeferenced pictures, a kilometre between each and the next."""
    for number, one in enumerate(lay(root, replace(GEO, seed=213))):
        write_georeferenced(one, 500_000 + 1000 * number, 3_700_000)


def turned_by_cameras(root: Path) -> None:
    """JPEG files that are stored lying and are to be shown upright, with upright masks."""
    for one in lay(root, Style(picture="jpeg", mask="index", classes=4, seed=214))[::3]:
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90° clockwise to show
        with Image.open(one.image) as image:
            write(one.image, image.transpose(Image.Transpose.ROTATE_90), exif=exif)


def edges_of_a_flight(root: Path) -> None:
    """A third of some pictures is black, where the aeroplane did not look."""
    for one in lay(root, Style("flat", picture="colour tiff", mask="palette", classes=4, seed=215))[::4]:
        pixels, mask = one.scene.pixels_HWC.copy(), one.classes_HW()
        pixels[:, :30], mask[:, :30] = 0, 0
        one.repaint(Scene(pixels, one.scene.kinds_HW))
        one.remask(mask)


def day_and_night(root: Path) -> None:
    """Exposure differs much from picture to picture."""
    shown = [scene(21600 + i) for i in range(18)]
    gains = [(1.0, 0.35, 0.6)[i % 3] for i in range(18)]
    lay(
        root, Style(picture="16 bits"), [Scene(s.pixels_HWC * g, s.kinds_HW) for s, g in zip(shown, gains, strict=True)]
    )


def gaps_in_measurement(root: Path) -> None:
    """Float pictures with not-a-number where nothing was measured."""
    for one in lay(root, Style("flat", picture="float", mask="index", classes=4, seed=217))[::3]:
        pixels = one.scene.pixels_HWC.copy()
        pixels[:6, :20] = np.nan
        one.repaint(Scene(pixels, one.scene.kinds_HW))


def no_masks_to_test_on(root: Path) -> None:
    """The test part has pictures only, as competitions give it out."""
    lay(root, Style(seed=218))
    for number in range(4):
        add(root, Style(seed=218), "test", f"unseen_{number}", scene(21800 + number)).mask.unlink()
    (root / "test" / "masks").rmdir()
