"""Healthy sets on disk, in the layouts and kinds of files that people have; the faulty ones start from these.

Rule: what ``lay`` writes has no fault. Who wants one breaks it afterwards, through what ``lay`` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from corpus_faulty.scenes import U8, Scene, scene

Pixels = npt.NDArray[np.generic]
Make = Callable[[Path], None]

COLORS = ((0, 0, 0), (200, 40, 40), (40, 180, 60), (50, 80, 210))
NAMES = ("background", "disc", "bar", "square")


@dataclass(frozen=True)
class Style:
    """How a set lies on disk. ``train`` of the ``count`` pictures are in train where folders say so."""

    layout: str = "split"
    picture: str = "rgb"
    mask: str = "binary"
    classes: int = 2
    table: bool = False
    size: tuple[int, int] = (72, 96)
    count: int = 18
    train: int = 12
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """One pair on disk and the scene that it shows."""

    scene: Scene
    image: Path
    mask: Path
    style: Style

    def classes_HW(self) -> U8:
        """The truth as class indices."""
        return class_indices(self.scene.kinds_HW, self.style.classes)

    def remask(self, classes_HW: U8) -> None:
        """Write other classes into the mask, in the encoding of the set."""
        write(self.mask, MASKS[self.style.mask](classes_HW))

    def repaint(self, shown: Scene) -> None:
        """Write another scene into the picture."""
        write(self.image, PICTURES[self.style.picture][1](shown))


def class_indices(kinds_HW: U8, classes: int) -> U8:
    """With two classes all objects are one class, with three the squares are discs."""
    out: U8 = np.array({2: (0, 1, 1, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}[classes], np.uint8)[kinds_HW]
    return out


def _rgb(shown: Scene) -> U8:
    return np.round(shown.pixels_HWC * 255).astype(np.uint8)


def _grey(shown: Scene) -> npt.NDArray[np.float64]:
    out: npt.NDArray[np.float64] = shown.pixels_HWC.mean(axis=2)
    return out


def _bands(shown: Scene, count: int) -> U8:
    """Colour, then bands that mix it: what a satellite adds in the infrared."""
    more = [shown.pixels_HWC[..., i % 3] * 0.7 + 0.1 * (i - 2) for i in range(3, count)]
    return np.round(np.clip(np.dstack([shown.pixels_HWC, *more]), 0, 1) * 255).astype(np.uint8)


PICTURES: dict[str, tuple[str, Callable[[Scene], Pixels]]] = {
    "rgb": (".png", _rgb),
    "jpeg": (".jpg", _rgb),
    "grey": (".png", lambda s: np.round(_grey(s) * 255).astype(np.uint8)),
    "rgba": (".png", lambda s: np.dstack([_rgb(s), np.full(s.kinds_HW.shape, 255, np.uint8)])),
    "colour tiff": (".tif", _rgb),
    "16 bits": (".tif", lambda s: np.round(_grey(s) * 65535).astype(np.uint16)),
    "12 bits": (".tif", lambda s: np.round(_grey(s) * 4095).astype(np.uint16)),
    "float": (".tif", lambda s: _grey(s).astype(np.float32)),
    "4 bands": (".tif", lambda s: _bands(s, 4)),
    "5 bands": (".tif", lambda s: _bands(s, 5)),
}

MASKS: dict[str, Callable[[U8], Pixels | Image.Image]] = {
    "binary": lambda m: (m > 0).astype(np.uint8) * 255,
    "ones": lambda m: (m > 0).astype(np.uint8),
    "bit": lambda m: m > 0,
    "index": lambda m: m,
    "grey": lambda m: m * 60,
    "color": lambda m: np.array(COLORS, np.uint8)[m],
    "palette": lambda m: palette_picture(m, COLORS),
}


def palette_picture(indices_HW: U8, colors: Sequence[tuple[int, int, int]]) -> Image.Image:
    """A palette picture of class indices."""
    out = Image.fromarray(indices_HW)
    out.putpalette([c for color in colors for c in color])
    return out


def lay(root: Path, style: Style, scenes: Iterable[Scene] | None = None, names: Sequence[str] = ()) -> list[Made]:
    """Write a healthy set and say what was written, in order of its names."""
    shown = (
        list(scenes) if scenes is not None else [scene(100 * style.seed + i, style.size) for i in range(style.count)]
    )
    called = names or [f"img_{i:03}" for i in range(len(shown))]
    made = []
    for number, (name, one) in enumerate(zip(called, shown, strict=True)):
        part = "train" if number < style.train else "val"
        made.append(add(root, style, part, name, one))
    if style.table:
        write_table(root, style.classes)
    return made


def add(root: Path, style: Style, part: str, name: str, shown: Scene) -> Made:
    """Write one pair more."""
    ending = PICTURES[style.picture][0]
    image, mask = {
        "split": (f"{part}/images/{name}{ending}", f"{part}/masks/{name}.png"),
        "beside": (f"{part}/{name}{ending}", f"{part}_labels/{name}.png"),
        "flat": (f"images/{name}{ending}", f"masks/{name}.png"),
        "side": (f"{name}{ending}", f"{name}_mask.png"),
    }[style.layout]
    made = Made(shown, root / image, root / mask, style)
    made.repaint(shown)
    made.remask(made.classes_HW())
    return made


def write_table(root: Path, classes: int) -> None:
    """``classes.csv`` of the first classes."""
    rows = [f"{name},{r},{g},{b}\n" for name, (r, g, b) in list(zip(NAMES, COLORS, strict=True))[:classes]]
    (root / "classes.csv").write_text("name,r,g,b\n" + "".join(rows), encoding="utf-8")


def write(path: Path, content: Pixels | Image.Image, **how: Any) -> None:  # noqa: ANN401
    """Write a picture by its ending; ``how`` goes to Pillow, or to tifffile for TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        pixels = np.asarray(content)
        wide: dict[str, Any] = {"planarconfig": "contig"} if pixels.ndim == 3 else {}
        colour = "rgb" if pixels.shape[2:] == (3,) else "minisblack"
        tifffile.imwrite(path, pixels, photometric=colour, **wide, **how)
        return
    if path.suffix == ".jpg":
        how = {"quality": 92, **how}
    (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(path, **how)


def starts_from(style: Style) -> Callable[[Callable[[Path, list[Made]], None]], Make]:
    """Make a breaker of a healthy set the maker of a faulty one."""

    def around(breaks: Callable[[Path, list[Made]], None]) -> Make:
        def make(root: Path) -> None:
            breaks(root, lay(root, style))

        make.__doc__ = breaks.__doc__
        return make

    return around
