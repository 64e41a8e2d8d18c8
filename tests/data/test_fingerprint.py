"""Pins down fingerprint: sums over all training pixels, and counts of classes by part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.classes import IGNORE
from masksmith.data.fingerprint import Fingerprint, PairFacts, count_classes, summarize, sums


def facts(split: str, pixels: np.ndarray, mask: np.ndarray) -> PairFacts:
    return PairFacts(split, *pixels.shape, str(pixels.dtype), *sums(pixels), count_classes(mask, 3))


@given(st.integers(0, 99), st.integers(1, 4))
def test_statistics_are_those_of_all_pixels_together(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [
        rng.integers(0, 65536, (int(rng.integers(1, 9)), int(rng.integers(1, 9)), channels), np.uint16)
        for _ in range(4)
    ]
    found = summarize([facts("train", p, np.zeros(p.shape[:2], np.uint8)) for p in pictures]).preprocessing
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
    return summarize([facts("train", train, train_mask), facts("test", test, test_mask)])


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
    assert summarize([facts("test", pixels, mask), facts("val", pixels // 2, mask)]).preprocessing.mean == (6.0,)


def test_what_is_no_number_is_left_out_of_the_sums() -> None:
    total, square, count = sums(np.array([[[1.0], [np.nan], [3.0], [np.inf]]], np.float32))
    assert (total.tolist(), square.tolist(), count.tolist()) == ([4.0], [10.0], [2.0])
    empty = summarize([facts("train", np.full((2, 2, 1), np.nan, np.float32), np.zeros((2, 2), np.uint8))])
    assert (empty.preprocessing.mean, empty.preprocessing.std) == ((0.0,), (1.0,))


def test_grey_among_color_counts_in_every_channel() -> None:
    mask = np.zeros((1, 1), np.uint8)
    found = summarize(
        [facts("train", np.full((1, 1, 1), 9, np.uint8), mask), facts("train", np.array([[[1, 2, 3]]], np.uint8), mask)]
    )
    assert found.preprocessing.mean == (5.0, 5.5, 6.0)


@pytest.mark.parametrize(
    ("sizes", "median"), [({(10, 20): 1}, 10), ({(10, 20): 1, (30, 5): 3}, 5), ({(8, 9): 2, (50, 40): 3}, 40)]
)
def test_median_of_the_shorter_side(sizes: dict[tuple[int, int], int], median: int) -> None:
    assert Fingerprint({}, sizes, two_parts().preprocessing, (), {}, {}).median_side == median


def test_count_classes_puts_the_ignored_last() -> None:
    assert count_classes(np.array([[0, 1, 1, IGNORE]], np.uint8), 3).tolist() == [1, 2, 0, 1]
