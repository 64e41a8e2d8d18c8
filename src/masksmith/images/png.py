"""Whether a PNG holds all the pixels that it promises: Pillow leaves those black for which there are no data.

Rule: nothing is unpacked that is not looked for, and never more than a megabyte at a time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

# Deflate packs no more bytes than these into one (zlib's technical notes).
_MOST_PACKED = 1032
_PIECE_BYTES = 2**20
# Samples of a pixel by colour type, and the passes of Adam7: first column and row, steps (PNG specification).
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_room(path: Path) -> None:
    """Refuse a PNG that is too small for its pixels, before these are given memory.

    Raises:
        ValueError: it is.
    """
    wanted, size = _unpacked_bytes(path), path.stat().st_size
    if wanted > _MOST_PACKED * size:
        raise ValueError(f"{size:,} bytes that cannot hold {wanted:,}")


def check_whole(path: Path, image: Image.Image) -> None:
    """Refuse a decoded PNG whose data end before its pixels.

    Raises:
        ValueError: they do.
    """
    width, height = image.size
    in_passes = image.info.get("interlace")
    if not in_passes and np.asarray(image.crop((0, height - 1, width, height))).any():
        return  # rows come one after the other, and the last one is there
    wanted = _unpacked_bytes(path)
    unpacker, found = zlib.decompressobj(), 0
    for piece in _data(path):
        packed = piece
        while packed and found < wanted:
            found += len(unpacker.decompress(packed, _PIECE_BYTES))
            packed = unpacker.unconsumed_tail
    if found < wanted:  # the last of them it may still hold
        found += len(unpacker.flush())
    if found < wanted:
        raise ValueError(f"{found:,} bytes of pixels in place of {wanted:,}")


def check_chunks(path: Path) -> None:
    """Refuse a PNG with a chunk that ends behind the end of the file.

    Raises:
        ValueError: there is one.
    """
    size = path.stat().st_size
    for at, length, name in _chunks(path):
        if at + length > size:
            raise ValueError(f"a chunk of {length:,} bytes in a file of {size:,}")
        if name == b"IEND":
            return


def _unpacked_bytes(path: Path) -> int:
    """What the pixels take once they are unpacked, with a byte in front of each row; 0 for another file."""
    with path.open("rb") as file:
        head = file.read(29)
    if not head.startswith(b"\x89PNG") or len(head) < 29:
        return 0
    width, height, bits, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", head, 16)
    pixel_bits = bits * _SAMPLES.get(kind, 0)
    total = 0
    for x, y, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = max(0, -(-(width - x) // across)), max(0, -(-(height - y) // down))
        total += rows * (1 + -(-columns * pixel_bits // 8)) if columns else 0
    return total


def _data(path: Path) -> Iterator[bytes]:
    """The packed pixels, piece by piece."""
    with path.open("rb") as file:
        for at, length, name in _chunks(path):
            file.seek(at)
            left = length if name == b"IDAT" else 0
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
                yield piece
                left -= len(piece)


def _chunks(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Where the content of each chunk begins, how long it says that it is, and its name."""
    at, size = 8, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            yield at + 8, length, name
            at += length + 12
