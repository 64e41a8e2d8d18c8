"""Pins down images: pixels come back exactly as stored and upright, and a bad file is one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from helpers import write_image
from masksmith import images
from masksmith.errors import DataError
from masksmith.images import FORMATS

# What Pillow writes by the ending, in colour or grey; the other formats have tests of their own.
ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp", ".tif", ".tiff", ".ome.tif", ".ome.tiff")
LOSSY = {".jpg", ".jpeg", ".jfif", ".webp"}
# Formats that need a library of the extra "medical".
OPTIONAL = {".dcm": "pydicom", ".nii": "nibabel", ".nii.gz": "nibabel"}
# What a quarter turn of the camera writes: EXIF orientation -> how the stored pixels become upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


def smooth(height: int = 24, width: int = 37, channels: int = 3) -> npt.NDArray[np.uint8]:
    """A slope that lossy formats keep nearly as it is; no side or channel like another."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    return (40 + 3 * y + 2 * x + 25 * c).astype(np.uint8)


def noise(dtype: str, channels: int, height: int = 9, width: int = 14) -> npt.NDArray[np.generic]:
    rng = np.random.default_rng(channels)
    if dtype.startswith("float"):
        return rng.normal(0, 5, (height, width, channels)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (height, width, channels), dtype, endpoint=True)


def raw_png(path: Path, rows: npt.NDArray[np.generic], bits: int, kind: int) -> Path:
    """A PNG by hand, since no library writes 16-bit grey with transparency. ``rows`` (H, W, C)."""
    stored = rows.astype(">u2" if bits == 16 else np.uint8)
    lines = b"".join(b"\0" + line.tobytes() for line in stored)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], bits, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    return path


def assert_header_agrees(path: Path) -> None:
    header, pixels = images.read_header(path), images.read(path).pixels_HWC
    assert (header.height, header.width, header.channels, header.dtype) == (*pixels.shape, str(pixels.dtype))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_gives_back_what_was_stored(tmp_path: Path, ending: str, channels: int) -> None:
    pixels = smooth(channels=channels)
    path = tmp_path / f"picture{ending}"
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(
        path, **({"quality": 98} if ending in LOSSY else {})
    )
    picture = images.read(path)
    assert picture.indices_HW is None
    # WebP knows colour alone.
    assert picture.pixels_HWC.shape == (24, 37, 3 if ending == ".webp" else channels)
    assert picture.pixels_HWC.dtype == np.uint8
    difference = np.abs(picture.pixels_HWC.astype(int) - pixels).max()
    assert difference <= (6 if ending in LOSSY else 0)
    assert_header_agrees(path)


@pytest.mark.parametrize("ending", [e for e in ENDINGS if e not in LOSSY])
def test_lossless_formats_are_exact_on_noise(tmp_path: Path, ending: str) -> None:
    pixels = noise("uint8", 3)
    np.testing.assert_array_equal(images.read(write_image(tmp_path / f"p{ending}", pixels)).pixels_HWC, pixels)


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_in_capitals_is_the_same_format(tmp_path: Path, ending: str) -> None:
    Image.fromarray(smooth()).save(tmp_path / f"p{ending}")
    path = (tmp_path / f"p{ending}").rename(tmp_path / f"P{ending.upper()}")
    assert images.is_picture(path)
    assert images.read(path).pixels_HWC.shape == (24, 37, 3)


