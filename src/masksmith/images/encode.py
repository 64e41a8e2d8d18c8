"""Pictures as bytes, without loss: PNG where it can, TIFF for everything else.

Rule: ``files`` alone puts them on disk; the same pixels give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from masksmith.images.picture import U8, Pixels

_TILE_PX = 512
_NODATA_TAG = 42113  # GDAL's
# A mask of so many pixels fits into the 4 GB of a classic TIFF however badly it is compressed.
_MOST_CLASSIC_PIXELS = 3 * 10**9


def encode_png(pixels: npt.NDArray[np.generic], palette_P3: U8 | None = None) -> bytes:
    """PNG of 8 or 16 bits.

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, C) with 1 or 3 channels, or 4 with opacity last.
        palette_P3: makes an index picture of 8-bit ``pixels`` with one channel.

    Raises:
        ValueError: pixels that no PNG can hold; :func:`encode_tiff` can.
    """
    array = pixels[..., None] if pixels.ndim == 2 else pixels
    if array.ndim != 3 or array.shape[2] not in {1, 3, 4} or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a PNG has 1, 3 or 4 channels of 8 or 16 bits, not {pixels.shape} of {pixels.dtype}")
    array = np.ascontiguousarray(array)
    if palette_P3 is not None:
        if array.shape[2] != 1 or array.dtype != np.uint8 or not 1 <= len(palette_P3) <= 256:
            raise ValueError("a palette of 1 to 256 colours goes with one channel of 8 bits")
        return _by_pillow(array, palette_P3)
    return _by_pillow(array, None) if array.dtype == np.uint8 else _by_opencv(array)


def encode_tiff(pixels_HWC: Pixels) -> bytes:
    """TIFF of any dtype and channels, Deflate, no channel declared to be opacity."""
    array = pixels_HWC[..., 0] if pixels_HWC.shape[2] == 1 else pixels_HWC
    color = pixels_HWC.shape[2] == 3 and pixels_HWC.dtype in (np.uint8, np.uint16)
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        np.ascontiguousarray(array),
        photometric="rgb" if color else "minisblack",
        planarconfig="contig" if array.ndim == 3 else None,
        compression="zlib",
        metadata=None,
        software=False,
    )
    return out.getvalue()


def write_index_tiff(
    file: BinaryIO, mask_HW: U8, palette_P3: U8, *, geo: Sequence[tuple[int, int, int, Any]] = ()
) -> None:
    """A tiled TIFF of indices with their colours, 255 being nothing; BigTIFF where it has to be.

    Args:
        file: to write to.
        mask_HW: may be a map of a file: it is read tile by tile.
        palette_P3: 256 colours.
        geo: tags that say where it lies, as ``geo_tags`` gives them.
    """
    height, width = mask_HW.shape
    tiles = (
        np.pad(part, ((0, _TILE_PX - part.shape[0]), (0, _TILE_PX - part.shape[1])), constant_values=255)
        for y in range(0, height, _TILE_PX)
        for x in range(0, width, _TILE_PX)
        for part in [mask_HW[y : y + _TILE_PX, x : x + _TILE_PX]]
    )
    with tifffile.TiffWriter(file, bigtiff=height * width > _MOST_CLASSIC_PIXELS) as writer:
        writer.write(
            tiles,
            shape=(height, width),
            dtype=np.uint8,
            tile=(_TILE_PX, _TILE_PX),
            photometric="palette",
            colormap=palette_P3.T.astype(np.uint16) * 257,
            compression="zlib",
            compressionargs={"level": 1},  # masks shrink well anyway
            extratags=[(*tag, True) for tag in (*geo, (_NODATA_TAG, 2, 4, "255"))],
            metadata=None,
            software=False,
        )


def _by_pillow(array_HWC: npt.NDArray[np.generic], palette_P3: U8 | None) -> bytes:
    array = array_HWC[..., 0] if array_HWC.shape[2] == 1 else array_HWC
    if palette_P3 is None:
        image = Image.fromarray(array)
    else:
        image = Image.frombytes("P", (array.shape[1], array.shape[0]), array.tobytes())
        image.putpalette(np.asarray(palette_P3, np.uint8).tobytes())
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def _by_opencv(array_HWC: npt.NDArray[np.generic]) -> bytes:
    """Pillow writes no colour of 16 bits."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array_HWC.shape[2]]
    done, content = cv2.imencode(".png", np.ascontiguousarray(array_HWC[..., order]))
    if not done:
        raise ValueError("OpenCV cannot encode it")
    return bytes(content.tobytes())
