"""Charts and pictures show what was measured."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from masksmith.classes import ClassTable, Entry, make_entries
from masksmith.metrics import Confusion, summarize
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
