"""Pins down that Pillow's protection from large pictures stays the caller's, and never stands in our way."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from masksmith import images
from masksmith.errors import DataError

IMPORTED = """
from PIL import Image, ImageFile
ImageFile.LOAD_TRUNCATED_IMAGES = True
before = Image.MAX_IMAGE_PIXELS
from masksmith import images
assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == (before, True)
"""


def test_importing_changes_nothing_of_pillow() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], check=True, timeout=100)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "gif"])
def test_our_limit_counts_for_our_pictures_and_pillows_for_others(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / f"p.{ending}"
    Image.fromarray(np.full((40, 50, 3), 128, np.uint8)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(4) as pool:
            for picture in pool.map(images.read, [path] * 20):
                assert picture.pixels_HWC.shape == (40, 50, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    path.write_bytes(b"broken")
    with pytest.raises(DataError):
        images.read(path)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_truncated_picture_is_refused_also_where_the_caller_lets_pillow_fill_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "p.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError):
        images.read(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    with Image.open(path) as theirs:
        theirs.load()
