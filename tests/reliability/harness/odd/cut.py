"""Files of each format cut off at five places, and empty ones."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import tifffile
from PIL import Image

from reliability.harness.odd import Odd, smooth, written
from reliability.harness.odd.jpegs import jpeg
from reliability.harness.odd.pngs import COLOUR, png

_PIXELS = smooth(30, 40)
_COLOURS = np.array([[10, 20, 30], [200, 0, 0], [0, 0, 200], [250, 251, 252]], np.uint8)
_INDICES = _PIXELS[..., 0] // 64


def _pillow(kind: str, **options: bool) -> bytes:
    out = io.BytesIO()
    Image.fromarray(_PIXELS).save(out, kind, **options)
    return out.getvalue()


def _tiff() -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, _PIXELS, photometric="rgb", compression="zlib", rowsperstrip=8)
    return out.getvalue()


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, _PIXELS)
    return out.getvalue()


def _gif() -> bytes:
    """Of few colours, since more would be lost."""
    out = io.BytesIO()
    image = Image.frombytes("P", (40, 30), _INDICES.tobytes())
    image.putpalette(_COLOURS.ravel().tolist())
    image.save(out, "GIF")
    return out.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(_PIXELS, COLOUR),
    "jpg": lambda: jpeg(_PIXELS),
    "tif": _tiff,
    "bmp": lambda: _pillow("BMP"),
    "gif": _gif,
    "webp": lambda: _pillow("WEBP", lossless=True),
    "npy": _npy,
}
# How much of a file is left; of less than nothing all but so many bytes.
_PLACES: dict[str, float] = {"4-bytes": 4, "tenth": 0.1, "half": 0.5, "most": 0.95, "but-one": -1}


def _cut(ending: str, place: str) -> Odd:
    content, left = WHOLE[ending](), _PLACES[place]
    size = int(left) if left < 0 or left > 1 else int(left * len(content))
    file = f"cut-{place}.{ending}"
    if (ending, place) in _STILL_WHOLE:
        pixels = _COLOURS[_INDICES] if ending == "gif" else _PIXELS
        return Odd("truncated", file, written(content[:size]), pixels)
    return Odd("truncated", file, written(content[:size]), says="a whole, readable picture")


# All pixels stand before the last byte, which closes the file and says nothing.
_STILL_WHOLE: frozenset[tuple[str, str]] = frozenset({("png", "but-one"), ("gif", "but-one")})

CASES: tuple[Odd, ...] = (
    *(_cut(ending, place) for ending in WHOLE for place in _PLACES),
    *(Odd("empty", f"empty.{ending}", written(b""), says="an empty file") for ending in [*WHOLE, "npz", "dcm", "nii"]),
)
