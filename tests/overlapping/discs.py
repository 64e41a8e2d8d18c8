"""Made data whose classes overlap: a red disc and a green one that cross, yellow where both are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helpers import write_image

COCO = "annotations/instances.json"
Bool = npt.NDArray[np.bool_]


def layers(size: int, seed: int) -> Bool:
    """Bool (2, H, W): the discs, which cross in every picture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    middle, apart = rng.uniform(0.4, 0.6, 2) * size, rng.uniform(0.1, 0.16) * size
    turn = rng.uniform(0, 2 * np.pi)
    step = apart * np.array([np.sin(turn), np.cos(turn)])
    centres = (middle - step, middle + step)
    return np.stack([(y - c[0]) ** 2 + (x - c[1]) ** 2 < (0.22 * size) ** 2 for c in centres])


def picture(discs: Bool, seed: int) -> npt.NDArray[np.uint8]:
    """What is seen of them: each disc raises a channel, so that a pixel of both has both colours."""
    rng = np.random.default_rng(1000 + seed)
    shown = np.full((*discs.shape[1:], 3), 60.0)
    shown[..., 0] += 120 * discs[0]
    shown[..., 1] += 120 * discs[1]
    return np.clip(shown + rng.normal(0, 8, shown.shape), 0, 255).astype(np.uint8)


def write_bands(
    root: Path, count: int = 8, size: int = 48, *, extra: int = 0, parts: tuple[str, ...] = ("train", "val", "test")
) -> Path:
    """PART/images/*.png and PART/masks/*.tif with a band for each disc, and ``extra`` empty ones."""
    for p, part in enumerate(parts):
        for n in range(count if part == "train" else max(2, count // 4)):
            seed = 100 * p + n
            discs = layers(size, seed)
            write_image(root / part / "images" / f"{part}{n:02}.png", picture(discs, seed))
            bands = np.concatenate([discs, np.zeros((extra, size, size), bool)])
            write_image(root / part / "masks" / f"{part}{n:02}.tif", np.moveaxis(bands, 0, 2).astype(np.uint8) * 255)
    return root


def write_table(root: Path, *names: str) -> Path:
    """classes.csv with these names."""
    (root / "classes.csv").write_text("name,r,g,b\n" + "".join(f"{n},{60 * i + 60},9,9\n" for i, n in enumerate(names)))
    return root


def write_coco(root: Path, size: int = 40) -> Path:
    """Two pictures with a square of "a" and one of "b" that cross, in COCO JSON."""
    images, drawn = [], []
    for n in range(2):
        write_image(root / "images" / f"p{n}.png", np.random.default_rng(n).integers(0, 255, (size, size, 3), np.uint8))
        images.append({"id": n, "file_name": f"p{n}.png", "width": size, "height": size})
        for category, (left, right) in enumerate(((4, 20 + n), (12, 30))):
            square = [left, 5, right, 5, right, 25, left, 25]
            row = {"id": len(drawn), "image_id": n, "category_id": category, "segmentation": [square]}
            drawn.append(row | {"iscrowd": 0})
    categories = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    text = json.dumps({"images": images, "annotations": drawn, "categories": categories})
    (root / "annotations").mkdir()
    (root / COCO).write_text(text)
    return root
