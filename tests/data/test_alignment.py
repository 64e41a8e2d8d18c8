"""Pins down alignment: a known shift and a known turn of a mask are measured, and a right mask lies right."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.data.alignment import TURNS, Alignment, measure


def scene(seed: int, size: tuple[int, int] = (120, 120)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of a few patches that no turn maps onto themselves, and its mask."""
    rng = np.random.default_rng(seed)
    height, width = size
    mask = np.zeros(size, np.uint8)
    for value in (1, 2, 1, 2):
        y, x = int(rng.integers(15, height - 45)), int(rng.integers(15, width - 45))
        mask[y : y + int(rng.integers(8, 30)), x : x + int(rng.integers(8, 30))] = value
    picture = np.array([60, 130, 200], np.float32)[mask] + rng.normal(0, 10, size).astype(np.float32)
    return picture, mask


def measured(picture: np.ndarray, mask: np.ndarray) -> Alignment:
    found = measure(picture, mask)
    assert found is not None
    return found


@given(st.integers(0, 99))
def test_a_right_mask_lies_best_as_it_is(seed: int) -> None:
    found = measured(*scene(seed))
    assert found.here > 0.4
    # An edge lies between two pixels, and the mask's is drawn on one of them.
    assert found.shift_px == pytest.approx((0, 0), abs=1)
    assert found.here <= found.shifted < 1.25 * found.here
    assert found.turned < found.here


@given(st.integers(0, 99), st.integers(-12, 12), st.integers(-12, 12))
def test_a_known_shift_is_recovered(seed: int, down: int, right: int) -> None:
    picture, mask = scene(seed)
    found = measured(picture, np.roll(mask, (down, right), (0, 1)))
    # The way back is what is asked for.
    assert found.shift_px == pytest.approx((-down, -right), abs=1)
    assert found.shifted > 0.4


@pytest.mark.parametrize("factor", [3, 5])
def test_a_shift_is_in_pixels_of_the_picture_whatever_its_size(factor: int) -> None:
    picture, mask = scene(1)
    large = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    moved = np.roll(mask, (6, -9), (0, 1)).repeat(factor, axis=0).repeat(factor, axis=1)
    found = measured(large, moved)
    assert found.shift_px == pytest.approx((-6 * factor, 9 * factor), abs=factor)


# The turn that undoes each.
BACK = {"turned left": "turned right", "turned right": "turned left"}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("seed", range(4))
def test_a_known_turn_is_recovered(turn: str, seed: int) -> None:
    picture, mask = scene(seed)
    found = measured(picture, np.ascontiguousarray(TURNS[turn](mask)))
    assert found.turn == BACK.get(turn, turn)
    assert found.turned > 0.4
    assert found.turned > 2 * found.here


def test_turns_that_swap_the_sides_need_a_square() -> None:
    picture, mask = scene(2, (100, 140))
    found = measured(picture, mask[::-1].copy())
    assert found.turn == "upside down"
    assert measured(picture, mask).turn in {"upside down", "mirrored", "turned by 180°"}


def test_values_of_the_mask_are_names_and_no_numbers() -> None:
    picture, mask = scene(3)
    named = np.array([70000, 5, 16_000_000])[mask]
    assert measured(picture, named) == measured(picture, mask)


def test_nothing_is_said_without_edges() -> None:
    picture, mask = scene(4)
    assert measure(picture, np.ones_like(mask)) is None
    assert measure(np.full_like(picture, 9), mask) is None


def test_a_mask_of_something_else_lies_nowhere() -> None:
    picture, _ = scene(5)
    blind = np.random.default_rng(0).normal(100, 20, picture.shape).astype(np.float32)
    found = measured(blind, scene(6)[1])
    assert abs(found.here) < 0.12
    assert found.turned < 0.12
