"""TIFF in memory, tiled and deflated, with the names of its bands and its place on the map.

Rule: the same prediction gives the same bytes; ``files`` alone puts them on disk.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import tifffile

from masksmith.classes import U8
from masksmith.images import GeoReference
from masksmith.outputs.place import is_geographic

_TILE_PX = 256

# What a classic TIFF can address, less room for its tags.
_MOST_BYTES = 2**32 - 2**25

# GeoTIFF 1.1, annex B, and what GDAL keeps beside it.
_SCALE, _TIEPOINT, _MATRIX, _KEYS, _GDAL_METADATA, _GDAL_NODATA = 33550, 33922, 34264, 34735, 42112, 42113


def encode(
    bands_CHW: npt.NDArray[np.generic],
    reference: GeoReference | None,
    *,
    names: Sequence[str] = (),
    palette_256: U8 | None = None,
    nodata: int | None = None,
) -> bytes:
    """One band or more; ``names`` are told both in ImageDescription and as GDAL tells them."""
    tags = [*_place(reference), *_band_names(names)]
    if nodata is not None:
        tags.append((_GDAL_NODATA, "s", 0, str(nodata), True))
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=bands_CHW.nbytes > _MOST_BYTES) as file:
        file.write(
            np.ascontiguousarray(bands_CHW if len(bands_CHW) > 1 else bands_CHW[0]),
            photometric="minisblack" if palette_256 is None else "palette",
            colormap=None if palette_256 is None else palette_256.T.astype(np.uint16) * 257,
            planarconfig="separate" if len(bands_CHW) > 1 else None,
            tile=(_TILE_PX, _TILE_PX),
            compression="zlib",
            description=json.dumps({"bands": list(names)}) if names else None,
            metadata=None,
            software=False,
            extratags=tags,
        )
    return out.getvalue()


def _place(reference: GeoReference | None) -> list[tuple[Any, ...]]:
    if reference is None:
        return []
    a, b, c, d, e, f = reference.transform
    keys = [(1025, 0, 1, 1)]  # a pixel is an area
    if reference.epsg is not None:
        degrees = is_geographic(reference.epsg)
        keys = [(1024, 0, 1, 2 if degrees else 1), *keys, (2048 if degrees else 3072, 0, 1, reference.epsg)]
    directory = (1, 1, 0, len(keys), *(number for key in keys for number in key))
    found: list[tuple[Any, ...]] = [(_KEYS, "H", len(directory), directory, True)]
    if b == d == 0 and a > 0 > e:
        found.append((_SCALE, "d", 3, (a, -e, 0.0), True))
        found.append((_TIEPOINT, "d", 6, (0.0, 0.0, 0.0, c, f, 0.0), True))
    else:
        matrix = (a, b, 0.0, c, d, e, 0.0, f, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        found.append((_MATRIX, "d", 16, matrix, True))
    return found


def _band_names(names: Sequence[str]) -> list[tuple[Any, ...]]:
    if not names:
        return []
    items = "".join(
        # GDAL escapes twice, and takes it back twice.
        f'<Item name="DESCRIPTION" sample="{band}" role="description">{escape(escape(name))}</Item>'
        for band, name in enumerate(names)
    )
    # A TIFF's texts are ASCII; XML has a way to write the rest.
    text = f"<GDALMetadata>{items}</GDALMetadata>".encode("ascii", "xmlcharrefreplace").decode("ascii")
    return [(_GDAL_METADATA, "s", 0, text, True)]
