"""TIFF in memory, in the picture's place on the map.

Rule: the same prediction gives the same bytes; ``files`` alone puts them on disk.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.classes import U8
from masksmith.images import GeoReference


def encode(
    bands_CHW: npt.NDArray[np.generic],
    reference: GeoReference | None,
    *,
    names: Sequence[str] = (),
    palette_256: U8 | None = None,
    nodata: int | None = None,
) -> bytes:
    """One band or more; see :func:`masksmith.images.write_bands`."""
    out = io.BytesIO()
    place = images.geo_tags(reference)
    images.write_bands(out, bands_CHW, geo=place, names=names, palette_256=palette_256, nodata=nodata)
    return out.getvalue()
