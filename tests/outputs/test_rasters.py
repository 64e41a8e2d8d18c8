"""Pictures and TIFFs: values, places on the map, pixels that are none."""

from __future__ import annotations

import csv
import io
import json
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import tifffile
import zarr
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from masksmith import files, images
from masksmith.errors import EnvironmentFault, InputError
from masksmith.images import GeoReference, systems
from masksmith.inference.prediction import Prediction
from masksmith.outputs import COLLECTED, Shaping, render
from outputs.made import UTM, noise, overlapping, predicted, utm


@contextmanager
def opened(content: bytes) -> Iterator[rasterio.DatasetReader]:
    with warnings.catch_warnings(), rasterio.MemoryFile(content) as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as file:
            yield file


def decoded(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("word", ["geotiff", "cog"])
def test_the_place_the_palette_and_nodata_survive(word: str, tmp_path: Path) -> None:
    mask = noise(2, 600, 700, 3, 9)
    valid = np.ones(mask.shape, bool)
    valid[:50, :60] = False
    reference = utm(*mask.shape)
    ((ending, content),) = render(word, predicted(mask, reference=reference, valid_HW=valid)).items()
    with opened(content) as file:
        assert file.crs.to_epsg() == UTM
        assert tuple(file.transform)[:6] == reference.transform
        assert file.nodata == 255
        assert file.colormap(1)[1][:3] == (40, 195, 90)
        assert file.profile["tiled"]
        assert file.compression.value.lower() == "deflate"
        assert file.overviews(1) == ([2, 4] if word == "cog" else [])
        np.testing.assert_array_equal(file.read(1), np.where(valid, mask, 255))
        if word == "cog":
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            small = file.read(1, out_shape=(300, 350))
            assert set(np.unique(small)) <= {0, 1, 2, 255}
    path = tmp_path / ending
    files.write_bytes(path, content)
    assert images.georeference(path) == reference
    picture = images.read(path)
    np.testing.assert_array_equal(picture.valid_HW, valid)


@pytest.mark.parametrize("transform", [(1e-5, 0.0, 9.0, 0.0, -1e-5, 48.0), (1e-5, 2e-6, 9.0, 2e-6, -1e-5, 48.0)])
def test_degrees_and_turned_pictures_survive(transform: tuple[float, ...], tmp_path: Path) -> None:
    reference = GeoReference(transform, 4326, 5, 6)
    for word in ("geotiff", "cog", "probabilities", "instances"):
        content = next(iter(render(word, predicted(np.ones((5, 6)), reference=reference)).values()))
        with opened(content) as file:
            assert file.crs.to_epsg() == 4326
            np.testing.assert_allclose(tuple(file.transform)[:6], transform)


def test_a_place_without_a_system_and_no_place() -> None:
    placed = GeoReference(utm(3, 4).transform, None, 3, 4)
    for word in ("geotiff", "cog"):
        with opened(render(word, predicted(np.ones((3, 4)), reference=placed)).popitem()[1]) as file:
            assert tuple(file.transform)[:6] == placed.transform
        with opened(render(word, predicted(np.ones((3, 4)))).popitem()[1]) as file:
            assert file.crs is None
            assert file.transform.is_identity
            np.testing.assert_array_equal(file.read(1), 1)


LAEA = "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m"
LCC = "+proj=lcc +lat_1=47.1 +lat_2=49.3 +lat_0=48.25 +lon_0=13.7 +x_0=4e5 +y_0=3e5 +ellps=bessel +units=us-ft"
SITE = 'LOCAL_CS["building site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
NORTH_UP, TURNED = Affine(2, 0, 4_400_000.5, 0, -3, 3_300_000), Affine(2, 0.5, 4_400_000, 0.25, -3, 3_300_000)


def drawn(path: Path, crs: str | None, transform: Affine, **tags: str) -> Path:
    """A picture of 5 × 6 pixels, as GDAL writes it."""
    place = {} if transform.is_identity else {"transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=5, width=6, count=1, dtype="uint8", crs=crs, **place
        ) as file:
            file.write(np.ones((1, 5, 6), np.uint8))
            file.update_tags(**tags)
    return path


def of_file(path: Path) -> Prediction:
    return predicted(np.ones((5, 6)), reference=images.georeference(path))


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", LAEA, LCC, SITE, None])
@pytest.mark.parametrize(
    ("transform", "tags", "world"),
    [
        (NORTH_UP, {}, None),
        (TURNED, {}, None),
        (NORTH_UP, {"AREA_OR_POINT": "Point"}, None),
        (TURNED, {"AREA_OR_POINT": "Point"}, None),
        (Affine.identity(), {}, "2\n0\n0\n-3\n4400001\n3299998.5\n"),
    ],
    ids=["north up", "turned", "points", "turned points", "world file"],
)
def test_what_rasterio_sees_is_what_it_sees_of_the_picture(
    tmp_path: Path, crs: str | None, transform: Affine, tags: dict[str, str], world: str | None
) -> None:
    path = drawn(tmp_path / "a.tif", crs, transform, **tags)
    if world is not None:
        path.with_suffix(".tfw").write_text(world)
    with rasterio.open(path) as source:
        for word in ("geotiff", "cog", "probabilities", "instances"):
            with opened(next(iter(render(word, of_file(path)).values()))) as file:
                assert file.crs == source.crs
                np.testing.assert_allclose(tuple(file.transform), tuple(source.transform), rtol=0, atol=1e-9)
                if not transform.b:
                    assert file.bounds == source.bounds


@pytest.mark.parametrize("crs", [LAEA, LCC])
def test_a_system_without_a_code_has_degrees_and_square_metres(tmp_path: Path, crs: str) -> None:
    path = drawn(tmp_path / "a.tif", crs, NORTH_UP)
    told = json.loads(render("geojson", of_file(path)).popitem()[1])
    assert "pixels" not in told
    with rasterio.open(path) as source:
        box = source.bounds
        corners = {(x, y) for x in (box.left, box.right) for y in (box.bottom, box.top)}
        way = pyproj.Transformer.from_crs(source.crs.to_wkt(), 4326, always_xy=True)
        metres = source.crs.linear_units_factor[1]
    (feature,) = told["features"]
    expected = sorted(way.transform(*corner) for corner in corners)
    np.testing.assert_allclose(sorted(set(map(tuple, feature["geometry"]["coordinates"][0]))), expected, atol=1e-7)
    assert feature["properties"]["area_m2"] == pytest.approx(5 * 6 * 6 * metres**2)
    package = tmp_path / "a.gpkg"
    files.write_bytes(package, render("geopackage", of_file(path)).popitem()[1])
    with rasterio.open(path) as source:
        assert rasterio.CRS.from_string(pyogrio.read_info(package)["crs"]) == source.crs
    assert pyogrio.read_bounds(package)[1].ravel().tolist() == pytest.approx(list(box))


@pytest.mark.parametrize("crs", [SITE, None])
def test_a_place_that_is_not_on_the_globe_is_told_in_pixels(tmp_path: Path, crs: str | None) -> None:
    prediction = of_file(drawn(tmp_path / "a.tif", crs, NORTH_UP))
    assert "pixels" in json.loads(render("geojson", prediction).popitem()[1])
    assert render("geopackage", prediction)


def test_what_needs_a_library_says_so_and_the_rest_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drawn(tmp_path / "a.tif", LAEA, TURNED)
    expected = render("geotiff", of_file(path))
    systems._wkt.cache_clear()
    for library in ("rasterio.io", "rasterio.errors", "pyproj"):
        monkeypatch.setitem(sys.modules, library, None)
    assert render("geotiff", of_file(path)) == expected
    with pytest.raises(EnvironmentFault, match=r"expected the library rasterio.*masksmith\[geo\]"):
        render("geojson", of_file(path))


def test_an_unknown_system_is_one_sentence() -> None:
    reference = GeoReference(utm(2, 2).transform, 65000, 2, 2)
    for word in ("geotiff", "geojson", "instances"):
        with pytest.raises(InputError, match="65000"):
            render(word, predicted(np.ones((2, 2)), reference=reference))


def test_classes_that_overlap_have_a_band_each() -> None:
    p = np.random.default_rng(0).random((3, 20, 30)).astype(np.float32)
    for word in ("geotiff", "cog"):
        with opened(render(word, overlapping(p)).popitem()[1]) as file:
            np.testing.assert_array_equal(file.read(), p >= 0.5)
            assert file.descriptions == ("a", "b/c", "Ä")
    with opened(render("instances", overlapping(p))["instances.tif"]) as file:
        np.testing.assert_array_equal(file.read() > 0, p >= 0.5)


def test_probabilities_are_bands_with_names() -> None:
    prediction = predicted(noise(0, 30, 40, 3, 5), reference=utm(30, 40))
    with opened(render("probabilities", prediction).popitem()[1]) as file:
        assert file.descriptions == ("background", "cell", "wall & co")
        assert file.crs.to_epsg() == UTM
        np.testing.assert_allclose(file.read() / 255, prediction.probabilities_KHW, atol=0.5 / 255)
    with tifffile.TiffFile(io.BytesIO(render("probabilities16", prediction).popitem()[1])) as tiff:
        assert json.loads(tiff.pages.first.description)["bands"] == prediction.table.names
        half = tiff.asarray()
        assert half.dtype == np.float16
        np.testing.assert_allclose(half, prediction.probabilities_KHW, atol=1e-3)


def test_certainty() -> None:
    p = np.array([[[1.0, 0.5, 1 / 3]], [[0.0, 0.5, 1 / 3]], [[0.0, 0.0, 1 / 3]]], np.float32)
    prediction = predicted(np.zeros((1, 3)))
    object.__setattr__(prediction, "probabilities_KHW", p)
    assert decoded(render("confidence", prediction)["confidence.png"]).tolist() == [[255, 128, 85]]
    half = round(255 * np.log(2) / np.log(3))
    assert decoded(render("entropy", prediction)["entropy.png"]).tolist() == [[0, half, 255]]
    several = overlapping(np.array([[[0.5, 1.0]], [[0.5, 0.0]], [[0.5, 0.5]]], np.float32))
    assert decoded(render("entropy", several)["entropy.png"]).tolist() == [[255, 85]]


def test_contours_leave_the_inside_alone() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    drawn = decoded(render("contours", predicted(mask))["contours.png"])
    line = (drawn != 100).any(axis=2)
    assert line.sum() == 16
    assert not line[3:6, 3:6].any()
    assert drawn[2, 2].tolist() == [90, 195, 40]
    assert decoded(render("color", predicted(mask))["color.png"])[4, 4].tolist() == [90, 195, 40]


def test_nodata_leaves_the_picture_below_its_contrast() -> None:
    pixels = np.linspace(200, 800, 400, dtype=np.float32).reshape(20, 20, 1)
    pixels[:2] = -9999
    valid = pixels[..., 0] > 0
    seen = replace(predicted(np.zeros((20, 20)), valid_HW=valid), pixels_HWC=pixels)
    for word in ("overlay", "contours"):
        assert np.ptp(decoded(render(word, seen)[f"{word}.png"])[2:, :, 2]) > 120


def test_arrays() -> None:
    mask = noise(3, 600, 530, 3, 9)
    valid = np.ones(mask.shape, bool)
    valid[0] = False
    content = render("npy", predicted(mask)).popitem()[1]
    np.testing.assert_array_equal(np.load(io.BytesIO(content)), mask)


def test_zarr_as_zarr_reads_it(tmp_path: Path) -> None:
    mask = noise(3, 600, 530, 3, 9)
    valid = np.ones(mask.shape, bool)
    valid[0] = False
    path = tmp_path / "mask.zarr.zip"
    files.write_bytes(path, render("zarr", predicted(mask, valid_HW=valid)).popitem()[1])
    assert zipfile.ZipFile(path).testzip() is None
    store = zarr.storage.ZipStore(path, mode="r")
    array = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(array[:], np.where(valid, mask, 255))
    assert array.attrs["classes"] == ["background", "cell", "wall & co"]
    store.close()


def test_things_have_numbers_and_rows() -> None:
    mask = np.zeros((8, 9), np.uint8)
    mask[1:3, 1:5] = 1
    mask[5:7, 5:9] = 1
    mask[0, 8] = 2
    written = render("instances", predicted(mask, reference=utm(8, 9)))
    numbers = tifffile.imread(io.BytesIO(written["instances.tif"]))
    assert numbers.dtype == np.uint16
    rows = list(csv.DictReader(io.StringIO(written["instances.csv"].decode())))
    assert [int(row["id"]) for row in rows] == [1, 2, 3]
    assert rows[0] == {
        "id": "1", "class": "cell", "area_px": "8", "area_m2": "2", "centroid_x": "3.000", "centroid_y": "2.000",
        "left": "1", "top": "1", "width": "4", "height": "2", "confidence": "0.9000",
    }  # fmt: skip
    for row in rows:
        inside = numbers == int(row["id"])
        assert int(row["area_px"]) == inside.sum()
        assert set(mask[inside].tolist()) == {{"cell": 1, "wall & co": 2}[row["class"]]}


def test_cells_that_touch_are_split_at_their_waist() -> None:
    mask = np.zeros((60, 120), np.uint8)
    for x in (30, 64):
        cv2.circle(mask, (x, 30), 19, 1, -1)
    cv2.line(mask, (95, 5), (95, 55), 1, 7)  # no waist
    whole, split = (
        tifffile.imread(io.BytesIO(render("instances", predicted(mask), Shaping(split=how))["instances.tif"]))
        for how in ("components", "watershed")
    )
    assert (whole.max(), split.max()) == (2, 3)
    np.testing.assert_array_equal(split > 0, mask > 0)
    assert split[30, 25] != split[30, 70]
    assert len(np.unique(split[8:52, 95])) == 1
    # They part where they touch, halfway between the centres.
    assert set(split[30, 20:46]) == {split[30, 25]}
    assert set(split[30, 49:75]) == {split[30, 70]}


def test_shares_leave_out_what_is_no_pixel() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:2] = 1
    valid = np.ones((4, 4), bool)
    valid[3] = False
    collector = COLLECTED["shares"](predicted(mask).table, Shaping())
    collector.add("a", predicted(mask, valid_HW=valid))
    collector.add("b", predicted(mask, valid_HW=np.zeros((4, 4), bool)))
    assert collector.finish()["shares.csv"].decode().splitlines() == [
        "picture,background,cell,wall & co",
        "a.png,0.333333,0.666667,0.000000",
        "a.png,0.000000,0.000000,0.000000",
    ]


@pytest.mark.parametrize("wrong", [{"simplify_px": -1}, {"min_area_px": -1}, {"split": "x"}])
def test_shaping_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Shaping(**wrong)  # type: ignore[arg-type]
