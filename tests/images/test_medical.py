"""Pins down DICOM and NIfTI: the scanner's own measure, one slice, and a sentence without the libraries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksmith import images
from masksmith.errors import DataError

pydicom: Any = pytest.importorskip("pydicom", reason="DICOM needs the extra medical")
nibabel: Any = pytest.importorskip("nibabel", reason="NIfTI needs the extra medical")

STORED = np.arange(6 * 9, dtype=np.int16).reshape(6, 9)


def dicom(path: Path, pixels: Any = STORED, kind: str = "MONOCHROME2", **more: Any) -> Path:  # noqa: ANN401
    """A DICOM file of one frame, with ``more`` elements by keyword."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns, data.SamplesPerPixel = *pixels.shape[:2], 1
    data.PhotometricInterpretation = kind
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.add_new("PixelData", "OW", pixels.tobytes())
    for name, value in more.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def agrees(path: Path) -> images.Picture:
    header, picture = images.read_header(path), images.read(path)
    shape = picture.pixels_HWC.shape
    assert (header.height, header.width, header.channels) == shape
    assert header.dtype == str(picture.pixels_HWC.dtype)
    return picture


def test_dicom_is_in_the_scanners_measure(tmp_path: Path) -> None:
    path = dicom(tmp_path / "p.dcm", RescaleSlope="2.5", RescaleIntercept="-1024")
    pixels = agrees(path).pixels_HWC
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[..., 0], STORED * 2.5 - 1024)
    np.testing.assert_array_equal(images.read_window(path, 1, 2, 3, 4).pixels_HWC, pixels[1:4, 2:6])


@pytest.mark.parametrize("name", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_enhanced_dicom_is_in_the_scanners_measure(tmp_path: Path, name: str) -> None:
    scale, group = pydicom.Dataset(), pydicom.Dataset()
    scale.RescaleSlope, scale.RescaleIntercept = "2.5", "-1024"
    group.PixelValueTransformationSequence = [scale]
    pixels = agrees(dicom(tmp_path / "p.dcm", NumberOfFrames=1, **{name: [group]})).pixels_HWC
    np.testing.assert_array_equal(pixels[..., 0], STORED * 2.5 - 1024)


def test_dicom_with_a_table_for_its_measure_is_refused(tmp_path: Path) -> None:
    path = dicom(tmp_path / "p.dcm", ModalityLUTSequence=[pydicom.Dataset()])
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match=r"received a lookup table \(modality LUT\); export it"):
            action(path)


def test_dicom_with_a_rescale_that_changes_nothing(tmp_path: Path) -> None:
    pixels = agrees(dicom(tmp_path / "p.dcm", RescaleSlope="1", RescaleIntercept="0")).pixels_HWC
    assert pixels.dtype == np.int16
    np.testing.assert_array_equal(pixels[..., 0], STORED)


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_bright_is_high(tmp_path: Path, dtype: str) -> None:
    stored = STORED.astype(dtype)
    pixels = agrees(dicom(tmp_path / "p.dcm", stored, "MONOCHROME1")).pixels_HWC
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels[..., 0], ~stored)
    measured = agrees(dicom(tmp_path / "q.dcm", stored, "MONOCHROME1", RescaleIntercept="5", RescaleSlope="1"))
    np.testing.assert_array_equal(measured.pixels_HWC[..., 0], stored + 5)


def test_dicom_of_twelve_bits_is_turned_within_them(tmp_path: Path) -> None:
    path = dicom(tmp_path / "p.dcm", STORED.astype(np.uint16), "MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(agrees(path).pixels_HWC[..., 0], 4095 - STORED)


def test_dicom_with_a_palette(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)
    tables = {f"{c}PaletteColorLookupTableDescriptor": [4, 0, 8] for c in ("Red", "Green", "Blue")}
    colors = {"Red": [0, 10, 20, 30], "Green": [1, 2, 3, 4], "Blue": [9, 8, 7, 6]}
    data = {f"{c}PaletteColorLookupTableData": bytes(v) for c, v in colors.items()}
    pixels = agrees(dicom(tmp_path / "p.dcm", indices, "PALETTE COLOR", **tables, **data)).pixels_HWC
    np.testing.assert_array_equal(pixels, np.stack([np.array(v, np.uint8)[indices] for v in colors.values()], axis=2))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    path = dicom(tmp_path / "p.dcm", np.zeros((6, 9, 4), np.int16), NumberOfFrames=4)
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match="one frame, received 4 of them; save each frame"):
            action(path)


