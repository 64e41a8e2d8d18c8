"""Pins down NPY and NPZ: which axis is what, and that nothing but an array of numbers is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from masksmith import images
from masksmith.errors import DataError


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ((20, 30), (20, 30, 1)),
        ((20, 30, 3), (20, 30, 3)),
        ((3, 20, 30), (20, 30, 3)),
        ((16, 20, 30), (20, 30, 16)),
        ((3, 20, 16), (3, 20, 16)),
        ((1, 20, 30), (20, 30, 1)),
        ((200, 300, 100), (200, 300, 100)),
        ((5, 3, 2), (5, 3, 2)),
        ((1, 1), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_which_axis_is_what(tmp_path: Path, ending: str, stored: tuple[int, ...], read: tuple[int, int, int]) -> None:
    array = np.arange(np.prod(stored)).reshape(stored).astype(np.float32)
    np.save(tmp_path / "p.npy", array) if ending == ".npy" else np.savez(tmp_path / "p.npz", array)
    header, pixels = images.read_header(tmp_path / f"p{ending}"), images.read(tmp_path / f"p{ending}").pixels_HWC
    assert (header.height, header.width, header.channels) == pixels.shape == read
    wanted = np.moveaxis(array, 0, 2) if pixels.size and len(stored) == 3 and stored != read else array
    np.testing.assert_array_equal(pixels, wanted.reshape(read))


@pytest.mark.parametrize("shape", [(), (9,), (40, 20, 30), (2, 3, 20, 30), (1, 20, 30, 3)])
def test_volumes_and_lists_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "p.npy", np.zeros(shape))
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match="one picture: height × width.*save each picture or slice"):
            action(tmp_path / "p.npy")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (5, 5, 0)])
def test_arrays_without_pixels_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "p.npy", np.zeros(shape))
    with pytest.raises(DataError, match="a picture with pixels"):
        images.read(tmp_path / "p.npy")


def test_array_too_large_is_refused_by_its_header(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"shape": (2**20, 2**20), "fortran_order": False, "descr": "|u1"})
    (tmp_path / "p.npy").write_bytes(out.getvalue())
    with pytest.raises(DataError, match="1048576×1048576 pixels"):
        images.read(tmp_path / "p.npy")
    with pytest.raises(DataError, match="broken or truncated"):
        images.read_window(tmp_path / "p.npy", 5, 5, 5, 5)


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((3, 4), "complex64"), "complex64"),
        (np.zeros((3, 4), "S3"), "bytes24"),
        (np.zeros((3, 4), "datetime64[s]"), "datetime64"),
        (np.zeros((3, 4), [("r", "u1"), ("g", "u1")]), "records"),
        (np.full((3, 4), None), "Python objects"),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_anything_but_numbers_is_refused(tmp_path: Path, ending: str, array: np.ndarray, word: str) -> None:
    np.save(tmp_path / "p.npy", array) if ending == ".npy" else np.savez(tmp_path / "p.npz", array)
    with pytest.raises(DataError, match=f"received {word}"):
        images.read(tmp_path / f"p{ending}")


def test_pickled_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.npy").write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n.")
    with pytest.raises(DataError, match="broken"):
        images.read(tmp_path / "p.npy")


@pytest.mark.parametrize(("dtype", "narrow"), [("int64", "int32"), ("uint64", "uint32")])
def test_whole_numbers_of_64_bits_are_given_in_32(tmp_path: Path, dtype: str, narrow: str) -> None:
    array = np.array([[0, 7], [255, 2**31 - 1]], dtype)
    np.save(tmp_path / "p.npy", array)
    pixels = images.read(tmp_path / "p.npy").pixels_HWC
    assert pixels.dtype == narrow == images.read_header(tmp_path / "p.npy").dtype
    np.testing.assert_array_equal(pixels[..., 0], array)
    np.save(tmp_path / "p.npy", array * 4)
    with pytest.raises(DataError, match=r"fit in 32 bits.*8589934588"):
        images.read(tmp_path / "p.npy")


def test_true_is_255(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([[True, False]]))
    assert images.read(tmp_path / "p.npy").pixels_HWC.tolist() == [[[255], [0]]]
    assert images.read_header(tmp_path / "p.npy").dtype == "uint8"


@pytest.mark.parametrize("name", ["image", "img", "x", "mask", "label", "Image"])
def test_the_named_array_of_several(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "p.npz", other=np.zeros(3), **{name: np.full((4, 5), 7)})
    assert images.read(tmp_path / "p.npz").pixels_HWC.shape == (4, 5, 1)


@pytest.mark.parametrize("names", [("a", "b"), ("image", "label"), ()])
def test_no_or_several_arrays_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    np.savez(tmp_path / "p.npz", **{name: np.zeros((4, 5)) for name in names})
    with pytest.raises(DataError, match=f"received {', '.join(names) or 'none'}; save the picture"):
        images.read(tmp_path / "p.npz")


def test_other_zip_under_the_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match="received none"):
        images.read(tmp_path / "p.npz")
    (tmp_path / "p.npy").write_bytes((tmp_path / "p.npz").read_bytes())
    with pytest.raises(DataError, match="broken"):
        images.read(tmp_path / "p.npy")


def test_a_window_does_not_hold_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((40, 50), np.uint8))
    pixels = images.read_window(tmp_path / "p.npy", 1, 2, 3, 4).pixels_HWC
    assert pixels.base is None or pixels.base.nbytes < 100
    assert not isinstance(pixels, np.memmap)
