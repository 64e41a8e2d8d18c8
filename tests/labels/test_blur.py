"""Pins down blur: smoothed and compressed masks are told from thin classes and from photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from masksmith.classes import pack, unpack
from masksmith.labels import LabelSource, MaskScan, RawMask, blur, scan

U8 = np.ndarray
COLORS = np.array([(0, 0, 0), (230, 60, 30), (40, 200, 90)], np.uint8)


def discs(size: int = 128) -> U8:
    """Class of each pixel: the background and two discs."""
    y, x = np.mgrid[0:size, 0:size]
    found = np.zeros((size, size), np.uint8)
    found[(y - 40) ** 2 + (x - 45) ** 2 < 900] = 1
    found[(y - 85) ** 2 + (x - 85) ** 2 < 1200] = 2
    return found


def grey_scan(values: U8, name: str = "m.png") -> MaskScan:
    return scan(RawMask(values), LabelSource((Path(name),)))


def color_scan(pixels: U8, name: str = "m.png") -> MaskScan:
    return scan(RawMask(None, pixels), LabelSource((Path(name),)))


def through_jpeg(pixels: U8, quality: int, path: Path) -> U8:
    Image.fromarray(pixels).save(path, quality=quality)
    with Image.open(path) as image:
        return np.asarray(image)


GREYS = np.array([0, 120, 255], np.uint8)


def shrunk(pixels: U8) -> U8:
    return cv2.resize(pixels, (100, 90), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("smooth", [lambda p: cv2.GaussianBlur(p, (0, 0), 1.0), shrunk], ids=["blurred", "resized"])
def test_antialiased_masks_are_blurred_and_their_classes_known(smooth: Callable[[U8], U8]) -> None:
    grey = grey_scan(smooth(GREYS[discs()]))
    assert blur.is_blurred([grey])
    assert sorted(blur.main_keys([grey])) == [0, 120, 255]
    color = color_scan(smooth(COLORS[discs()]))
    assert blur.is_blurred([color])
    assert {unpack(k) for k in blur.main_keys([color])} == {tuple(c) for c in COLORS.tolist()}


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_masks_are_blurred_and_their_classes_near(tmp_path: Path, quality: int) -> None:
    grey = grey_scan(through_jpeg(GREYS[discs()], quality, tmp_path / "m.jpg"), "m.jpg")
    assert blur.is_blurred([grey])
    assert np.abs(np.sort(blur.main_keys([grey])) - GREYS).max() <= 8
    color = color_scan(through_jpeg(COLORS[discs()], quality, tmp_path / "m.jpg"), "m.jpg")
    assert blur.is_blurred([color])
    main = blur.main_keys([color])
    assert len(main) == 3
    for wanted in COLORS.astype(int):
        assert min(np.abs(np.array(unpack(k)) - wanted).max() for k in main) <= 12


def test_jpeg_is_told_after_it_was_saved_as_png(tmp_path: Path) -> None:
    assert blur.is_blurred([grey_scan(through_jpeg(GREYS[discs()], 75, tmp_path / "m.jpg"), "m.png")])


def test_sharp_masks_are_not_blurred() -> None:
    for one in (grey_scan(discs()), grey_scan(GREYS[discs()]), color_scan(COLORS[discs()])):
        assert not blur.is_blurred([one])
    assert not blur.is_blurred([grey_scan(GREYS[discs()], "m.jpg")])  # some programs keep JPEG sharp


@pytest.mark.parametrize("thickness", [1, 2])
@pytest.mark.parametrize("classes", [1, 2])
def test_thin_classes_are_no_blur(thickness: int, classes: int) -> None:
    mask = discs()
    for value in range(3, 3 + classes):  # wires, cracks, contours: never a patch of 3 x 3
        for row in range(3):
            y = 10 * value + 40 * row
            mask[y : y + thickness] = value
    assert all(v not in grey_scan(mask).solid for v in range(3, 3 + classes))
    assert not blur.is_blurred([grey_scan(mask)])


def test_contours_around_things_are_no_blur() -> None:
    mask = discs()
    edge = cv2.dilate(mask, np.ones((3, 3), np.uint8)) != cv2.erode(mask, np.ones((3, 3), np.uint8))
    mask[edge] = 255
    assert not blur.is_blurred([grey_scan(mask)])


def test_photographs_are_no_blurred_masks() -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (128, 128)), (0, 0), 4.0)
    photo = np.clip(128 + 300 * smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    assert not blur.is_blurred([grey_scan(photo, "m.png")])
    assert not blur.is_blurred([grey_scan(photo, "m.jpg")])
    assert not blur.is_blurred([color_scan(np.dstack([photo, photo[::-1], photo.T]), "m.jpg")])


def test_all_masks_are_looked_at_together() -> None:
    soft = cv2.GaussianBlur(GREYS[discs()], (0, 0), 1.0)
    sharp = grey_scan(np.zeros((64, 64), np.uint8))
    assert blur.is_blurred([sharp, grey_scan(soft), sharp])
    assert not blur.is_blurred([])


def test_grey_masks_among_colour_ones_count_as_greys() -> None:
    black = grey_scan(np.zeros((32, 32), np.uint8))
    black = MaskScan(black.path, black.values, {0: 1024}, distinct=1, solid=black.solid)
    found = blur.main_keys([color_scan(COLORS[discs()]), black])
    assert {unpack(k) for k in found} == {tuple(c) for c in COLORS.tolist()}


def test_cleared_scans_hold_the_classes_alone() -> None:
    soft = color_scan(cv2.GaussianBlur(COLORS[discs()], (0, 0), 1.0))
    (cleared,) = blur.cleared([soft])
    assert set(cleared.colors or {}) == {pack(c) for c in COLORS.tolist()}
    (cleared,) = blur.cleared([grey_scan(cv2.GaussianBlur(GREYS[discs()], (0, 0), 1.0))])
    assert set(cleared.values or {}) == {0, 120, 255}


@pytest.mark.parametrize(
    ("name", "lossy"), [("m.jpg", True), ("m.JPEG", True), ("m.webp", True), ("m.png", False), ("m.tif", False)]
)
def test_formats_that_lose_what_is_sharp(name: str, lossy: bool) -> None:
    assert blur.is_lossy(Path(name)) == lossy


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_says_itself_whether_it_loses(tmp_path: Path, lossless: bool) -> None:
    Image.fromarray(COLORS[discs(64)]).save(tmp_path / "m.webp", lossless=lossless)
    assert blur.is_lossy(tmp_path / "m.webp") != lossless


def ladder(values: list[int]) -> U8:
    """A band of each value, one beside the other, with edges inside the blocks of JPEG."""
    return np.repeat(np.repeat(np.array([values], np.uint8), 37, axis=1), 160, axis=0)


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("values", [[0, 30, 60, 90], [0, 36, 72, 108, 144], [0, 20, 40, 255]])
def test_classes_less_than_41_apart_are_told_apart(tmp_path: Path, values: list[int], quality: int) -> None:
    soft = grey_scan(through_jpeg(ladder(values), quality, tmp_path / "m.jpg"), "m.jpg")
    assert blur.is_blurred([soft])
    assert np.abs(np.sort(blur.main_keys([soft])) - values).max() <= 3
    assert not blur.is_doubtful([soft])


@pytest.mark.parametrize("values", [[0, 10, 120, 255], [0, 1, 2, 255], [0, 112, 128, 144]])
def test_classes_as_near_as_noise_are_doubtful(tmp_path: Path, values: list[int]) -> None:
    soft = grey_scan(through_jpeg(ladder(values), 90, tmp_path / "m.jpg"), "m.jpg")
    assert len(blur.main_keys([soft])) < 4
    assert blur.is_doubtful([soft])


def test_a_rare_class_is_doubtful(tmp_path: Path) -> None:
    rare = np.zeros((160, 160), np.uint8)
    rare[:80], rare[100:120, 20:40] = 255, 128
    usual = grey_scan(through_jpeg(ladder([0, 255]), 90, tmp_path / "m.jpg"), "m.jpg")
    odd = grey_scan(through_jpeg(rare, 90, tmp_path / "n.jpg"), "n.jpg")
    many = [usual] * 60
    assert not blur.is_doubtful(many)
    assert sorted(blur.main_keys([*many, odd])) == [0, 255]
    assert blur.is_doubtful([*many, odd])


@pytest.mark.parametrize("quality", [50, 75, 90])
def test_noise_of_discs_is_not_doubtful(tmp_path: Path, quality: int) -> None:
    grey = [through_jpeg(np.roll(GREYS[discs()], n, axis=(0, 1)), quality, tmp_path / "m.jpg") for n in range(8)]
    assert not blur.is_doubtful([grey_scan(one, "m.jpg") for one in grey])
    color = [through_jpeg(np.roll(COLORS[discs()], n, axis=(0, 1)), quality, tmp_path / "m.jpg") for n in range(8)]
    assert not blur.is_doubtful([color_scan(one, "m.jpg") for one in color])
    assert not blur.is_doubtful([])
