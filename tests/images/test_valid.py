"""Pins down valid_HW: False where the file itself says that there is nothing, None where all is there."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from masksmith import images

VALID = np.array([[True, False, True, True], [False, True, True, True], [True, True, True, False]])


def colors(channels: int, dtype: str = "uint8") -> Any:  # noqa: ANN401 - pixels of any dtype
    return np.arange(1, 1 + VALID.size * channels).reshape(*VALID.shape, channels).astype(dtype)


def with_opacity(channels: int, dtype: str = "uint8") -> Any:  # noqa: ANN401
    """Nearly transparent pixels are there; only those that cannot be seen at all are not."""
    opacity = np.where(VALID, 1, 0)[..., None].astype(dtype)
    return np.concatenate([colors(channels, dtype), opacity], axis=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_transparent_pixels(tmp_path: Path, channels: int, ending: str) -> None:
    path = tmp_path / f"p{ending}"
    Image.fromarray(with_opacity(channels), mode="LA" if channels == 1 else "RGBA").save(path)
    picture = images.read(path)
    np.testing.assert_array_equal(picture.pixels_HWC, colors(channels))
    np.testing.assert_array_equal(picture.valid_HW, VALID)


def test_transparent_pixels_of_a_16_bit_png(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(images.encode_png(with_opacity(3, "uint16")))
    picture = images.read(tmp_path / "p.png")
    np.testing.assert_array_equal(picture.pixels_HWC, colors(3, "uint16"))
    np.testing.assert_array_equal(picture.valid_HW, VALID)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ending", "dtype"), [(".png", "uint8"), (".png", "uint16"), (".tif", "uint8"), (".tif", "uint16")]
)
def test_transparency_can_be_asked_for_as_a_channel(tmp_path: Path, channels: int, ending: str, dtype: str) -> None:
    stored = with_opacity(channels, dtype)
    stored[0, 1] = 0  # where all channels are 0 there is nothing, whatever the last one is called
    path = tmp_path / f"p{ending}"
    if ending == ".tif":
        tifffile.imwrite(path, stored, photometric=["minisblack", "rgb"][channels // 3], planarconfig="contig", extrasamples=["unassalpha"])  # fmt: skip
    elif channels == 1 and dtype == "uint16":
        pytest.skip("no library writes 16-bit grey with transparency")
    elif dtype == "uint16":
        path.write_bytes(images.encode_png(stored))
    else:
        Image.fromarray(stored, mode="LA" if channels == 1 else "RGBA").save(path)
    header = images.read_header(path)
    assert (header.channels, header.alpha, header.channels_for(channels + 1)) == (channels, True, channels + 1)
    assert header.channels_for(channels + 2) == channels
    whole, part = images.read(path), images.read_window(path, 1, 1, 2, 3)
    for picture, place in ((whole, np.s_[:]), (part, np.s_[1:3, 1:4]), (whole.crop(images.picture.Window(1, 1, 2, 3)), np.s_[1:3, 1:4])):  # fmt: skip
        np.testing.assert_array_equal(picture.pixels_HWC, stored[..., :-1][place])
        np.testing.assert_array_equal(picture.alpha_HW, stored[..., -1][place])
        assert picture.with_channels(channels) is picture
        asked = picture.with_channels(channels + 1)
        np.testing.assert_array_equal(asked.pixels_HWC, stored[place])
        something = stored[place].any(axis=2)
        np.testing.assert_array_equal(np.ones_like(something) if asked.valid_HW is None else asked.valid_HW, something)


def test_transparent_pixels_of_a_turned_photograph(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for bits, content in ((8, with_opacity(3)), (16, with_opacity(3, "uint16"))):
        path = tmp_path / f"{bits}.png"
        if bits == 8:
            Image.fromarray(content).save(path, exif=exif)
        else:
            path.write_bytes(with_chunk(images.encode_png(content), b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
        picture = images.read(path)
        assert picture.pixels_HWC.shape == (4, 3, 3)
        np.testing.assert_array_equal(picture.valid_HW, np.rot90(VALID, -1))
        np.testing.assert_array_equal(picture.alpha_HW, np.rot90(VALID, -1))


def test_opaque_pictures_have_none(tmp_path: Path) -> None:
    pixels = np.concatenate([colors(3), np.full((*VALID.shape, 1), 255, np.uint8)], axis=2)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    picture = images.read(tmp_path / "p.png")
    assert picture.valid_HW is None
    assert picture.pixels_HWC.shape == (3, 4, 3)


@pytest.mark.parametrize("transparency", [1, b"\x80\x00\xff"], ids=["one index", "an opacity for each"])
@pytest.mark.parametrize("ending", [".png", ".gif"])
def test_transparent_indices(tmp_path: Path, ending: str, transparency: int | bytes) -> None:
    if ending == ".gif" and isinstance(transparency, bytes):
        pytest.skip("GIF has one transparent index")
    indices = np.array([[0, 1, 2], [2, 2, 1]], np.uint8)
    image = Image.frombytes("P", (3, 2), indices.tobytes())
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 200])
    image.save(tmp_path / f"p{ending}", transparency=transparency)
    picture = images.read(tmp_path / f"p{ending}")
    np.testing.assert_array_equal(picture.indices_HW, indices)
    np.testing.assert_array_equal(picture.valid_HW, indices != 1)
    part = images.read_window(tmp_path / f"p{ending}", 0, 1, 2, 2)
    np.testing.assert_array_equal(part.valid_HW, (indices != 1)[:, 1:])
    np.testing.assert_array_equal(part.indices_HW, indices[:, 1:])
    assert images.read_window(tmp_path / f"p{ending}", 1, 0, 1, 2).valid_HW is None


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """The PNG with one more chunk in front of its pixels."""
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    at = png.index(b"IDAT") - 4
    return png[:at] + chunk + png[at:]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_a_png(tmp_path: Path, channels: int, dtype: str) -> None:
    pixels = np.where(VALID[..., None], colors(channels, dtype), 99).astype(dtype)
    content = with_chunk(images.encode_png(pixels), b"tRNS", struct.pack(f">{channels}H", *[99] * channels))
    (tmp_path / "p.png").write_bytes(content)
    picture = images.read(tmp_path / "p.png")
    np.testing.assert_array_equal(picture.pixels_HWC, pixels)
    np.testing.assert_array_equal(picture.valid_HW, VALID)


def test_the_transparent_grey_of_a_png_of_4_bits(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 4, 1, 4, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"tRNS", b"\0\x05"), (b"IDAT", zlib.compress(b"\0\x05\xf5")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    picture = images.read(tmp_path / "p.png")
    assert picture.pixels_HWC[0, :, 0].tolist() == [0, 85, 255, 85]
    assert picture.valid_HW is not None
    assert picture.valid_HW.tolist() == [[True, False, True, False]]


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("uint8", "0", 0),
        ("uint8", "255", 255),
        ("int16", "-9999", -9999),
        ("int16", "-9999.0", -9999),
        ("uint16", "65535 ", 65535),
        ("float32", "-3.4028234663852886e+38", np.finfo(np.float32).min),
        ("float32", "-3.40282346638528898e+38", np.finfo(np.float32).min),
        ("float64", "-9999,5", -9999.5),
        ("float32", "nan", np.nan),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_nodata_of_a_geotiff(tmp_path: Path, dtype: str, text: str, value: float, channels: int) -> None:
    pixels = np.where(VALID[..., None], colors(channels, dtype), np.asarray(value).astype(dtype)).astype(dtype)
    if channels == 3:
        pixels[0, 0, 0] = value  # one channel alone is a measured value
    tags = [(42113, "s", 0, text, True)]
    planar = "contig" if channels > 1 else None
    tifffile.imwrite(tmp_path / "p.tif", pixels, photometric="minisblack", planarconfig=planar, extratags=tags)
    picture = images.read(tmp_path / "p.tif")
    np.testing.assert_array_equal(picture.pixels_HWC, pixels)
    np.testing.assert_array_equal(picture.valid_HW, VALID)
    np.testing.assert_array_equal(images.read_window(tmp_path / "p.tif", 0, 1, 2, 3).valid_HW, VALID[:2, 1:])


@pytest.mark.parametrize(("dtype", "text"), [("uint8", "-9999"), ("uint8", "0.5"), ("int16", "none"), ("uint8", "nan")])
def test_nodata_that_no_pixel_can_have_says_nothing(tmp_path: Path, dtype: str, text: str) -> None:
    pixels = np.zeros((3, 4), dtype)
    tifffile.imwrite(tmp_path / "p.tif", pixels, extratags=[(42113, "s", 0, text, True)])
    assert images.read(tmp_path / "p.tif").valid_HW is None


@pytest.mark.parametrize("name", ["p.npy", "p.tif"])
def test_not_a_number_in_every_channel(tmp_path: Path, name: str) -> None:
    pixels = np.where(VALID[..., None], colors(3, "float32"), np.nan).astype(np.float32)
    pixels[0, 0, 1] = np.nan
    if name == "p.npy":
        np.save(tmp_path / name, pixels)
    else:
        (tmp_path / name).write_bytes(images.encode_tiff(pixels))
    picture = images.read(tmp_path / name)
    np.testing.assert_array_equal(picture.valid_HW, VALID)
    np.testing.assert_array_equal(picture.pixels_HWC, pixels)


def test_palette_of_a_geotiff_with_nodata(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2], [2, 0, 1]], np.uint8)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, 1], colormap[:, 2] = 0x1234, 0xFF00
    tags = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(tmp_path / "p.tif", indices, photometric="palette", colormap=colormap, extratags=tags)
    picture = images.read(tmp_path / "p.tif")
    np.testing.assert_array_equal(picture.indices_HW, indices)
    np.testing.assert_array_equal(picture.valid_HW, indices != 0)
    part = images.read_window(tmp_path / "p.tif", 0, 1, 2, 2)
    np.testing.assert_array_equal(part.indices_HW, indices[:, 1:])
    np.testing.assert_array_equal(part.pixels_HWC, picture.pixels_HWC[:, 1:])


def test_photograph_with_a_preview_behind_it(tmp_path: Path) -> None:
    photograph = Image.fromarray(np.full((32, 40, 3), 90, np.uint8))
    preview = Image.fromarray(np.full((16, 20, 3), 200, np.uint8))
    photograph.save(tmp_path / "p.jpg", format="MPO", save_all=True, append_images=[preview])
    pixels = images.read(tmp_path / "p.jpg").pixels_HWC
    assert pixels.shape == (32, 40, 3)
    assert abs(int(pixels.mean()) - 90) <= 2
