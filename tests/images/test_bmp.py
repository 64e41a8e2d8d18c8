"""Pins down BMP whose palette is a ramp of grey: Pillow alone would take 4 or 8 bits a pixel for others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masksmith import images
from masksmith.errors import DataError
from reliability.harness.odd.others import bmp, four_bits, grey_ramp, rows

BLACK_WHITE = b"\0\0\0\0\xff\xff\xff\0"


@pytest.mark.parametrize("width", range(1, 19))
@pytest.mark.parametrize("up", [1, -1], ids=["bottom first", "top first"])
@pytest.mark.parametrize("depth", [1, 4, 8])
def test_black_and_white_is_0_and_255_at_any_depth(tmp_path: Path, depth: int, up: int, width: int) -> None:
    bits = np.random.default_rng(width).integers(0, 2, (5, width), np.uint8)
    stored = {1: np.packbits(bits, axis=1), 4: four_bits(bits), 8: bits}[depth]
    path = tmp_path / "p.bmp"
    path.write_bytes(bmp(rows(stored[::up]), width, 5 * up, depth, BLACK_WHITE))
    assert images.read_header(path) == images.Header(5, width, 1, "uint8")
    np.testing.assert_array_equal(images.read(path).pixels_HWC[..., 0], 255 * bits)


@pytest.mark.parametrize("colors", [3, 16])
def test_a_ramp_of_grey_is_the_indices_and_black_beyond_it(tmp_path: Path, colors: int) -> None:
    indices = np.random.default_rng(0).integers(0, 16, (9, 14), np.uint8)
    content = bmp(rows(four_bits(indices)), 14, 9, 4, grey_ramp(colors))
    path = tmp_path / "p.bmp"
    path.write_bytes(content)
    np.testing.assert_array_equal(images.read(path).pixels_HWC[..., 0], np.where(indices < colors, indices, 0))
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="expected a whole, readable picture"):
            images.read(path)
