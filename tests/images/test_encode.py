"""Pins down encoding: what is written is read back exactly, and the same pixels give the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from masksmith import images

SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20))


@given(data=st.data(), dtype=st.sampled_from(["uint8", "uint16"]), channels=st.sampled_from([0, 1, 3]))
def test_png_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dtype: str, channels: int
) -> None:
    height, width = data.draw(SIZES)
    shape = (height, width, channels) if channels else (height, width)
    pixels = data.draw(arrays.arrays(dtype, shape))
    path = tmp_path_factory.mktemp("png") / "p.png"
    path.write_bytes(images.encode_png(pixels))
    found = images.read(path).pixels_HWC
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels.reshape(height, width, -1))
    assert path.read_bytes() == images.encode_png(pixels)


@given(data=st.data(), dtype=st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "float16", "float64"]))
def test_tiff_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dtype: str) -> None:
    shape = (*data.draw(SIZES), data.draw(st.integers(1, 6)))
    pixels = data.draw(arrays.arrays(dtype, shape, elements={"allow_nan": False} if "float" in dtype else None))
    path = tmp_path_factory.mktemp("tiff") / "p.tif"
    path.write_bytes(images.encode_tiff(pixels))
    picture = images.read(path)
    assert picture.pixels_HWC.dtype == dtype
    assert picture.valid_HW is None  # no channel passes for opacity
    np.testing.assert_array_equal(picture.pixels_HWC, pixels)
    assert path.read_bytes() == images.encode_tiff(pixels)


@pytest.mark.parametrize("colors", [2, 5, 256])
def test_palette_comes_back(tmp_path: Path, colors: int) -> None:
    rng = np.random.default_rng(colors)
    palette = rng.integers(0, 256, (colors, 3), np.uint8)
    indices = rng.integers(0, colors, (9, 14)).astype(np.uint8)
    (tmp_path / "p.png").write_bytes(images.encode_png(indices, palette))
    picture = images.read(tmp_path / "p.png")
    assert picture.palette_P3 is not None
    np.testing.assert_array_equal(picture.indices_HW, indices)
    np.testing.assert_array_equal(picture.pixels_HWC, palette[indices])


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 5, 2), np.uint8), np.zeros((4, 5), np.float32), np.zeros(5, np.uint8), np.zeros((4, 5, 5))]
)
def test_what_no_png_can_hold_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a PNG has 1, 3 or 4 channels of 8 or 16 bits"):
        images.encode_png(pixels)


@pytest.mark.parametrize("pixels", [np.zeros((4, 5), np.uint16), np.zeros((4, 5, 3), np.uint8)])
def test_a_palette_needs_indices(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one channel of 8 bits"):
        images.encode_png(pixels, np.zeros((2, 3), np.uint8))