@pytest.mark.parametrize(("kind", "stored", "channels"), [(0, 1, 1), (2, 3, 3), (4, 2, 1), (6, 4, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_png_of_each_kind_and_depth(tmp_path: Path, kind: int, stored: int, channels: int, bits: int) -> None:
    pixels = noise(f"uint{bits}", stored)
    path = raw_png(tmp_path / "p.png", pixels, bits, kind)
    assert_header_agrees(path)
    found = images.read(path).pixels_HWC
    assert found.dtype == f"uint{bits}"
    np.testing.assert_array_equal(found, pixels[..., :channels])  # transparency is no measured channel


def test_black_and_white_png_is_0_and_255(tmp_path: Path) -> None:
    bits = np.array([[True, False, True], [False, False, True]])
    Image.fromarray(bits).save(tmp_path / "p.png")
    assert images.read(tmp_path / "p.png").pixels_HWC[..., 0].tolist() == [[255, 0, 255], [0, 0, 255]]
    assert_header_agrees(tmp_path / "p.png")


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
def test_palette_picture_keeps_indices_and_colors(tmp_path: Path, ending: str) -> None:
    indices = np.array([[0, 1, 2], [2, 2, 1]], np.uint8)
    image = Image.frombytes("P", (3, 2), indices.tobytes())
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 200])
    path = tmp_path / f"p{ending}"
    image.save(path)
    picture = images.read(path)
    assert picture.indices_HW is not None
    assert picture.indices_HW.tolist() == indices.tolist()
    assert picture.pixels_HWC[0].tolist() == [[10, 20, 30], [200, 0, 0], [0, 0, 200]]
    assert_header_agrees(path)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_of_a_photograph(tmp_path: Path, orientation: int) -> None:
    pixels = smooth()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "p.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=98, subsampling=0)
    found = images.read(path).pixels_HWC
    wanted = UPRIGHT[orientation](pixels)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 6
    assert_header_agrees(path)


@pytest.mark.parametrize(
    "block",
    [b"XX*\0\x08\0\0\0", b"II*", b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0\0\0\0\0"],
    ids=["other letters", "cut off", "text for a number"],
)
def test_damaged_exif_says_nothing_of_the_pixels(tmp_path: Path, block: bytes) -> None:
    Image.fromarray(smooth()).save(tmp_path / "p.png", exif=b"Exif\0\0" + block)
    np.testing.assert_array_equal(images.read(tmp_path / "p.png").pixels_HWC, smooth())
    assert_header_agrees(tmp_path / "p.png")


def test_a_phones_photograph_that_was_cut_off_and_closed_is_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "p.jpg", io.BytesIO()
    preview = Image.fromarray(smooth(12, 18))
    grey = noise("uint8", 3, 60, 50)
    grey[-16:, -16:] = 128  # ends in the very colour with which decoders fill
    Image.fromarray(grey).save(out, "MPO", save_all=True, append_images=[preview])
    path.write_bytes(out.getvalue())
    assert images.read(path).pixels_HWC.shape == (60, 50, 3)
    photograph = out.getvalue()[: out.getvalue().index(b"\xff\xd9")]
    path.write_bytes(photograph[: len(photograph) * 3 // 4] + b"\xff\xd9")
    assert "its data end before its last row" in whole_sentence(path)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_of_a_tiff(tmp_path: Path, orientation: int) -> None:
    pixels = noise("uint16", 3)
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    np.testing.assert_array_equal(images.read(path).pixels_HWC, UPRIGHT[orientation](pixels))
    assert_header_agrees(path)


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_tiff_of_any_channels_and_dtype(tmp_path: Path, channels: int, dtype: str) -> None:
    pixels = noise(dtype, channels)
    path = write_image(tmp_path / "p.tif", pixels)
    found = images.read(path).pixels_HWC
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)
    assert_header_agrees(path)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_compressed_and_of_either_byte_order(tmp_path: Path, compression: str | None, byteorder: str) -> None:
    pixels = noise("uint16", 3)
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", compression=compression, byteorder=byteorder)  # type: ignore[arg-type]
    found = images.read(path).pixels_HWC
    assert found.dtype == "uint16"
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, pixels)
    assert_header_agrees(path)


def test_tiff_stored_plane_by_plane(tmp_path: Path) -> None:
    pixels = noise("uint16", 5)
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), photometric="minisblack", planarconfig="separate")
    np.testing.assert_array_equal(images.read(path).pixels_HWC, pixels)
    assert_header_agrees(path)


def test_channels_of_a_microscope_stack(tmp_path: Path) -> None:
    pixels = noise("uint16", 4)
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(images.read(path).pixels_HWC, pixels)
    assert_header_agrees(path)


def test_black_and_white_tiff_is_0_and_255(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.array([[True, False] * 4] * 3), photometric="minisblack")
    assert images.read(tmp_path / "p.tif").pixels_HWC[0, :, 0].tolist() == [255, 0] * 4
    assert_header_agrees(tmp_path / "p.tif")


def test_white_is_zero_tiff_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.array([[0, 10, 255]], np.uint8), photometric="miniswhite")
    assert images.read(tmp_path / "p.tif").pixels_HWC[0, :, 0].tolist() == [255, 245, 0]


def test_palette_of_a_tiff_that_is_stored_as_0_to_255(tmp_path: Path) -> None:
    colors = np.zeros((256, 3), np.uint16)
    colors[:3] = [[10, 20, 30], [200, 0, 0], [0, 0, 255]]
    indices = np.array([[0, 1, 2], [2, 2, 1]], np.uint8)
    tifffile.imwrite(tmp_path / "p.tif", indices, photometric="palette", colormap=np.ascontiguousarray(colors.T))
    np.testing.assert_array_equal(images.read(tmp_path / "p.tif").pixels_HWC, colors[indices])


@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (3, {"photometric": "rgb"}),
        (4, {"photometric": "separated", "extratags": [(332, "H", 1, 2, True)]}),
        (5, {"photometric": "separated", "extrasamples": [0]}),
        (6, {"photometric": "separated", "extrasamples": [0, 2]}),
    ],
)
def test_inks_that_are_not_converted_are_refused(tmp_path: Path, channels: int, options: dict[str, Any]) -> None:
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, noise("uint8", channels), planarconfig="contig", **options)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["PhotometricInterpretation"].overwrite(5)
    assert "colours in inks other than cyan" in whole_sentence(path)


def test_cmyk_with_transparency_is_read(tmp_path: Path) -> None:
    path, pixels = tmp_path / "p.tif", noise("uint8", 5)
    tifffile.imwrite(path, pixels, photometric="separated", planarconfig="contig", extrasamples=["unassalpha"])
    assert images.read(path).pixels_HWC.shape == (9, 14, 3)
    assert_header_agrees(path)


