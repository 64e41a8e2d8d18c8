"""The mask as an array, for programs: NPY, and Zarr in one ZIP file.

Rule: class indices; of classes that overlap 16 bits, bit k for class k.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib

import numpy as np

from masksmith.inference.prediction import Prediction
from masksmith.keys import ignored_value
from masksmith.outputs.geotiff import with_nodata

_CHUNK_PX = 512

# A ZIP has a date for each file, and the same mask is to give the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def encode_npy(prediction: Prediction) -> bytes:
    """A NumPy file of (H, W)."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(prediction.mask_HW), allow_pickle=False)
    return out.getvalue()


def encode_zarr(prediction: Prediction) -> bytes:
    """A Zarr array (format 2, zlib) of (H, W) in chunks; what is no pixel is ignored there."""
    mask_HW = with_nodata(prediction)
    stored = mask_HW.astype(mask_HW.dtype.newbyteorder("<"))
    height, width = mask_HW.shape
    about = {
        "zarr_format": 2,
        "shape": [height, width],
        "chunks": [_CHUNK_PX, _CHUNK_PX],
        "dtype": stored.dtype.str,
        "compressor": {"id": "zlib", "level": 6},
        "fill_value": ignored_value(mask_HW),
        "order": "C",
        "filters": None,
    }
    attributes = {"_ARRAY_DIMENSIONS": ["y", "x"], "classes": prediction.table.names}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(".zarray", _DATE), json.dumps(about))
        archive.writestr(zipfile.ZipInfo(".zattrs", _DATE), json.dumps(attributes))
        for y in range(0, height, _CHUNK_PX):
            for x in range(0, width, _CHUNK_PX):
                part = stored[y : y + _CHUNK_PX, x : x + _CHUNK_PX]
                chunk = np.full((_CHUNK_PX, _CHUNK_PX), ignored_value(mask_HW), stored.dtype)
                chunk[: part.shape[0], : part.shape[1]] = part
                name = f"{y // _CHUNK_PX}.{x // _CHUNK_PX}"
                archive.writestr(zipfile.ZipInfo(name, _DATE), zlib.compress(chunk.tobytes(), 6))
    return out.getvalue()
