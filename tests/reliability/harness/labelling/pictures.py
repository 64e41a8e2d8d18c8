"""Scenes as mask pictures of every kind that masksmith reads, written by other libraries.

Rule: no code of masksmith makes a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from masksmith.classes import ClassTable, Entry
from masksmith.labels import LabelSource
from reliability.harness.labelling.made import U8
from reliability.harness.labelling.scenes import Scene

# From one grey to the next.
_GAP = 31


def png(pixels: npt.NDArray[Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _colors(scene: Scene) -> U8:
    return scene.table.palette_K3[scene.mask_HW]


def _palette(scene: Scene, path: Path) -> None:
    picture = Image.frombytes("P", (scene.width, scene.height), scene.mask_HW.tobytes())
    picture.putpalette(scene.table.palette_K3.tobytes())
    picture.save(path)


def _bands(scene: Scene) -> U8:
    # Of ones: three bands of 255 are colours by rule.
    whole: U8 = (scene.mask_HW == np.arange(len(scene.names) + 1)[:, None, None]).astype(np.uint8)
    return whole


def _tiff(path: Path, pixels: npt.NDArray[Any], **more: Any) -> None:  # noqa: ANN401 - as tifffile takes it
    tifffile.imwrite(path, pixels, **more)


PICTURES: dict[str, tuple[str, str, Callable[[Scene, Path], object]]] = {
    "grey PNG": (".png", "value", lambda s, p: p.write_bytes(png(s.mask_HW))),
    "grey PNG with gaps": (".png", "gaps", lambda s, p: p.write_bytes(png(s.mask_HW * np.uint8(_GAP)))),
    "16-bit PNG": (".png", "wide", lambda s, p: cv2.imwrite(str(p), s.mask_HW.astype(np.uint16) * 1001)),
    "palette PNG by number": (".png", "value", _palette),
    "palette PNG by colour": (".png", "color", _palette),
    "palette GIF by colour": (".gif", "color", _palette),
    "colour PNG": (".png", "color", lambda s, p: p.write_bytes(png(_colors(s)))),
    "colour BMP": (".bmp", "color", lambda s, p: Image.fromarray(_colors(s)).save(p)),
    "colour TIFF": (".tif", "color", lambda s, p: _tiff(p, _colors(s), photometric="rgb")),
    "three equal channels": (".png", "value", lambda s, p: p.write_bytes(png(np.dstack([s.mask_HW] * 3)))),
    "NPY": (".npy", "value", lambda s, p: np.save(p, s.mask_HW.astype(np.int64))),
    "NPY of floats": (".npy", "value", lambda s, p: np.save(p, s.mask_HW.astype(np.float32))),
    "bands of a TIFF": (
        ".tif", "bands", lambda s, p: _tiff(p, _bands(s), photometric="minisblack", planarconfig="separate"),
    ),
}  # fmt: skip
"""Ending, what stands for a class, and who writes it."""


def kind(scene: Scene) -> str:
    """Which of ``PICTURES`` it is written as."""
    return list(PICTURES)[scene.picture % len(PICTURES)]


def picture(scene: Scene, folder: Path) -> tuple[LabelSource, ClassTable]:
    """The scene as a mask picture, and the table by which it is read."""
    ending, by, write = PICTURES[kind(scene)]
    path = folder / f"mask{ending}"
    write(scene, path)
    times, more = {"gaps": (_GAP, 0), "wide": (1001, 0), "bands": (1, 1)}.get(by, (1, 0))
    rows: Iterable[Entry] = (Entry(e.name, e.color, n * times + more) for n, e in enumerate(scene.table.entries))
    return LabelSource((path,)), ClassTable(tuple(rows), "color" if by == "color" else "value")
