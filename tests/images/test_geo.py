"""Pins down where a picture lies: GeoTIFF tags and world files, to the corner of the first pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from masksmith import images
from masksmith.errors import DataError
from masksmith.images import GeoReference

SCALE = (33550, "d", 3, (2.0, 3.0, 0.0), True)
TIEPOINT = (33922, "d", 6, (0.0, 0.0, 0.0, 500_000.0, 4_000_000.0, 0.0), True)
NORTH_UP = (2.0, 0.0, 500_000.0, 0.0, -3.0, 4_000_000.0)


def keys(*entries: tuple[int, int]) -> tuple[int, str, int, tuple[int, ...], bool]:
    """A GeoKeyDirectory of keys that hold their value themselves."""
    numbers = (1, 1, 0, len(entries), *(n for key, value in entries for n in (key, 0, 1, value)))
    return (34735, "H", len(numbers), numbers, True)


def write(path: Path, *tags: Any) -> Path:  # noqa: ANN401 - as tifffile takes them
    tifffile.imwrite(path, np.zeros((40, 50), np.uint8), extratags=list(tags))
    return path


def test_scale_and_tiepoint(tmp_path: Path) -> None:
    found = images.georeference(write(tmp_path / "p.tif", SCALE, TIEPOINT, keys((1025, 1), (3072, 32633))))
    assert found == GeoReference(NORTH_UP, 32633, 40, 50)
    assert found.bounds() == (500_000.0, 3_999_880.0, 500_100.0, 4_000_000.0)


def test_tiepoint_inside_the_picture(tmp_path: Path) -> None:
    tiepoint = (33922, "d", 6, (10.0, 20.0, 0.0, 500_020.0, 3_999_940.0, 0.0), True)
    found = images.georeference(write(tmp_path / "p.tif", SCALE, tiepoint))
    assert found == GeoReference(NORTH_UP, None, 40, 50)


def test_matrix(tmp_path: Path) -> None:
    matrix = (34264, "d", 16, (1.0, 0.5, 0, 100.0, 0.25, -2.0, 0, 200.0, 0, 0, 0, 0, 0, 0, 0, 1.0), True)
    found = images.georeference(write(tmp_path / "p.tif", matrix, keys((2048, 4326))))
    assert found is not None
    assert found.transform == (1.0, 0.5, 100.0, 0.25, -2.0, 200.0)
    assert found.epsg == 4326
    assert found.bounds() == (100.0, 120.0, 170.0, 212.5)


def test_points_are_centres_of_pixels(tmp_path: Path) -> None:
    found = images.georeference(write(tmp_path / "p.tif", SCALE, TIEPOINT, keys((1025, 2), (3072, 32633))))
    assert found is not None
    assert found.transform == (2.0, 0.0, 499_999.0, 0.0, -3.0, 4_000_001.5)


@pytest.mark.parametrize(
    ("entries", "epsg"),
    [
        (((2048, 4326), (3072, 25832)), 25832),
        (((3072, 32767),), None),
        (((3072, 32767), (2048, 4258)), None),  # metres on a projection of its own, which are no degrees
        (((1024, 1), (2048, 4258)), None),
        (((1024, 2), (2048, 4258)), 4258),
        (((1024, 1), (3072, 32633)), 32633),
        (((3072, 0),), None),
        ((), None),
    ],
)
def test_which_code_is_taken(tmp_path: Path, entries: tuple[tuple[int, int], ...], epsg: int | None) -> None:
    found = images.georeference(write(tmp_path / "p.tif", SCALE, TIEPOINT, keys(*entries)))
    assert found is not None
    assert found.epsg == epsg


def test_pictures_that_lie_nowhere(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(images.encode_png(np.zeros((4, 5), np.uint8)))
    np.save(tmp_path / "p.npy", np.zeros((4, 5)))
    assert images.georeference(write(tmp_path / "p.tif")) is None
    assert images.georeference(write(tmp_path / "q.tif", TIEPOINT)) is None
    assert images.georeference(write(tmp_path / "r.tif", (33550, "d", 3, (0.0, 0.0, 0.0), True), TIEPOINT)) is None
    assert images.georeference(tmp_path / "p.png") is None
    assert images.georeference(tmp_path / "p.npy") is None


def test_a_turned_picture_has_no_place(tmp_path: Path) -> None:
    tags = (SCALE, TIEPOINT, (274, "H", 1, 6, True))
    assert images.georeference(write(tmp_path / "p.tif", *tags)) is None


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_photograph_that_exif_turns_has_no_place(tmp_path: Path, ending: str) -> None:
    path, exif = tmp_path / f"p.{ending}", Image.Exif()
    (tmp_path / "p.wld").write_text("2.0\n0.0\n0.0\n-3.0\n500001.0\n3999998.5\n")
    for orientation, place in ((1, GeoReference(NORTH_UP, None, 40, 50)), (6, None)):
        exif[0x0112] = orientation
        Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(path, exif=exif)
        assert images.georeference(path) == place


@pytest.mark.parametrize(
    ("name", "world"),
    [("p.tif", "p.tfw"), ("p.png", "p.pgw"), ("p.jpg", "p.jgw"), ("p.npy", "p.wld"), ("p.png", "p.PGW")],
)
def test_world_file(tmp_path: Path, name: str, world: str) -> None:
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, np.zeros((40, 50), np.uint8))
    elif name.endswith(".tif"):
        write(path, keys((3072, 32633)))
    else:
        path.write_bytes(images.encode_png(np.zeros((40, 50), np.uint8)))
    (tmp_path / world).write_text("2.0\n0.0\n0.0\n-3.0\n500001.0\n3999998.5\n")
    found = images.georeference(path)
    assert found == GeoReference(NORTH_UP, 32633 if name == "p.tif" else None, 40, 50)


def test_the_files_own_tags_go_first(tmp_path: Path) -> None:
    (tmp_path / "p.tfw").write_text("9 0 0 -9 0 0")
    found = images.georeference(write(tmp_path / "p.tif", SCALE, TIEPOINT))
    assert found is not None
    assert found.transform == NORTH_UP


def written_again(path: Path) -> Path:
    """An empty picture in the place of another one."""
    again = path.with_name("again.tif")
    with again.open("wb") as file:
        images.write_bands(file, np.zeros((1, 40, 50), np.uint8), geo=images.geo_tags(images.georeference(path)))
    return again


def test_tags_are_copied_word_for_word(tmp_path: Path) -> None:
    text = (34737, "s", 0, "Gauß|Krüger|\0".encode(), True)
    numbers = (1, 1, 0, 3, 1025, 0, 1, 2, 1026, 34737, 14, 0, 2057, 34736, 1, 0)
    directory = (34735, "H", len(numbers), numbers, True)
    path = write(tmp_path / "p.tif", SCALE, TIEPOINT, directory, text, (34736, "d", 1, (6377397.155,), True))
    place, again = images.georeference(path), images.georeference(written_again(path))
    assert place == again
    assert place is not None
    assert again is not None
    assert place.tags == again.tags
    assert dict(again.tags)[34737] == "Gauß|Krüger|\0".encode()
    assert dict(again.tags)[34735] == numbers


def test_letters_of_old_machines_do_not_stop_gdal(tmp_path: Path) -> None:
    text = (34737, "s", 0, "Gauß|\0".encode("latin-1"), True)
    numbers = (1, 1, 0, 3, 1024, 0, 1, 1, 1026, 34737, 5, 0, 3072, 0, 1, 31467)
    path = write(tmp_path / "p.tif", SCALE, TIEPOINT, (34735, "H", len(numbers), numbers, True), text)
    with rasterio.open(written_again(path)) as file:
        assert file.crs.to_epsg() == 31467


@pytest.mark.parametrize("raster_type", [1, 2])
@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_a_world_file_keeps_the_coordinate_system(tmp_path: Path, raster_type: int, turn: float) -> None:
    path = write(tmp_path / "p.tif", keys((1024, 1), (1025, raster_type), (3072, 32633)))
    (tmp_path / "p.tfw").write_text(f"2.0\n{turn}\n{turn}\n-3.0\n500001.0\n3999998.5\n")
    place = images.georeference(path)
    assert place is not None
    assert place.transform == (2.0, turn, 500_000.0 - turn / 2, turn, -3.0, 4_000_000.0 - turn / 2)
    with rasterio.open(written_again(path)) as file:
        assert tuple(file.transform)[:6] == place.transform
        assert file.crs.to_epsg() == 32633


@pytest.mark.parametrize("content", [b"", b"1 2 3", b"a b c d e f", b"\xff\xfe\x00", b"0 0 0 0 1 1", b"nan 0 0 1 1 1"])
def test_broken_world_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.tfw").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.tfw: expected six numbers"):
        images.georeference(write(tmp_path / "p.tif"))


@pytest.mark.parametrize(
    "tag",
    [
        (33550, "d", 1, (2.0,), True),
        (33550, "s", 0, "far", True),
        (34264, "d", 3, (1.0, 2.0, 3.0), True),
        (34735, "s", 0, "keys", True),
        (34735, "I", 4, (1, 1, 0, 70_000), True),
    ],
)
def test_broken_tags_are_refused(tmp_path: Path, tag: Any) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match="whole tags that say where the picture lies"):
        images.georeference(write(tmp_path / "p.tif", tag, TIEPOINT))


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(
    turn=st.floats(0, 6.28),
    scale=st.floats(1e-3, 100),
    shift=st.tuples(NUMBERS, NUMBERS),
    column=st.floats(-100, 100),
    row=st.floats(-100, 100),
)
def test_from_pixel_to_the_map_and_back(
    turn: float, scale: float, shift: tuple[float, float], column: float, row: float
) -> None:
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    transform = (float(cos), float(sin), shift[0], float(sin), float(-cos), shift[1])
    place = GeoReference(transform, None, 10, 10)
    a, b, c, d, e, f = transform
    columns, rows = place.to_pixel([a * column + b * row + c], [d * column + e * row + f])
    np.testing.assert_allclose([columns[0], rows[0]], [column, row], atol=1e-5)
    left, bottom, right, top = place.bounds()
    assert left <= right
    assert bottom <= top
