"""PNG, JPEG, BMP, WebP and GIF.

Pillow decodes 8 bits a channel; 16-bit PNG goes through OpenCV, because Pillow cuts 16-bit colour
down to 8 without a word.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from masksmith.errors import DataError
from masksmith.images import bmp, jpeg, png
from masksmith.images.opening import opened
from masksmith.images.picture import TURNED, U8, Header, Mask, Picture, Pixels, upright, valid_pixels

# What is decoded whatever the file's name says. Pillow knows more, but some of it starts other
# programs (EPS) and some is read better elsewhere (TIFF).
_KINDS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "GIF")
_ORIENTATION = 0x0112
# Pixels that a byte can stand for. A lossy WebP says of each 16 × 16 how they are foretold, in a bit at least (RFC
# 6386, 11.2); a JPEG of each 8 × 8 how bright they are, likewise; a code of a GIF has 12 bits for at most 4,096.
_MOST_PIXELS = {"WEBP": 8 * 16 * 16, "JPEG": 8 * 8 * 8, "MPO": 8 * 8 * 8, "GIF": 8 * 4096 // 12}
# What is left over, for headers, and for a GIF whose one frame is smaller than what it is laid on.
_SPARE_PIXELS = 2**22
# What a JPEG can hold of it.
_MOST_EXIF_BYTES = 2**16
# Pillow's modes for the channels that a picture has; transparency is no measured channel.
_MODES = {
    "1": 1,
    "L": 1,
    "LA": 1,
    "La": 1,
    "I": 1,
    "I;16": 1,
    "I;16B": 1,
    "F": 1,
    "P": 3,
    "PA": 3,
    "RGB": 3,
    "RGBA": 3,
    "RGBa": 3,
    "RGBX": 3,
    "CMYK": 3,
    "YCbCr": 3,
    "LAB": 3,
    "HSV": 3,
}
_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}


def read_header(path: Path) -> Header:
    """Size, channels and dtype, upright."""
    with opened(path, _KINDS) as image:
        width, height = image.size
        if _orientation(image, path) in TURNED:
            height, width = width, height
        bits, channels, alpha = _png_depth(path)
        if bits == 16:
            return Header(height, width, channels, "uint16", alpha)
        return Header(height, width, _MODES.get(image.mode, 3), "uint8", image.mode in _WITH_ALPHA)


def read(path: Path) -> Picture:
    """All pixels, upright; Pillow raises whatever it raises about broken files."""
    png.check_room(path)
    with opened(path, _KINDS) as image:
        # Telephones keep a preview or a depth map behind a photograph (MPO); the first is the photograph.
        if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
            raise DataError(
                where=path,
                expected="one picture",
                received=f"an animation of {frames} frames",
                remedy="save each frame as a file of its own",
            )
        orientation = _orientation(image, path)
        _check_room(path, image)
        grey = bmp.read_grey(path, image)
        if grey is not None:
            return Picture(grey)
        image.load()
        if image.format in {"JPEG", "MPO"}:
            jpeg.check_whole(path, image)
        if image.format == "PNG":
            png.check_whole(path, image)
        bits, channels, _ = _png_depth(path)
        if bits == 16:
            stored = _read_16_bit(path, channels, image)
        else:
            stored = _palette(image) if image.mode == "P" else _plain(image, bits)
    return _turned(stored, orientation)


def is_turned(path: Path) -> bool:
    """Whether an EXIF orientation turns or mirrors the pixels as stored."""
    with opened(path, _KINDS) as image:
        return 2 <= _orientation(image, path) <= 8


def _plain(image: Image.Image, bits: int) -> Picture:
    """A picture of 8 bits a channel or fewer, without a palette; ``bits`` are those of a PNG."""
    grey = _MODES.get(image.mode, 3) == 1
    pixels = _as_mode(image, "L" if grey else "RGB")
    opaque = alpha = None
    if image.mode in _WITH_ALPHA:
        alpha = _as_mode(image, "LA" if grey else "RGBA")[..., -1]
        opaque = alpha > 0
    # Pillow spreads grey of 2 or 4 bits over 0 … 255, its transparent value it does not.
    key = _key(image, 255 // (2**bits - 1) if grey and 1 < bits < 8 else 1)
    return Picture(pixels, valid_HW=valid_pixels(pixels, opaque_HW=_without_key(pixels, key, opaque)), alpha_HW=alpha)


def _turned(stored: Picture, orientation: int) -> Picture:
    def turn(array: Pixels) -> Pixels:
        return np.ascontiguousarray(upright(array, orientation))

    return Picture(
        turn(stored.pixels_HWC),
        None if stored.indices_HW is None else turn(stored.indices_HW),  # type: ignore[arg-type]
        stored.palette_P3,
        None if stored.valid_HW is None else turn(stored.valid_HW),  # type: ignore[arg-type]
        None if stored.alpha_HW is None else turn(stored.alpha_HW),
    )


def _as_mode(image: Image.Image, mode: str) -> U8:
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _palette(image: Image.Image) -> Picture:
    if image.palette is None or not image.palette.palette:
        raise ValueError("a palette is missing")
    indices = np.asarray(image)
    palette = np.zeros((256, 3), np.uint8)
    stored = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    # PNG gives an opacity to each of the first indices, GIF names one transparent index.
    transparency = image.info.get("transparency")
    opaque_P = np.ones(256, np.bool_)
    if isinstance(transparency, bytes):
        opaque_P[: len(transparency)] = np.frombuffer(transparency[:256], np.uint8) > 0
    elif isinstance(transparency, int) and 0 <= transparency < 256:
        opaque_P[transparency] = False
    pixels = palette[indices]
    return Picture(pixels, indices, palette, valid_pixels(pixels, opaque_HW=opaque_P[indices]))


def _key(image: Image.Image, scale: int) -> tuple[int, ...] | None:
    """The one value or colour that a PNG without opacities declares transparent."""
    transparency = image.info.get("transparency")
    if isinstance(transparency, int):
        return (transparency * scale,)
    return tuple(transparency) if isinstance(transparency, tuple) else None


def _without_key(pixels_HWC: Pixels, key: tuple[int, ...] | None, opaque_HW: Mask | None) -> Mask | None:
    if key is None or len(key) != pixels_HWC.shape[2]:
        return opaque_HW
    return np.asarray((pixels_HWC != np.asarray(key)).any(axis=2))


def _orientation(image: Image.Image, path: Path) -> int:
    """The EXIF orientation, 1 if none can be read; asked before the pixels are decoded.

    Pillow decodes a whole PNG to look for EXIF data behind the pixels; before a picture is known to be small enough
    these are looked for here.
    """
    late = _late_exif(path) if image.format == "PNG" and "exif" not in image.info else b""
    try:
        if late:
            exif = Image.Exif()
            exif.load(late)
            return int(exif.get(_ORIENTATION, 1))
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except (SyntaxError, struct.error, TypeError, ValueError):  # damaged, which says nothing of the pixels
        return 1


def _late_exif(path: Path) -> bytes:
    """The EXIF data that stand behind the pixels of a PNG; its chunks are a length, a name, content and a checksum."""
    with path.open("rb") as file:
        at, size = 8, path.stat().st_size
        while at + 8 <= size:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            if name == b"eXIf":
                return file.read(min(length, _MOST_EXIF_BYTES))
            at += length + 12
    return b""


def _png_depth(path: Path) -> tuple[int, int, bool]:
    """Bits a sample, 1 or 3 channels with transparency left out, and whether it has that; 0 for any other picture.

    Bit depth and colour type stand in bytes 24 and 25 of a PNG (PNG specification, IHDR).
    """
    with path.open("rb") as file:
        head = file.read(26)
    if not head.startswith(b"\x89PNG") or len(head) < 26:
        return 0, 0, False
    return head[24], 1 if head[25] in {0, 4} else 3, head[25] in {4, 6}


def _check_room(path: Path, image: Image.Image) -> None:
    """Refuse a picture of more pixels than its bytes can hold, before these are given memory."""
    with path.open("rb") as file:
        head = file.read(16)
    if image.format == "WEBP" and not head.endswith(b"WEBPVP8 "):  # without loss one colour takes no bit at all
        return
    size, most = path.stat().st_size, _MOST_PIXELS.get(image.format or "")
    if most is not None and image.width * image.height > most * size + _SPARE_PIXELS:
        raise ValueError(f"{size:,} bytes for {image.width}×{image.height} pixels")


def _read_16_bit(path: Path, channels: int, image: Image.Image) -> Picture:
    png.check_chunks(path)  # OpenCV takes as much memory as a chunk says that it has
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("OpenCV cannot decode it")
    if decoded.dtype != np.uint16:
        raise ValueError("it is not of 16 bits, as its header says")
    array = np.asarray(decoded).reshape(*decoded.shape[:2], -1)
    # OpenCV answers blue, green, red, alpha, and that for grey with transparency too.
    key = _key(image, 1)
    pixels: Pixels = array[..., 2::-1] if channels == 3 else array[..., :1]
    alpha = array[..., 3] if array.shape[2] == 4 and key is None else None
    opaque = _without_key(pixels, key, None if alpha is None else alpha > 0)
    return Picture(np.ascontiguousarray(pixels), valid_HW=valid_pixels(pixels, opaque_HW=opaque), alpha_HW=alpha)
