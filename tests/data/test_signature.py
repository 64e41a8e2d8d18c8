"""Pins down signature: equal pixels alone share a digest, and pictures that share a part share its windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.data import signature


def texture(seed: int, size: tuple[int, int] = (128, 160), channels: int = 1, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 250, (*size, channels)).astype(dtype)


def shared(a: np.ndarray, b: np.ndarray) -> int:
    return len(np.intersect1d(signature.sketch(a), signature.sketch(b)))


def test_a_digest_is_of_pixels_shape_and_dtype() -> None:
    one = texture(0)
    assert signature.digest(one) == signature.digest(one.copy(order="F"))
    other = one.copy()
    other[5, 5] ^= 1
    digests = {signature.digest(p) for p in (one, other, one.reshape(160, 128, 1), one.astype(np.uint16))}
    assert len(digests) == 4
    assert {len(d) for d in digests} == {16}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_crop_shares_windows_wherever_it_lies(dtype: str, channels: int) -> None:
    whole = texture(1, channels=channels, dtype=dtype)
    # Of the 48 windows of the whole, those in the crop (a quarter of it) are also the least of the crop.
    for top, left in ((0, 0), (17, 33), (64, 80)):
        assert shared(whole, whole[top : top + 64, left : left + 80]) >= 5


def test_halves_that_overlap_share_windows() -> None:
    whole = texture(2, (200, 200))
    assert shared(whole[:120], whole[80:]) >= 5
    assert shared(whole[:100], whole[100:]) == 0


@given(st.integers(0, 50))
def test_independent_textures_share_none(seed: int) -> None:
    assert shared(texture(seed), texture(1000 + seed)) == 0


def test_one_bit_changes_the_windows_over_it_alone() -> None:
    one = texture(3, (9, 9))
    assert 1 <= len(signature.sketch(one)) <= 4  # 2 x 2 places for a window of 8
    other = one.copy()
    other[0, 0] ^= 1  # lies in one of the four
    assert shared(one, other) == 3


def test_flat_and_tiny_pictures_have_no_windows() -> None:
    assert len(signature.sketch(np.full((64, 64, 3), 7, np.uint8))) == 0
    assert len(signature.sketch(texture(4, (7, 200)))) == 0
    assert len(signature.sketch(np.full((64, 64, 1), np.nan, np.float32))) == 0


def test_a_sketch_has_a_bounded_size() -> None:
    for size in ((64, 64), (600, 500), (2500, 300)):
        assert len(signature.sketch(texture(5, size))) == signature.SKETCH


def test_a_thumb_is_the_same_after_a_change_of_brightness_and_contrast() -> None:
    grey = texture(6)[..., 0].astype(np.float32)
    plain, bright = signature.thumb(grey), signature.thumb(0.5 * grey + 90)
    assert plain.shape == (signature.THUMB_PX, signature.THUMB_PX)
    assert (plain.min(), plain.max()) == (0, 255)
    assert np.abs(plain.astype(int) - bright).max() <= 1


def test_strips_are_the_four_borders() -> None:
    grey = np.zeros((64, 64), np.float32)
    grey[:2], grey[-2:] = 10, 20
    grey[2:-2, :2], grey[2:-2, -2:] = 30, 40
    top, bottom, left, right = signature.strips(grey)
    middle = slice(4, -4)
    assert [set(s[middle].tolist()) for s in (top, bottom, left, right)] == [{64}, {128}, {191}, {255}]


def test_grey_is_the_mean_and_has_numbers_only() -> None:
    pixels = np.array([[[3, 6, 9], [0, 0, 255]]], np.uint8)
    assert signature.grey(pixels).tolist() == [[6.0, 85.0]]
    strange = np.array([[[np.nan], [np.inf], [2.0]]], np.float32)
    assert signature.grey(strange).tolist() == [[0.0, 0.0, 2.0]]
    assert np.isnan(strange[0, 0, 0]), "the picture itself is not changed"
