"""Pins down that small files which promise or unpack to gigabytes are refused before these are in memory."""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksmith import images

MEBIBYTE = 2**20
# What one file may take besides the libraries that read it; the bombs unpack to 600 MiB or more.
MOST_MEBIBYTES = 300

# VmHWM is the most memory of this process alone; ru_maxrss would begin with what its parent had.
READ = """
import json, sys
from pathlib import Path
from masksmith import images
from masksmith.errors import DataError

def peak():
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)

told = {}
for path in map(Path, sys.argv[1:]):
    before = peak()
    try:
        said = "x".join(map(str, images.read(path).pixels_HWC.shape))
    except DataError as error:
        said = str(error)
    told[path.name] = [said, peak() - before]
print(json.dumps(told))
"""


def deflated_dicom() -> bytes:
    """No more than the transfer syntax, and 600 MiB of zeros in 600 KiB."""
    uid = b"1.2.840.10008.1.2.1.99"
    meta = b"\0" * 128 + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    part = packer.compress(b"\0" * MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return meta + part * 600 + packer.flush()


def nifti(offset: float, extension_bytes: int) -> bytes:
    """A picture of 9 × 6 pixels that begin at ``offset``, with 600 MiB of zeros behind, compressed."""
    header: Any = pytest.importorskip("nibabel", reason="NIfTI needs the extra medical").nifti1.Nifti1Header()
    header.set_data_shape((9, 6))
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+1", offset
    start = header.binaryblock + b"\1\0\0\0" + struct.pack("=ii", extension_bytes, 0)
    return gzip.compress(start) + gzip.compress(b"\0" * MEBIBYTE) * 600


def npy(shape: tuple[int, ...], content: int, length: int | None = None) -> bytes:
    """A header of version 2 that is said to be ``length`` long, and as many zeros as ``content`` says."""
    out = io.BytesIO()
    np.lib.format.write_array_header_2_0(out, {"shape": shape, "fortran_order": False, "descr": "|u1"})
    header = bytearray(out.getvalue())
    if length is not None:
        header[8:12] = struct.pack("<I", length)
    return bytes(header) + b"\0" * content


def npz(content: bytes, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        archive.writestr("image.npy", content)
    return out.getvalue()


def tall_tiles(rows: int, count: int = 4096) -> bytes:
    """A picture 16 pixels high of tiles that are ``rows`` high, all of them the same bytes of the file."""
    packed = zlib.compress(b"\0" * 100)
    lists = 8 + len(packed)
    long, short = 4, 3
    tags = [
        (256, long, 1, 16 * count),
        (257, long, 1, 16),
        (258, short, 1, 8),
        (259, short, 1, 8),  # deflate
        (262, short, 1, 1),
        (277, short, 1, 1),
        (322, long, 1, 16),
        (323, long, 1, rows),
        (324, long, count, lists),
        (325, long, count, lists + 4 * count),
    ]
    content = struct.pack(f"<{count}I", *[8] * count) + struct.pack(f"<{count}I", *[len(packed)] * count)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = struct.pack("<2sHI", b"II", 42, lists + 8 * count)
    return start + packed + content + struct.pack("<H", len(tags)) + entries + b"\0" * 4


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "deflated.dcm": (deflated_dicom, "received a deflated one; save it without deflation"),
    "offset.nii.gz": (lambda: nifti(5e8, 0), "expected pixels that begin within 67,108,864 bytes"),
    "endless.nii.gz": (lambda: nifti(float("inf"), 0), "expected a whole, readable picture"),
    # Extensions are not read at all, so that their size is all the same.
    "extension.nii.gz": (lambda: nifti(400, -16), "6x9x1"),
    "header.npy": (lambda: npy((10, 10), 100, 4_000_000_000), "received one of 4,000,000,000; save the array"),
    "header.npz": (lambda: npz(npy((10, 10), 100, 4_000_000_000)), "received one of 4,000,000,000; save the array"),
    "more.npz": (lambda: npz(npy((10, 10), 5 * MEBIBYTE)), "in place of 228"),
    "less.npz": (lambda: npz(npy((2**14, 2**14), 5 * MEBIBYTE)), "5,243,008 bytes in place of"),
    "bzip2.npz": (lambda: npz(npy((10, 10), 100), zipfile.ZIP_BZIP2), "received bzip2, LZMA or the like"),
    "tiles.tif": (lambda: tall_tiles(MEBIBYTE), "bytes of tiles for 1,048,576 bytes of pixels; save it again"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """What was said of each bomb, and by how many MiB the most memory of the process grew."""
    pytest.importorskip("pydicom", reason="DICOM needs the extra medical")
    folder = tmp_path_factory.mktemp("bombs")
    for name, (content, _) in BOMBS.items():
        (folder / name).write_bytes(content())
        assert (folder / name).stat().st_size < MEBIBYTE
    command = [sys.executable, "-c", READ, *(str(folder / name) for name in BOMBS)]
    found: dict[str, tuple[str, int]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(told: dict[str, tuple[str, int]], name: str) -> None:
    said, grown = told[name]
    assert BOMBS[name][1] in said
    assert len(said.splitlines()) == 1
    assert grown < MOST_MEBIBYTES


def test_tiles_a_little_larger_than_the_picture_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    path.write_bytes(tall_tiles(64, 16))
    assert images.read_header(path) == images.Header(16, 256, 1, "uint8")


def test_long_header_in_a_window(tmp_path: Path) -> None:
    path = tmp_path / "p.npy"
    path.write_bytes(npy((10, 10), 100))
    assert images.read_window(path, 1, 2, 3, 4).pixels_HWC.shape == (3, 4, 1)
