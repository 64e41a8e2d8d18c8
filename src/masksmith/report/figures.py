"""Charts and grids of pictures, each as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from masksmith.classes import U8, ClassTable
from masksmith.keys import Mask, is_ignored
from masksmith.metrics import Figures
from masksmith.outputs.overlay import blend, show, tints

# Green: right; red: predicted and not there; blue: there and not predicted; grey: ignored.
_RIGHT, _EXTRA, _MISSED, _OUT = (235, 235, 235), (213, 94, 0), (0, 114, 178), (160, 160, 160)
_WRONG = (204, 60, 60)
_INK = "#222222"
# The side of a confusion matrix grows up to so many classes: with 255 it would have 185 megapixels.
_MOST_SIDE = 40


def curves(log: Sequence[Mapping[str, float | None]]) -> bytes:
    """Loss and mIoU by step."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left = figure.subplots()
    losses = [(r["step"] or 0, r["loss"]) for r in log if r["loss"] is not None]
    left.plot([s for s, _ in losses], [loss for _, loss in losses], color="#0072B2")
    left.set_xlabel("step")
    left.set_ylabel("training loss", color="#0072B2")
    left.set_ylim(bottom=0)
    right = left.twinx()
    scored = [(r["step"] or 0, r["miou"]) for r in log if r["miou"] is not None]
    right.plot([s for s, _ in scored], [m for _, m in scored], color="#D55E00", marker="o", markersize=3)
    right.set_ylabel("validation mIoU", color="#D55E00")
    right.set_ylim(0, 1)
    left.grid(alpha=0.25)
    return _png(figure)


def confusion(figures: Figures) -> bytes:
    """The confusion matrix, each row (true class) in percent; of very many classes only some are named."""
    counts = np.array(figures.confusion, float)
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    size = len(figures.classes)
    side, every = min(size, _MOST_SIDE), -(-size // _MOST_SIDE)
    figure = Figure(figsize=(2.4 + 0.55 * side, 1.9 + 0.5 * side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if size <= 24:  # more numbers than these cannot be read
        for y, x in np.ndindex(size, size):
            if rows[y, 0]:
                axes.text(
                    x,
                    y,
                    f"{100 * share[y, x]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share[y, x] > 0.55 else _INK,
                )
    places, names = range(0, size, every), [_plain(name) for name in figures.classes[::every]]
    axes.set_xticks(places, names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (rows in %)")
    return _png(figure)


def samples(rows: Sequence[tuple[str, np.ndarray, Mask, Mask]], table: ClassTable) -> bytes:
    """A grid with one row a picture: the picture, the truth, the prediction, the difference.

    Args:
        rows: (name, pixels (H, W, C), true mask, predicted mask) for each picture.
        table: names and colours of the classes.
    """
    two = len(table) == 2 and not table.overlapping
    shape = rows[0][1].shape
    tall = 2.5 * min(1.6, max(0.5, shape[0] / shape[1]))
    figure = Figure(figsize=(10, tall * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    # Pixels that are ignored may hold nodata, which is no grey.
    pictures = [show(pixels, ~is_ignored(truth)) for _, pixels, truth, _ in rows]
    for row, rgb, (name, _, truth, predicted) in zip(axes, pictures, rows, strict=True):
        for place, image in zip(
            row,
            (rgb, blend(rgb, truth, table), blend(rgb, predicted, table), difference(truth, predicted, len(table))),
            strict=True,
        ):
            place.imshow(image, interpolation="nearest")
            place.set_xticks([])
            place.set_yticks([])
        row[0].set_ylabel(_plain(name[:24]), fontsize=8)
    for place, title in zip(axes[0], ("picture", "truth", "prediction", "difference"), strict=True):
        place.set_title(title, fontsize=10)
    keys = [("extra", _EXTRA), ("missed", _MISSED)] if two else [("wrong", _WRONG)]
    named = list(zip(tints(pictures[0], table), table.names, strict=True))[:16]
    patches = [Patch(facecolor=_unit(color), edgecolor="#888888", label=_plain(name)) for color, name in named]
    patches += [Patch(facecolor=_unit(color), edgecolor="#888888", label=label) for label, color in keys]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(8, len(patches)), fontsize=8, frameon=False)
    return _png(figure)


def difference(truth_HW: Mask, predicted_HW: Mask, num_classes: int) -> U8:
    """Where prediction and truth differ, as colours (H, W, 3); of two exclusive classes in which way."""
    out = np.full((*truth_HW.shape, 3), _RIGHT, np.uint8)
    if num_classes == 2 and truth_HW.dtype == np.uint8:
        out[(predicted_HW == 1) & (truth_HW == 0)] = _EXTRA
        out[(predicted_HW == 0) & (truth_HW == 1)] = _MISSED
    else:
        out[predicted_HW != truth_HW] = _WRONG
    out[is_ignored(truth_HW)] = _OUT
    return out


def _plain(name: str) -> str:
    """A name that is shown as it is: matplotlib reads what stands between two "$" as mathematics."""
    return name.replace("$", r"\$")


def _unit(color: tuple[int, int, int]) -> tuple[float, float, float]:
    r, g, b = color
    return r / 255, g / 255, b / 255


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    return out.getvalue()
