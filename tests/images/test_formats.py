"""Pins down each format: what is written comes back, a window is a part of the whole, damage is one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from masksmith import images
from masksmith.errors import DataError
from masksmith.images import reading

Array = npt.NDArray[Any]
Write = Callable[[Path, Array], None]

WHOLE = ("uint8", "int8", "uint16", "int16", "uint32", "int32")
FLOAT = ("float16", "float32", "float64")


def noise(dtype: str, height: int, width: int, channels: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return rng.normal(0, 5, (height, width, channels)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (height, width, channels), dtype, endpoint=True)


def tiff(planar: bool = False, **options: Any) -> Write:  # noqa: ANN401 - as tifffile takes them
    def write(path: Path, pixels: Array) -> None:
        if pixels.shape[2] == 1:
            tifffile.imwrite(path, pixels[..., 0], photometric="minisblack", **options)
        elif planar:
            stacked = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
            tifffile.imwrite(path, stacked, photometric="minisblack", planarconfig="separate", **options)
        else:
            tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig", **options)

    return write


def pages(**options: Any) -> Write:  # noqa: ANN401
    def write(path: Path, pixels: Array) -> None:
        stacked = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
        tifffile.imwrite(path, stacked, photometric="minisblack", **options)

    return write


def npz(path: Path, pixels: Array) -> None:
    np.savez_compressed(path, image=pixels, spacing=np.ones(3))


def nifti(path: Path, pixels: Array) -> None:
    nibabel = pytest.importorskip("nibabel", reason="NIfTI needs the extra medical")
    nibabel.Nifti1Image(np.asarray(pixels[..., 0].T), np.eye(4)).to_filename(path)


def dicom(path: Path, pixels: Array) -> None:
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs the extra medical")
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns, data.SamplesPerPixel = pixels.shape
    data.PhotometricInterpretation = "RGB" if pixels.shape[2] == 3 else "MONOCHROME2"
    if pixels.shape[2] == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    content = pixels.tobytes()
    data.add_new("PixelData", "OB" if pixels.dtype.itemsize == 1 else "OW", content + b"\0" * (len(content) % 2))
    data.save_as(path, enforce_file_format=True)


def png(path: Path, pixels: Array) -> None:
    path.write_bytes(images.encode_png(pixels))


def pillow(path: Path, pixels: Array) -> None:
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(path)


# Name of the file, how it is written, which dtypes and channels it can have.
WAYS: dict[str, tuple[str, Write, tuple[str, ...], tuple[int, ...]]] = {
    "png": ("p.png", png, ("uint8", "uint16"), (1, 3)),
    "bmp": ("p.bmp", pillow, ("uint8",), (1, 3)),
    "tiff": ("p.tif", tiff(), WHOLE + FLOAT, (1, 2, 3, 4, 5)),
    "tiff, planar": ("p.tif", tiff(planar=True), WHOLE + FLOAT, (2, 3, 5)),
    "tiff, strips": ("p.tiff", tiff(rowsperstrip=7), ("uint8", "int16", "float32"), (1, 3)),
    "tiff, strips, planar": ("p.tif", tiff(planar=True, rowsperstrip=5), ("uint16",), (2, 3)),
    "tiff, tiles": ("p.tif", tiff(tile=(16, 32)), ("uint8", "float64"), (1, 3, 5)),
    "tiff, tiles, planar": ("p.tif", tiff(planar=True, tile=(16, 16)), ("uint16",), (2, 4)),
    "tiff, tiles, deflate": ("p.tif", tiff(tile=(32, 16), compression="zlib"), ("uint8", "float32"), (1, 4)),
    "tiff, lzw, predictor": ("p.tif", tiff(compression="lzw", predictor=True, rowsperstrip=6), ("uint16",), (1, 3)),
    "tiff, float predictor": ("p.tif", tiff(compression="zlib", predictor=3, rowsperstrip=6), ("float32",), (1, 3)),
    "tiff, zstd, planar": ("p.tif", tiff(planar=True, compression="zstd"), ("int16",), (2, 3)),
    "tiff, lerc": ("p.tif", tiff(compression="lerc", tile=(16, 16)), ("float32",), (1,)),
    "tiff, packbits": ("p.tif", tiff(compression="packbits"), ("uint8",), (1, 3)),
    "bigtiff": ("p.tif", tiff(bigtiff=True), ("uint16",), (1, 3)),
    "bigtiff, tiles": ("p.tif", tiff(bigtiff=True, tile=(16, 16), compression="zlib"), ("uint16",), (1, 3)),
    "big-endian": ("p.tif", tiff(byteorder=">"), ("uint16", "float32"), (1, 3)),
    "big-endian strips": ("p.tif", tiff(byteorder=">", rowsperstrip=4), ("uint16", "float32"), (1, 3)),
    "pages": ("p.tif", pages(), ("uint8", "uint16", "float32"), (2, 3, 16)),
    "pages without a word": ("p.tif", pages(metadata=None), ("uint16",), (2, 5)),
    "pages, deflate": ("p.tif", pages(metadata=None, compression="zlib", rowsperstrip=5), ("uint16",), (2, 5)),
    "channels of ImageJ": ("p.tif", pages(imagej=True, metadata={"axes": "CYX"}), ("uint16", "float32"), (2, 20)),
    "channels of OME": ("p.ome.tif", pages(metadata={"axes": "CYX"}), ("uint8", "uint16"), (2, 20)),
    "tiles of OME": ("p.ome.tiff", pages(metadata={"axes": "CYX"}, tile=(16, 16)), ("uint16",), (3,)),
    "npy": ("p.npy", np.save, WHOLE + FLOAT, (1, 3, 9)),
    "npy, Fortran": ("p.npy", lambda path, a: np.save(path, np.asfortranarray(a)), ("uint16",), (1, 3)),
    "npy, big-endian": ("p.npy", lambda path, a: np.save(path, a.astype(a.dtype.newbyteorder(">"))), ("int16",), (3,)),
    "npz": ("p.npz", npz, ("uint8", "float32"), (1, 3)),
    "nii": ("p.nii", nifti, (*WHOLE, "float32", "float64"), (1,)),
    "nii.gz": ("p.nii.gz", nifti, ("int16",), (1,)),
    "dcm": ("p.dcm", dicom, ("uint8", "uint16", "int16"), (1,)),
    "dcm, colour": ("p.dcm", dicom, ("uint8",), (3,)),
}


def parts(height: int, width: int) -> st.SearchStrategy[tuple[int, int, int, int]]:
    def inside(y: int, x: int) -> st.SearchStrategy[tuple[int, int, int, int]]:
        return st.tuples(st.just(y), st.just(x), st.integers(1, height - y), st.integers(1, width - x))

    return st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)).flatmap(lambda yx: inside(*yx))


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
def test_round_trip_header_and_windows(tmp_path_factory: pytest.TempPathFactory, way: str, data: st.DataObject) -> None:
    name, write, dtypes, channels = WAYS[way]
    height, width = data.draw(st.integers(17, 45)), data.draw(st.integers(17, 45))
    pixels = noise(data.draw(st.sampled_from(dtypes)), height, width, data.draw(st.sampled_from(channels)), height)
    path = tmp_path_factory.mktemp("way") / name
    write(path, pixels)

    header, picture = images.read_header(path), images.read(path)
    assert (header.height, header.width, header.channels, header.dtype) == (*pixels.shape, str(pixels.dtype))
    np.testing.assert_array_equal(picture.pixels_HWC, pixels)
    assert picture.pixels_HWC.dtype == pixels.dtype
    assert picture.pixels_HWC.dtype.isnative
    assert picture.valid_HW is None

    for window in (data.draw(parts(height, width)), (0, 0, height, width), (height - 1, width - 1, 1, 1)):
        y, x, rows, columns = window
        part = images.read_window(path, *window)
        np.testing.assert_array_equal(part.pixels_HWC, pixels[y : y + rows, x : x + columns])
        assert part.pixels_HWC.dtype == pixels.dtype
        assert part.pixels_HWC.flags.c_contiguous
        assert part.valid_HW is None


@pytest.mark.parametrize("compression", ["jpeg", "webp", "jpegxl", "jpeg2000", "png"])
def test_pictures_in_a_tiff_are_decoded_tile_by_tile(tmp_path: Path, compression: str) -> None:
    pixels = noise("uint8", 50, 70, 3)
    tifffile.imwrite(tmp_path / "p.tif", pixels, photometric="rgb", compression=compression, tile=(32, 16))
    whole = images.read(tmp_path / "p.tif").pixels_HWC
    assert whole.shape == pixels.shape
    np.testing.assert_array_equal(images.read_window(tmp_path / "p.tif", 20, 9, 28, 61).pixels_HWC, whole[20:48, 9:])


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_of_a_turned_tiff(tmp_path: Path, orientation: int, tile: tuple[int, int] | None) -> None:
    path = tmp_path / "p.tif"
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, noise("uint16", 40, 53, 3), photometric="rgb", tile=tile, extratags=tags)
    whole = images.read(path).pixels_HWC
    assert whole.shape[:2] == ((40, 53) if orientation < 5 else (53, 40))
    np.testing.assert_array_equal(images.read_window(path, 5, 7, 30, 21).pixels_HWC, whole[5:35, 7:28])


def test_only_the_tiles_of_a_window_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    pixels = noise("uint8", 64, 64, 1)
    tifffile.imwrite(path, pixels[..., 0], tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages.first.dataoffsets[-1], file.pages.first.databytecounts[-1]
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = b"\xff" * size
    path.write_bytes(content)
    np.testing.assert_array_equal(images.read_window(path, 0, 0, 48, 64).pixels_HWC, pixels[:48])
    with pytest.raises(DataError, match="broken or truncated"):
        images.read_window(path, 40, 40, 24, 24)


def test_sparse_tiles_are_empty_in_whole_and_window(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    tiles = [noise("uint8", 16, 16, 1)[..., 0], None, None, noise("uint8", 16, 16, 1, 1)[..., 0]]
    nodata = [(42113, "s", 0, "7", True)]
    tifffile.imwrite(path, iter(tiles), shape=(32, 32), dtype="uint8", tile=(16, 16), extratags=nodata)
    whole, part = images.read(path), images.read_window(path, 3, 5, 20, 25)
    np.testing.assert_array_equal(part.pixels_HWC, whole.pixels_HWC[3:23, 5:30])
    assert whole.valid_HW is not None
    assert part.valid_HW is not None
    assert not whole.valid_HW[:16, 16:].any()
    np.testing.assert_array_equal(part.valid_HW, whole.valid_HW[3:23, 5:30])


@pytest.mark.parametrize("planar", [False, True])
def test_tiff_that_declares_more_rows_than_it_holds_is_refused(tmp_path: Path, planar: bool) -> None:
    path = tmp_path / "p.tif"
    tiff(planar=planar, rowsperstrip=20)(path, noise("uint8", 20, 23, 3))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["ImageLength"].overwrite(8_000_000)
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match="broken or truncated"):
            action(path)


@pytest.mark.parametrize("compression", ["jpeg", "zlib"])
@pytest.mark.parametrize("count", [1, 3])
def test_tiff_that_is_cut_off_inside_a_strip_is_refused(tmp_path: Path, compression: str, count: int) -> None:
    path = tmp_path / "p.tif"
    pages(compression=compression, rowsperstrip=32)(path, noise("uint8", 64, 80, count))
    assert images.read(path).pixels_HWC.shape == (64, 80, count)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        last = file.pages[-1]
        path.write_bytes(content[: last.dataoffsets[-1] + last.databytecounts[-1] * 3 // 4])
    for action in (images.read, images.read_header, lambda path: images.read_window(path, 0, 0, 5, 5)):
        with pytest.raises(DataError, match="broken or truncated"):
            action(path)


def test_the_size_of_a_plain_strip_may_be_rounded_up(tmp_path: Path) -> None:
    path, pixels = tmp_path / "p.tif", noise("uint8", 30, 20, 1)
    tiff(rowsperstrip=20, metadata=None)(path, pixels)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["StripByteCounts"].overwrite((400, 400))
    np.testing.assert_array_equal(images.read(path).pixels_HWC, pixels)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_rows_that_were_taken_for_pages_are_put_together(tmp_path: Path, dtype: str) -> None:
    pixels = noise(dtype, 30, 20, 5)
    tifffile.imwrite(tmp_path / "p.tif", pixels, photometric="minisblack")  # says nothing about channels
    np.testing.assert_array_equal(images.read(tmp_path / "p.tif").pixels_HWC, pixels)
    part = images.read_window(tmp_path / "p.tif", 3, 4, 9, 10).pixels_HWC
    np.testing.assert_array_equal(part, pixels[3:12, 4:14])


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.npy"])
@pytest.mark.parametrize(
    "window", [(-1, 0, 2, 2), (0, -1, 2, 2), (0, 0, 0, 2), (0, 0, 2, 0), (8, 0, 5, 2), (0, 10, 2, 9)]
)
def test_windows_outside_are_refused(tmp_path: Path, name: str, window: tuple[int, int, int, int]) -> None:
    next(write for file, write, _, _ in WAYS.values() if file == name)(tmp_path / name, noise("uint8", 12, 18, 1))
    with pytest.raises(ValueError, match="12 rows and 18 columns"):
        images.read_window(tmp_path / name, *window)


@pytest.mark.parametrize("way", ["tiff", "tiff, tiles", "tiff, strips, planar", "npy"])
def test_picture_larger_than_memory_is_read_by_window(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, write, dtypes, channels = WAYS[way]
    pixels = noise(dtypes[0], 40, 40, channels[0])
    write(tmp_path / name, pixels)
    monkeypatch.setattr(reading, "MAX_PICTURE_PIXELS", 1000)
    with pytest.raises(DataError, match="at most 1,000 pixels"):
        images.read(tmp_path / name)
    with pytest.raises(DataError, match="at most 1,000 pixels"):
        images.read_header(tmp_path / name)
    assert images.read_header(tmp_path / name, windowed=True).height == 40
    part = images.read_window(tmp_path / name, 10, 3, 20, 30).pixels_HWC
    np.testing.assert_array_equal(part, pixels[10:30, 3:33])
    with pytest.raises(ValueError, match="more than 1,000"):
        images.read_window(tmp_path / name, 0, 0, 40, 30)


def test_large_picture_that_only_decodes_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.tif"
    tiff(compression="zlib", rowsperstrip=40)(path, noise("uint8", 40, 40, 1))
    png(tmp_path / "p.png", noise("uint8", 40, 40, 1))
    for module in ("reading", "tiff", "segments"):
        monkeypatch.setattr(f"masksmith.images.{module}.MAX_PICTURE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"decoded at once; save it as a tiled TIFF"):
        images.read_window(path, 0, 0, 5, 5)
    with pytest.raises(DataError, match="at most 1,000 pixels"):
        images.read_window(tmp_path / "p.png", 0, 0, 5, 5)


def test_names_endings_and_stems() -> None:
    stems = {
        "a.png": "a",
        "a.b.PNG": "a.b",
        "a.nii.gz": "a",
        "A.NII.GZ": "A",
        "a.ome.tif": "a",
        "a.OME.TIFF": "a",
        "a.tif": "a",
        "a_0000.nii": "a_0000",
    }
    assert {name: images.stem(Path("folder") / name) for name in stems} == stems
    assert all(images.is_picture(Path(name)) for name in stems)
    for name in ("a.gz", "a.txt", ".nii.gz", ".png", ".a.png", "png"):
        assert not images.is_picture(Path(name))
    assert images.stem(Path("a.txt")) == "a"


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
def test_damaged_bytes_are_never_more_than_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, way: str, data: st.DataObject
) -> None:
    name, write, dtypes, channels = WAYS[way]
    path = tmp_path_factory.mktemp("damaged") / name
    write(path, noise(dtypes[-1], 20, 23, channels[-1]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of what can be said wrongly stands at the beginning or the end of a file.
        place = data.draw(st.one_of(st.integers(0, min(400, len(content) - 1)), st.integers(0, len(content) - 1)))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    for action in (
        lambda: images.read_header(path),
        lambda: images.read(path),
        lambda: images.read_window(path, 1, 2, 5, 6),
        lambda: images.georeference(path),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what libraries warn of is theirs; raising is ours
                action()
        except DataError as error:
            message = str(error)
            assert "\n" not in message
            assert message.endswith(".")
            assert len(message) < 900
        except ValueError as error:
            assert str(error).startswith("Window(")  # damage has made the picture smaller
