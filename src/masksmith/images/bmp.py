"""What Pillow misreads of BMP without a word.

It leaves a palette out that is a ramp of grey, and then takes two colours for 1 bit a pixel and more of them for 8,
whatever the header says: rows of another depth become garbage, or are refused as broken.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import ImageFile

from masksmith.errors import DataError
from masksmith.images.picture import U8

# The bits a pixel that Pillow unpacks such pixels with, by its name for the way.
_UNPACKED_BITS = {"1": 1, "L": 8}


def read_grey(path: Path, image: ImageFile.ImageFile) -> U8 | None:
    """The grey of each pixel (H, W, 1) where Pillow would take the bits for others; None where it is right.

    Raises:
        DataError: a picture in run lengths that Pillow takes for others.
        ValueError: the file does not hold all of its pixels, or OpenCV cannot decode it.
    """
    if image.format not in {"BMP", "DIB"}:
        return None
    codec, _, offset, options = image.tile[0]
    if codec != "raw" or not isinstance(options, tuple):
        _check_even(path, offset)
        return None
    way, row_bytes, _ = options
    if _UNPACKED_BITS.get(way) in {None, _bits(path, 14 if image.format == "BMP" else 0)}:
        return None
    if offset + row_bytes * image.height > path.stat().st_size:
        raise ValueError("image file is truncated")  # before memory is taken for its pixels
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.shape != (image.height, image.width):
        raise ValueError("OpenCV cannot decode it")
    return np.asarray(decoded, np.uint8)[..., None]


def _check_even(path: Path, offset: int) -> None:
    """Refuse run lengths whose filling bytes Pillow would look for in the wrong places: it counts from the file's start."""
    if offset % 2:
        raise DataError(
            where=path,
            expected="run lengths that begin at an even byte",
            received=f"byte {offset:,} as their first",
            remedy="save it as PNG",
        )


def _bits(path: Path, start: int) -> int:
    """Bits a pixel of the header at ``start``; one of 12 bytes is OS/2's, with sizes of 16 bits in place of 32."""
    with path.open("rb") as file:
        file.seek(start)
        head = file.read(16)
    at = 10 if head[0] == 12 else 14
    return int.from_bytes(head[at : at + 2], "little")
