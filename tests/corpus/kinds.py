"""Every kind of annotation as one table: how it is written, and what reading it must give.

Painted kinds are written here, drawn ones in ``drawn``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from corpus import drawn
from corpus.drawn import Named
from corpus.pictures import CLASSES, U8, Scene

# From dark to bright, so that the order of the packed colours is the order of the classes.
COLORS = ((0, 0, 0), (20, 60, 220), (230, 40, 10))
GREYS = (0, 100, 200)


@dataclass(frozen=True)
class Kind:
    """One way to write down what is where.

    Either ``draw`` writes the annotation of one picture to a path, or ``gather`` those of many into
    one file. The mask that is read must reach ``least_iou`` in each class and ``least_equal`` over all.
    """

    ending: str
    draw: Callable[[Scene, Path], None] | None = None
    gather: Callable[[Sequence[Named], Path], None] | None = None
    besides: Callable[[Path], None] | None = None
    """Writes what lies at the root of the data set."""
    truth: Callable[[Scene], U8] = lambda scene: scene.mask_HW
    names: tuple[str, ...] = ()
    """The class names that the kind brings; without them classes are matched in order."""
    values: tuple[int, ...] = ()
    """What stands for each class, where that is one number."""
    least_iou: float = 1.0
    least_equal: float = 1.0
    as_picture: bool = False
    """Named as the picture, without anything behind it such as ``_mask``."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Keys of ``data`` in a recipe without which it cannot be read."""

    def write(self, folder: Path, items: Sequence[tuple[Scene, str, str]], root: Path) -> None:
        """Annotate ``items`` (scene, picture's file name, stem of the annotation) in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.draw is not None:
            for scene, _, stem in items:
                self.draw(scene, folder / (stem + self.ending))
        if self.gather is not None:
            self.gather([(scene, picture) for scene, picture, _ in items], folder / f"annotations{self.ending}")
        if self.besides is not None:
            self.besides(root)


def _png(path: Path, pixels: npt.NDArray[np.integer]) -> None:
    Image.fromarray(pixels).save(path, compress_level=1)


def _painted(scene: Scene) -> U8:
    return np.array(COLORS, np.uint8)[scene.mask_HW]


def _rgba(scene: Scene, path: Path) -> None:
    opaque = np.full((*scene.mask_HW.shape, 1), 255, np.uint8)
    _png(path, np.concatenate([_painted(scene), opaque], axis=2))


def _palette(scene: Scene, path: Path) -> None:
    picture = Image.fromarray(scene.mask_HW, mode="P")
    picture.putpalette([c for color in COLORS for c in color])
    picture.save(path, compress_level=1)


def _tiff(path: Path, bands_HWK: npt.NDArray[np.bool_]) -> None:
    tifffile.imwrite(path, bands_HWK.astype(np.uint8), photometric="minisblack", planarconfig="contig")


def _one_hot(scene: Scene, path: Path) -> None:
    _tiff(path, scene.mask_HW[..., None] == np.arange(3))


def _sorted_things(scene: Scene) -> U8:
    """Five classes: background, disc left or right, square left or right (the middle is left)."""
    right = scene.instances_HW == 3
    return np.where(scene.mask_HW > 0, 2 * scene.mask_HW - 1 + right, 0).astype(np.uint8)


def _multi_band(scene: Scene, path: Path) -> None:
    """A band for each class but the background, which is where no band is set."""
    _tiff(path, _sorted_things(scene)[..., None] == np.arange(1, 5))


def _instances(scene: Scene, path: Path) -> None:
    """Things that touch, 2×2 pixels each: with a few numbers only it would be an index mask to anyone."""
    y, x = np.indices(scene.mask_HW.shape) // 2
    places = np.where(scene.mask_HW > 0, 1 + x + y * scene.mask_HW.shape[1], 0)
    _png(path, np.unique(places, return_inverse=True)[1].reshape(places.shape).astype(np.uint16))


def _stack(scene: Scene, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for thing in scene.things:
        _png(folder / f"{scene.name}_{thing.number}.png", np.where(thing.inside_HW, 255, 0).astype(np.uint8))


def _jpeg(scene: Scene, path: Path) -> None:
    Image.fromarray(_painted(scene)).save(path, quality=90, subsampling=0)


def _table(root: Path) -> None:
    rows = [f"{i},{name},{r},{g},{b}" for i, (name, (r, g, b)) in enumerate(zip(CLASSES, COLORS, strict=True))]
    (root / "classes.csv").write_text("\n".join(["index,name,r,g,b", *rows, ""]), encoding="utf-8")


def _binary(scene: Scene) -> U8:
    return scene.binary_HW


KINDS: dict[str, Kind] = {
    "index": Kind(".png", lambda s, p: _png(p, s.mask_HW), values=(0, 1, 2)),
    "binary": Kind(".png", lambda s, p: _png(p, s.binary_HW * 255), truth=_binary, values=(0, 255)),
    "grey": Kind(".png", lambda s, p: _png(p, np.array(GREYS, np.uint8)[s.mask_HW]), values=GREYS),
    "color": Kind(".png", lambda s, p: _png(p, _painted(s))),
    "rgba": Kind(".png", _rgba),
    "palette": Kind(".png", _palette, values=(0, 1, 2)),
    "one-hot": Kind(".tif", _one_hot),
    "multi-band": Kind(".tif", _multi_band, truth=_sorted_things),
    "16-bit index": Kind(".png", lambda s, p: _png(p, s.mask_HW.astype(np.uint16)), values=(0, 1, 2)),
    "npy": Kind(".npy", lambda s, p: np.save(p, s.mask_HW), values=(0, 1, 2)),
    "instances map": Kind(".png", _instances, truth=_binary),
    "instance stack": Kind("", _stack, truth=_binary, as_picture=True),
    "lossy": Kind(
        ".jpg", _jpeg, besides=_table, names=CLASSES, least_iou=0.8, least_equal=0.97, settings={"snap": True}
    ),
    "coco": Kind(".json", gather=drawn.coco, names=CLASSES, least_iou=0.9, least_equal=0.98),
    "labelme": Kind(".json", drawn.labelme, names=CLASSES, least_iou=0.9, least_equal=0.98, as_picture=True),
    "yolo": Kind(
        ".txt", drawn.yolo, besides=drawn.yolo_names, names=CLASSES, least_iou=0.9, least_equal=0.98, as_picture=True
    ),
    "cvat": Kind(".xml", gather=drawn.cvat, names=CLASSES, least_iou=0.9, least_equal=0.98),
    "geojson": Kind(".geojson", drawn.geojson, names=CLASSES, least_iou=0.9, least_equal=0.98, as_picture=True),
}
