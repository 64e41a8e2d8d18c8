"""A folder of a thousand pictures of which twenty are broken, each in another way: what ``masksmith predict`` does.

    python benchmarks/many.py OUT [--count 1000] [--side 128]

Prints how many masks and sentences there are, the exit code and the seconds, and the sentences themselves. Fails
unless every good picture has its mask, every broken one its sentence, and the exit code says so.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from inference import make

_PARTIAL = 5


def png(pixels: np.ndarray) -> bytes:
    """As a person's camera program writes it."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    """Likewise."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def tiff(pixels: np.ndarray) -> bytes:
    """Likewise, compressed."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "TIFF", compression="tiff_deflate")
    return out.getvalue()


def npy(pixels: np.ndarray) -> bytes:
    """As numpy writes it."""
    out = io.BytesIO()
    np.save(out, pixels)
    return out.getvalue()


def zipped() -> bytes:
    """An archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.txt", "a")
    return out.getvalue()


def promising(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels."""
    body = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    checksum = zlib.crc32(b"IHDR" + body).to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + (13).to_bytes(4, "big")
        + b"IHDR"
        + body
        + checksum
        + png(np.zeros((8, 8, 3), np.uint8))[33:]
    )


def flipped(content: bytes, place: float) -> bytes:
    """With sixteen bytes turned over."""
    at = int(len(content) * place)
    return content[:at] + bytes(255 - b for b in content[at : at + 16]) + content[at + 16 :]


RGB = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
BROKEN: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "first-bytes.png": lambda: png(RGB)[:20],
    "half.png": lambda: png(RGB)[: len(png(RGB)) // 2],
    "no-end-of-pixels.png": lambda: png(RGB)[:-40],
    "flipped.png": lambda: flipped(png(RGB), 0.5),
    "flipped-header.png": lambda: flipped(png(RGB), 0.0),
    "text.png": lambda: b"this is no picture\n" * 10,
    "page.png": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "archive.png": zipped,
    "zeros.png": lambda: bytes(4096),
    "promise.png": lambda: promising(100_000, 100_000),
    "half.jpg": lambda: jpeg(RGB)[: len(jpeg(RGB)) // 2],
    "first-bytes.jpg": lambda: jpeg(RGB)[:10],
    "drawing.jpg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "half.tif": lambda: tiff(RGB)[: len(tiff(RGB)) // 2],
    "flipped.tif": lambda: flipped(tiff(RGB), 0.3),
    "header.tif": lambda: b"II*\0" + bytes(60),
    "objects.npy": lambda: b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (2,), }" + bytes(90),
    "two-channels.npy": lambda: npy(RGB[..., :2]),
    "sixteen-bits.png": lambda: png(RGB[..., 0].astype(np.uint16) * 256),
}  # fmt: skip


def main() -> int:
    """1 if anything is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--side", type=int, default=128)
    chosen = parser.parse_args()
    good = chosen.count - len(BROKEN)
    pictures, run = make(chosen.out, good, chosen.side, "planned")
    for name, content in BROKEN.items():
        (pictures / f"broken-{name}").write_bytes(content())
    masks = chosen.out / "masks"
    words = ["predict", str(run), str(pictures), "-o", str(masks), "--save", "mask", "--overwrite", "-q"]
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "masksmith", *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    sentences = done.stderr.splitlines()
    told = {name for name in BROKEN for line in sentences if f"broken-{name}:" in line}
    written = {path.name for path in masks.iterdir()}
    whole = sum(f"{number:04}_mask.png" in written for number in range(good))
    print("\n".join(sentences))
    print(f"{whole} masks of {good}, {len(sentences)} sentences, {len(told)} of {len(BROKEN)} broken pictures told, "
          f"{len(written) - whole} other files, exit code {done.returncode}, {seconds:.1f} s")  # fmt: skip
    sound = whole == good == len(written) and len(told) == len(sentences) == len(BROKEN)
    return 0 if sound and done.returncode == _PARTIAL else 1


if __name__ == "__main__":
    sys.exit(main())
