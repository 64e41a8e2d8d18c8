"""The mask as a GeoTIFF that keeps its picture's place on the map, plain or optimised for the cloud.

Rule: 255 is what the picture says is no pixel. Classes that overlap have a band each, of 0 and 1.
"""

from __future__ import annotations

import warnings

import numpy as np

from masksmith.images.systems import needed, not_understood
from masksmith.inference.prediction import Prediction
from masksmith.keys import IGNORE, Mask, ignored_value
from masksmith.outputs import tiff

_COG = {
    "driver": "COG",
    "compress": "DEFLATE",
    "blocksize": "256",
    "overview_resampling": "MODE",  # no mean of two class numbers is a class
    "overview_compress": "DEFLATE",
    "bigtiff": "IF_SAFER",
    "num_threads": "1",
}


def encode(prediction: Prediction) -> bytes:
    """Tiles, Deflate, the class colours as palette; a plain TIFF where the picture has no place."""
    if not prediction.table.overlapping:
        mask_HW = with_nodata(prediction)
        palette = prediction.table.palette_256
        return tiff.encode(mask_HW[None], prediction.georeference, palette_256=palette, nodata=IGNORE)
    layers_KHW = prediction.layers_KHW.astype(np.uint8)
    if prediction.valid_HW is not None:
        layers_KHW[:, ~prediction.valid_HW] = IGNORE
    return tiff.encode(layers_KHW, prediction.georeference, names=prediction.table.names, nodata=IGNORE)


def with_nodata(prediction: Prediction) -> Mask:
    """The mask with the value for "ignored" where the picture has no pixel."""
    if prediction.valid_HW is None:
        return prediction.mask_HW
    mask_HW: Mask = prediction.mask_HW.copy()
    mask_HW[~prediction.valid_HW] = ignored_value(mask_HW)
    return mask_HW


def encode_cog(prediction: Prediction) -> bytes:
    """The same with overviews, in the order in which a server hands out parts of it.

    Raises:
        DataError: the picture's coordinate system cannot be understood.
        EnvironmentFault: rasterio is not installed.
    """
    try:
        import rasterio.shutil
        from rasterio.errors import CRSError, NotGeoreferencedWarning
        from rasterio.io import MemoryFile
    except ImportError as error:
        raise needed("rasterio", "cog", error) from error
    with warnings.catch_warnings(), MemoryFile(encode(prediction)) as plain, MemoryFile() as optimised:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # not every picture has a place
        try:
            with plain.open() as source:
                rasterio.shutil.copy(source, optimised.name, **_COG)
        except CRSError as error:
            raise not_understood() from error
        return bytes(optimised.read())
