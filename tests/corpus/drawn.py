"""Annotations that are drawn and not painted: COCO, LabelMe, YOLO, CVAT, GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt
import tifffile

from corpus.pictures import CLASSES, HEIGHT, WIDTH, Ring, Scene, Thing

# A scene and the name of its picture's file, as files that annotate many pictures call it.
Named = tuple[Scene, str]


def coco(scenes: Sequence[Named], path: Path) -> None:
    """Polygons in every other picture, run lengths in the rest. Category numbers have gaps, as in COCO itself."""
    annotations: list[dict[str, object]] = []
    for image, (scene, _) in enumerate(scenes):
        for thing in scene.things:
            inside = thing.inside_HW
            left, top, right, bottom = thing.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 10 + image,
                    "category_id": 3 * thing.label,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": int(inside.sum()),
                    "iscrowd": image % 2,
                    "segmentation": _runs(inside) if image % 2 else [[c for point in thing.ring for c in point]],
                }
            )
    content = {
        "images": [
            {"id": 10 + image, "file_name": name, "height": HEIGHT, "width": WIDTH}
            for image, (_, name) in enumerate(scenes)
        ],
        "annotations": annotations,
        # Listed upside down: the numbers decide the order.
        "categories": [{"id": 3 * label, "name": CLASSES[label]} for label in (2, 1)],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _runs(inside_HW: npt.NDArray[np.bool_]) -> dict[str, object]:
    """COCO's uncompressed run lengths: column by column, beginning with what is outside."""
    flat = inside_HW.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": [0, *counts] if flat[0] else counts}


def labelme(scene: Scene, path: Path) -> None:
    """A square as a rectangle, a disc as a circle, and the last thing as a polygon."""
    shapes = []
    for thing in scene.things:
        left, top, right, bottom = thing.box
        (x, y), kind = thing.center, "rectangle" if thing.name == "square" else "circle"
        points: Ring = [(left, top), (right, bottom)] if kind == "rectangle" else [(x, y), (right, y)]
        if thing.number == 3:
            kind, points = "polygon", thing.ring
        shapes.append({"label": thing.name, "points": points, "group_id": None, "shape_type": kind, "flags": {}})
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{scene.name}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def yolo(scene: Scene, path: Path) -> None:
    """One polygon a line, in shares of the picture's sides."""
    lines = [
        " ".join([str(thing.label - 1), *(f"{c:.6f}" for x, y in thing.ring for c in (x / WIDTH, y / HEIGHT))])
        for thing in scene.things
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def yolo_names(root: Path) -> None:
    """``data.yaml`` with the names by number."""
    names = "".join(f"  {label - 1}: {CLASSES[label]}\n" for label in (1, 2))
    (root / "data.yaml").write_text(f"path: .\nnames:\n{names}", encoding="utf-8")


def cvat(scenes: Sequence[Named], path: Path) -> None:
    """CVAT for images 1.1: boxes and ellipses in every other picture, polygons and masks in the rest."""
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES[1:])
    pictures = "".join(
        f'<image id="{number}" name={quoteattr(name)} width="{WIDTH}" height="{HEIGHT}">'
        + "".join((_cvat_box, _cvat_polygon)[number % 2](thing) for thing in scene.things)
        + "</image>"
        for number, (scene, name) in enumerate(scenes)
    )
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
        f"<meta><task><labels>{labels}</labels></task></meta>{pictures}</annotations>\n",
        encoding="utf-8",
    )


def _cvat_box(thing: Thing) -> str:
    left, top, right, bottom = thing.box
    if thing.name == "square":
        shape = f'box xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
    else:
        (x, y), radius = thing.center, thing.side / 2
        shape = f'ellipse cx="{x}" cy="{y}" rx="{radius}" ry="{radius}"'
    return f'<{shape} label="{thing.name}" source="manual" occluded="0" z_order="0"/>'


def _cvat_polygon(thing: Thing) -> str:
    if thing.number == 3:
        cut = thing.inside_HW[thing.top : thing.top + thing.side, thing.left : thing.left + thing.side].ravel()
        counts = np.diff([0, *(np.flatnonzero(np.diff(cut)) + 1), cut.size]).tolist()
        rle = ", ".join(map(str, [0, *counts] if cut[0] else counts))
        shape = f'mask rle="{rle}" left="{thing.left}" top="{thing.top}" width="{thing.side}" height="{thing.side}"'
    else:
        shape = f'polygon points="{";".join(f"{x:.2f},{y:.2f}" for x, y in thing.ring)}"'
    return f'<{shape} label="{thing.name}" source="manual" occluded="0" z_order="0"/>'


def geojson(scene: Scene, path: Path, place: Callable[[float, float], tuple[float, float]] | None = None) -> None:
    """Polygons in pixels, or where ``place`` puts them; the ring is closed, as the format wants it."""
    features = []
    for thing in scene.things:
        ring = [place(x, y) if place else (x, y) for x, y in (*thing.ring, thing.ring[0])]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"class": thing.name}, "geometry": geometry})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


# A place in zone 16 north (Illinois), with half a metre a pixel.
ORIGIN, PIXEL_M, EPSG = (350_000.0, 4_430_000.0), 0.5, 32616


def geotiff(scene: Scene, path: Path) -> npt.NDArray[np.uint16]:
    """The picture with 12 bits a channel, georeferenced in EPSG:32616; what was written."""
    pixels = scene.pixels_HWC.astype(np.uint16) * 16
    # Model projected, pixels are areas, and the number of the projection (GeoTIFF 1.1, section 7.1).
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, EPSG)
    tags = [
        (33550, "d", 3, (PIXEL_M, PIXEL_M, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, *ORIGIN, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=tags, metadata=None)
    return pixels
