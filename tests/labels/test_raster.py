"""Pins down labels.raster: one mask file as values or colours, counted to the pixel, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers import write_image
from masksmith.classes import IGNORE, ClassTable, Entry, pack
from masksmith.errors import DataError
from masksmith.labels import Grid, LabelSource, MaskScan, RawMask
from masksmith.labels import read_mask as read_source_mask
from masksmith.labels import read_raw as read_source
from masksmith.labels import scan as scan_raw

TABLE = (Entry("sky", (0, 0, 0), 0), Entry("tree", (0, 255, 0), 1), Entry("car", (255, 0, 0), 2))
VALUES = np.array([[0, 1, 2], [2, 2, 1]], np.uint8)
COLORS = np.array([e.color for e in TABLE], np.uint8)[VALUES]


# The grid is the picture's; a mask that is a picture has its own.
GRID = Grid(Path("picture.png"), *VALUES.shape)


def read_raw(path: Path) -> RawMask:
    return read_source(LabelSource((path,)), GRID)


def read_mask(path: Path, table: ClassTable) -> np.ndarray:
    return read_source_mask(LabelSource((path,)), table, GRID)


def scan(path: Path) -> MaskScan:
    return scan_raw(read_raw(path), LabelSource((path,)))


def palette_png(path: Path, indices: np.ndarray, colors: list[int]) -> Path:
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette(colors)
    image.save(path)
    return path


def test_grey_mask_has_values(tmp_path: Path) -> None:
    raw = read_raw(write_image(tmp_path / "m.png", VALUES))
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == VALUES.tolist()


def test_grey_saved_as_color_is_grey(tmp_path: Path) -> None:
    raw = read_raw(write_image(tmp_path / "m.png", np.repeat(VALUES[..., None], 3, axis=2)))
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == VALUES.tolist()


def test_color_mask_has_colors_alone(tmp_path: Path) -> None:
    raw = read_raw(write_image(tmp_path / "m.png", COLORS))
    assert raw.values_HW is None
    assert raw.colors_HW3 is not None
    np.testing.assert_array_equal(raw.colors_HW3, COLORS)


def test_transparency_does_not_count(tmp_path: Path) -> None:
    opaque = np.dstack([COLORS, np.full(VALUES.shape, 90, np.uint8)])
    np.testing.assert_array_equal(read_raw(write_image(tmp_path / "m.png", opaque)).colors_HW3, COLORS)
    tifffile.imwrite(tmp_path / "m.tif", opaque, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_raw(tmp_path / "m.tif").colors_HW3, COLORS)


def test_palette_mask_has_both(tmp_path: Path) -> None:
    raw = read_raw(palette_png(tmp_path / "m.png", VALUES, COLORS[[0, 0, 0], [0, 1, 2]].ravel().tolist()))
    assert raw.from_palette
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == VALUES.tolist()
    np.testing.assert_array_equal(raw.colors_HW3, COLORS)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_whole_numbers_of_any_dtype_are_values(tmp_path: Path, dtype: str) -> None:
    stored = (VALUES.astype(np.int64) * 300).astype(dtype)
    raw = read_raw(write_image(tmp_path / "m.tif", stored))
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == stored.astype(int).tolist()
    assert raw.colors_HW3 is None  # 600 is no 8-bit grey
    assert scan(tmp_path / "m.tif").values == {0: 1, 300: 2, 600: 3}


@pytest.mark.parametrize(
    ("pixels", "word"),
    [
        (np.array([[0.0, 0.5]], np.float32), "fractions or not-a-number"),
        (np.array([[0.0, np.nan]], np.float32), "fractions or not-a-number"),
        (np.array([[0, -3]], np.int16), "-3 to 0"),
        (np.array([[0, 70000]], np.uint32), "0 to 70000"),
        (np.full((2, 3, 5), 1, np.uint8), r"one of 5 bands .* several in 100\.0 % of the pixels"),
        (np.array([[(1, 2, 900)]], np.uint16), "the value 900"),
    ],
)
def test_what_cannot_be_a_mask_is_refused(tmp_path: Path, pixels: np.ndarray, word: str) -> None:
    path = write_image(tmp_path / "m.tif", pixels)
    with pytest.raises(DataError, match=word) as caught:
        read_raw(path)
    assert "m.tif" in str(caught.value)


def test_infinity_in_a_mask_is_refused(tmp_path: Path) -> None:
    path = write_image(tmp_path / "m.tif", np.array([[0.0, np.inf]], np.float32))
    with pytest.raises(DataError):
        read_raw(path)


def test_scan_counts_values_and_their_greys(tmp_path: Path) -> None:
    found = scan(write_image(tmp_path / "m.png", VALUES))
    assert found.values == {0: 1, 1: 2, 2: 3}
    assert found.colors == {pack((v, v, v)): n for v, n in found.values.items()}
    assert not found.from_palette
    assert found.palette == {}


def test_scan_counts_colors(tmp_path: Path) -> None:
    found = scan(write_image(tmp_path / "m.png", COLORS))
    assert found.values is None
    assert found.colors == {0: 1, pack((0, 255, 0)): 2, pack((255, 0, 0)): 3}


def test_scan_of_a_palette_adds_up_indices_of_one_color(tmp_path: Path) -> None:
    found = scan(palette_png(tmp_path / "m.png", VALUES, [0, 0, 0, 9, 9, 9, 9, 9, 9, 7, 7, 7]))
    assert found.values == {0: 1, 1: 2, 2: 3}
    assert found.colors == {0: 1, pack((9, 9, 9)): 5}
    assert found.palette == {0: 0, 1: pack((9, 9, 9)), 2: pack((9, 9, 9))}


def test_read_mask_by_value_and_by_color_agree(tmp_path: Path) -> None:
    by_value = read_mask(write_image(tmp_path / "v.png", VALUES), ClassTable(TABLE))
    by_color = read_mask(write_image(tmp_path / "c.png", COLORS), ClassTable(TABLE, "color"))
    np.testing.assert_array_equal(by_value, VALUES)
    np.testing.assert_array_equal(by_color, VALUES)
    table = ClassTable(TABLE).ignoring(["tree"])
    assert read_mask(tmp_path / "v.png", table).tolist() == [[0, IGNORE, 1], [1, 1, IGNORE]]


def test_read_mask_names_a_mask_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"c\.png: .*received a colour mask"):
        read_mask(write_image(tmp_path / "c.png", COLORS), ClassTable(TABLE))
    tifffile.imwrite(tmp_path / "v.tif", np.full((2, 3), 700, np.uint16))
    with pytest.raises(DataError, match=r"v\.tif: .*values above 255"):
        read_mask(tmp_path / "v.tif", ClassTable(TABLE, "color"))


def test_unknown_color_names_file_color_count_and_remedy(tmp_path: Path) -> None:
    strange = COLORS.copy()
    strange[0, :2] = (12, 34, 56)
    path = write_image(tmp_path / "m.png", strange)
    with pytest.raises(DataError) as caught:
        read_mask(path, ClassTable(TABLE, "color"))
    assert all(
        part in str(caught.value) for part in ("m.png", "(12, 34, 56)", "2 pixels", "class table", "--ignore 12,34,56")
    )


def test_broken_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"m\.png"):
        scan(tmp_path / "m.png")


# Three bands of 255 are the colours red, green and blue.
@pytest.mark.parametrize(("count", "top"), [(2, 1), (2, 255), (3, 1), (4, 1), (4, 255), (5, 255), (7, 1)])
def test_bands_are_counted_from_one(tmp_path: Path, count: int, top: int) -> None:
    truth = np.array([[0, 1, 2], [2, 0, 1]])
    bands = (truth[..., None] == np.arange(1, count + 1)) * np.uint8(top)
    raw = read_raw(write_image(tmp_path / "m.tif", bands.astype(np.uint8)))
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == truth.tolist()
    assert (raw.bands, raw.colors_HW3) == (count, None)


def test_bands_that_overlap_say_how_much(tmp_path: Path) -> None:
    bands = np.zeros((4, 5, 5), np.uint8)
    bands[..., 0] = 1
    bands[0, 0, 3] = 1
    with pytest.raises(DataError, match=r"m\.tif: .*several in 5\.0 % of the pixels; .*overlap"):
        read_raw(write_image(tmp_path / "m.tif", bands))


def test_a_folder_of_instances_is_their_union(tmp_path: Path) -> None:
    for number, place in enumerate([(0, 0), (0, 0), (1, 2)]):
        one = np.zeros(VALUES.shape, np.uint8)
        one[place] = 255
        write_image(tmp_path / "m" / f"{number}.png", one)
    raw = read_source(LabelSource((tmp_path / "m",), "instances"), GRID)
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert raw.names == ("background", "object")
    write_image(tmp_path / "m" / "9.png", np.zeros((5, 9), np.uint8))
    with pytest.raises(DataError, match=r"9\.png: expected the size of its picture, 3×2 pixels, received 9×5"):
        read_source(LabelSource((tmp_path / "m",), "instances"), GRID)


@pytest.mark.parametrize("palette", [(255, 255, 255, 200, 0, 0), (0, 0, 0, 0, 0, 0), (255, 255, 255, 0, 0, 0)])
def test_the_indices_of_a_thing_count_whatever_their_colours(tmp_path: Path, palette: tuple[int, ...]) -> None:
    thing = Image.fromarray(np.array([[1, 0, 0], [1, 1, 0]], np.uint8)).convert("P")
    thing.putpalette(palette)
    (tmp_path / "m").mkdir()
    thing.save(tmp_path / "m" / "0.png")
    raw = read_source(LabelSource((tmp_path / "m",), "instances"), GRID)
    assert raw.values_HW is not None
    assert raw.values_HW.tolist() == [[1, 0, 0], [1, 1, 0]]


def test_what_jpeg_adds_to_a_thing_is_told(tmp_path: Path) -> None:
    thing = np.zeros((40, 50), np.uint8)
    thing[11:29, 13:37] = 255
    (tmp_path / "m").mkdir()
    Image.fromarray(thing).save(tmp_path / "m" / "0.jpg", quality=85)
    grid = Grid(Path("p.png"), *thing.shape)
    folder = LabelSource((tmp_path / "m",), "instances")
    alone = LabelSource((tmp_path / "m" / "0.jpg",), border_px=1)
    for source in (folder, alone):
        with pytest.raises(
            DataError, match=r"0\.jpg: expected exact numbers .* as JPEG makes them .*; save masks as PNG"
        ):
            read_source(source, grid)
    (tmp_path / "m" / "0.jpg").unlink()
    Image.fromarray(thing).convert("RGB").save(tmp_path / "m" / "0.webp", lossless=True)
    raw = read_source(folder, grid)
    assert raw.values_HW is not None
    assert (raw.values_HW == thing // 255).all()
