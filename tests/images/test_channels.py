"""Pins down pictures whose channels are files of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masksmith import images
from masksmith.errors import DataError
from masksmith.images import channels


def write(path: Path, value: int, size: tuple[int, int] = (4, 6), dtype: str = "uint8") -> Path:
    path.write_bytes(images.encode_png(np.full(size, value, dtype)))
    return path


def test_files_are_stacked_in_their_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"a_{i:04}.png", 10 * i) for i in (2, 0, 1)]
    picture, header = images.read_channels(paths), images.read_channels_header(paths)
    assert picture.pixels_HWC[3, 5].tolist() == [20, 0, 10]
    assert (header.height, header.width, header.channels, header.dtype) == (4, 6, 3, "uint8")
    assert picture.valid_HW is None


def test_one_file_is_read_as_it_is(tmp_path: Path) -> None:
    palette = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    (tmp_path / "a.png").write_bytes(images.encode_png(np.eye(4, dtype=np.uint8), palette))
    picture = images.read_channels([tmp_path / "a.png"])
    np.testing.assert_array_equal(picture.indices_HW, np.eye(4))
    assert images.read_channels_header([tmp_path / "a.png"]) == images.read_header(tmp_path / "a.png")


def test_a_pixel_is_valid_where_it_is_in_every_file(tmp_path: Path) -> None:
    paths = []
    for i in range(3):
        pixels = np.full((4, 6, 2), 255, np.uint8)
        pixels[i, :, 1] = 0 if i < 2 else 255
        Image.fromarray(pixels, mode="LA").save(tmp_path / f"a_{i}.png")
        paths.append(tmp_path / f"a_{i}.png")
    valid = images.read_channels(paths).valid_HW
    assert valid is not None
    assert valid[:, 0].tolist() == [False, False, True, True]


@pytest.mark.parametrize(("size", "dtype"), [((4, 7), "uint8"), ((5, 6), "uint8"), ((4, 6), "uint16")])
def test_files_that_differ_are_refused(tmp_path: Path, size: tuple[int, int], dtype: str) -> None:
    paths = [write(tmp_path / "a_0.png", 1), write(tmp_path / "a_1.png", 1, size, dtype)]
    for action in (images.read_channels, images.read_channels_header):
        with pytest.raises(DataError, match=r"a_1\.png: expected 6×4 pixels of uint8, as in a_0\.png"):
            action(paths)


def test_no_file_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="one file or more"):
        images.read_channels([])


def test_too_many_channels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_CHANNELS", 2)
    with pytest.raises(DataError, match="at most 2 channels, received 3 in 3 files"):
        images.read_channels([write(tmp_path / f"a_{i}.png", i) for i in range(3)])
