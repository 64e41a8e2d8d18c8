"""Write what a run or an evaluation has shown: figures as JSON, charts, pictures, what is next."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

import numpy as np

from masksmith import files
from masksmith.data.batches import PairReader
from masksmith.inference import evaluate
from masksmith.inference.answering import Answering
from masksmith.inference.cleanup import CleanupSettings
from masksmith.keys import Mask
from masksmith.limits import FIGURE_ROWS
from masksmith.metrics import Figures
from masksmith.report import figures as charts
from masksmith.run import Run

EVALUATION_FILES = ("evaluation.json", "confusion.png", "samples.png")
"""What an evaluation writes; the first is named differently in a run, which is never written over."""


def write_training(run: Run, segmenter: Answering, validation: PairReader, measured: Figures) -> None:
    """``metrics.json``, the curves, the confusion matrix, samples and ``NEXT.md`` of a run."""
    run.write_json(run.metrics_file.name, {"part": "val", "pictures": len(validation), **measured.to_dict()})
    files.write_bytes(run.path / "curves.png", charts.curves(run.read_log()))
    _write_confusion(run.path, measured)
    files.write_bytes(run.path / "samples.png", grid(segmenter, validation))
    files.write_text(run.path / "NEXT.md", _next(run, measured))


def write_evaluation(
    folder: Path,
    split: str,
    segmenter: Answering,
    reader: PairReader,
    measured: Figures,
    cleanup: CleanupSettings | None = None,
) -> None:
    """``evaluation.json``, the confusion matrix and samples of an evaluation."""
    about = {"part": split, "pictures": len(reader)} | ({"cleanup": asdict(cleanup)} if cleanup is not None else {})
    Run(folder).write_json(EVALUATION_FILES[0], about | measured.to_dict())
    _write_confusion(folder, measured)
    files.write_bytes(folder / "samples.png", grid(segmenter, reader, cleanup))


def _write_confusion(folder: Path, measured: Figures) -> None:
    """Classes that overlap have none: a pixel of one is not missing from another."""
    if measured.confusion:
        files.write_bytes(folder / "confusion.png", charts.confusion(measured))


def grid(segmenter: Answering, reader: PairReader, cleanup: CleanupSettings | None = None) -> bytes:
    """A few pictures, evenly spread over the set, with truth, prediction and difference."""
    count = min(FIGURE_ROWS, len(reader))
    table = segmenter.model.table
    rows: list[tuple[str, np.ndarray, Mask, Mask]] = []
    for index in np.linspace(0, len(reader) - 1, count).round().astype(int).tolist():
        pixels, truth, valid_HW = reader.read_valid(index)
        rows.append((reader.pairs[index].name, pixels, truth, evaluate.answer(segmenter, pixels, cleanup, valid_HW)))
    return charts.samples(rows, table)


def lines(measured: Figures) -> list[list[str]]:
    """The table of an evaluation: a row a class, then the means."""
    shown = ("iou", "dice", "precision", "recall")
    total = max(1, measured.counted_pixels or sum(measured.support))
    rows = [
        [name, *(_figure(measured.per_class[m][k]) for m in shown), f"{100 * measured.support[k] / total:.1f} %"]
        for k, name in enumerate(measured.classes)
    ]
    return [*rows, ["mean", *(_figure(measured.mean[m]) for m in shown), ""]]


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _next(run: Run, measured: Figures) -> str:
    weakest = min(
        ((f, n) for f, n in zip(measured.per_class["iou"], measured.classes, strict=True) if f is not None),
        default=None,
    )
    advice = f"The weakest class is **{weakest[1]}** (IoU {weakest[0]:.3f}).\n" if weakest else ""
    place, recipe_file = (shlex.quote(str(path)) for path in (run.path, run.path / "recipe.yaml"))
    chosen = run.read_recipe()
    data = "" if chosen.data.images else " DATA"  # of which the recipe knows where its pictures are
    has_test = any(p.split == "test" for p in run.read_dataset().pairs)
    return f"""# What next

Validation mIoU {_figure(measured.mean["iou"])}, mean Dice {_figure(measured.mean["dice"])} ({run.path.name}).
{advice}
Score it on the {"test" if has_test else "validation"} part:

    masksmith evaluate {place} --split {"test" if has_test else "val"}

Segment pictures of any size:

    masksmith predict {place} PICTURE.png FOLDER -o masks

Train on from here, twice as long:

    masksmith train -o {place} --resume steps={2 * (chosen.steps or 0)}

Repeat this training in another folder; a --from that it was started with is to be given too:

    masksmith train{data} -o ANOTHER --recipe {recipe_file}

In Python:

    import masksmith
    prediction = masksmith.load("{run.path}").segment("picture.png")
    prediction.mask_HW, prediction.confidence_HW, prediction.shares()
"""
