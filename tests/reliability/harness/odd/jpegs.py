"""JPEG: turned, in inks, cut off and closed again. Pixels are compared within a stated distance."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from reliability.harness.odd import UPRIGHT, Array, Odd, smooth, written
from reliability.harness.odd.pngs import exif, flipped

# What a slope loses at quality 95 without fewer samples of the hue.
_OFF = 6
_BROKEN = "a whole, readable picture"


def jpeg(pixels: Array, mode: str = "RGB", **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    """Encoded by Pillow."""
    out = io.BytesIO()
    image = Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), np.ascontiguousarray(pixels).tobytes())
    image.save(out, "JPEG", quality=95, subsampling=0, **options)
    return out.getvalue()


def _turned(orientation: int) -> Odd:
    content = jpeg(smooth(), exif=b"Exif\0\0" + exif(orientation))
    return Odd(
        "orientation", f"jpg-exif-{orientation}.jpg", written(content), UPRIGHT[orientation](smooth()), most_off=_OFF
    )


def _promising(width: int, height: int) -> bytes:
    """A picture whose frame header says that it is larger."""
    content = jpeg(smooth())
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def _mpo() -> bytes:
    out = io.BytesIO()
    small = Image.fromarray(smooth(12, 18))
    Image.fromarray(smooth()).save(out, "MPO", quality=95, subsampling=0, save_all=True, append_images=[small])
    return out.getvalue()


_INKS = smooth(channels=4)
_LIGHT = 255 - _INKS.astype(np.float64)
_RGB = np.round(_LIGHT[..., :3] * _LIGHT[..., 3:] / 255).astype(np.uint8)
_PLAIN, _LARGE = jpeg(smooth()), jpeg(smooth(60, 50))
_DATA = _LARGE.index(b"\xff\xda")
_CUT = _LARGE[: (_DATA + len(_LARGE)) // 2]

CASES: tuple[Odd, ...] = (
    *(_turned(orientation) for orientation in UPRIGHT),
    Odd("jpeg", "jpg-grey.jpg", written(jpeg(smooth(channels=1), "L")), smooth(channels=1), most_off=_OFF),
    Odd("jpeg", "jpg-progressive.jpg", written(jpeg(smooth(), progressive=True)), smooth(), most_off=_OFF),
    Odd(
        "jpeg",
        "jpg-grey-end.jpg",
        written(jpeg(np.full((24, 37, 3), 128, np.uint8))),
        np.full((24, 37, 3), 128, np.uint8),
        most_off=1,
    ),
    Odd("jpeg", "jpg-more-behind.jpg", written(_PLAIN + bytes(5000)), smooth(), most_off=_OFF),
    Odd("inks", "jpg-cmyk.jpg", written(jpeg(_INKS, "CMYK")), _RGB, most_off=_OFF),
    Odd("sizes", "jpg-1x1.jpg", written(jpeg(smooth(1, 1))), smooth(1, 1), most_off=_OFF),
    Odd("several", "jpg-with-preview.jpg", written(_mpo()), smooth(), most_off=_OFF),
    Odd("truncated", "jpg-cut-and-closed.jpg", written(_CUT + b"\xff\xd9"), says="its data end before its last row"),
    Odd(
        "truncated",
        "jpg-grey-cut-and-closed.jpg",
        written((g := jpeg(smooth(60, 50, 1), "L"))[: len(g) * 3 // 4] + b"\xff\xd9"),
        says="its data end before",
    ),
    Odd("flipped", "jpg-flipped-mark.jpg", written(flipped(_PLAIN, _PLAIN.index(b"\xff\xc0") + 1)), says=_BROKEN),
    Odd("flipped", "jpg-flipped-first.jpg", written(flipped(_PLAIN, 0)), says=_BROKEN),
    Odd("promises", "jpg-65500x65500.jpg", written(_promising(65_500, 65_500)), says="65500×65500 pixels"),
    Odd("promises", "jpg-larger-than-it-is.jpg", written(_promising(400, 300)), says="its data end before"),
)
