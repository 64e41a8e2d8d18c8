"""Pictures as bytes, without loss: PNG where it can, TIFF for everything else.

Rule: ``files`` alone puts them on disk; the same pixels give the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol
from xml.sax.saxutils import escape

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from masksmith.images.picture import U8, Pixels

_TILE_PX = 256
_ASCII = 2  # a type of TIFF 6.0
_GDAL_METADATA, _GDAL_NODATA = 42112, 42113
# So much fits into the 4 GB of a classic TIFF however badly it is compressed.
_MOST_CLASSIC_BYTES = 3 * 10**9

TiffTag = tuple[int, int, int, Any]
"""Code, type, count and value, as tifffile takes them."""


class Bands(Protocol):
    """What gives rows as an array (C, H, W) does, such as a file of them."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        ...

    def __getitem__(self, band_rows: tuple[int, slice]) -> npt.NDArray[np.generic]:
        """Some rows of a band, (h, W)."""
        ...


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


def write_bands(
    file: BinaryIO,
    bands_CHW: npt.NDArray[np.generic] | Bands,
    *,
    geo: Sequence[TiffTag] = (),
    names: Sequence[str] = (),
    palette_256: U8 | None = None,
    nodata: int | None = None,
) -> None:
    """A tiled TIFF of one band or more, Deflate; BigTIFF where it has to be.

    Args:
        file: to write to.
        bands_CHW: need not be in memory: some rows of it are read at a time.
        geo: tags that say where it lies, as ``geo_tags`` gives them.
        names: of the bands, told both in ImageDescription and as GDAL tells them.
        palette_256: the colours of one band of indices.
        nodata: the value that is no pixel.
    """
    count, height, width = bands_CHW.shape
    tags = [*geo, *_band_names(names)]
    if nodata is not None:
        tags.append((_GDAL_NODATA, _ASCII, 0, str(nodata)))
    with tifffile.TiffWriter(
        file, bigtiff=count * height * width * bands_CHW.dtype.itemsize > _MOST_CLASSIC_BYTES
    ) as writer:
        writer.write(
            _tiles(bands_CHW, 0 if nodata is None else nodata),
            shape=(count, height, width) if count > 1 else (height, width),
            dtype=bands_CHW.dtype,
            tile=(_TILE_PX, _TILE_PX),
            photometric="minisblack" if palette_256 is None else "palette",
            colormap=None if palette_256 is None else palette_256.T.astype(np.uint16) * 257,
            planarconfig="separate" if count > 1 else None,
            compression="zlib",
            description=json.dumps({"bands": list(names)}) if names else None,
            extratags=[(*tag, True) for tag in tags],
            metadata=None,
            software=False,
        )


def _tiles(bands_CHW: npt.NDArray[np.generic] | Bands, beyond: int) -> Iterator[npt.NDArray[np.generic]]:
    """Band by band, row by row; filled up beyond the border."""
    count, height, width = bands_CHW.shape
    for band in range(count):
        for y in range(0, height, _TILE_PX):
            rows = bands_CHW[band, y : y + _TILE_PX]
            rows = np.pad(rows, ((0, _TILE_PX - len(rows)), (0, -width % _TILE_PX)), constant_values=beyond)
            for x in range(0, width, _TILE_PX):
                yield rows[:, x : x + _TILE_PX]


def _band_names(names: Sequence[str]) -> list[TiffTag]:
    if not names:
        return []
    items = "".join(
        # GDAL escapes twice, and takes it back twice.
        f'<Item name="DESCRIPTION" sample="{band}" role="description">{escape(escape(name))}</Item>'
        for band, name in enumerate(names)
    )
    # A TIFF's texts are ASCII; XML has a way to write the rest.
    text = f"<GDALMetadata>{items}</GDALMetadata>".encode("ascii", "xmlcharrefreplace").decode("ascii")
    return [(_GDAL_METADATA, _ASCII, 0, text)]


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
