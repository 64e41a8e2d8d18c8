"""PNG, JPEG, BMP and WebP.

Pillow decodes 8 bits a channel; 16-bit PNG goes through OpenCV, because Pillow cuts 16-bit colour
down to 8 without a word.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from masksmith.errors import DataError
from masksmith.images.picture import TURNED, Header, Picture, upright

# Decompression bombs are stopped by our own limit on pixels, before decoding (images/__init__).
Image.MAX_IMAGE_PIXELS = None
# A truncated file is an error, never a picture that ends in grey.
ImageFile.LOAD_TRUNCATED_IMAGES = False

_ORIENTATION = 0x0112
# Pillow's modes for the channels that a picture has; transparency is no measured channel.
_MODES = {
    "1": 1,
    "L": 1,
    "LA": 1,
    "I": 1,
    "I;16": 1,
    "I;16B": 1,
    "F": 1,
    "P": 3,
    "PA": 3,
    "RGB": 3,
    "RGBA": 3,
    "RGBX": 3,
    "CMYK": 3,
    "YCbCr": 3,
    "LAB": 3,
    "HSV": 3,
}


def read_header(path: Path) -> Header:
    """Size, channels and dtype, upright."""
    with Image.open(path) as image:
        width, height = image.size
        if _orientation(image) in TURNED:
            height, width = width, height
        channels_16 = _channels_of_16_bit_png(path)
        dtype = "uint16" if channels_16 else "uint8"
        return Header(height, width, channels_16 or _MODES.get(image.mode, 3), dtype)


def read(path: Path) -> Picture:
    """All pixels, upright; Pillow raises whatever it raises about broken files."""
    with Image.open(path) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise DataError(
                where=path,
                expected="one picture",
                received=f"an animation of {image.n_frames} frames",
                remedy="save each frame as a file of its own",
            )
        image.load()
        channels_16 = _channels_of_16_bit_png(path)
        if channels_16:
            pixels = _read_16_bit(path, channels_16)
            return Picture(np.ascontiguousarray(upright(pixels, _orientation(image))))
        turned = ImageOps.exif_transpose(image)
        if turned.mode == "P":
            indices = np.asarray(turned)
            palette = np.zeros((256, 3), np.uint8)
            stored = np.array(turned.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
            palette[: len(stored)] = stored
            return Picture(palette[indices], indices, palette)
        wanted = "L" if _MODES.get(turned.mode, 3) == 1 else "RGB"
        pixels = np.asarray(turned if turned.mode == wanted else turned.convert(wanted))
        return Picture(pixels if pixels.ndim == 3 else pixels[..., None])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 if there is none.

    Pillow decodes a whole PNG to look for EXIF data behind the pixels; before a picture is known
    to be small enough only what stands in front of them is looked at.
    """
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def _channels_of_16_bit_png(path: Path) -> int:
    """1 or 3, transparency left out; 0 for any other picture.

    Bit depth and colour type stand in bytes 24 and 25 of a PNG (PNG specification, IHDR).
    """
    with path.open("rb") as file:
        head = file.read(26)
    if not head.startswith(b"\x89PNG") or head[24:25] != b"\x10":
        return 0
    return 1 if head[25] in (0, 4) else 3


def _read_16_bit(path: Path, channels: int) -> npt.NDArray[np.generic]:
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("OpenCV cannot decode it")
    pixels = np.asarray(decoded).reshape(*decoded.shape[:2], -1)
    # OpenCV answers blue, green, red, alpha, and that for grey with transparency too.
    return pixels[..., 2::-1] if channels == 3 else pixels[..., :1]
