"""Charts and pictures show what was measured."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from masksmith.classes import IGNORE, ClassTable, Entry, make_entries
from masksmith.metrics import Confusion, summarize
from masksmith.outputs import overlay
from masksmith.outputs.overlay import blend, show, tints
from masksmith.report import figures, summary

TABLE = ClassTable(make_entries(["ground", "house"]))


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def test_a_difference_shows_extra_missed_and_ignored() -> None:
    truth = np.array([[0, 0, 1, 1, 255]], np.uint8)
    predicted = np.array([[0, 1, 0, 1, 0]], np.uint8)
    right, extra, missed, right_too, out = figures.difference(truth, predicted, 2)[0].tolist()
    assert right == right_too
    assert len({tuple(c) for c in (right, extra, missed, out)}) == 4


def test_every_chart_is_a_picture() -> None:
    counts = Confusion(2)
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    counts.add(truth, np.array([[0, 1, 1, 1]], np.uint8))
    log = [{"step": 1.0, "loss": 0.5, "miou": None}, {"step": 2.0, "loss": 0.4, "miou": 0.7}]
    pixels = np.zeros((30, 40, 1), np.uint8)
    mask = np.zeros((30, 40), np.uint8)
    for png in (
        figures.curves(log),
        figures.confusion(summarize(counts, TABLE.names)),
        figures.samples([("a", pixels, mask, mask)], TABLE),
    ):
        assert min(size_of(png)) > 100


def test_a_confusion_matrix_of_very_many_classes_is_no_larger_than_of_forty() -> None:
    sizes = {}
    for count in (30, 40, 41, 255):
        counts = Confusion(count)
        mask = np.arange(count, dtype=np.uint8)[None]
        counts.add(mask, mask)
        sizes[count] = size_of(figures.confusion(summarize(counts, [f"class {k}" for k in range(count)])))
    assert sizes[30] < sizes[40] == sizes[41] == sizes[255]
    assert max(sizes[40]) < 2500


def test_names_with_dollars_are_no_mathematics() -> None:
    table = ClassTable(make_entries(["$1%$", r"a\$_$"]))
    counts = Confusion(2)
    mask = np.array([[0, 1]], np.uint8)
    counts.add(mask, mask)
    assert min(size_of(figures.confusion(summarize(counts, table.names)))) > 100
    assert min(size_of(figures.samples([("tile_$x_$y.png", mask[..., None], mask, mask)], table))) > 100


def test_a_table_says_na_for_a_class_that_does_not_occur() -> None:
    counts = Confusion(2)
    counts.add(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    rows = summary.lines(summarize(counts, TABLE.names))
    assert rows[0] == ["ground", "1.000", "1.000", "1.000", "1.000", "100.0 %"]
    assert rows[1][:5] == ["house", "n/a", "n/a", "n/a", "n/a"]
    assert rows[2][1] == "1.000"


def test_an_overlay_leaves_a_black_background_clear_and_tints_the_rest() -> None:
    rgb = np.full((9, 9, 3), 100, np.uint8)
    mask = np.zeros((9, 9), np.uint8)
    mask[3:6, 3:6] = 1
    out = blend(rgb, mask, TABLE)
    assert out[0, 0].tolist() == [100, 100, 100]
    assert out[4, 4].tolist() == [int(100 * 0.55 + c * 0.45) for c in TABLE.classes[1].color]
    assert out[3, 4].tolist() == list(TABLE.classes[1].color)
    assert rgb[4, 4].tolist() == [100, 100, 100]


def test_grey_classes_on_a_grey_picture_get_a_colour_that_is_seen() -> None:
    table = ClassTable((Entry("cell", (0, 0, 0), 0), Entry("membrane", (255, 255, 255), 1)))
    grey, colored = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), (100, 90, 80), np.uint8)
    assert tints(colored, table) == [(0, 0, 0), (255, 255, 255)]
    background, membrane = tints(grey, table)
    assert background == (0, 0, 0)
    assert len(set(membrane)) > 1
    mask = np.ones((4, 4), np.uint8)
    assert len(set(blend(grey, mask, table)[2, 2].tolist())) > 1


def test_16_bit_pictures_are_stretched_to_be_seen() -> None:
    ramp = np.linspace(1000, 3000, 400).reshape(20, 20, 1).astype(np.uint16)
    shown = show(ramp)
    assert shown.dtype == np.uint8
    assert shown.shape == (20, 20, 3)
    assert shown.min() == 0
    assert shown.max() == 255
    grey = np.full((2, 2, 1), 77, np.uint8)
    assert (show(grey) == 77).all()


def heights(nodata: float) -> tuple[np.ndarray, np.ndarray]:
    """From 200 to 800, and where they are valid."""
    found = np.linspace(200, 800, 400, dtype=np.float32).reshape(20, 20, 1)
    found[:2] = nodata
    return found, found[..., 0] != nodata


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("nodata", [-9999.0, float(np.finfo(np.float32).min), 99999.0])
def test_nodata_does_not_decide_what_is_black_and_white(nodata: float) -> None:
    pixels, valid = heights(nodata)
    assert np.ptp(show(pixels)[valid]) < 30
    assert np.ptp(show(pixels, valid)[valid]) == 255
    np.testing.assert_array_equal(show(pixels, np.zeros_like(valid)), show(pixels))


def test_samples_do_not_look_at_ignored_pixels() -> None:
    drawn = []
    for nodata in (-9999, -5000):
        pixels, valid = heights(nodata)
        truth = np.where(valid, 1, IGNORE).astype(np.uint8)
        drawn.append(figures.samples([("a", pixels, truth, truth)], TABLE))
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("overlapping", [False, True])
def test_an_overlay_is_blended_band_by_band(monkeypatch: pytest.MonkeyPatch, overlapping: bool) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (600, 500, 3)).astype(np.uint8)
    table = ClassTable(make_entries(["a", "b", "c"], [1, 2, 3]), overlapping=True) if overlapping else TABLE
    mask = rng.integers(0, 8, (60, 50)).repeat(10, 0).repeat(10, 1).astype(np.uint16)
    mask = mask if overlapping else (mask % 2).astype(np.uint8)
    monkeypatch.setattr(overlay, "_BAND_PIXELS", rgb.size)
    whole = blend(rgb, mask, table)
    monkeypatch.setattr(overlay, "_BAND_PIXELS", 500 * 7)
    tracemalloc.start()
    parts = blend(rgb, mask, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(parts, whole)
    assert peak < 8 * mask.size
