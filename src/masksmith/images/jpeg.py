"""Whether a JPEG holds all of its pixels.

Decoders fill what is missing in front of the mark of the end with grey and say nothing of it. Such files are common:
of a transfer that was cut off, and closed by the program that had begun it.
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from masksmith.images.opening import opened

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
# Bits that are decoded to something else than grey; without 0xFF, which would begin a mark.
_FILLING = bytes(range(1, 97))
# What is filled has the brightness 128; it is rounded on its way to colours and back.
_GREY, _ROUNDED = 128, 2


def check_whole(path: Path, image: Image.Image) -> None:
    """Raise for a decoded JPEG whose data end before its last pixel.

    Only one that ends in the very grey is decoded again, with other bits behind its data: these change nothing where
    nothing is missing.
    """
    if abs(_brightness(image) - _GREY) > _ROUNDED:
        return
    content = path.read_bytes()
    end = content.rfind(_END)
    if end < content.rfind(_SCAN):  # that of a small picture inside, or none
        return
    with (
        suppress(OSError, SyntaxError),
        opened(io.BytesIO(content[:end] + _FILLING + content[end:]), ("JPEG",)) as again,  # else it tells nothing
    ):
        if not np.array_equal(np.asarray(again), np.asarray(image)):
            raise ValueError("its data end before its last row")


def _brightness(image: Image.Image) -> float:
    """Of the last pixel: the only value that is not mixed with those beside it."""
    found = image.getpixel((image.width - 1, image.height - 1))
    values = found if isinstance(found, tuple) else (float(found or 0),)
    if len(values) == 3:
        return 0.299 * values[0] + 0.587 * values[1] + 0.114 * values[2]
    return float(values[-1])
