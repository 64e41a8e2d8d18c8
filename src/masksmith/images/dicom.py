"""DICOM: one frame of a scanner, in the scanner's measure (Hounsfield units and the like).

pydicom is optional (extra "medical") and imported when the first such file is read.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from masksmith.errors import DataError
from masksmith.images.picture import Header, Picture, Pixels, as_read, valid_pixels

# Python's list of muted warnings is one for all threads; two of them must not mend it at once.
_MUTED = threading.Lock()
# Deflated explicit VR little endian (DICOM PS3.5, A.5).
_DEFLATED = "1.2.840.10008.1.2.1.99"


def read_header(path: Path) -> Header:
    """Size, channels and dtype without the pixels."""
    with _dataset(path, header_only=True) as dataset:
        height, width = int(dataset.Rows), int(dataset.Columns)
        if _kind(dataset) == "PALETTE COLOR":
            return Header(height, width, 3, f"uint{int(dataset.RedPaletteColorLookupTableDescriptor[2])}")
        channels = int(dataset.get("SamplesPerPixel") or 1)
        return Header(height, width, channels, "float32" if _rescale(dataset) else _stored_dtype(dataset))


def read(path: Path) -> Picture:
    """All pixels; float32 if the file rescales them, else as stored, and bright is high then (MONOCHROME1)."""
    with _dataset(path, header_only=False) as dataset:
        pixels = _pixels(dataset, path)
        kind, rescale = _kind(dataset), _rescale(dataset)
        if kind == "PALETTE COLOR":
            from pydicom.pixels.processing import apply_color_lut

            pixels = apply_color_lut(pixels, dataset)[..., :3]
        array = np.asarray(pixels if pixels.ndim == 3 else pixels[..., None])
        if rescale is not None and kind != "PALETTE COLOR":
            slope, intercept = rescale
            array = (array.astype(np.float64) * slope + intercept).astype(np.float32)
        elif kind == "MONOCHROME1" and array.dtype.kind in "iu":
            # The complement within the bits that are used; with a rescale the measure says what is high.
            top = 2 ** int(dataset.BitsStored) - 1 if array.dtype.kind == "u" else -1
            array = (top - array.astype(np.int64)).astype(array.dtype)
        array = as_read(array, path)
        return Picture(array, valid_HW=valid_pixels(array))


@contextmanager
def _dataset(path: Path, *, header_only: bool) -> Iterator[Any]:
    try:
        import pydicom
    except ImportError as error:
        raise DataError(
            where=path,
            expected="pydicom, which reads DICOM",
            received="an installation without it",
            remedy='pip install "masksmith[medical]"',
        ) from error
    with _MUTED, warnings.catch_warnings():
        # pydicom warns of each small breach of the standard; what stops the reading is raised.
        warnings.simplefilter("ignore")
        _check_deflated(pydicom, path)
        dataset = pydicom.dcmread(path, stop_before_pixels=header_only)
        frames = int(dataset.get("NumberOfFrames") or 1)
        if frames > 1:
            raise DataError(
                where=path,
                expected="one frame",
                received=f"{frames} of them",
                remedy="save each frame as a file of its own",
            )
        if "Rows" not in dataset or "Columns" not in dataset:
            raise DataError(
                where=path,
                expected="a DICOM file with a picture",
                received=f"one without ({dataset.get('Modality') or 'no modality'})",
                remedy="export it again, or leave it out",
            )
        if dataset.get("ModalityLUTSequence"):
            raise DataError(
                where=path,
                expected="a slope and an intercept, if anything, between the values as stored and the scanner's measure",
                received="a lookup table (modality LUT)",
                remedy="export it with the table applied",
            )
        yield dataset


def _check_deflated(pydicom: Any, path: Path) -> None:  # noqa: ANN401 - the module itself
    """Refuse a file that is deflated as a whole: pydicom unpacks all of it before anything is known of it."""
    if pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID") == _DEFLATED:
        raise DataError(
            where=path,
            expected="a DICOM file that is not deflated as a whole",
            received="a deflated one",
            remedy="save it without deflation (explicit VR little endian)",
        )


def _pixels(dataset: Any, path: Path) -> Pixels:  # noqa: ANN401 - pydicom has no narrower type for what it reads
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not get_decoder(syntax).is_available:
        raise DataError(
            where=path,
            expected="DICOM pixels that can be decompressed here",
            received=syntax.name,
            remedy="save it uncompressed (explicit VR little endian)",
        )
    pixels = np.asarray(pixel_array(dataset))
    # pydicom takes more pixels than were promised for more frames.
    if pixels.shape[:2] != (dataset.Rows, dataset.Columns):
        raise ValueError(f"pixels of shape {pixels.shape} for {dataset.Columns}×{dataset.Rows}")
    return pixels


def _kind(dataset: Any) -> str:  # noqa: ANN401
    return str(dataset.get("PhotometricInterpretation") or "")


def _rescale(dataset: Any) -> tuple[float, float] | None:  # noqa: ANN401
    """Slope and intercept, None if they change nothing."""
    place = _place_of_rescale(dataset)
    slope, intercept = place.get("RescaleSlope"), place.get("RescaleIntercept")
    pair = float(1 if slope is None else slope), float(0 if intercept is None else intercept)
    return None if pair == (1.0, 0.0) else pair


def _place_of_rescale(dataset: Any) -> Any:  # noqa: ANN401
    """Enhanced files have it in the groups of their one frame, or of all frames (DICOM PS3.3, C.7.6.16.2.9)."""
    if "RescaleSlope" in dataset or "RescaleIntercept" in dataset:
        return dataset
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in dataset.get(name) or ():
            for found in group.get("PixelValueTransformationSequence") or ():
                return found
    return dataset


def _stored_dtype(dataset: Any) -> str:  # noqa: ANN401
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        return "float32" if "FloatPixelData" in dataset else "float64"
    bits = max(8, int(dataset.BitsAllocated))  # one bit a pixel is unpacked to 0 and 1
    return f"{'int' if int(dataset.get('PixelRepresentation') or 0) else 'uint'}{bits}"