def test_dicom_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = dicom(tmp_path / "p.dcm", Modality="SR")
    data = pydicom.dcmread(path)
    del data.Rows, data.PixelData
    data.save_as(path)
    with pytest.raises(DataError, match=r"without \(SR\)"):
        images.read(path)


def test_compression_that_cannot_be_decoded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dicom(tmp_path / "p.dcm")
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    data.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
    data["PixelData"].VR = "OB"
    data.save_as(path)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
    with pytest.raises(DataError, match="JPEG-LS Lossless.*save it uncompressed"):
        images.read(path)


def test_compressed_by_run_lengths(tmp_path: Path) -> None:
    path = dicom(tmp_path / "p.dcm")
    data = pydicom.dcmread(path)
    data.compress(pydicom.uid.RLELossless)
    data.save_as(path)
    np.testing.assert_array_equal(agrees(path).pixels_HWC[..., 0], STORED)


def nifti(path: Path, array: Any, slope: float | None = None, inter: float = 0.0) -> Path:  # noqa: ANN401
    image = nibabel.Nifti1Image(array, np.eye(4))
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    image.to_filename(path)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(9, 6), (9, 6, 1), (9, 6, 1, 1), (9, 1, 6), (1, 9, 6)])
def test_one_slice_whichever_way_it_lies(tmp_path: Path, ending: str, shape: tuple[int, ...]) -> None:
    path = nifti(tmp_path / f"p{ending}", STORED.T.reshape(shape))
    picture = agrees(path)
    assert picture.pixels_HWC.dtype == np.int16
    np.testing.assert_array_equal(picture.pixels_HWC[..., 0], STORED)


def test_a_slice_one_pixel_wide_stays_one(tmp_path: Path) -> None:
    assert images.read(nifti(tmp_path / "p.nii", STORED[:1].T.reshape(9, 1, 1))).pixels_HWC.shape == (1, 9, 1)
    assert images.read(nifti(tmp_path / "q.nii", np.zeros((1, 1, 1), np.uint8))).pixels_HWC.shape == (1, 1, 1)


def test_nifti_is_in_the_scanners_measure(tmp_path: Path) -> None:
    path = tmp_path / "p.nii"
    nifti(path, STORED.T.astype(np.float64) * 0.5 - 3, 0.5, -3)  # nibabel keeps the numbers, not the scale
    content = bytearray(nifti(path, STORED.T).read_bytes())
    content[112:120] = np.array([0.5, -3], "<f4").tobytes()  # scl_slope, scl_inter (nifti1.h)
    path.write_bytes(content)
    pixels = agrees(path).pixels_HWC
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[..., 0], STORED * 0.5 - 3)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_2_is_read_as_well(tmp_path: Path, ending: str, order: str) -> None:
    header = nibabel.Nifti2Header(endianness=order)
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti2Image(STORED.T.reshape(9, 6, 1), np.eye(4), header)
    image.to_filename(tmp_path / f"p{ending}")
    picture = agrees(tmp_path / f"p{ending}")
    assert picture.pixels_HWC.dtype == np.int16
    np.testing.assert_array_equal(picture.pixels_HWC[..., 0], STORED)


@pytest.mark.parametrize("shape", [(9, 6, 4), (9, 6, 1, 3), (9,)])
def test_volumes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = nifti(tmp_path / "p.nii", np.zeros(shape, np.uint8))
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match="one slice, received a volume of 9.*save each slice"):
            action(path)


def test_labels_of_64_bits(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(STORED.T.astype(np.int64), np.eye(4), dtype=np.int64)
    image.to_filename(tmp_path / "p.nii")
    picture = agrees(tmp_path / "p.nii")
    assert picture.pixels_HWC.dtype == np.int32


@pytest.mark.parametrize(("name", "library"), [("p.dcm", "pydicom"), ("p.nii", "nibabel"), ("p.nii.gz", "nibabel")])
def test_missing_library_is_one_sentence(
    tmp_path: Path, name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, library, None)
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match=rf'{library}, which reads .*; pip install "masksmith\[medical\]"\.'):
            action(tmp_path / name)


def test_cut_off_files_are_refused(tmp_path: Path) -> None:
    for path in (dicom(tmp_path / "p.dcm"), nifti(tmp_path / "p.nii", STORED), nifti(tmp_path / "p.nii.gz", STORED)):
        content = path.read_bytes()
        for share in (0.1, 0.5, 0.9, 0.99):
            path.write_bytes(content[: int(share * len(content))])
            with pytest.raises(DataError, match="broken or truncated|a DICOM file with a picture"):
                images.read(path)
