"""GeoJSON: pixels and world coordinates, classes, and files that are none."""

from __future__ import annotations

import copy
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import write_image
from masksmith.errors import DataError, EnvironmentFault
from masksmith.labels import geojson
from masksmith.labels.source import Grid, LabelSource

HEIGHT, WIDTH = 40, 30
SQUARE = [[3, 4], [13, 4], [13, 14], [3, 14], [3, 4]]
HOLE = [[5, 6], [8, 6], [8, 10], [5, 10], [5, 6]]
NUMBERS = itertools.count()

# A picture of 2 m pixels in UTM zone 16.
EAST, NORTH, PIXEL_M, UTM = 500_100.0, 4_200_300.0, 2.0, 32616


def plain_picture(folder: Path) -> Grid:
    return Grid(write_image(folder / "a.png", np.zeros((HEIGHT, WIDTH), np.uint8)), HEIGHT, WIDTH)


def world_picture(folder: Path) -> Grid:
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, UTM)
    path = folder / "world.tif"
    tags = [
        (33550, "d", 3, (PIXEL_M, PIXEL_M, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, EAST, NORTH, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    tifffile.imwrite(path, np.zeros((HEIGHT, WIDTH), np.uint8), extratags=tags)
    return Grid(path, HEIGHT, WIDTH)


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    return plain_picture(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> Grid:
    return world_picture(tmp_path)


def feature(coordinates: object, kind: str = "Polygon", **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def write(folder: Path, *features: object, **more: object) -> LabelSource:
    path = folder / f"{next(NUMBERS)}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return LabelSource((path,), "geojson")


def crs(name: str) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": name}}


def in_metres(ring: list[list[int]]) -> list[list[float]]:
    return [[EAST + x * PIXEL_M, NORTH - y * PIXEL_M] for x, y in ring]


def test_pixels_where_the_picture_has_no_place_in_the_world(tmp_path: Path, grid: Grid) -> None:
    source = write(
        tmp_path,
        feature([SQUARE, HOLE], label="house"),
        feature([[[[20, 20, 7.5], [25, 20, 7.5], [25, 25, 7.5], [20, 20, 7.5]]], [HOLE]], "MultiPolygon", Class="road"),
        feature([1, 2], "Point", label="tree"),
        {"type": "Feature", "properties": None, "geometry": None},
    )
    raw = geojson.read(source, grid)
    assert raw.names == ("background", "house", "road")
    assert raw.values_HW is not None
    assert np.count_nonzero(raw.values_HW == 1) == 88
    assert (raw.values_HW[6:10, 5:8] == 2).all()


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({}, "object"),
        ({"Name": "b", "CLASS": "a"}, "a"),
        ({"class": None, "label": " ", "type": 3}, "3"),
        ({"objectType": "annotation", "classification": {"name": "Tumor", "color": [1, 2, 3]}}, "Tumor"),
        ({"class": [1], "class_name": "z"}, "z"),
    ],
)
def test_the_class_is_the_first_property_of_the_known_ones(
    tmp_path: Path, grid: Grid, properties: dict[str, object], name: str
) -> None:
    assert geojson.read(write(tmp_path, feature([SQUARE], **properties)), grid).names == ("background", name)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "Polygon", "coordinates": [SQUARE]},
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [SQUARE]}]},
        feature([SQUARE]),
    ],
)
def test_a_file_may_be_one_geometry(tmp_path: Path, grid: Grid, data: object) -> None:
    path = tmp_path / "one.geojson"
    path.write_text(json.dumps(data))
    assert np.count_nonzero(geojson.read(LabelSource((path,), "geojson"), grid).values_HW) == 100


def test_the_pictures_own_system_is_exact(tmp_path: Path, world: Grid) -> None:
    away = [[x + 1e5, y] for x, y in in_metres(SQUARE)]
    source = write(
        tmp_path,
        feature([in_metres(SQUARE), in_metres(HOLE)], name="a"),
        feature([away], name="b"),
        crs=crs(f"urn:ogc:def:crs:EPSG::{UTM}"),
    )
    raw = geojson.read(source, world)
    assert raw.names == ("background", "a", "b")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[4:14, 3:13], expected[6:10, 5:8] = 1, 0
    np.testing.assert_array_equal(raw.values_HW, expected)


@pytest.mark.parametrize("named", [None, "EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG:9.8:4326"])
def test_degrees_are_brought_onto_the_grid(tmp_path: Path, world: Grid, named: str | None) -> None:
    pyproj = pytest.importorskip("pyproj")
    to_degrees = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True)
    west, north = to_degrees.transform(EAST + 5.3 * PIXEL_M, NORTH - 6.2 * PIXEL_M)
    east, south = to_degrees.transform(EAST + 22.4 * PIXEL_M, NORTH - 31.7 * PIXEL_M)
    ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
    abroad = [[x + 90, y] for x, y in ring]
    more = {} if named is None else {"crs": crs(named)}
    raw = geojson.read(write(tmp_path, feature([ring]), feature([abroad]), **more), world)
    row, column = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x, y = to_degrees.transform(EAST + column * PIXEL_M, NORTH - row * PIXEL_M)
    inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
    assert raw.values_HW is not None
    differing = np.argwhere((raw.values_HW > 0) != inside)
    # The COCO rule and the centre rule differ by half a pixel at an edge.
    assert len(differing) < 0.1 * inside.sum()
    for at_row, at_column in differing + 0.5:
        edges = [abs(at_column - 5.3), abs(at_column - 22.4), abs(at_row - 6.2), abs(at_row - 31.7)]
        assert min(edges) < 1