@pytest.mark.parametrize("dtype", ["complex64", "uint64"])
def test_tiff_of_no_picture_dtype_is_refused(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.zeros((4, 5), dtype))
    with pytest.raises(DataError, match=dtype):
        images.read(tmp_path / "p.tif")


def write_pages(path: Path, how: str) -> None:
    pages = [np.full((16, 20), 50 * i, np.uint8) for i in range(3)]
    if how == "one after another":
        with tifffile.TiffWriter(path) as file:
            for page in pages:
                file.write(page)
    elif how == "of other sizes":
        with tifffile.TiffWriter(path) as file:
            for i, page in enumerate(pages):
                file.write(page[: 16 - i])
    elif how == "by Pillow, in colour":
        colored = [Image.fromarray(np.stack([p] * 3, axis=2)) for p in pages]
        colored[0].save(path, save_all=True, append_images=colored[1:])
    elif how == "by Pillow, too many":
        many = [Image.fromarray(pages[0]) for _ in range(17)]
        many[0].save(path, save_all=True, append_images=many[1:])
    else:
        imagej = how == "of ImageJ"
        tifffile.imwrite(path, np.stack(pages), imagej=imagej, photometric="minisblack", metadata={"axes": "ZYX"})


@pytest.mark.parametrize(
    "how",
    [
        "as a stack",
        "of ImageJ",
        "by Pillow, in colour",
        "by Pillow, too many",
        "one after another",
        "of other sizes",
    ],
)
def test_tiff_of_several_pages_is_refused(tmp_path: Path, how: str) -> None:
    write_pages(tmp_path / "p.tif", how)
    for action in (images.read, images.read_header):
        with pytest.raises(DataError, match="one picture in the file") as caught:
            action(tmp_path / "p.tif")
        assert "p.tif" in str(caught.value)


@pytest.mark.parametrize("subifds", [0, 1])
def test_reduced_copies_beside_a_tiff_picture_are_not_read(tmp_path: Path, subifds: int) -> None:
    pixels = noise("uint16", 1, 32, 48)[..., 0]
    with tifffile.TiffWriter(tmp_path / "p.tif") as file:
        file.write(pixels, subifds=subifds or None, metadata=None)
        file.write(pixels[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(images.read(tmp_path / "p.tif").pixels_HWC[..., 0], pixels)


@pytest.mark.parametrize(("ending", "kind"), [(".png", "PNG"), (".webp", "WEBP"), (".png", "GIF")])
def test_animation_is_refused(tmp_path: Path, ending: str, kind: str) -> None:
    frames = [Image.fromarray(np.roll(smooth(), 5 * i, axis=1)) for i in range(3)]
    path = tmp_path / f"p{ending}"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="animation of 3 frames"):
        images.read(path)


def test_other_formats_are_refused_with_the_endings_that_can_be_read(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "p.ppm")
    assert not images.is_picture(tmp_path / "p.ppm")
    with pytest.raises(DataError, match=r'\.png.*the ending "\.ppm"; convert it'):
        images.read(tmp_path / "p.ppm")


def whole_sentence(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        images.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("ending", ENDINGS)
def test_truncated_file_is_refused(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / f"p{ending}"
    Image.fromarray(rng.integers(0, 256, (60, 70, 3), np.uint8)).save(path)
    content = path.read_bytes()
    for share in (0.05, 0.5, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        assert "broken or truncated" in whole_sentence(path)


def test_truncated_16_bit_png_is_refused(tmp_path: Path) -> None:
    path = write_image(tmp_path / "p.png", noise("uint16", 3, 40, 50))
    path.write_bytes(path.read_bytes()[:5000])
    assert "broken or truncated" in whole_sentence(path)


def skip_without_library(ending: str) -> None:
    if ending in OPTIONAL:
        pytest.importorskip(OPTIONAL[ending])


@pytest.mark.parametrize("ending", FORMATS)
def test_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    skip_without_library(ending)
    (tmp_path / f"p{ending}").touch()
    assert "an empty file" in whole_sentence(tmp_path / f"p{ending}")


@pytest.mark.parametrize("ending", FORMATS)
def test_text_under_a_pictures_name_is_refused(tmp_path: Path, ending: str) -> None:
    skip_without_library(ending)
    (tmp_path / f"p{ending}").write_text("Dear sir or madam,\n" * 9)
    assert "broken" in whole_sentence(tmp_path / f"p{ending}")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "no such file" in whole_sentence(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    assert "a folder" in whole_sentence(tmp_path / "folder.png")


def test_picture_larger_than_the_limit_is_refused_before_decoding(tmp_path: Path) -> None:
    # 20,000 × 20,000 pixels that were never written: the header alone decides.
    path = raw_png(tmp_path / "p.png", np.zeros((1, 1, 1), np.uint8), 8, 0)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert "20000×20000 pixels" in whole_sentence(path)


def test_hidden_files_are_no_pictures() -> None:
    assert images.is_picture(Path("a/b.PNG"))
    assert not images.is_picture(Path("a/._b.png"))
    assert not images.is_picture(Path("a/b.txt"))
    assert not images.is_picture(Path("png"))
