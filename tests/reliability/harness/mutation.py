"""Changes of bytes as a bad disk, a broken transfer or an unkind person makes them.

Rule: which changes are made follows from the seed and the number of the input alone, so that each can be made again
alone.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

# What readers forget to think of, as numbers of 1, 2, 4 and 8 bytes.
_EXTREMES = (0, 1, 2, -1, -2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
_WIDTHS = (1, 2, 2, 4, 4, 4, 8)
# A block that is copied, moved or put in is no longer than this: the files are small.
_MOST_BLOCK = 64
# One change in most inputs, so that what lies behind the first check is reached; seldom many.
_MOST_CHANGES = 6
_PNG = b"\x89PNG\r\n\x1a\n"

Change = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def source(seed: int, index: int) -> random.Random:
    """What decides about input number ``index``."""
    return random.Random((seed << 48) + index)


def mutate(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """``content`` with one change or a few; ``others`` are what it can be spliced with."""
    changed = bytearray(content)
    rounds = 1
    while rounds < _MOST_CHANGES and rng.random() < 0.35:
        rounds += 1
    for _ in range(rounds):
        if not changed:
            changed += b"\0"
        CHANGES[rng.randrange(len(CHANGES))](changed, rng, others)
    return bytes(changed)


def flip_bit(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """One bit is another one."""
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def flip_early(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """One bit of what stands in front of most formats: their header."""
    content[rng.randrange(min(len(content), 128))] ^= 1 << rng.randrange(8)


def set_byte(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """One byte is any other."""
    content[rng.randrange(len(content))] = rng.choice((0, 255, 127, 128, rng.randrange(256)))


def set_number(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """A number of some width, at any place and in either order, is an extreme one."""
    width = rng.choice(_WIDTHS)
    value = rng.choice(_EXTREMES) % (1 << 8 * width)
    at = rng.randrange(max(1, len(content) - width + 1))
    content[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))


def add_to_number(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """A byte is a little more or less."""
    at = rng.randrange(len(content))
    content[at] = (content[at] + rng.randrange(-16, 17)) % 256


def insert(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Bytes stand between the others."""
    at = rng.randrange(len(content) + 1)
    content[at:at] = rng.randbytes(rng.randrange(1, 9))


def delete(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Bytes are missing."""
    at = rng.randrange(len(content))
    del content[at : at + rng.randrange(1, _MOST_BLOCK)]


def truncate(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """The end is missing."""
    del content[rng.randrange(len(content)) :]


def append(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Something stands behind the end."""
    content += rng.randbytes(rng.randrange(1, _MOST_BLOCK))


def repeat(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """A block stands there twice."""
    at = rng.randrange(len(content))
    block = content[at : at + rng.randrange(1, _MOST_BLOCK)]
    content[at:at] = block


def swap(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Two blocks have changed places."""
    size = rng.randrange(1, min(_MOST_BLOCK, len(content) // 2 + 1) + 1)
    one, two = sorted(rng.randrange(len(content)) for _ in range(2))
    a, b = bytes(content[one : one + size]), bytes(content[two : two + size])
    content[two : two + size] = a
    content[one : one + size] = b


def wipe(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """A block is one byte again and again, as where a disk has lost it."""
    at, size = rng.randrange(len(content)), rng.randrange(1, _MOST_BLOCK)
    size = min(size, len(content) - at)
    content[at : at + size] = bytes([rng.choice((0, 255, 32))]) * size


def splice(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """The rest is that of another file."""
    if others:
        other = rng.choice(others)
        at = rng.randrange(len(content))
        content[at:] = other[min(at, rng.randrange(len(other) + 1)) :]


CHANGES: tuple[Change, ...] = (
    flip_bit, flip_early, set_byte, set_number, set_number, add_to_number, insert, delete, truncate, append, repeat,
    swap, wipe, splice,
)  # fmt: skip


def with_png_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the right checksums again: what is behind them is reached."""
    if not content.startswith(_PNG):
        return content
    mended, at = bytearray(content), len(_PNG)
    while at + 12 <= len(mended):
        (length,) = struct.unpack_from(">I", mended, at)
        end = at + 8 + length
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(memoryview(mended)[at + 4 : end]))
        at = end + 4
    return bytes(mended)
