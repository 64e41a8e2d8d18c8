"""Polygons are read back by our own readers and by others', and give the mask again."""

from __future__ import annotations

import itertools
import json
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyogrio
import pytest
import rasterio.features
import shapely
from hypothesis import given
from pycocotools.coco import COCO

from helpers import write_image
from masksmith import files
from masksmith.images import GeoReference
from masksmith.inference.prediction import Prediction
from masksmith.labels import READERS
from masksmith.labels.source import Grid, LabelSource
from masksmith.outputs import COLLECTED, Shaping, render
from masksmith.outputs.tiff import encode as encode_tiff
from outputs.made import NAMES, UTM, masks, noise, predicted, utm

NUMBERS = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("polygons")))
        yield


def read_back(content: bytes, reader: str, suffix: str, prediction: Prediction) -> npt.NDArray[np.integer]:
    """Class indices as our reader of annotations sees them; nothing drawn is the background's, or 255."""
    folder = Path(tempfile.mkdtemp())
    height, width = prediction.mask_HW.shape
    if prediction.georeference is not None:
        image = folder / "a.tif"
        files.write_bytes(image, encode_tiff(np.zeros((1, height, width), np.uint8), prediction.georeference))
    else:
        image = write_image(folder / "a.png", np.zeros((height, width), np.uint8))
    path = folder / f"label{next(NUMBERS)}{suffix}"
    files.write_bytes(path, content)
    if reader == "yolo":
        rows = "".join(f"  {n}: {name!r}\n" for n, name in enumerate(prediction.table.names))
        files.write_text(folder / "data.yaml", f"names:\n{rows}")
    raw = READERS[reader](LabelSource((path,), reader), Grid(image, height, width))
    names = prediction.table.names
    known = np.array([names.index(name) if name in names else 255 for name in raw.names])
    assert raw.drawn_over == 0 or reader == "yolo"
    return known[raw.values_HW]


def coco(prediction: Prediction, shaping: Shaping | None = None) -> bytes:
    collector = COLLECTED["coco"](prediction.table, shaping or Shaping())
    collector.add("a", prediction)
    return collector.finish()["annotations.coco.json"]


@given(masks)
def test_pixels_come_back_through_our_readers(mask: npt.NDArray[np.uint8]) -> None:
    prediction = predicted(mask)
    np.testing.assert_array_equal(read_back(coco(prediction), "coco", ".json", prediction), mask)
    for word, suffix in (("geojson", ".geojson"), ("labelme", ".json")):
        (content,) = render(word, prediction).values()
        np.testing.assert_array_equal(read_back(content, word, suffix, prediction), mask)


@given(masks)
def test_longitudes_come_back_as_pixels(mask: npt.NDArray[np.uint8]) -> None:
    prediction = predicted(mask, reference=utm(*mask.shape))
    (content,) = render("geojson", prediction).values()
    np.testing.assert_array_equal(read_back(content, "geojson", ".geojson", prediction), mask)


@given(masks)
def test_yolo_comes_back_where_nothing_is_a_hole(mask: npt.NDArray[np.uint8]) -> None:
    # Without a background every hole has something in it, which is drawn over it.
    prediction = predicted(mask, names=("floor", "cell", "wall"))
    (content,) = render("yolo", prediction).values()
    np.testing.assert_array_equal(read_back(content, "yolo", ".txt", prediction), mask)


def test_yolo_loses_a_hole_with_nothing_in_it() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[1:8, 1:8] = 1
    mask[3:6, 3:6] = 0
    mask[4, 4] = 2
    prediction = predicted(mask)
    (content,) = render("yolo", prediction).values()
    mask[3:6, 3:6] = 1
    mask[4, 4] = 2
    np.testing.assert_array_equal(read_back(content, "yolo", ".txt", prediction), mask)


