"""Scenes in every format of drawings that masksmith reads, written by hand as other programs write them.

Rule: no code of masksmith makes a file.
"""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pycocotools import mask as coco_mask

from masksmith.labels import LabelSource
from reliability.harness.labelling.made import Bool
from reliability.harness.labelling.pictures import png
from reliability.harness.labelling.scenes import Scene, Shape


def _corners(shape: Shape) -> tuple[list[int], list[int]]:
    """Of a box: left and top, right and bottom."""
    (left, top), (right, bottom) = np.min(shape.ring, axis=0).tolist(), np.max(shape.ring, axis=0).tolist()
    return [left, top], [right, bottom]


def _window(inside: Bool) -> tuple[int, int, Bool]:
    """Left, top and the pixels of the smallest window around a shape, of one pixel where it has none."""
    y, x = np.nonzero(inside)
    if not len(y):
        return 0, 0, inside[:1, :1]
    return int(x.min()), int(y.min()), inside[y.min() : y.max() + 1, x.min() : x.max() + 1]


def labelme(scene: Scene, folder: Path) -> LabelSource:
    """Polygons, rectangles from any corner, and masks in windows."""
    shapes = []
    for n, shape in enumerate(scene.shapes):
        told: dict[str, Any] = {"label": scene.names[shape.name], "points": shape.ring, "shape_type": "polygon"}
        if shape.as_mask:
            left, top, part = _window(shape.inside(scene.size))
            last = [left + part.shape[1] - 1, top + part.shape[0] - 1]
            coded = base64.b64encode(png(part.astype(np.uint8) * 255)).decode("ascii")
            told |= {"shape_type": "mask", "points": [[left, top], last], "mask": coded}
        elif shape.is_box:
            (left, top), (right, bottom) = _corners(shape)
            points = [[left, bottom], [right, top]] if n % 2 else [[right, bottom], [left, top]]
            told |= {"shape_type": "rectangle", "points": points}
        shapes.append(told)
    data = {"version": "5.3.0", "shapes": shapes, "imageHeight": scene.height, "imageWidth": scene.width}
    (folder / "a.json").write_text(json.dumps(data), encoding="utf-8")
    return LabelSource((folder / "a.json",), "labelme")


def cvat(scene: Scene, folder: Path) -> LabelSource:
    """Boxes, polygons and masks in any order of the file, each with its layer."""
    root = ET.Element("annotations")
    size = {"width": str(scene.width), "height": str(scene.height)}
    picture = ET.SubElement(root, "image", {"id": "0", "name": "some/folder/a.png", **size})
    order = np.random.default_rng(scene.seed).permutation(len(scene.shapes))
    for layer in map(int, order):
        shape = scene.shapes[layer]
        told = {"label": scene.names[shape.name], "z_order": str(layer)}
        if shape.as_mask:
            left, top, part = _window(shape.inside(scene.size))
            told |= {"left": str(left), "top": str(top), "width": str(part.shape[1]), "height": str(part.shape[0])}
            ET.SubElement(picture, "mask", {**told, "rle": ", ".join(map(str, _runs(part.ravel())))})
        elif shape.is_box:
            (left, top), (right, bottom) = _corners(shape)
            box = {"xtl": f"{left:.2f}", "ytl": f"{top:.2f}", "xbr": f"{right:.2f}", "ybr": f"{bottom:.2f}"}
            ET.SubElement(picture, "box", {**told, **box})
        else:
            ET.SubElement(picture, "polygon", {**told, "points": ";".join(f"{x:.2f},{y:.2f}" for x, y in shape.ring)})
    (folder / "a.xml").write_bytes(ET.tostring(root, "utf-8"))
    return LabelSource((folder / "a.xml",), "cvat")


def _runs(flat: Bool) -> list[int]:
    """Lengths of outside and inside in turn."""
    runs, last = [0], False
    for pixel in flat.tolist():
        if pixel != last:
            runs.append(0)
            last = pixel
        runs[-1] += 1
    return runs


def coco(scene: Scene, folder: Path) -> LabelSource:
    """Polygons, run lengths as numbers, and as pycocotools packs them; categories in any order."""
    ids = (np.random.default_rng(scene.seed).permutation(len(scene.names)) * 7 + 3).tolist()
    annotations = []
    for n, shape in enumerate(scene.shapes):
        drawn: Any = [[number for point in shape.ring for number in point]]
        if shape.as_mask:
            inside = shape.inside(scene.size)
            drawn = {"size": list(scene.size), "counts": _runs(inside.ravel(order="F"))}
            if n % 2:
                packed = coco_mask.encode(np.asfortranarray(inside, np.uint8))
                drawn["counts"] = packed["counts"].decode("ascii")
        annotations.append({"id": n, "image_id": 5, "category_id": ids[shape.name], "segmentation": drawn})
    picture = {"id": 5, "file_name": "a.png", "width": scene.width, "height": scene.height}
    categories = [{"id": i, "name": name} for i, name in zip(ids, scene.names, strict=True)]
    data = {"images": [picture], "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(data), encoding="utf-8")
    return LabelSource((folder / "coco.json",), "coco", "a.png")


def yolo(scene: Scene, folder: Path) -> LabelSource:
    """Outlines and boxes in shares of the picture."""
    lines = []
    for shape in scene.shapes:
        ring = np.array(shape.ring) / (scene.width, scene.height)
        if shape.is_box and shape.as_mask:
            low, high = ring.min(axis=0), ring.max(axis=0)
            ring = np.stack([(low + high) / 2, high - low])
        lines.append(f"{shape.name} {' '.join(f'{share:.9f}' for share in ring.ravel())}\n")
    (folder / "data.yaml").write_text(
        yaml.safe_dump({"names": list(scene.names)}, allow_unicode=True), encoding="utf-8"
    )
    (folder / "a.txt").write_text("".join(lines), encoding="utf-8")
    return LabelSource((folder / "a.txt",), "yolo")


def geojson(scene: Scene, folder: Path) -> LabelSource:
    """A feature for each shape, named as this or that program does."""
    features = []
    for n, shape in enumerate(scene.shapes):
        name, ring = scene.names[shape.name], [*shape.ring, shape.ring[0]]
        named: Any = ({"class": name}, {"Label": name}, {"classification": {"name": name}})[n % 3]
        kind, coordinates = ("MultiPolygon", [[ring]]) if shape.as_mask else ("Polygon", [ring])
        place = {"type": kind, "coordinates": coordinates}
        features.append({"type": "Feature", "properties": named, "geometry": place})
    data = {"type": "FeatureCollection", "features": features}
    (folder / "a.geojson").write_text(json.dumps(data), encoding="utf-8")
    return LabelSource((folder / "a.geojson",), "geojson")


DRAWN: dict[str, Callable[[Scene, Path], LabelSource]] = {
    "labelme": labelme, "cvat": cvat, "coco": coco, "yolo": yolo, "geojson": geojson,
}  # fmt: skip
WITHIN = frozenset({"yolo", "geojson"})
"""Formats whose shapes may not leave the picture."""