def test_without_pyproj_one_sentence_says_what_to_install(
    tmp_path: Path, world: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyproj", None)
    geojson._change.cache_clear()
    with pytest.raises(EnvironmentFault, match=r'pip install "masksmith\[geo\]"'):
        geojson.read(write(tmp_path, feature([SQUARE])), world)


def test_pixels_over_a_picture_without_a_place_must_lie_on_it(tmp_path: Path, grid: Grid) -> None:
    with pytest.raises(DataError, match="outside"):
        geojson.read(write(tmp_path, feature([in_metres(SQUARE)])), grid)
    with pytest.raises(DataError, match="EPSG:32616"):
        geojson.read(write(tmp_path, feature([SQUARE]), crs=crs("EPSG:32616")), grid)


def test_a_place_without_a_system_is_told(tmp_path: Path, grid: Grid) -> None:
    grid.image.with_suffix(".pgw").write_text("2\n0\n0\n-2\n500101\n4200299\n")
    with pytest.raises(DataError, match="EPSG code"):
        geojson.read(write(tmp_path, feature([SQUARE])), grid)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "an empty file"),
        ("{", "a broken one"),
        ("[]", "a GeoJSON object"),
        ('{"type": "Topology"}', "a GeoJSON object"),
        ('{"type": "Polygon"}', "no 'coordinates'"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, "4"], [5, 6]]]}', "points of two numbers"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, NaN], [5, 6]]]}', "finite"),
        ('{"type": "Polygon", "coordinates": [], "crs": {"properties": {"name": "mine"}}}', "an EPSG code"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, grid: Grid, text: str, sentence: str) -> None:
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        geojson.read(LabelSource((path,), "geojson"), grid)
    assert str(path) in str(caught.value)


def test_an_unknown_epsg_code_is_told(tmp_path: Path, world: Grid) -> None:
    pytest.importorskip("pyproj")
    with pytest.raises(DataError, match="999999"):
        geojson.read(write(tmp_path, feature([SQUARE]), crs=crs("EPSG:999999")), world)


def test_sniff(tmp_path: Path) -> None:
    source = write(tmp_path, feature([SQUARE]))
    assert geojson.sniff(source.path)
    renamed = source.path.rename(tmp_path / "a.json")
    assert geojson.sniff(renamed)
    for number, text in enumerate(['{"images": [], "annotations": []}', '{"shapes": [], "type": "Feature"}', "[]", ""]):
        other = tmp_path / f"other{number}.json"
        other.write_text(text)
        assert not geojson.sniff(other)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)

VALID = {
    "type": "FeatureCollection",
    "crs": crs(f"EPSG:{UTM}"),
    "features": [
        feature([in_metres(SQUARE), in_metres(HOLE)], label="a"),
        feature([[in_metres(HOLE)]], "MultiPolygon", classification={"name": "b"}),
    ],
}


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@settings(max_examples=200)
@given(st.data())
def test_no_mutation_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    picture = data.draw(st.sampled_from([world_picture, plain_picture]))(folder)
    mutated = copy.deepcopy(VALID)
    place = data.draw(st.sampled_from(places(mutated)[1:]))
    holder: Any = mutated
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = data.draw(ANY_JSON)
    content = json.dumps(mutated).encode()
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(content)))
        content = content[:start] + data.draw(st.binary(max_size=4)) + content[start + data.draw(st.integers(0, 9)) :]
    path = folder / f"mutated{next(NUMBERS)}.geojson"
    path.write_bytes(content)
    geojson.sniff(path)
    try:
        geojson.read(LabelSource((path,), "geojson"), picture)
    except DataError as error:
        assert str(path) in str(error) or str(picture.image) in str(error)


@pytest.mark.parametrize("at", [(8.54, 47.37), (2.2, 6.1)])
def test_degrees_over_a_picture_without_a_place_are_no_pixels(tmp_path: Path, at: tuple[float, float]) -> None:
    grid = Grid(write_image(tmp_path / "tile.png", np.zeros((512, 512), np.uint8)), 512, 512)
    house = [[at[0] + x / 1e4, at[1] + y / 1e4] for x, y in SQUARE]
    with pytest.raises(DataError, match=r"tile\.png has no place in the world, received .*longitude and latitude; use"):
        geojson.read(write(tmp_path, feature([house], label="house")), grid)
    # One region of a pixel or more: the others are small.
    raw = geojson.read(write(tmp_path, feature([house], label="dot"), feature([SQUARE], label="house")), grid)
    assert np.count_nonzero(raw.values_HW) >= 100
    assert np.count_nonzero(geojson.read(write(tmp_path), grid).values_HW) == 0
