"""PNG by hand: of each kind and depth, damaged, and with more in it than pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from reliability.harness.odd import Array, Odd, bits, noise, smooth, written

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BROKEN = "a whole, readable picture"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
# First row and column, and the steps of both, of the seven passes of Adam7.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(name: bytes, body: bytes) -> bytes:
    """One part of a PNG, with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _lines(rows: Array, depth: int) -> bytes:
    """Rows as they are stored: filter 0, samples of ``depth`` bits."""
    if depth < 8:
        spread = (rows[..., 0].astype(np.uint8)[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        return b"".join(b"\0" + np.packbits(line).tobytes() for line in spread.reshape(len(rows), -1))
    return b"".join(b"\0" + line.tobytes() for line in rows.astype(">u2" if depth == 16 else np.uint8))


def png(
    rows: Array, kind: int, depth: int = 8, *, before: bytes = b"", after: bytes = b"", adam7: bool = False
) -> bytes:
    """A PNG of ``rows`` (H, W, samples); chunks stand before and after its pixels."""
    parts = [rows[y::down, x::across] for y, x, down, across in _PASSES] if adam7 else [rows]
    packed = zlib.compress(b"".join(_lines(part, depth) for part in parts if part.size))
    return (
        header(rows.shape[1], rows.shape[0], kind, depth, adam7) + before + pixels(packed) + after + chunk(b"IEND", b"")
    )


def header(width: int, height: int, kind: int = COLOUR, depth: int = 8, adam7: bool = False) -> bytes:
    """The beginning, up to the size."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, adam7))


def pixels(packed: bytes) -> bytes:
    """The chunk with the pixels."""
    return chunk(b"IDAT", packed)


def exif(orientation: int) -> bytes:
    """EXIF data with the one tag."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def zeros(begin: bytes = b"", mebibytes: int = 400) -> bytes:
    """So many zeros behind ``begin`` as a zlib stream, made without having them all."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    first = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    low, high = (found := zlib.adler32(begin)) & 0xFFFF, found >> 16
    checksum = (high + mebibytes * 2**20 * low) % 65_521 << 16 | low
    return b"\x78\xda" + first + part * mebibytes + packer.flush() + struct.pack(">I", checksum)


def flipped(content: bytes, at: int, bit: int = 0x10) -> bytes:
    """With one bit of byte ``at`` turned round; a negative one counts from the end."""
    changed = bytearray(content)
    changed[at] ^= bit
    return bytes(changed)


_GREY, _COLOUR, _DEEP = noise("uint8", 1), noise("uint8", 3), noise("uint16", 1)
_DEEP_COLOUR = noise("uint16", 3)
_BITS = bits()[..., None].astype(np.uint8)
_TWO, _FOUR = _GREY // 64, _GREY // 16
_COLOURS = np.array([[10, 20, 30], [200, 0, 0], [0, 0, 200], [250, 251, 252]], np.uint8)
_PLTE = chunk(b"PLTE", _COLOURS.tobytes())
_SEEN = np.where(bits(9, 14), 255, 0).astype(np.uint8)[..., None]
_SEEN_DEEP = _SEEN.astype(np.uint16) * 257
_KEYED = np.where(bits(9, 14)[..., None], 7, np.maximum(_GREY, 8)).astype(np.uint8)
_PLAIN = png(smooth(), COLOUR)
_DEEP_PNG = png(_DEEP, GREY, 16)
_STORED = header(14, 9) + pixels(zlib.compress(_lines(_COLOUR, 8), 0)) + chunk(b"IEND", b"")
_TEXT_BOMB = chunk(b"zTXt", b"Comment\0\0" + zeros())
_PROFILE_BOMB = chunk(b"iCCP", b"icc\0\0" + zeros())
_MUCH = zeros(_lines(_COLOUR, 8))
_XMP = (
    b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description tiff:Orientation=\"6\"/></rdf:RDF></x:xmpmeta>"
)
_FRAMES = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(
    b"fcTL", struct.pack(">IIIIIHHBB", 0, 37, 24, 0, 0, 1, 10, 0, 0)
)
_SECOND = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 37, 24, 0, 0, 1, 10, 0, 0)) + chunk(
    b"fdAT", struct.pack(">I", 2) + zlib.compress(_lines(smooth(), 8))
)

CASES: tuple[Odd, ...] = (
    Odd("bits", "png-1-bit.png", written(png(_BITS, GREY, 1)), _BITS * 255),
    Odd("bits", "png-2-bits.png", written(png(_TWO, GREY, 2)), _TWO * 85),
    Odd("bits", "png-4-bits.png", written(png(_FOUR, GREY, 4)), _FOUR * 17),
    Odd("bits", "png-16-bits.png", written(_DEEP_PNG), _DEEP),
    Odd("bits", "png-16-bits-colour.png", written(png(_DEEP_COLOUR, COLOUR, 16)), _DEEP_COLOUR),
    Odd("bits", "png-interlaced.png", written(png(_COLOUR, COLOUR, adam7=True)), _COLOUR),
    Odd("bits", "png-interlaced-16-bits.png", written(png(_DEEP, GREY, 16, adam7=True)), _DEEP),
    Odd("bits", "png-3-bits.png", written(png(_FOUR, GREY, 3)), says=_BROKEN),
    Odd("palette", "png-palette-1-bit.png", written(png(_BITS, PALETTE, 1, before=_PLTE)), _COLOURS[_BITS[..., 0]]),
    Odd("palette", "png-palette-2-bits.png", written(png(_TWO, PALETTE, 2, before=_PLTE)), _COLOURS[_TWO[..., 0]]),
    Odd("palette", "png-palette-8-bits.png", written(png(_TWO, PALETTE, 8, before=_PLTE)), _COLOURS[_TWO[..., 0]]),
    Odd(
        "palette",
        "png-palette-opacity.png",
        written(png(_TWO, PALETTE, 8, before=_PLTE + chunk(b"tRNS", b"\xff\0"))),
        _COLOURS[_TWO[..., 0]],
        valid_HW=_TWO[..., 0] != 1,
    ),
    # Indices beyond a palette are black, as in all programs.
    Odd(
        "palette",
        "png-palette-short.png",
        written(png(_TWO, PALETTE, 8, before=chunk(b"PLTE", _COLOURS[:2].tobytes()))),
        np.where(_TWO < 2, _COLOURS[_TWO[..., 0]], 0).astype(np.uint8),
    ),
    Odd("palette", "png-palette-missing.png", written(png(_TWO, PALETTE, 8)), says=_BROKEN),
    Odd(
        "alpha",
        "png-grey-alpha.png",
        written(png(np.dstack([_GREY, _SEEN]), GREY_ALPHA)),
        _GREY,
        valid_HW=_SEEN[..., 0] > 0,
    ),
    Odd(
        "alpha",
        "png-alpha.png",
        written(png(np.dstack([_COLOUR, _SEEN]), COLOUR_ALPHA)),
        _COLOUR,
        valid_HW=_SEEN[..., 0] > 0,
    ),
    Odd(
        "alpha",
        "png-alpha-16-bits.png",
        written(png(np.dstack([_DEEP_COLOUR, _SEEN_DEEP]), COLOUR_ALPHA, 16)),
        _DEEP_COLOUR,
        valid_HW=_SEEN[..., 0] > 0,
    ),
    Odd(
        "alpha",
        "png-nothing-seen.png",
        written(png(np.dstack([_COLOUR, _SEEN * 0]), COLOUR_ALPHA)),
        _COLOUR,
        valid_HW=np.zeros((9, 14), np.bool_),
    ),
    Odd(
        "alpha",
        "png-transparent-value.png",
        written(png(_KEYED, GREY, before=chunk(b"tRNS", b"\0\x07"))),
        _KEYED,
        valid_HW=_KEYED[..., 0] != 7,
    ),
    Odd(
        "orientation",
        "png-exif-6.png",
        written(png(smooth(), COLOUR, before=chunk(b"eXIf", exif(6)))),
        np.rot90(smooth(), -1),
    ),
    Odd(
        "orientation",
        "png-exif-late.png",
        written(png(smooth(), COLOUR, after=chunk(b"eXIf", exif(6)))),
        np.rot90(smooth(), -1),
    ),
    Odd(
        "orientation",
        "png-exif-16-bits.png",
        written(png(_DEEP, GREY, 16, after=chunk(b"eXIf", exif(5)))),
        _DEEP.swapaxes(0, 1),
    ),
    Odd(
        "orientation",
        "png-xmp-6.png",
        written(png(smooth(), COLOUR, before=chunk(b"iTXt", _XMP))),
        np.rot90(smooth(), -1),
    ),
    Odd(
        "several",
        "png-two-frames.png",
        written(png(smooth(), COLOUR, before=_FRAMES, after=_SECOND)),
        says="an animation of 2 frames",
    ),
    Odd("sizes", "png-1x1.png", written(png(_COLOUR[:1, :1], COLOUR)), _COLOUR[:1, :1]),
    Odd(
        "sizes",
        "png-1x5000.png",
        written(png(np.tile(_COLOUR[:1], (1, 358, 1))[:, :5000], COLOUR)),
        np.tile(_COLOUR[:1], (1, 358, 1))[:, :5000],
    ),
    Odd(
        "sizes",
        "png-5000x1.png",
        written(png(np.tile(_GREY[:, :1], (556, 1, 1))[:5000], GREY)),
        np.tile(_GREY[:, :1], (556, 1, 1))[:5000],
    ),
    Odd(
        "sizes",
        "png-0x0.png",
        written(header(0, 0) + pixels(zlib.compress(b"")) + chunk(b"IEND", b"")),
        says="expected a",
    ),
    Odd("flipped", "png-flipped-size.png", written(flipped(_PLAIN, 19)), says=_BROKEN),
    Odd("flipped", "png-flipped-pixels.png", written(flipped(_STORED, 200)), says=_BROKEN),
    Odd("flipped", "png-flipped-16-bits.png", written(flipped(_DEEP_PNG, 100)), says=_BROKEN),
    Odd("flipped", "png-flipped-first.png", written(flipped(_PLAIN, 0)), says=_BROKEN),
    Odd(
        "promises",
        "png-100000x100000.png",
        written(header(100_000, 100_000) + pixels(zlib.compress(bytes(1000)))),
        says="100000×100000 pixels",
    ),
    Odd(
        "promises",
        "png-16000x16000.png",
        written(header(16_000, 16_000) + pixels(zlib.compress(bytes(1000)))),
        says=_BROKEN,
    ),
    Odd(
        "promises",
        "png-short-16-bits.png",
        written(header(9, 9, COLOUR, 16) + pixels(zlib.compress(bytes(10)))),
        says=_BROKEN,
    ),
    Odd("bombs", "png-text-bomb.png", written(png(smooth(), COLOUR, before=_TEXT_BOMB)), says=_BROKEN),
    Odd("bombs", "png-text-bomb-late.png", written(png(smooth(), COLOUR, after=_TEXT_BOMB)), says=_BROKEN),
    Odd("bombs", "png-profile-bomb.png", written(png(_COLOUR, COLOUR, before=_PROFILE_BOMB)), says=_BROKEN),
    Odd("bombs", "png-pixels-bomb.png", written(header(14, 9) + pixels(_MUCH) + chunk(b"IEND", b"")), _COLOUR),
)
