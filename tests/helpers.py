"""What tests of several rooms share: made data, with masks that agree to the pixel, and the program run as a user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

U8 = npt.NDArray[np.uint8]


def draw_pair(
    size: tuple[int, int], values: Sequence[int], channels: int, rng: np.random.Generator
) -> tuple[U8, npt.NDArray[np.integer]]:
    """A picture uint8 (H, W, channels) and its mask (H, W): one rectangle of each value after the first."""
    height, width = size
    mask = np.full(size, values[0], np.uint16 if max(values) > 255 else np.uint8)
    picture = np.full((height, width, channels), 60, np.int64)
    column = width / max(1, len(values) - 1)
    for position, value in enumerate(values[1:]):
        top, bottom = int(rng.integers(1, height // 3)), int(rng.integers(2 * height // 3, height))
        # The sides differ too: pictures of one set are no copies of each other.
        left = int(position * column) + 1 + int(rng.integers(0, max(1, int(column) // 3)))
        right = max(int((position + 1) * column) - 1 - int(rng.integers(0, max(1, int(column) // 3))), left + 1)
        mask[top:bottom, left:right] = value
        picture[top:bottom, left:right] = [(130 + 70 * position + 45 * c) % 256 for c in range(channels)]
    noise = rng.integers(-12, 13, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), mask


def write_image(path: Path, pixels: npt.NDArray[np.generic]) -> Path:
    """Write (H, W) or (H, W, C) pixels, RGB, without loss: PNG, BMP or TIFF by the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in {".tif", ".tiff"}:
        pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
        photometric = "rgb" if pixels.ndim == 3 and pixels.shape[2] == 3 else "minisblack"
        tifffile.imwrite(path, pixels, photometric=photometric, planarconfig="contig" if pixels.ndim == 3 else None)
        return path
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(pixels.shape[2] if pixels.ndim == 3 else 1)
    done, content = cv2.imencode(path.suffix, pixels if order is None else np.ascontiguousarray(pixels[..., order]))
    assert done
    path.write_bytes(content.tobytes())
    return path


def write_set(
    root: Path,
    *,
    parts: Sequence[str] = ("train", "val", "test"),
    count: int = 3,
    size: tuple[int, int] = (40, 48),
    values: Sequence[int] = (0, 1),
    channels: int = 3,
    seed: int = 0,
) -> Path:
    """Write ``count`` pairs for each part as PART/images and PART/masks; the part "" is the root itself.

    Every mask holds all ``values``, the first as the background. Files are PNG, or TIFF where the
    channels are not 1, 3 or 4.
    """
    rng = np.random.default_rng(seed)
    ending = ".png" if channels in {1, 3, 4} else ".tif"
    for part in parts:
        for number in range(count):
            picture, mask = draw_pair(size, values, channels, rng)
            name = f"{part or 'picture'}_{number:02}"
            write_image(root / part / "images" / (name + ending), picture)
            write_image(root / part / "masks" / f"{name}.png", mask)
    return root


def check_without(data: Path, shut: Path) -> subprocess.CompletedProcess[str]:
    """What ``masksmith check`` says of the data set while one of its folders may not be listed."""
    words = [sys.executable, "-m", "masksmith", "check", str(data)]
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions of POSIX")
    if not os.geteuid():  # the administrator may list any folder
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("needs setpriv, to give up the administrator's rights")
        gone = "-dac_override,-dac_read_search"
        words = [setpriv, f"--bounding-set={gone}", f"--inh-caps={gone}", *words]
    shut.chmod(0)
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False)
    finally:
        shut.chmod(0o755)
