"""Out-of-fold predictions: each picture answered for by the network that has not seen it.

Rule: masks and figures come from the same probabilities, through the path that prediction takes.
"""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from masksmith import files
from masksmith.classes import ClassTable
from masksmith.data.batches import PairReader
from masksmith.data.dataset import Dataset
from masksmith.events import Listener
from masksmith.inference.answering import choose
from masksmith.inference.prediction import Prediction
from masksmith.inference.segmenter import load
from masksmith.metrics import METRICS, Confusion, Figures, Layers, summarize
from masksmith.outputs import mask
from masksmith.report import figures as charts
from masksmith.run import Run

FOLDER = "out-of-fold"
COLUMNS = ("name", "fold", "file", "iou", "image")
# Longer names of pictures are cut in names of files, of which most disks allow 255 bytes.
_MOST_LETTERS = 60


def counter(table: ClassTable) -> Confusion | Layers:
    """An empty count for the classes of ``table``."""
    return Layers(len(table)) if table.overlapping else Confusion(len(table))


def file_names(found: Dataset) -> dict[Path, str]:
    """What the files of each picture are called: its name, safe on every disk, each once."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for pair in found.pairs:
        plain = re.sub(r"[^\w.-]+", "_", pair.name).strip("._")[:_MOST_LETTERS] or "picture"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.casefold())
        names[pair.image] = name
    return names


def predict(
    run: Run, fold: int, names: Mapping[Path, str], total: Confusion | Layers, listener: Listener
) -> tuple[Figures, list[list[str]]]:
    """Write mask and probabilities of each picture that ``run`` has validated on, beside its folder.

    Returns:
        The figures of this fold, and a row of ``COLUMNS`` for each picture; ``total`` counts on.
    """
    settings = run.read_recipe()
    segmenter = load(run.path, device=settings.device, precision=settings.precision)
    table = segmenter.model.table
    reader = PairReader(run.read_dataset().part("val"), table, segmenter.model.preprocessing)
    together, rows = counter(table), []
    for index, pair in enumerate(reader.pairs):
        if listener.wants_stop():
            raise KeyboardInterrupt
        pixels, truth = reader.read(index)
        probabilities = segmenter.probabilities(pixels)
        found = Prediction(choose(probabilities, overlapping=table.overlapping), probabilities, pixels, table)
        own = counter(table)
        for counts in (own, together, total):
            counts.add(truth, found.mask_HW)
        name = names[pair.image]
        files.write_bytes(run.path.parent / FOLDER / f"{name}.png", mask.encode(found))
        files.write_bytes(run.path.parent / FOLDER / f"{name}.npz", _packed(found))
        iou = summarize(own, table.names).mean["iou"]
        rows.append([pair.name, str(fold), f"{name}.png", "" if iou is None else f"{iou:.4f}", str(pair.image)])
        listener.predicted(index + 1, len(reader))
    return summarize(together, table.names), rows


def write(folder: Path, rows: Sequence[Sequence[str]], measured: Figures, each: Sequence[Figures]) -> None:
    """``figures.json`` and ``confusion.png`` over all pictures, and ``pictures.csv`` beside the masks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    files.write_text(folder / FOLDER / "pictures.csv", out.getvalue())
    about = {
        "part": "out of fold",
        "pictures": len(rows),
        **measured.to_dict(),
        "spread": {name: spread([one.mean[name] for one in each]) for name in METRICS},
        "folds": [{"mean": one.mean, "pixel_accuracy": one.pixel_accuracy} for one in each],
    }
    Run(folder).write_json("figures.json", about)
    if measured.confusion:
        files.write_bytes(folder / "confusion.png", charts.confusion(measured))


def spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean, standard deviation (n - 1) and range of a figure over the folds that have it.

    >>> spread([0.5, 0.7, None])
    {'mean': 0.6, 'deviation': 0.141421, 'least': 0.5, 'most': 0.7}
    """
    known = [v for v in values if v is not None]
    return {
        "mean": round(statistics.fmean(known), 6) if known else None,
        "deviation": round(statistics.stdev(known), 6) if len(known) > 1 else None,
        "least": min(known, default=None),
        "most": max(known, default=None),
    }


def _packed(found: Prediction) -> bytes:
    """NPZ with the probabilities as float16, exact to a thousandth: half the space, and enough to join by."""
    out = io.BytesIO()
    np.savez_compressed(out, probabilities_KHW=found.probabilities_KHW.astype(np.float16))
    return out.getvalue()
