"""Pins down preprocessing: known statistics make mean 0 and deviation 1, and nothing is guessed from pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from masksmith.data.preprocessing import Preprocessing, from_statistics
from masksmith.errors import DataError

COLOR = Preprocessing(3, "uint8", (10.0, 20.0, 30.0), (2.0, 4.0, 5.0))
GREY = Preprocessing(1, "uint8", (10.0,), (2.0,))


def test_standardize_by_hand() -> None:
    out = COLOR.standardize(np.array([[[10, 20, 30], [12, 12, 0]]], np.uint8))
    assert out.dtype == np.float32
    assert out.tolist() == [[[0, 0, 0], [1, -2, -6]]]


def test_standardize_leaves_its_input_alone() -> None:
    pixels = np.ones((2, 2, 1), np.float32)
    Preprocessing(1, "float32", (3.0,), (2.0,)).standardize(pixels)
    assert pixels.tolist() == np.ones((2, 2, 1)).tolist()


def test_what_is_no_number_becomes_the_mean() -> None:
    out = Preprocessing(1, "float32", (3.0,), (2.0,)).standardize(
        np.array([[[np.nan], [np.inf], [-np.inf], [5]]], np.float32)
    )
    assert out[0, :, 0].tolist() == [0, 0, 0, 1]


def test_constant_channel_is_only_shifted() -> None:
    made = from_statistics(2, "uint8", [7.0, 1.0], [0.0, 3.0])
    assert made.std == (1.0, 3.0)
    assert np.isfinite(made.standardize(np.full((2, 2, 2), 7, np.uint8))).all()


def test_conform_keeps_what_fits() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(COLOR.conform(pixels, "p"), pixels)


def test_conform_between_grey_and_color() -> None:
    grey = np.arange(8, dtype=np.uint8).reshape(2, 4, 1)
    as_color = COLOR.conform(grey, "p")
    assert as_color.shape == (2, 4, 3)
    assert all(np.array_equal(as_color[..., [c]], grey) for c in range(3))
    np.testing.assert_array_equal(GREY.conform(as_color, "p"), grey)
    np.testing.assert_array_equal(GREY.conform(grey[..., 0], "p"), grey)


def test_conform_drops_transparency() -> None:
    rgba = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    np.testing.assert_array_equal(COLOR.conform(rgba, "p"), rgba[..., :3])


@pytest.mark.parametrize(
    ("preprocessing", "pixels", "word"),
    [
        (GREY, np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "1 channels, as in training, received 3"),
        (COLOR, np.zeros((2, 4, 5), np.uint8), "3 channels, as in training, received 5"),
        (COLOR, np.zeros((2, 4, 2), np.uint8), "3 channels, as in training, received 2"),
        (COLOR, np.zeros((2, 4, 3), np.uint16), "uint8 pixels, as in training, received uint16"),
        (COLOR, np.zeros((2, 4, 3), np.float32), "received float32"),
    ],
)
def test_conform_refuses_to_guess(preprocessing: Preprocessing, pixels: np.ndarray, word: str) -> None:
    with pytest.raises(DataError, match=word) as caught:
        preprocessing.conform(pixels, "dir/p.png")
    assert str(caught.value).startswith("dir/p.png: ")


def test_a_dark_picture_is_not_stretched() -> None:
    # The same stored value means the same input, whatever else is in the picture.
    dark, bright = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 255, np.uint8)
    dark[0, 0] = bright[0, 0] = 1
    assert GREY.standardize(dark)[0, 0, 0] == GREY.standardize(bright)[0, 0, 0]


def test_dictionary_holds_all_that_rebuilds_it() -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(COLOR.to_dict()))) == COLOR


@pytest.mark.parametrize(
    ("dtype", "stored", "seen"),
    [
        ("float32", np.finfo(np.float32).min, 0),
        ("float64", -9999, 0),
        ("float32", np.nan, 0),
        ("int16", -32768, 0.25),
        ("uint8", 255, 0.25),
    ],
)
def test_where_there_is_nothing_the_network_sees_the_mean(dtype: str, stored: float, seen: float) -> None:
    made = Preprocessing(2, dtype, (9.5, 30.25), (2.0, 3.0))
    pixels = np.array([[[10, 20], [stored, stored]], [[stored, 30], [30, 40]]]).astype(dtype)
    valid = np.array([[True, False], [True, True]])
    before = pixels.copy()
    found = made.conform(pixels, "p", valid)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(found[valid], pixels[valid])
    assert made.standardize(found)[0, 1].tolist() == pytest.approx([seen, -seen / 3])
    assert made.conform(pixels, "p") is pixels
