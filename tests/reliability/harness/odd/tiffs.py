"""TIFF: depths, bands, inks, pages, tiles, and tags that promise more than there is."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from reliability.harness.odd import UPRIGHT, Array, Odd, bits, noise, smooth, written
from reliability.harness.odd.pngs import flipped

_BROKEN = "a whole, readable picture"
_ORIENTATION = 274


def tiff(pixels: Array, photometric: str = "minisblack", **options: Any) -> bytes:  # noqa: ANN401 - as tifffile takes them
    """Written by tifffile; (H, W, C), without a word about the axes."""
    out = io.BytesIO()
    options = {"planarconfig": "contig" if pixels.ndim == 3 else None, "metadata": None, **options}
    tifffile.imwrite(out, pixels, photometric=photometric, **options)
    return out.getvalue()


def planar(pixels: Array, **options: Any) -> bytes:  # noqa: ANN401
    """One plane of each channel behind the other."""
    return tiff(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), planarconfig="separate", **options)


def _pages(pages: list[Array], photometric: str = "minisblack") -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        for page in pages:
            file.write(page, photometric=photometric, metadata=None)
    return out.getvalue()


def _pillow(image: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    out = io.BytesIO()
    image.save(out, "TIFF", **options)
    return out.getvalue()


def _tagged(content: bytes, changed: dict[str, Any]) -> bytes:
    """With other values of some tags."""
    out = io.BytesIO(content)
    with tifffile.TiffFile(out, mode="r+b") as file:
        for name, value in changed.items():
            file.pages.first.tags[name].overwrite(value)
        return out.getvalue()


def _circle() -> bytes:
    """Two pages, the second of which is followed by the first."""
    content = bytearray(_pages([smooth(channels=1)[..., 0]] * 2))
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    (second,) = struct.unpack_from("<I", content, first + 2 + 12 * count)
    (count,) = struct.unpack_from("<H", content, second)
    struct.pack_into("<I", content, second + 2 + 12 * count, first)
    return bytes(content)


def _turned(orientation: int) -> Odd:
    content = tiff(_COLOUR, "rgb", extratags=[(_ORIENTATION, "H", 1, orientation, True)])
    return Odd("orientation", f"tif-turned-{orientation}.tif", written(content), UPRIGHT[orientation](_COLOUR))


def _four_bits(path: Path) -> None:
    """Two values in each byte, by hand: header, pixels, tags."""
    rows = np.pad(_FOUR[..., 0], ((0, 0), (0, _FOUR.shape[1] % 2)))
    content = (rows[:, ::2] << 4 | rows[:, 1::2]).astype(np.uint8).tobytes()
    tags = [(256, 14), (257, 9), (258, 4), (259, 1), (262, 1), (273, 8), (277, 1), (278, 9), (279, len(content))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    start = struct.pack("<2sHI", b"II", 42, 8 + len(content))
    path.write_bytes(start + content + struct.pack("<H", len(tags)) + entries + bytes(4))


_GREY, _COLOUR, _DEEP = noise("uint8", 1), noise("uint8", 3), noise("uint16", 1)
_FOUR, _BITS = _GREY // 16, bits()
_WHITE = np.where(_BITS, 255, 0).astype(np.uint8)[..., None]
_SEEN = _WHITE[..., 0] > 0
_GAPS = noise("float32", 5)
_GAPS[0, :4], _GAPS[1, 0, 0], _GAPS[2, 0], _GAPS[3, 1] = np.nan, np.nan, np.inf, -np.inf
_INKS = noise("uint8", 4)
_LIGHT = 255 - _INKS.astype(np.float64)
_RGB = np.round(_LIGHT[..., :3] * _LIGHT[..., 3:] / 255).astype(np.uint8)
_INDICES = (_GREY // 64)[..., 0]
_COLOURS = np.zeros((256, 3), np.uint8)
_COLOURS[:4] = [[10, 20, 30], [200, 0, 0], [0, 0, 200], [250, 251, 252]]
_MAP = np.ascontiguousarray(_COLOURS.T.astype(np.uint16) * 257)
_PLAIN, _PACKED = tiff(_COLOUR, "rgb"), tiff(_COLOUR, "rgb", compression="zlib")
_LARGE = {"ImageWidth": 100_000, "ImageLength": 100_000}
_STACK = [np.full((9, 14), 10 * i, np.uint8) for i in range(17)]

CASES: tuple[Odd, ...] = (
    *(_turned(orientation) for orientation in UPRIGHT),
    Odd("bits", "tif-1-bit.tif", written(tiff(_BITS)), _WHITE),
    Odd("bits", "tif-1-bit-fax.tif", written(_pillow(Image.fromarray(_BITS), compression="group4")), _WHITE),
    Odd("bits", "tif-4-bits.tif", _four_bits, _FOUR),
    Odd("bits", "tif-16-bits.tif", written(tiff(_DEEP[..., 0])), _DEEP),
    Odd("bits", "tif-16-bits-big-endian.tif", written(tiff(_DEEP[..., 0], byteorder=">")), _DEEP),
    Odd("bits", "tif-16-bits-bigtiff.tif", written(tiff(_DEEP[..., 0], bigtiff=True)), _DEEP),
    Odd("bits", "tif-white-is-0.tif", written(tiff(_GREY[..., 0], "miniswhite")), 255 - _GREY),
    Odd("bits", "tif-64-bits.tif", written(tiff(noise("uint64", 1)[..., 0])), says="received uint64"),
    Odd("bits", "tif-complex.tif", written(tiff(np.zeros((4, 5), np.complex64))), says="received complex64"),
    Odd("palette", "tif-palette.tif", written(tiff(_INDICES, "palette", colormap=_MAP)), _COLOURS[_INDICES]),
    Odd(
        "alpha",
        "tif-alpha.tif",
        written(tiff(np.dstack([_COLOUR, _WHITE]), "rgb", extrasamples=["unassalpha"])),
        _COLOUR,
        valid_HW=_SEEN,
    ),
    Odd("inks", "tif-cmyk.tif", written(tiff(_INKS, "separated")), _RGB),
    Odd("inks", "tif-cmyk-planar.tif", written(planar(_INKS, photometric="separated")), _RGB),
    Odd("inks", "tif-lab.tif", written(_pillow(Image.fromarray(smooth()).convert("LAB"))), says="colours in CIE Lab"),
    Odd("inks", "tif-ycbcr.tif", written(_pillow(Image.fromarray(smooth()).convert("YCbCr"))), says="colours in YCbCr"),
    Odd(
        "inks",
        "tif-jpeg.tif",
        written(_pillow(Image.fromarray(smooth(32, 48)), compression="jpeg", quality=95)),
        smooth(32, 48),
        most_off=12,
    ),
    Odd("bands", "tif-2-bands.tif", written(tiff(noise("uint8", 2))), noise("uint8", 2)),
    Odd("bands", "tif-5-bands.tif", written(tiff(noise("uint8", 5))), noise("uint8", 5)),
    Odd("bands", "tif-2-bands-planar.tif", written(planar(noise("uint16", 2))), noise("uint16", 2)),
    Odd(
        "bands",
        "tif-5-bands-planar-tiles.tif",
        written(planar(noise("uint8", 5, 40, 40), tile=(16, 16))),
        noise("uint8", 5, 40, 40),
    ),
    Odd(
        "bands",
        "tif-600-bands.tif",
        written(tiff(np.zeros((4, 5, 600), np.uint8))),
        says="at most 268,435,456 pixels and 512 channels",
    ),
    Odd("floats", "tif-float16.tif", written(tiff(noise("float16", 1)[..., 0])), noise("float16", 1)),
    Odd("floats", "tif-float32.tif", written(tiff(noise("float32", 5))), noise("float32", 5)),
    Odd("floats", "tif-float64.tif", written(tiff(noise("float64", 1)[..., 0])), noise("float64", 1)),
    Odd("floats", "tif-nan-and-infinity.tif", written(tiff(_GAPS)), _GAPS, valid_HW=~np.isnan(_GAPS).all(axis=2)),
    Odd("sizes", "tif-1x1.tif", written(tiff(_COLOUR[:1, :1], "rgb")), _COLOUR[:1, :1]),
    Odd(
        "sizes",
        "tif-1x300.tif",
        written(tiff(np.tile(_COLOUR[:1], (1, 30, 1))[:, :300], "rgb")),
        np.tile(_COLOUR[:1], (1, 30, 1))[:, :300],
    ),
    Odd("several", "tif-3-pages-colour.tif", written(_pages([_COLOUR] * 3, "rgb")), says="one picture in the file"),
    Odd("several", "tif-17-pages.tif", written(_pages(_STACK)), says="a stack of shape 17×9×14"),
    Odd("several", "tif-1000-pages.tif", written(_pages([_STACK[0][:2, :2]] * 1000)), says="a stack of shape 1000×2×2"),
    Odd("several", "tif-5-pages-channels.tif", written(_pages(_STACK[:5])), np.dstack(_STACK[:5])),
    Odd(
        "several",
        "tif-pages-of-sizes.tif",
        written(_pages([page[: 9 - i] for i, page in enumerate(_STACK[:2])])),
        says="one picture in the file",
    ),
    Odd("several", "tif-pages-in-a-circle.tif", written(_circle()), np.dstack([smooth(channels=1)] * 2)),
    Odd("flipped", "tif-flipped-first.tif", written(flipped(_PLAIN, 0)), says=_BROKEN),
    Odd("flipped", "tif-flipped-offset.tif", written(flipped(_PLAIN, 5)), says=_BROKEN),
    Odd("flipped", "tif-flipped-packed.tif", written(flipped(_PACKED, len(_PACKED) - 40)), says=_BROKEN),
    Odd("promises", "tif-100000x100000.tif", written(_tagged(_PLAIN, _LARGE)), says="expected"),
    Odd(
        "promises",
        "tif-100000x100000-packed.tif",
        written(_tagged(_PACKED, {**_LARGE, "RowsPerStrip": 100_000})),
        says="expected",
    ),
    Odd("promises", "tif-8000000-rows.tif", written(_tagged(_PACKED, {"ImageLength": 8_000_000})), says=_BROKEN),
)
