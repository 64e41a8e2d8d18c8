"""Changed picture files of every format: each gives a picture or a sentence of our own, soon and in little memory.

Rule: a picture goes the way that it goes in the program, from a file with an ending through ``images.read``.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import warnings
import zipfile
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from masksmith import images
from masksmith.errors import MasksmithError
from reliability.harness import Outcome, fenced, mutation
from reliability.harness.fuzz_models import judge_words

# How many of a thousand inputs are of a format: more of those that people have, and of those that are read quickly.
SHARES = {
    ".png": 260, ".jpg": 130, ".bmp": 70, ".gif": 70, ".webp": 70, ".tif": 230, ".npy": 60, ".npz": 35, ".nii": 20,
    ".nii.gz": 10, ".dcm": 25, ".zarr": 20,
}  # fmt: skip
# A file that has the ending of another format, as after a careless renaming.
_STRANGE_ENDING = 0.03
# PNG whose checksums are right in spite of the change, so that what lies behind them is reached.
_MENDED = 0.6
_PACKED = 0.7


@dataclass(frozen=True)
class Seed:
    """A whole file, or the files of a folder by their names."""

    ending: str
    name: str
    files: dict[str, bytes]


def seeds() -> list[Seed]:
    """Small pictures of every format and of the kinds that it has."""
    rng = np.random.default_rng(3)
    grey = rng.integers(0, 255, (11, 13), np.uint8)
    color = rng.integers(0, 255, (12, 17, 3), np.uint8)
    found = [*_by_pillow(grey, color), *_by_tifffile(grey, color), *_arrays(grey, color)]
    made = [Seed(ending, name, {"": content}) for ending, name, content in (*found, *_medical(grey))]
    return [*made, *_zarr(color)]


def _by_pillow(grey: Any, color: Any) -> list[tuple[str, str, bytes]]:  # noqa: ANN401
    l, rgb = Image.fromarray(grey), Image.fromarray(color)  # noqa: E741
    alpha = Image.fromarray(np.dstack([color, color[..., 0]]))
    palette = l.quantize(16)
    turned = Image.Exif()
    turned[0x0112] = 6
    saved: list[tuple[str, str, Image.Image, dict[str, Any]]] = [
        (".png", "grey", l, {}),
        (".png", "color", rgb, {}),
        (".png", "alpha", alpha, {"exif": turned}),
        (".png", "palette", palette, {"transparency": 3}),
        (".png", "bits", l.convert("1"), {}),
        (".png", "16 bit", Image.fromarray(grey.astype(np.uint16) * 257), {}),
        (".jpg", "color", rgb, {"exif": turned}),
        (".jpg", "grey", l, {"quality": 30}),
        (".jpg", "progressive", rgb, {"progressive": True}),
        (".jpg", "cmyk", rgb.convert("CMYK"), {}),
        (".bmp", "color", rgb, {}),
        (".bmp", "palette", palette, {}),
        (".bmp", "bits", l.convert("1"), {}),
        (".gif", "palette", palette, {}),
        (".gif", "grey", l, {"transparency": 1}),
        (".webp", "color", rgb, {}),
        (".webp", "lossless", alpha, {"lossless": True}),
    ]
    found = []
    kinds = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP"}
    for ending, name, image, options in saved:
        out = io.BytesIO()
        image.save(out, format=kinds[ending], **options)
        found.append((ending, name, out.getvalue()))
    _, wide = cv2.imencode(".png", color.astype(np.uint16) * 257)
    return [*found, (".png", "16 bit color", wide.tobytes()), (".png", "interlaced", _interlaced())]


def _interlaced() -> bytes:
    """8 × 8 grey pixels in the seven passes of Adam7, which Pillow reads and does not write."""
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    passes = ((1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4))
    rows = b"".join((b"\0" + bytes(range(width))) * height for width, height in passes)
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _by_tifffile(grey: Any, color: Any) -> list[tuple[str, str, bytes]]:  # noqa: ANN401
    bands = np.stack([grey] * 5).astype(np.uint16)
    nodata = [(42113, 2, 0, "3", True), (33550, 12, 3, (1.0, 1.0, 0.0), True)]
    tied = [*nodata, (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True)]
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "plain": (grey, {}),
        "deflate": (color, {"compression": "zlib", "predictor": True, "photometric": "rgb"}),
        "lzw": (grey, {"compression": "lzw"}),
        "packbits": (grey, {"compression": "packbits"}),
        "jpeg": (color, {"compression": "jpeg", "photometric": "rgb"}),
        "zstd": (grey, {"compression": "zstd"}),
        "lzma": (grey, {"compression": "lzma"}),
        "webp": (color, {"compression": "webp", "photometric": "rgb"}),
        "jpeg 2000": (color, {"compression": "jpeg2000", "photometric": "rgb"}),
        "tiles": (np.tile(color, (2, 2, 1)), {"tile": (16, 16), "compression": "zlib", "photometric": "rgb"}),
        "planar": (bands, {"planarconfig": "separate", "photometric": "minisblack"}),
        "float": (grey.astype(np.float32) / 7, {"extratags": tied}),
        "half": (grey.astype(np.float16), {}),
        "strips": (grey, {"rowsperstrip": 2, "compression": "zlib", "extratags": nodata}),
        "big": (grey, {"bigtiff": True}),
        "motorola": (grey.astype(np.int16), {"byteorder": ">"}),
        "bits": (grey > 99, {"photometric": "miniswhite"}),
        "ome": (bands[:3], {"ome": True, "metadata": {"axes": "CYX"}}),
        "imagej": (bands[:3], {"imagej": True, "metadata": {"axes": "CYX"}}),
        "pages": (bands[:2], {"photometric": "minisblack", "metadata": None}),
    }
    found = []
    for name, (pixels, options) in kinds.items():
        out = io.BytesIO()
        tifffile.imwrite(out, pixels, **options)
        found.append((".tif", name, out.getvalue()))
    return found


def _arrays(grey: Any, color: Any) -> list[tuple[str, str, bytes]]:  # noqa: ANN401
    found = []
    for name, pixels in (("color", color), ("float", grey / 3), ("wide", grey.astype(np.int64)), ("bool", grey > 9)):
        for ending, save in ((".npy", np.save), (".npz", np.savez), (".npz", np.savez_compressed)):
            out = io.BytesIO()
            save(out, pixels)  # type: ignore[operator]
            found.append((ending, name, out.getvalue()))
    return found


def _medical(grey: Any) -> list[tuple[str, str, bytes]]:  # noqa: ANN401
    """NIfTI and DICOM, where their libraries are there."""
    found: list[tuple[str, str, bytes]] = []
    try:
        import nibabel
        import pydicom
    except ImportError:
        return found
    for dtype in ("<i2", "<f4"):
        picture = nibabel.Nifti1Image(grey.astype(dtype)[..., None], np.eye(4))
        found.append((".nii", dtype, picture.to_bytes()))
        found.append((".nii.gz", dtype, gzip.compress(picture.to_bytes())))
    for kind, bits in (("MONOCHROME2", 16), ("MONOCHROME1", 8)):
        data: Any = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.CTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
        data.Rows, data.Columns, data.SamplesPerPixel = *grey.shape, 1
        data.PhotometricInterpretation, data.PixelRepresentation = kind, 0
        data.BitsAllocated = data.BitsStored = bits
        data.HighBit, data.RescaleSlope, data.RescaleIntercept = bits - 1, "2", "-9"
        content = grey.astype(f"<u{bits // 8}").tobytes()
        data.add_new("PixelData", "OW", content + b"\0" * (len(content) % 2))
        out = io.BytesIO()
        data.save_as(out, enforce_file_format=True)
        found.append((".dcm", kind, out.getvalue()))
    return found


def _zarr(color: Any) -> list[Seed]:  # noqa: ANN401
    """Both formats, where the library is there."""
    try:
        import zarr
    except ImportError:
        return []
    import tempfile

    found = []
    for version in (2, 3) if int(zarr.__version__.partition(".")[0]) >= 3 else (2,):
        with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(name) / "p.zarr"
            kind = {"zarr_format": version} if version == 3 else {}
            made = zarr.open_array(str(path), mode="w", shape=color.shape, dtype="u1", chunks=(8, 8, 3), **kind)
            made[...] = color
            files = {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
        found.append(Seed(".zarr", f"format {version}", files))
    return found


class Inputs:
    """All inputs of a seed, by their numbers."""

    def __init__(self, seed: int) -> None:
        self.seed, self.known = seed, seeds()
        self._of = {ending: [s for s in self.known if s.ending == ending] for ending in SHARES}
        self._others = {ending: [next(iter(s.files.values())) for s in known] for ending, known in self._of.items()}
        self._endings = [ending for ending in SHARES if self._of[ending]]
        self._steps = list(accumulate(SHARES[ending] for ending in self._endings))

    def make(self, index: int) -> tuple[Seed, str, dict[str, bytes]]:
        """What input number ``index`` is made of, its ending, and its files."""
        rng = mutation.source(self.seed, index)
        ending = self._endings[bisect(self._steps, rng.randrange(self._steps[-1]))]
        chosen = rng.choice(self._of[ending])
        name = rng.choice(list(chosen.files))
        change = _CHANGES.get(ending, _change)
        changed = change(
            chosen.files[name], lambda inner: mutation.mutate(inner, rng, self._others[ending]), rng.random()
        )
        if ending != ".zarr" and rng.random() < _STRANGE_ENDING:
            ending = rng.choice([e for e in self._endings if e != ".zarr"])
        return chosen, ending, {**chosen.files, name: changed}


Changed = Callable[[bytes], bytes]


def _change(content: bytes, change: Changed, draw: float) -> bytes:
    return change(content)


def _change_png(content: bytes, change: Changed, draw: float) -> bytes:
    changed = change(content)
    return mutation.with_png_checksums(changed) if draw < _MENDED else changed


def _change_gz(content: bytes, change: Changed, draw: float) -> bytes:
    """Mostly of what is packed."""
    return gzip.compress(change(gzip.decompress(content)), 1) if draw < _PACKED else change(content)


def _change_npz(content: bytes, change: Changed, draw: float) -> bytes:
    if draw >= _PACKED:
        return change(content)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)))
    return out.getvalue()


_CHANGES: dict[str, Callable[[bytes, Changed, float], bytes]] = {
    ".png": _change_png,
    ".nii.gz": _change_gz,
    ".npz": _change_npz,
}


def judge(path: Path) -> str:
    """Read a picture in every way; what came of it, in a word.

    Raises:
        Exception: what nobody should see.
    """
    try:
        picture = images.read(path)
        header = images.read_header(path)
        height, width, channels = picture.pixels_HWC.shape
        if (header.height, header.width, header.channels) != (height, width, channels):
            raise AssertionError(f"the header says {header}, the pixels {picture.pixels_HWC.shape}")
        if header.dtype != str(picture.pixels_HWC.dtype):
            raise AssertionError(f"the header says {header.dtype}, the pixels {picture.pixels_HWC.dtype}")
        if path.suffix != ".png":  # those that are read in windows; others are cut
            part = images.read_window(path, height // 2, width // 2, height - height // 2, width - width // 2)
            if part.pixels_HWC.shape != (height - height // 2, width - width // 2, channels):
                raise AssertionError(f"a window of shape {part.pixels_HWC.shape}")
        images.georeference(path)
    except MasksmithError as error:
        judge_words(error)
        return "refused"
    return "read"


def write(folder: Path, ending: str, files: dict[str, bytes]) -> Path:
    """The files of an input, where the one before has been."""
    path = folder / f"{os.getpid()}{ending}"
    if "" in files:
        path.write_bytes(files[""])
        return path
    shutil.rmtree(path, ignore_errors=True)
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """``many`` changed pictures, and those that were found before are read first."""
    inputs = Inputs(seed)
    with fenced.in_memory(folder) as shared:
        for number, whole in enumerate(inputs.known):  # or all would be refused for another reason
            path = write(shared, whole.ending, whole.files)
            if judge(path) != "read":
                raise AssertionError(f"{whole.ending} {whole.name}, seed {number}: not read")

        def one(index: int) -> str:
            if index % 1000 == 0:
                cv2.setNumThreads(1)
            _, ending, files = inputs.make(index)
            return judge(write(shared, ending, files))

        tally = fenced.run(one, many, shared, workers=fenced.workers(many))
    faults = [f"{fault} ({_about(inputs, fault)}, seed {seed})" for fault in tally.faults]
    return Outcome(
        {
            "changed pictures": many,
            "formats": len({whole.ending for whole in inputs.known}),
            "read": tally.words["read"],
            "refused": tally.words["refused"],
            "longest, s": round(tally.slowest_s, 3),
            "a second of processor": round(many / max(tally.processor_s, 1e-9)),
            "most memory that a block of inputs added, MiB": tally.grown_mebibytes,
            "lines and warnings of libraries": sum(tally.printed.values()),
            "the most frequent": "; ".join(f"{n} × {line}" for line, n in tally.printed.most_common(5)),
        },
        tuple(faults),
    )


def _about(inputs: Inputs, fault: str) -> str:
    made, ending, _ = inputs.make(int(fault.split()[1].rstrip(":")))
    return f"from {made.ending} {made.name} as {ending}"
