"""Pins down fingerprint: sums over all training pixels, and counts of classes by part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith import labels
from masksmith.classes import IGNORE, ClassTable, Entry, make_entries
from masksmith.data.facts import MaskFacts, PairFacts, PictureFacts, sums
from masksmith.data.fingerprint import Fingerprint, summarize
from masksmith.data.pairing import Pair
from masksmith.data.things import Things
from masksmith.labels import LabelSource, RawMask

TABLE = ClassTable(make_entries(["a", "b", "c"])).ignoring([IGNORE])
PAIR = Pair("p", (Path("p.png"),), LabelSource((Path("m.png"),)))
One = tuple[str, PairFacts]


def facts(split: str, pixels: np.ndarray, mask: np.ndarray, things: dict[int, Things] | None = None) -> One:
    total, square, count = sums(pixels)
    numbers = (total.tolist(), square.tolist(), count.tolist())
    picture = PictureFacts(*pixels.shape, str(pixels.dtype), 0, *numbers, 0, 0, 0, 0, b"", b"", b"", b"")
    scan = labels.scan(RawMask(mask), PAIR.label)
    return split, PairFacts(picture, MaskFacts(*mask.shape, scan, things or {}, None, False))


def summed(*seen: One) -> Fingerprint:
    found = summarize([(PAIR, f) for _, f in seen], [split for split, _ in seen], TABLE)
    assert found is not None
    return found


@given(st.integers(0, 99), st.integers(1, 4))
def test_statistics_are_those_of_all_pixels_together(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [
        rng.integers(0, 65536, (int(rng.integers(1, 9)), int(rng.integers(1, 9)), channels), np.uint16)
        for _ in range(4)
    ]
    found = summed(*(facts("train", p, np.zeros(p.shape[:2], np.uint8)) for p in pictures)).preprocessing
    together = np.concatenate([p.reshape(-1, channels) for p in pictures]).astype(np.float64)
    assert found.mean == pytest.approx(together.mean(axis=0))
    deviation = together.std(axis=0)
    assert found.std == pytest.approx(np.where(deviation > 0, deviation, 1.0), rel=1e-6)
    assert (found.channels, found.dtype) == (channels, "uint16")


def two_parts() -> Fingerprint:
    train, test = np.full((2, 5, 1), 10, np.uint8), np.full((4, 3, 1), 200, np.uint8)
    train[0, 0] = 30
    train_mask, test_mask = np.zeros((2, 5), np.uint8), np.full((4, 3), 2, np.uint8)
    train_mask[0, :2], test_mask[0] = 1, IGNORE
    return summed(facts("train", train, train_mask), facts("test", test, test_mask))


def test_statistics_come_from_the_training_part_alone() -> None:
    found = two_parts()
    assert found.preprocessing.mean == (12.0,)
    assert found.preprocessing.std == (6.0,)
    assert found.train_sizes == ((2, 5),)


def test_class_pixels_and_pictures_by_part() -> None:
    found = two_parts()
    assert found.class_pixels == {"train": [8, 2, 0, 0], "test": [0, 0, 9, 3]}
    assert found.class_pictures == {"train": [1, 1, 0], "test": [0, 0, 1]}
    assert found.pictures == {"train": 1, "test": 1}
    assert found.sizes == {(2, 5): 1, (4, 3): 1}


def test_without_a_training_part_all_pictures_count() -> None:
    pixels, mask = np.full((2, 2, 1), 8, np.uint8), np.zeros((2, 2), np.uint8)
    assert summed(facts("test", pixels, mask), facts("val", pixels // 2, mask)).preprocessing.mean == (6.0,)


def test_what_is_no_number_is_left_out_of_the_sums() -> None:
    total, square, count = sums(np.array([[[1.0], [np.nan], [3.0], [np.inf]]], np.float32))
    assert (total.tolist(), square.tolist(), count.tolist()) == ([4.0], [10.0], [2.0])
    empty = summed(facts("train", np.full((2, 2, 1), np.nan, np.float32), np.zeros((2, 2), np.uint8)))
    assert (empty.preprocessing.mean, empty.preprocessing.std) == ((0.0,), (1.0,))


def test_grey_among_color_counts_in_every_channel() -> None:
    mask = np.zeros((1, 1), np.uint8)
    found = summed(
        facts("train", np.full((1, 1, 1), 9, np.uint8), mask), facts("train", np.array([[[1, 2, 3]]], np.uint8), mask)
    )
    assert found.preprocessing.mean == (5.0, 5.5, 6.0)


@pytest.mark.parametrize(
    ("sizes", "median"), [({(10, 20): 1}, 10), ({(10, 20): 1, (30, 5): 3}, 5), ({(8, 9): 2, (50, 40): 3}, 40)]
)
def test_median_of_the_shorter_side(sizes: dict[tuple[int, int], int], median: int) -> None:
    assert Fingerprint({}, sizes, two_parts().preprocessing, (), (), {}, {}).median_side == median


def test_what_could_not_be_read_or_does_not_fit_is_left_out() -> None:
    pixels, mask = np.full((2, 2, 1), 8, np.uint8), np.zeros((2, 2), np.uint8)
    split, sound = facts("train", pixels, mask)
    _, other = facts("train", pixels * 9, np.zeros((3, 2), np.uint8))
    found = summed((split, sound), (split, other), (split, replace(sound, mask=None)), (split, PairFacts(None, None)))
    assert found.pictures == {"train": 1}
    assert found.preprocessing.mean == (8.0,)
    assert summarize([(PAIR, other)], ["train"], TABLE) is None


def test_things_of_a_class_add_up_over_the_pictures() -> None:
    pixels, mask = np.full((4, 4, 1), 8, np.uint8), np.zeros((4, 4), np.uint8)
    mask[0], mask[2] = 1, 1
    one = facts("train", pixels, mask, {1: Things(2, 4.0, 1.0, [10.0], [104.0])})
    mask = np.ones((4, 4), np.uint8)
    two = facts("train", pixels, mask, {1: Things(1, 16.0, 4.0, [40.0], [1600.0])})
    far = facts("test", pixels, mask, {1: Things(3, 6.0, 4.0, [200.0], [40000.0])})
    found = summed(one, two, far).classes
    assert [c.things for c in found] == [0, 6, 0]
    assert found[1].thing_area_px == 6.0  # the median of 4, 16 and 6
    assert found[1].width_px == pytest.approx((8 * 1 + 16 * 4 + 16 * 4) / 40)
    # Of the training pictures alone: 8 pixels of mean 10 and deviation 2, 16 of 40 and none.
    assert found[1].mean_C == pytest.approx((30.0,))
    assert found[1].std_C == pytest.approx((((8 * 104 + 16 * 1600) / 24 - 900) ** 0.5,))
    assert (found[0].mean_C, found[0].width_px) == ((), 0.0)


def test_spacing_is_the_median_side_of_a_pixel() -> None:
    mask = np.zeros((2, 10), np.uint8)
    seen = []
    for width in (5.0, 20.0, 100.0):
        split, one = facts("train", np.full((2, 10, 1), 8, np.uint8), mask)
        assert one.picture is not None
        placed = replace(one.picture, bounds=(1000.0, 0.0, 1000.0 + width, 1.0), epsg=32632)
        seen.append((split, replace(one, picture=placed)))
    assert summed(*seen).spacing == 2.0
    assert two_parts().spacing is None


def test_pixels_of_ignored_classes_are_counted_last() -> None:
    found = summed(facts("train", np.zeros((1, 4, 1), np.uint8), np.array([[0, 1, 1, IGNORE]], np.uint8)))
    assert found.class_pixels == {"train": [1, 2, 0, 1]}


def test_the_pixels_of_each_training_picture_and_how_light_differs() -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    mask = np.zeros((4, 4), np.uint8)
    mask[0, :3] = 1
    parts = [facts("train", level * pixels, mask * (level == 2)) for level in (1, 2, 4)]
    found = summed(*parts, facts("val", pixels, mask))
    assert found.train_pixels == ((16, 0, 0), (13, 3, 0), (16, 0, 0))
    means = np.array([7.5, 15, 30])
    inside = np.mean([np.var(level * pixels) for level in (1, 2, 4)])
    assert found.light[0] == pytest.approx(means.std() / np.sqrt(inside + means.var()))
    assert found.light[1] == pytest.approx(np.log([1, 2, 4]).std())
    assert summed(facts("train", pixels, mask)).light == (0.0, 0.0)


def test_a_single_colour_picture_in_another_part_makes_all_count_as_colour() -> None:
    mask = np.zeros((1, 1), np.uint8)
    grey, colour = np.full((1, 1, 1), 9, np.uint8), np.array([[[1, 2, 3]]], np.uint8)
    found = summed(facts("train", grey, mask), facts("test", colour, mask)).preprocessing
    assert (found.channels, found.mean) == (3, (9.0, 9.0, 9.0))


@pytest.mark.parametrize("from_palette", [True, False])
def test_things_are_found_where_the_table_knows_masks_by_their_colours(from_palette: bool) -> None:
    values = np.array([[4, 4, 7, 7]], np.uint8)
    greys = np.repeat(values[..., None], 3, axis=2)
    colours = np.where(values[..., None] == 4, (255, 0, 0), (0, 0, 255)).astype(np.uint8)
    raw = RawMask(values, colours if from_palette else greys, from_palette=from_palette)
    things = {4: Things(3, 2.0, 1.0, [10.0], [100.0]), 7: Things(5, 2.0, 1.0, [20.0], [400.0])}
    split, one = facts("train", np.zeros((1, 4, 1), np.uint8), values)
    seen = replace(one, mask=MaskFacts(1, 4, labels.scan(raw, PAIR.label), things, None, False))
    second, first = ((0, 0, 255), (255, 0, 0)) if from_palette else ((7, 7, 7), (4, 4, 4))
    table = ClassTable((Entry("b", second, 0), Entry("a", first, 1)), "color")
    found = summarize([(PAIR, seen)], [split], table)
    assert found is not None
    assert [c.things for c in found.classes] == [5, 3]
    assert [c.mean_C for c in found.classes] == [(20.0,), (10.0,)]
    assert found.class_pixels == {"train": [2, 2, 0]}


def test_each_of_a_thousand_numbered_things_counts() -> None:
    numbers = np.arange(1000, dtype=np.uint16).reshape(20, 50)
    numbers[:2] = 0
    split, one = facts("train", np.zeros((20, 50, 1), np.uint8), numbers)
    found = summarize([(PAIR, one)], [split], ClassTable(make_entries(["background", "cell"], [0, 1]), "instances"))
    assert found is not None
    assert found.class_pixels == {"train": [100, 900, 0]}
