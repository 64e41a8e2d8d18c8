"""Every file that ``predict --save`` writes and that holds the mask, read by masksmith and by others' libraries.

Rule: what is written comes from ``outputs.render`` and the collectors, as the command line calls them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
import rasterio.features
import shapely
import tifffile
import yaml
from PIL import Image
from pycocotools.coco import COCO
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from masksmith import images
from masksmith.keys import IGNORE, IGNORED_BIT, join_layers
from masksmith.outputs import COLLECTED, Shaping, render
from reliability.harness.labelling.desk import TRANSFORM, Compared, Desk
from reliability.harness.labelling.made import Bool, Made


def index_png(desk: Desk) -> Iterator[Compared]:
    """Numbers, and the colours of the classes as their palette."""
    content = desk.rendered("mask")
    yield "index PNG", desk.read(content, "mask.png"), desk.made.mask_HW
    with Image.open(io.BytesIO(content)) as picture:
        yield "index PNG by Pillow", np.asarray(picture), desk.made.mask_HW
        yield "index PNG in colour by Pillow", np.asarray(picture.convert("RGB")), desk.prediction.color_HW3


def color_png(desk: Desk) -> Iterator[Compared]:
    """Colours alone; zeros and ones in three channels are bands by rule, and no colours."""
    pixels = desk.made.table.palette_K3[desk.made.mask_HW]
    if pixels.max() > 1:
        table = replace(desk.made.table, encoding="color")
        yield "colour PNG", desk.read(desk.rendered("color"), "color.png", table=table), desk.made.mask_HW


def arrays(desk: Desk) -> Iterator[Compared]:
    """NPY and Zarr, of classes that overlap too."""
    content = desk.rendered("npy")
    yield "NPY by NumPy", np.load(io.BytesIO(content)), desk.made.mask_HW
    with zipfile.ZipFile(io.BytesIO(desk.rendered("zarr"))) as archive:
        archive.extractall(desk.folder / "mask.zarr")
    read = images.read(desk.folder / "mask.zarr").pixels_HWC[..., 0]
    yield "Zarr", read, desk.with_nodata_HW
    if not desk.made.overlapping:
        yield "NPY", desk.read(content, "mask.npy"), desk.made.mask_HW


def geotiff(desk: Desk) -> Iterator[Compared]:
    """By our reader, tifffile and GDAL."""
    content = desk.rendered("geotiff")
    yield "GeoTIFF", desk.read(content, "geotiff.tif"), desk.with_nodata_HW
    yield "GeoTIFF by tifffile", tifffile.imread(io.BytesIO(content)), desk.with_nodata_HW


def cog(desk: Desk) -> Iterator[Compared]:
    """By GDAL and by our reader."""
    content = desk.rendered("cog")
    yield "COG", desk.read(content, "cog.tif"), desk.with_nodata_HW
    with warnings.catch_warnings(), rasterio.MemoryFile(content) as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as file:
            yield "COG by rasterio", file.read(1), desk.with_nodata_HW


def _collected(desk: Desk, word: str) -> bytes:
    collector = COLLECTED[word](desk.made.table, Shaping())
    collector.add("a", desk.prediction)
    (content,) = collector.finish().values()
    return content


def coco(desk: Desk) -> Iterator[Compared]:
    """Polygons, and run lengths where a region has holes."""
    content = _collected(desk, "coco")
    yield "COCO", desk.read(content, "coco.json", "coco"), desk.covered_HW
    if desk.made.overlapping:
        return
    theirs = COCO()
    theirs.dataset = json.loads(content)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it tells what it does
        warnings.simplefilter("ignore", DeprecationWarning)  # its decoder with NumPy 2
        theirs.createIndex()
        out = desk.uncovered_HW
        for annotation in theirs.anns.values():
            name = theirs.cats[annotation["category_id"]]["name"]
            out[theirs.annToMask(annotation) > 0] = desk.made.names.index(name)
    yield "COCO by pycocotools", out, desk.covered_HW


def geojson(desk: Desk) -> Iterator[Compared]:
    """In longitude and latitude, or in pixels, which GDAL fills too."""
    content = desk.rendered("geojson")
    yield "GeoJSON", desk.read(content, "a.geojson", "geojson"), desk.covered_HW
    if not desk.made.placed and not desk.made.overlapping:
        features = json.loads(content)["features"]
        shapes = [(f["geometry"], desk.made.names.index(f["properties"]["class"])) for f in features]
        yield "GeoJSON by rasterio", _burnt(desk, shapes, rasterio.Affine.identity()), desk.covered_HW


def _burnt(desk: Desk, shapes: list[tuple[Any, int]], transform: rasterio.Affine) -> npt.NDArray[np.uint8]:
    out = desk.uncovered_HW
    if shapes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            rasterio.features.rasterize(shapes, out=out, transform=transform)
    return out


def geopackage(desk: Desk) -> Iterator[Compared]:
    """By GDAL, on the map or in pixels."""
    path = desk.folder / "a.gpkg"
    path.write_bytes(desk.rendered("geopackage"))
    about, _, geometry, fields = pyogrio.raw.read(path)
    names = dict(zip(about["fields"], fields, strict=True))["class"]
    shapes = [(shapely.from_wkb(g), desk.made.names.index(n)) for g, n in zip(geometry, names, strict=True)]
    transform = rasterio.Affine(*TRANSFORM) if desk.made.placed else rasterio.Affine.identity()
    yield "GeoPackage by pyogrio and rasterio", _burnt(desk, shapes, transform), desk.covered_HW


def labelme(desk: Desk) -> Iterator[Compared]:
    """Polygons, and masks where a region has holes."""
    yield "LabelMe", desk.read(desk.rendered("labelme"), "a.json", "labelme"), desk.covered_HW


def yolo(desk: Desk) -> Iterator[Compared]:
    """Holes with nothing in them are lost, as its page says; all else is not."""
    rows = yaml.safe_dump({"names": list(desk.made.names)}, allow_unicode=True)
    (desk.folder / "data.yaml").write_text(rows, encoding="utf-8")
    yield "YOLO", desk.read(desk.rendered("yolo"), "a.txt", "yolo"), _filled(desk)


def _filled(desk: Desk) -> npt.NDArray[np.uint8]:
    """Every region without its holes, the one with the largest box first."""
    found = []
    for index in set(desk.made.mask_HW.ravel().tolist()) - {desk.made.background}:
        layer = desk.made.mask_HW == index
        pieces, _ = ndimage.label(layer if desk.made.valid_HW is None else layer & desk.made.valid_HW)
        for number, where in enumerate(ndimage.find_objects(pieces), 1):
            # A way out over a corner is none: rings are simple, and touch there at most.
            whole = ndimage.binary_fill_holes(pieces[where] == number)
            found.append((-whole.size, index, number, where, whole))
    out = desk.uncovered_HW
    for _, index, _, where, whole in sorted(found, key=lambda item: item[:3]):
        out[where][whole] = index
    return out


def instances(desk: Desk) -> Iterator[Compared]:
    """Numbers, and the class of each in the table beside it."""
    content, rows = render("instances", desk.prediction).values()
    numbers = tifffile.imread(io.BytesIO(content))
    classes = {
        int(row["id"]): desk.made.names.index(row["class"]) for row in csv.DictReader(io.StringIO(rows.decode()))
    }
    if desk.made.overlapping:
        layers: list[Bool] = [numbers.reshape(-1, *desk.made.size)[k] > 0 for k in range(len(desk.made.names))]
        yield "instances by tifffile", join_layers(np.stack(layers)), desk.covered_HW
        return
    known = np.zeros(len(classes) + 1, np.uint8)
    known[0] = desk.uncovered_HW[0, 0]
    for number, index in classes.items():
        known[number] = index
    yield "instances by tifffile", known[numbers], desk.covered_HW


def shares(desk: Desk) -> Iterator[Compared]:
    """The share of each class."""
    _, row = csv.reader(io.StringIO(_collected(desk, "shares").decode()))
    valid = np.ones(desk.made.size, np.bool_) if desk.made.valid_HW is None else desk.made.valid_HW
    layers = [
        desk.made.mask_HW >> n & 1 if desk.made.overlapping else desk.made.mask_HW == n for n in range(len(row) - 1)
    ]
    count = int(np.count_nonzero(valid))
    # Six decimals tell how many of a few thousand pixels there are.
    pixels = np.round(np.array(row[1:], np.float64) * max(1, count)).astype(np.int64)
    yield "shares", pixels, np.array([np.count_nonzero(layer[valid]) for layer in layers])


def layers(desk: Desk) -> Iterator[Compared]:
    """Classes that overlap: a PNG for each, and a band for each."""
    files = render("mask", desk.prediction)
    read = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in files.values()])
    yield "a PNG for each class by Pillow", join_layers(read == 255), desk.made.mask_HW
    content = desk.rendered("geotiff")
    bands = tifffile.imread(io.BytesIO(content)).reshape(-1, *desk.made.size)
    there = join_layers(bands == 1)
    there[bands[0] == IGNORE] = IGNORED_BIT
    yield "GeoTIFF of bands by tifffile", there, desk.with_nodata_HW
    if len(bands) > 1 and desk.made.valid_HW is None:
        yield "GeoTIFF of bands", desk.read(content, "bands.tif", table=desk.made.table), desk.made.mask_HW


EACH: tuple[Callable[[Desk], Iterator[Compared]], ...] = (
    index_png, color_png, arrays, geotiff, coco, geojson, labelme, yolo, instances, shares,
)  # fmt: skip
SLOW = (cog, geopackage)
"""GDAL takes its time: one example in four."""
OVERLAPPING = (layers, arrays, coco, geojson, labelme, instances, shares)


def compared(made: Made, folder: Path) -> Iterator[Compared]:
    """All that can be written of a mask, as it is read again."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        desk = Desk(made, Path(place))
        ways = OVERLAPPING if made.overlapping else (*EACH, *(SLOW if made.seed % 4 == 1 else ()))
        for way in ways:
            yield from way(desk)
