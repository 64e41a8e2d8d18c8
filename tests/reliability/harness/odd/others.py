"""BMP, GIF, WebP, NumPy arrays and medical files, and things that are no pictures at all."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from reliability.harness.odd import Array, Odd, bits, noise, smooth, written
from reliability.harness.odd.jpegs import jpeg
from reliability.harness.odd.pngs import COLOUR, exif, flipped, png
from reliability.harness.odd.tiffs import tiff

_BROKEN = "a whole, readable picture"


def bmp(rows: bytes, width: int, height: int, depth: int, palette: bytes = b"", how: int = 0) -> bytes:
    """By hand: ``rows`` as they are stored, from the last one up, each a multiple of four bytes long."""
    start = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, how, len(rows), 0, 0, len(palette) // 4, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + info + palette + rows


def rows(stored: Array) -> bytes:
    """The rows of a BMP: from the last one up, each filled to a multiple of four bytes."""
    return b"".join(line.tobytes() + bytes(-len(line.tobytes()) % 4) for line in stored[::-1])


def four_bits(indices_HW: Array) -> Array:
    """Two indices in each byte."""
    even = np.pad(indices_HW, ((0, 0), (0, indices_HW.shape[1] % 2))).astype(np.uint8)
    return even[:, ::2] << 4 | even[:, 1::2]


def grey_ramp(colors: int) -> bytes:
    """The palette of a BMP in which each index is its own grey."""
    return b"".join(bytes([grey, grey, grey, 0]) for grey in range(colors))


def shifted(bmp: bytes, start: int) -> bytes:
    """The same BMP with a byte in front of its pixels, which began at ``start``."""
    return bmp[:10] + struct.pack("<I", start + 1) + bmp[14:start] + b"\0" + bmp[start:]


def _run_lengths(indices_HW: Array) -> bytes:
    """Each row as it is, its odd length filled to an even one."""
    length = indices_HW.shape[1]
    lines = (bytes([0, length]) + line.tobytes() + bytes(length % 2) + b"\0\0" for line in indices_HW[::-1])
    return b"".join(lines) + b"\0\1"


def _pillow(kind: str, pixels: Array, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def gif(size: tuple[int, int], frame: bytes, frames: int = 1) -> bytes:
    """By hand: a canvas of black and white, and frames of one pixel on it."""
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


def npy(array: Array) -> bytes:
    """As NumPy writes it."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def npy_header(shape: str, content: bytes = b"", descr: str = "'|u1'") -> bytes:
    """By hand, whatever the words say."""
    words = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    words += b" " * (-(len(words) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(words)) + words + content


def npz(how: int = zipfile.ZIP_DEFLATED, **arrays: bytes) -> bytes:
    """A ZIP file with these contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def nifti(pixels: Array, sizes: tuple[int, ...] | None = None) -> bytes:
    """By hand: one slice of 16 bits, its columns first."""
    header = bytearray(352)
    shape = sizes or (pixels.shape[1], pixels.shape[0])
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<hh", header, 70, 512, 16)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return bytes(header) + pixels[..., 0].astype("<u2").tobytes()


def nifti_2(pixels: Array) -> bytes:
    """By hand: the same, with sizes and places of 64 bits."""
    header = bytearray(544)
    struct.pack_into("<i8shh", header, 0, 540, b"n+2\0\r\n\x1a\n", 512, 16)
    struct.pack_into("<8q", header, 16, 2, pixels.shape[1], pixels.shape[0], *[1] * 5)
    struct.pack_into("<q", header, 168, 544)
    return bytes(header) + pixels[..., 0].astype("<u2").tobytes()


def dicom(pixels: Array, rows: int | None = None) -> bytes:
    """By hand: explicit VR little endian, 16 bits."""

    def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        long = kind in {b"OW", b"OB"}
        return (
            struct.pack("<HH2s", group, number, kind)
            + struct.pack("<HI" if long else "<H", *([0] if long else []), len(value))
            + value
        )

    def short(number: int, value: int) -> bytes:
        return element(0x28, number, b"US", struct.pack("<H", value))

    height, width, _ = pixels.shape
    meta = element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1")
    meta = element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta
    kind = element(0x28, 4, b"CS", b"MONOCHROME2 ")
    size = short(0x10, rows or height) + short(0x11, rows or width)
    depth = short(0x100, 16) + short(0x101, 16) + short(0x102, 15) + short(0x103, 0)
    content = element(0x7FE0, 0x10, b"OW", pixels.astype("<u2").tobytes())
    return bytes(128) + b"DICM" + meta + short(2, 1) + kind + size + depth + content


_GREY, _COLOUR, _DEEP = noise("uint8", 1), noise("uint8", 3), noise("uint16", 1)
_FOUR = _GREY[..., 0] // 16
_RUNS = _run_lengths(_GREY[:, :13, 0])
_BITS = bits()
_WHITE = np.where(_BITS, 255, 0).astype(np.uint8)[..., None]
_BLACK_WHITE = b"\0\0\0\0\xff\xff\xff\0"
_COLOURS = np.array([[10, 20, 30], [200, 0, 0], [0, 0, 200], [250, 251, 252]], np.uint8)
_INDICES = (_GREY // 64)[..., 0]
_BGR0 = np.pad(_COLOURS[:, ::-1], ((0, 0), (0, 1))).tobytes()
_BLACK_FRAME = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
_HTML = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>"
_SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"><rect/></svg>'
_ZIP = npz(readme=b"no array at all")
_RUN = b"#!/bin/sh\ntouch /tmp/this-was-run\n"
_PNG, _JPEG, _TIFF = png(_COLOUR, COLOUR), jpeg(smooth()), tiff(_COLOUR, "rgb")
_WEBP = _pillow("WEBP", _COLOUR, lossless=True)
_SEEN = np.where(_BITS, 255, 0).astype(np.uint8)
_DISGUISES = {"html": _HTML, "svg": _SVG, "zip": _ZIP, "script": _RUN, "pdf": b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n"}
_NESTED = "(" * 900 + ")" * 900

CASES: tuple[Odd, ...] = (
    Odd("bits", "bmp-1-bit.bmp", written(bmp(rows(np.packbits(_BITS, axis=1)), 14, 9, 1, _BLACK_WHITE)), _WHITE),
    Odd("bits", "bmp-24-bits.bmp", written(bmp(rows(_COLOUR[..., ::-1]), 14, 9, 24)), _COLOUR),
    Odd("bits", "bmp-from-the-top.bmp", written(bmp(rows(_COLOUR[::-1, :, ::-1]), 14, -9, 24)), _COLOUR),
    Odd("bits", "bmp-4-bits-two-greys.bmp", written(bmp(rows(four_bits(_BITS)), 14, 9, 4, _BLACK_WHITE)), _WHITE),
    Odd("bits", "bmp-8-bits-two-greys.bmp", written(bmp(rows(_BITS), 14, 9, 8, _BLACK_WHITE)), _WHITE),
    Odd("bits", "bmp-4-bits-grey.bmp", written(bmp(rows(four_bits(_FOUR)), 14, 9, 4, grey_ramp(16))), _FOUR[..., None]),
    Odd("bits", "bmp-run-lengths.bmp", written(bmp(_RUNS, 13, 9, 8, grey_ramp(256), 1)), _GREY[:, :13]),
    Odd(
        "bits",
        "bmp-run-lengths-odd.bmp",
        written(shifted(bmp(_RUNS, 13, 9, 8, grey_ramp(256), 1), 1078)),
        says="byte 1,079",
    ),
    Odd("palette", "bmp-palette.bmp", written(bmp(rows(_INDICES), 14, 9, 8, _BGR0)), _COLOURS[_INDICES]),
    Odd("promises", "bmp-100000x100000.bmp", written(bmp(b"", 100_000, 100_000, 24)), says="100000×100000 pixels"),
    Odd("flipped", "bmp-flipped-depth.bmp", written(flipped(bmp(rows(_COLOUR), 14, 9, 24), 28, 4)), says=_BROKEN),
    Odd("palette", "gif-palette.gif", written(_pillow("GIF", _WHITE[..., 0])), np.repeat(_WHITE, 3, axis=2)),
    Odd("sizes", "gif-1x1.gif", written(gif((1, 1), _BLACK_FRAME)), np.zeros((1, 1, 3), np.uint8)),
    Odd("several", "gif-3-frames.gif", written(gif((1, 1), _BLACK_FRAME, 3)), says="an animation of 3 frames"),
    Odd(
        "bombs", "gif-20000-frames.gif", written(gif((1, 1), _BLACK_FRAME, 20_000)), says="an animation of 20000 frames"
    ),
    Odd("promises", "gif-65535x65535.gif", written(gif((65_535, 65_535), _BLACK_FRAME)), says="65535×65535 pixels"),
    Odd(
        "alpha",
        "webp-alpha.webp",
        written(_pillow("WEBP", np.dstack([_COLOUR, _SEEN]), lossless=True, exact=True)),
        _COLOUR,
        valid_HW=_BITS,
    ),
    Odd(
        "orientation",
        "webp-exif-6.webp",
        written(_pillow("WEBP", _COLOUR, lossless=True, exif=b"Exif\0\0" + exif(6))),
        np.rot90(_COLOUR, -1),
    ),
    Odd("flipped", "webp-flipped-first.webp", written(flipped(_WEBP, 0)), says=_BROKEN),
    Odd("bits", "npy-true-and-false.npy", written(npy(_BITS)), _WHITE),
    Odd("bits", "npy-16-bits.npy", written(npy(_DEEP)), _DEEP),
    Odd("bits", "npy-64-bits.npy", written(npy(_GREY.astype(np.int64))), _GREY.astype(np.int32)),
    Odd(
        "bits",
        "npy-64-bits-too-large.npy",
        written(npy(np.array([[2**40, 1]]))),
        says="whole numbers that fit in 32 bits",
    ),
    Odd("bands", "npy-5-bands.npy", written(npy(noise("uint8", 5))), noise("uint8", 5)),
    Odd(
        "bands",
        "npy-channels-first.npy",
        written(npy(noise("uint8", 2, 20, 30).transpose(2, 0, 1))),
        noise("uint8", 2, 20, 30),
    ),
    Odd("bands", "npy-Fortran.npy", written(npy(np.asfortranarray(_COLOUR))), _COLOUR),
    Odd("floats", "npy-float64.npy", written(npy(noise("float64", 3))), noise("float64", 3)),
    Odd("several", "npy-volume.npy", written(npy(np.zeros((30, 31, 32), np.uint8))), says="an array of shape 30×31×32"),
    Odd("sizes", "npy-0x5.npy", written(npy(np.zeros((0, 5), np.uint8))), says="a picture with pixels"),
    Odd("sizes", "npy-1-axis.npy", written(npy(np.zeros(5, np.uint8))), says="an array of shape 5"),
    Odd("disguise", "npy-objects.npy", written(npy(np.array([[print, 1], [2, 3]], object))), says="Python objects"),
    Odd("disguise", "npy-pickle.npy", written(pickle.dumps([1, 2])), says=_BROKEN),
    Odd("flipped", "npy-flipped-first.npy", written(flipped(npy(_GREY), 0)), says=_BROKEN),
    Odd("flipped", "npy-negative.npy", written(npy_header("(-5, 5)", bytes(25))), says="expected a"),
    # Python names the size; the command line, which reads it part by part, the bytes that are missing.
    Odd("promises", "npy-100000x100000.npy", written(npy_header("(100000, 100000)")), says=" received "),
    Odd("promises", "npy-16000x16000.npy", written(npy_header("(16000, 16000)", bytes(9))), says=_BROKEN),
    Odd("bombs", "npy-nested.npy", written(npy_header(_NESTED)), says="expected a"),
    Odd("bombs", "npz-bomb.npz", written(npz(image=npy_header("(10, 10)", bytes(20_000_000)))), says="in place of"),
    Odd(
        "bands",
        "npz-5-bands.npz",
        written(npz(image=npy(noise("uint8", 5)), spacing=npy(np.ones(3)))),
        noise("uint8", 5),
    ),
    Odd("several", "npz-two-arrays.npz", written(npz(a=npy(_GREY), b=npy(_GREY))), says="one array, or one named"),
    Odd("flipped", "npz-flipped.npz", written(flipped(npz(image=npy(_GREY)), 100)), says=_BROKEN),
    Odd("medical", "nii-slice.nii", written(nifti(_DEEP)), _DEEP),
    Odd("medical", "nii-2.nii", written(nifti_2(_DEEP)), _DEEP),
    Odd("medical", "nii-2-packed.nii.gz", written(gzip.compress(nifti_2(_DEEP))), _DEEP),
    Odd("medical", "nii-packed.nii.gz", written(gzip.compress(nifti(_DEEP))), _DEEP),
    Odd("medical", "nii-volume.nii", written(nifti(_DEEP, (14, 3, 3))), says="a volume of 14×3×3 voxels"),
    Odd("medical", "dcm-frame.dcm", written(dicom(_DEEP)), _DEEP),
    Odd("flipped", "nii-flipped.nii.gz", written(flipped(gzip.compress(nifti(_DEEP)), -6)), says=_BROKEN),
    Odd("promises", "nii-32767x32767.nii", written(nifti(_DEEP, (32_767, 32_767))), says="32767×32767 pixels"),
    Odd("promises", "dcm-65535x65535.dcm", written(dicom(_DEEP, 65_535)), says="65535×65535 pixels"),
    Odd("extension", "png-called.jpg", written(_PNG), _COLOUR),
    Odd("extension", "jpeg-called.png", written(_JPEG), smooth(), most_off=6),
    Odd("extension", "gif-called.bmp", written(gif((1, 1), _BLACK_FRAME)), np.zeros((1, 1, 3), np.uint8)),
    Odd("extension", "webp-called.gif", written(_WEBP), _COLOUR),
    Odd("extension", "tiff-called.png", written(_TIFF), _COLOUR, says=_BROKEN, sent="read"),
    Odd("extension", "png-called.tif", written(_PNG), _COLOUR, says=_BROKEN, sent="read"),
    Odd("extension", "npy-called.npz", written(npy(_GREY)), _GREY, says=_BROKEN, sent="read"),
    Odd("extension", "png-called.txt", written(_PNG), _COLOUR, says='the ending ".txt"', sent="read", code=2),
    Odd("extension", "picture.ppm", written(b"P5 1 1 255\n\0"), says='the ending ".ppm"', sent="refused", code=2),
    *(
        Odd("disguise", f"{what}-called.{ending}", written(content), says="expected")
        for what, content in _DISGUISES.items()
        for ending in ("png", "jpg", "tif", "npz")
    ),
)