@given(masks)
def test_coco_as_pycocotools_reads_it(mask: npt.NDArray[np.uint8]) -> None:
    prediction = predicted(mask)
    read = COCO()
    read.dataset = json.loads(coco(prediction))
    read.createIndex()
    drawn = np.zeros_like(mask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its decoder with NumPy 2
        for number, annotation in read.anns.items():
            inside = read.annToMask(annotation) > 0
            x, y, width, height = annotation["bbox"]
            assert annotation["area"] == inside.sum()
            assert inside[y : y + height, x : x + width].sum() == inside.sum()
            assert number >= 1
            assert annotation["score"] == 0.9
            drawn[inside] = NAMES.index(read.cats[annotation["category_id"]]["name"])
    np.testing.assert_array_equal(drawn, mask)


def package(content: bytes) -> tuple[dict[str, object], list[shapely.Geometry], dict[str, npt.NDArray[np.generic]]]:
    path = Path(tempfile.mkdtemp()) / "a.gpkg"
    files.write_bytes(path, content)
    about, _, shapes, fields = pyogrio.raw.read(path)
    return about, list(shapely.from_wkb(shapes)), dict(zip(about["fields"], fields, strict=True))


@given(masks)
def test_geopackage_keeps_the_pictures_coordinates(mask: npt.NDArray[np.uint8]) -> None:
    reference = utm(*mask.shape)
    (content,) = render("geopackage", predicted(mask, reference=reference)).values()
    about, shapes, fields = package(content)
    assert about["crs"] == f"EPSG:{UTM}"
    a, b, c, d, e, f = reference.transform
    values = [NAMES.index(name) for name in fields["class"]]
    drawn = np.zeros_like(mask)
    if shapes:
        transform = rasterio.Affine(a, b, c, d, e, f)
        rasterio.features.rasterize(zip(shapes, values, strict=True), out=drawn, transform=transform)
    np.testing.assert_array_equal(drawn, mask)
    assert all(shape.is_valid for shape in shapes)
    np.testing.assert_allclose([shape.area for shape in shapes], fields["area_m2"])


def test_geopackage_without_a_place_is_in_pixels() -> None:
    content = render("geopackage", predicted(np.ones((2, 3)))).popitem()[1]
    assert b"2000-01-01T00:00:00" in content  # not today
    about, shapes, fields = package(content)
    assert (shapes[0].area, "area_m2" in fields) == (6, False)
    assert list(fields["class"]) == ["cell"]
    assert "EPSG" not in str(about["crs"])


def test_rings_turn_as_the_standard_asks() -> None:
    mask = np.ones((7, 7), np.uint8)
    mask[2:4, 2:4] = 0
    for reference in (None, utm(7, 7)):
        data = json.loads(render("geojson", predicted(mask, reference=reference)).popitem()[1])
        (feature,) = data["features"]
        outer, hole = (shapely.LinearRing(ring) for ring in feature["geometry"]["coordinates"])
        assert outer.is_ccw
        assert not hole.is_ccw
        assert ("pixels" in data) == (reference is None)
        told = {"id": 1, "class": "cell", "confidence": 0.9, "area_px": 45}
        assert feature["properties"] == (told if reference is None else {**told, "area_m2": 11.25})
        if reference is not None:
            assert all(8 < x < 10 and 47 < y < 49 for x, y in outer.coords)


def test_what_is_no_pixel_has_no_polygon() -> None:
    mask = np.ones((6, 6), np.uint8)
    valid = np.ones((6, 6), bool)
    valid[2:4, :] = False
    prediction = predicted(mask, valid_HW=valid)
    (content,) = render("geojson", prediction).values()
    np.testing.assert_array_equal(read_back(content, "geojson", ".geojson", prediction), valid)


def test_simpler_outlines_have_fewer_points_and_stay_near() -> None:
    mask = noise(1, 60, 60, 2, 15)
    exact, simple = (
        json.loads(render("geojson", predicted(mask), Shaping(simplify_px=px)).popitem()[1]) for px in (0.0, 1.0)
    )
    points = [sum(len(r) for f in d["features"] for r in f["geometry"]["coordinates"]) for d in (exact, simple)]
    assert points[1] < 0.6 * points[0]
    for before, after in zip(exact["features"], simple["features"], strict=True):
        shapes = [shapely.geometry.shape(f["geometry"]) for f in (before, after)]
        assert shapes[1].is_valid
        assert shapes[0].hausdorff_distance(shapes[1]) <= 1.0 + 1e-9


def test_small_regions_are_left_out() -> None:
    mask = np.zeros((6, 6), np.uint8)
    mask[0, 0] = 1
    mask[2:5, 2:5] = 2
    data = json.loads(render("geojson", predicted(mask), Shaping(min_area_px=2)).popitem()[1])
    assert [f["properties"]["class"] for f in data["features"]] == ["wall & co"]


def test_two_pictures_of_one_name_have_two_names_in_coco() -> None:
    collector = COLLECTED["coco"](predicted(np.ones((2, 2))).table, Shaping())
    for name in ("x_a", "y_a"):
        collector.add(name, predicted(np.ones((2, 2))))
    data = json.loads(collector.finish()["annotations.coco.json"])
    assert [image["file_name"] for image in data["images"]] == ["a.png", "y_a"]
    assert [a["id"] for a in data["annotations"]] == [1, 2]


def test_parts_of_a_watershed_are_the_whole_mask() -> None:
    mask = noise(5, 60, 70, 3, 11)
    prediction = predicted(mask)
    whole, parts = (
        render("geojson", prediction, Shaping(split=how)).popitem()[1] for how in ("components", "watershed")
    )
    assert len(json.loads(parts)["features"]) > len(json.loads(whole)["features"])
    np.testing.assert_array_equal(read_back(parts, "geojson", ".geojson", prediction), mask)


def test_a_picture_whose_corner_lies_off_the_globe_has_its_regions() -> None:
    globe = GeoReference((1e6, 0.0, 4_321_000 - 20.5e6, 0.0, -1e6, 3_210_000 + 20.5e6), 3035, 41, 41)
    mask = np.zeros((41, 41), np.uint8)
    mask[20, 20] = 1
    (feature,) = json.loads(render("geojson", predicted(mask, reference=globe)).popitem()[1])["features"]
    ring = np.array(feature["geometry"]["coordinates"][0])
    np.testing.assert_allclose(
        (ring.min(axis=0) + ring.max(axis=0)) / 2, (10, 52), atol=0.5
    )  # the middle of the system
