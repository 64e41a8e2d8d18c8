"""TIFF pictures whose samples are neither grey nor red, green and blue.

Rule: amounts of ink are never taken for colours; what is not converted here is refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from masksmith.errors import DataError
from masksmith.images.picture import Pixels

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_NEVER: dict[int, str] = {
    _PHOTOMETRIC.CIELAB: "CIE Lab",
    _PHOTOMETRIC.ICCLAB: "ICC Lab",
    _PHOTOMETRIC.ITULAB: "ITU Lab",
    _PHOTOMETRIC.LOGL: "LogL",
    _PHOTOMETRIC.LOGLUV: "LogLuv",
}
# JPEG and the like are given back in RGB; of these ways of packing brightness and hue would come as they are.
_PLAIN = {1, 5, 8, 32773, 32946, 34925, 50000}
_INK_SET, _CMYK_INKS = 332, 1


def check(page: tifffile.TiffPage, channels: int, path: Path) -> None:
    """Refuse colours that would be taken for red, green and blue; ``channels`` as in :func:`is_cmyk`."""
    kind = _NEVER.get(page.photometric)
    if page.photometric == _PHOTOMETRIC.YCBCR and page.compression in _PLAIN:
        kind = "YCbCr"
    if page.photometric == _PHOTOMETRIC.SEPARATED and not is_cmyk(page, channels):
        kind = "inks other than cyan, magenta, yellow and black"
    if kind is not None:
        raise DataError(
            where=path,
            expected="a TIFF in grey, in RGB or of measured channels",
            received=f"colours in {kind}",
            remedy="convert it to RGB",
        )


def is_cmyk(page: tifffile.TiffPage, channels: int) -> bool:
    """Whether its ``channels``, without transparency, are cyan, magenta, yellow and black."""
    inks = page.tags.valueof(_INK_SET, _CMYK_INKS)
    return page.photometric == _PHOTOMETRIC.SEPARATED and channels == 4 and inks == _CMYK_INKS


def to_rgb(cmyk_HWC: Pixels) -> Pixels:
    """Red, green and blue of unsigned whole numbers, as without a colour profile, and as CMYK in a JPEG becomes them."""
    if cmyk_HWC.dtype.kind != "u" or cmyk_HWC.dtype.itemsize > 2:
        raise ValueError(f"CMYK of {cmyk_HWC.dtype}")
    top = np.uint32(np.iinfo(str(cmyk_HWC.dtype)).max)
    light = top - cmyk_HWC.astype(np.uint32)
    rgb: Pixels = ((light[..., :3] * light[..., 3:] + top // 2) // top).astype(cmyk_HWC.dtype)
    return rgb
