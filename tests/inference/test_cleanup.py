"""Cleaning a mask: thresholds, specks and holes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from masksmith.classes import ClassTable, Entry
from masksmith.errors import InputError, RecipeError
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.prediction import Prediction
from masksmith.keys import IGNORE, join_layers


def table(*names: str, overlapping: bool = False) -> ClassTable:
    entries = tuple(Entry(name, (i, i, i), i + overlapping) for i, name in enumerate(names))
    return ClassTable(entries, overlapping=overlapping)


def of(mask: np.ndarray, *names: str, valid: np.ndarray | None = None, second: int | None = None) -> Prediction:
    """0.6 for the class of each pixel, 0.3 for ``second``."""
    mask = mask.astype(np.uint8)
    p = np.full((len(names), *mask.shape), 0.01, np.float32)
    if second is not None:
        p[second] = 0.3
    np.put_along_axis(p, mask[None].astype(np.int64), 0.6, axis=0)
    return Prediction(mask, p, np.zeros((*mask.shape, 1), np.uint8), table(*names), Path("a"), valid_HW=valid)


def test_nothing_is_changed_by_default() -> None:
    mask = np.random.default_rng(0).integers(0, 3, (9, 9))
    np.testing.assert_array_equal(clean(of(mask, "background", "a", "b"), CleanupSettings()).mask_HW, mask)


def test_a_speck_takes_the_most_probable_class_around_it() -> None:
    mask = np.full((8, 8), 1)
    mask[:, 4:] = 2
    mask[4, 3] = 3  # beside both
    mask[0, 0] = 3
    mask[6:8, 0:3] = 3
    got = clean(of(mask, "x", "a", "b", "c", second=2), CleanupSettings(min_object_px=6)).mask_HW
    assert got[4, 3] == 2
    assert got[0, 0] == 1  # the class of its surroundings, though another is more probable
    assert (got[6:8, 0:3] == 3).all()  # 6 pixels are enough


def test_a_speck_of_the_background_stays_and_one_of_another_first_class_goes() -> None:
    mask = np.ones((5, 5))
    mask[2, 2] = 0
    settings = CleanupSettings(min_object_px=4)
    assert clean(of(mask, "background", "a"), settings).mask_HW[2, 2] == 0
    assert clean(of(mask, "water", "a"), settings).mask_HW[2, 2] == 1


def test_specks_in_specks_all_go() -> None:
    mask = np.zeros((9, 9))
    mask[3:6, 3:6] = 1
    mask[4, 4] = 2
    got = clean(of(mask, "background", "a", "b"), CleanupSettings(min_object_px=20)).mask_HW
    assert not got.any()


def test_two_specks_that_become_large_enough_together_stay() -> None:
    mask = np.zeros((7, 9))
    mask[3, 1:4], mask[3, 4:6] = 1, 2
    got = clean(of(mask, "background", "a", "b", second=1), CleanupSettings(min_object_px=4)).mask_HW
    assert (got[3, 1:6] == 1).all()
    assert got.sum() == 5


def test_a_picture_of_specks_alone_ends() -> None:
    mask = np.random.default_rng(0).integers(1, 4, (12, 12))
    got = clean(of(mask, "background", "a", "b", "c"), CleanupSettings(min_object_px=1000)).mask_HW
    assert set(np.unique(got)) <= {1, 2, 3}


def test_holes_are_filled_up_to_their_size_and_inside_one_class() -> None:
    mask = np.zeros((20, 20))
    mask[1:12, 1:12] = 1
    mask[3, 3] = mask[4, 4] = 0  # one hole over the corner, of 2
    mask[6:9, 6:9] = 0  # 9
    mask[5, 0:3] = 0  # open to the outside
    mask[13:18, 3:12] = 1
    mask[13:18, 7:12] = 2
    mask[15, 6:8] = 0  # between two classes
    expected = mask.copy()
    expected[3, 3] = expected[4, 4] = 1
    got = clean(of(mask, "background", "a", "b"), CleanupSettings(fill_holes_px=8)).mask_HW
    np.testing.assert_array_equal(got, expected)
    expected[6:9, 6:9] = 1
    got = clean(of(mask, "background", "a", "b"), CleanupSettings(fill_holes_px=9)).mask_HW
    np.testing.assert_array_equal(got, expected)


def test_a_gap_at_the_edge_of_the_picture_is_no_hole() -> None:
    mask = np.ones((5, 5))
    mask[0, 2] = 0
    assert clean(of(mask, "background", "a"), CleanupSettings(fill_holes_px=5)).mask_HW[0, 2] == 0


def test_a_class_is_taken_where_it_has_its_share_against_each_other() -> None:
    p = np.array([[[0.1, 0.1, 0.5, 0.3]], [[0.6, 0.2, 0.2, 0.3]], [[0.3, 0.7, 0.3, 0.4]]], np.float32)
    prediction = Prediction(
        p.argmax(axis=0).astype(np.uint8), p, np.zeros((1, 4, 1), np.uint8), table("background", "a", "b")
    )
    assert prediction.mask_HW.tolist() == [[1, 2, 0, 2]]
    for thresholds, expected in (
        ({"a": 0.66}, [1, 2, 0, 2]),  # 0.6 of 0.6 + 0.3
        ({"a": 0.67}, [2, 2, 0, 2]),
        ({"a": 0.9}, [2, 2, 0, 2]),
        ({"a": 0.86, "b": 0.76}, [0, 2, 0, 0]),
        ({"b": 0.3}, [2, 2, 2, 2]),  # less than half is enough for it
        ({"a": 0.9, "b": 0.9, "background": 0.9}, [1, 2, 0, 2]),  # all alike is none
        ({"a": 0}, [1, 1, 1, 1]),
        ({"a": 1, "b": 1}, [0, 0, 0, 0]),
    ):
        got = clean(prediction, CleanupSettings(thresholds=thresholds))
        assert got.mask_HW.tolist() == [expected]
        assert got.probabilities_KHW is p


@pytest.mark.parametrize("share", [0, 0.1, 0.25, 0.3, 0.5, 0.7, 1])
def test_of_two_classes_one_is_where_its_probability_is_at_least_the_threshold(share: float) -> None:
    p_N = np.linspace(0, 1, 41).astype(np.float32)
    for index, name in enumerate(("ground", "house")):
        p_KHW = np.stack([1 - p_N, p_N] if index else [p_N, 1 - p_N])[:, None]
        prediction = Prediction(
            p_KHW.argmax(axis=0).astype(np.uint8), p_KHW, np.zeros((1, 41, 1), np.uint8), table("ground", "house")
        )
        got = clean(prediction, CleanupSettings(thresholds={name: share}))
        np.testing.assert_array_equal((got.mask_HW[0] == index), p_N >= np.float32(share))


def test_two_thresholds_for_two_classes_must_be_one() -> None:
    prediction = of(np.array([[0, 1]]), "ground", "house")
    clean(prediction, CleanupSettings(thresholds={"ground": 0.3, "house": 0.7}))
    with pytest.raises(RecipeError, match="one threshold for two classes.*ground=0.3, house=0.3; leave one out"):
        clean(prediction, CleanupSettings(thresholds={"ground": 0.3, "house": 0.3}))


def test_classes_that_overlap_are_cleaned_each_by_itself() -> None:
    p = np.full((2, 9, 9), 0.2, np.float32)
    p[0, 1:8, 1:8] = 0.8
    p[0, 4, 4] = 0.3
    p[0, 0, 8] = 0.9
    p[1, 3:5, 3:5] = 0.6
    prediction = Prediction(join_layers(p >= 0.5), p, np.zeros((9, 9, 1), np.uint8), table("a", "b", overlapping=True))
    got = clean(prediction, CleanupSettings(min_object_px=3, fill_holes_px=1, thresholds={"b": 0.7}))
    assert got.mask_HW.dtype == np.uint16
    assert not got.layer(1).any()
    assert got.layer(0)[4, 4]
    assert not got.layer(0)[0, 8]
    assert got.layer(0).sum() == 49
    assert clean(prediction, CleanupSettings()).mask_HW.tolist() == prediction.mask_HW.tolist()


def test_confidence_is_that_of_the_class_in_the_cleaned_mask() -> None:
    mask = np.ones((8, 8))
    mask[4, 4], mask[0, 0] = 2, 0
    raw = of(mask, "background", "a", "b", second=1)
    got = clean(raw, CleanupSettings(min_object_px=4, thresholds={"a": 0.9}))
    changed = got.mask_HW != mask
    assert changed.any()
    assert not changed.all()
    wanted = [[raw.probabilities_KHW[got.mask_HW[y, x], y, x] for x in range(8)] for y in range(8)]
    np.testing.assert_array_equal(got.confidence_HW, np.array(wanted, np.float32))
    assert got.confidence_HW[4, 4] != raw.confidence_HW[4, 4] == np.float32(0.6)
    p = np.array([[[0.7, 0.6, 0.2]], [[0.3, 0.4, 0.8]]], np.float32)
    two = Prediction(p.argmax(axis=0).astype(np.uint8), p, np.zeros((1, 3, 1), np.uint8), table("no", "yes"))
    np.testing.assert_array_equal(two.confidence_HW, p.max(axis=0))
    cleaned = clean(two, CleanupSettings(thresholds={"yes": 0.4}))
    np.testing.assert_array_equal(cleaned.confidence_HW, np.array([[0.7, 0.4, 0.8]], np.float32))
    ignored = replace(two, mask_HW=np.array([[IGNORE, 0, 1]], np.uint8))
    np.testing.assert_array_equal(ignored.confidence_HW, np.array([[0, 0.6, 0.8]], np.float32))


def test_what_is_no_pixel_is_neither_changed_nor_a_neighbour() -> None:
    mask = np.full((6, 6), 1)
    mask[:, 3:] = 2
    mask[2, 2] = 0
    valid = np.ones((6, 6), bool)
    valid[:, 3:] = False
    prediction = of(mask, "water", "a", "b", valid=valid, second=2)
    got = clean(prediction, CleanupSettings(min_object_px=3)).mask_HW
    assert got[2, 2] == 1
    np.testing.assert_array_equal(got[:, 3:], mask[:, 3:])


def test_wrong_settings_are_one_sentence() -> None:
    for wrong in ({"min_object_px": -1}, {"fill_holes_px": -2}, {"thresholds": {"a": 1.5}}):
        with pytest.raises(InputError):
            CleanupSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match='did you mean "cell"'):
        clean(of(np.zeros((2, 2)), "background", "cell"), CleanupSettings(thresholds={"cel": 0.5}))
