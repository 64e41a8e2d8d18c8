"""Pins down encoding: what is written is read back exactly, and the same pixels give the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from masksmith import images
from masksmith.images import encode

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


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 256, 257), (3, 300, 10)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_bands_come_back_in_tiles(tmp_path: Path, shape: tuple[int, int, int], dtype: str) -> None:
    bands = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    out = io.BytesIO()
    images.write_bands(out, bands, names=[f"band {i}" for i in range(shape[0])], nodata=None)
    path = tmp_path / "p.tif"
    path.write_bytes(out.getvalue())
    np.testing.assert_array_equal(images.read(path).pixels_HWC, bands.transpose(1, 2, 0))
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.is_tiled
        assert not file.is_bigtiff


def test_a_large_file_has_long_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_MOST_CLASSIC_BYTES", 1000)
    out = io.BytesIO()
    images.write_bands(out, np.zeros((1, 40, 50), np.uint8))
    with tifffile.TiffFile(io.BytesIO(out.getvalue())) as file:
        assert file.is_bigtiff


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
