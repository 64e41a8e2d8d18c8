"""Write a synthetic data set to disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

from masksmith import files
from masksmith.data import shapes
from masksmith.errors import InputError
from masksmith.outputs.mask import encode_mask, encode_picture

# Sides that a shape can still be told in, and that a PNG of it is worth drawing in.
_SIZES_PX = (32, 8192)
# What such a folder holds besides its pairs; the first tells it from somebody's data set.
_MARK = "shapes.json"
_CLASSES = "classes.csv"
# Of ten drawings eight are to train on, one to validate on, one for the test.
_PARTS = ("train",) * 8 + ("val", "test")


def write(
    out: str | os.PathLike[str],
    *,
    count: int = 200,
    size: int = 192,
    num_classes: int = 5,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write ``count`` drawings as {train,val,test}/{images,masks}, with classes.csv.

    Raises:
        InputError: a count, size, number of classes or seed that cannot be drawn, or a folder that is
            not free.
    """
    if count < 3:
        raise InputError(
            where="--count",
            expected="3 pictures or more, one for each part",
            received=str(count),
            remedy="give a larger number",
        )
    if not _SIZES_PX[0] <= size <= _SIZES_PX[1]:
        raise InputError(
            where="--size",
            expected=f"{_SIZES_PX[0]} to {_SIZES_PX[1]} pixels",
            received=str(size),
            remedy="give a size in that range",
        )
    if seed < 0:
        raise InputError(where="--seed", expected="0 or more", received=str(seed), remedy="give another number")
    table = shapes.class_table(num_classes)
    folder = Path(out)
    files.claim_folder(folder, overwrite=overwrite, ours=names(_count(folder)))
    about = {"count": count, "size": size, "classes": num_classes, "seed": seed}
    files.write_text(folder / _MARK, json.dumps(about) + "\n")
    files.write_text(folder / _CLASSES, table.to_csv())
    for index in range(count):
        drawing = shapes.draw(size, num_classes, seed, index)
        files.write_bytes(folder / _place(index, "images"), encode_picture(drawing.pixels_HWC))
        files.write_bytes(folder / _place(index, "masks"), encode_mask(drawing.mask_HW, table))
    return folder


def names(count: int) -> tuple[str, ...]:
    """What the folder of so many drawings is made of, its mark first; as for :func:`files.claim_folder`."""
    return (_MARK, _CLASSES, *(_place(index, kind) for index in range(count) for kind in ("images", "masks")))


def _place(index: int, kind: str) -> str:
    # The first three go one to each part, so that a small set has all of them.
    part = ("train", "val", "test")[index] if index < 3 else _PARTS[index % len(_PARTS)]
    return f"{part}/{kind}/{index:05}.png"


def _count(folder: Path) -> int:
    """How many drawings an earlier call has put there; 0 where nothing says so, as then none is known as ours."""
    try:
        about = json.loads((folder / _MARK).read_bytes())
    except (OSError, ValueError):
        return 0
    count = about.get("count") if isinstance(about, dict) else None
    return count if isinstance(count, int) else 0
