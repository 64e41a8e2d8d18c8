"""Choose for a run how its masks are cleaned, on its validation part, and keep that beside its network.

Rule: nothing is kept that does not help on pictures that had no part in the choice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from masksmith import files
from masksmith.data import doctor
from masksmith.data.batches import PairReader
from masksmith.data.dataset import Dataset, Pair
from masksmith.errors import DataError, InputError, RunError
from masksmith.events import Listener
from masksmith.inference import ensemble, kept, tuning
from masksmith.inference.segmenter import load
from masksmith.inference.tuning import Tuned
from masksmith.metrics import Figures
from masksmith.recipe import DataSettings
from masksmith.report import evaluation
from masksmith.run import Run


def tune(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    settings: DataSettings | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Tuned:
    """Choose thresholds, the least region and the largest hole to fill, and write them as cleanup.yaml.

    Args:
        run: the run folder.
        data: a data set; None for the one of the training. A folder that is not split keeps the parts that
            its pictures had in the training; those that were not in it count as validation.
        settings: folders by name, and what to do about pictures without a mask.
        device: "auto", "cpu", "cuda" or "mps".
        overwrite: replace an earlier choice, or remove it where nothing is worth keeping now.
        listener: hears of progress.

    Raises:
        InputError: no such run or data, fewer than two pictures, or an earlier choice.
    """
    listener = listener or Listener()
    settings = settings or DataSettings()
    folder = _folder(Path(run), overwrite=overwrite)
    segmenter = load(run, device=device)
    found = evaluation.find(folder, data, settings, listener)
    pairs = _validation(found)
    table = segmenter.model.table
    listener.message(f"{len(pairs)} picture{'s' if len(pairs) > 1 else ''} to choose on")
    doctor.examine(replace(found, pairs=tuple(pairs)), settings, table, seed=None).require()
    reader = PairReader(pairs, table, segmenter.model.preprocessing)
    pictures = tuning.remember(segmenter, reader, listener.predicted)
    if len(pictures) < len(pairs):
        listener.message(f"{len(pictures)} of them, spread evenly: more do not fit into the memory that this may take")
    listener.message("trying thresholds, sizes of regions and of holes")
    tuned = tuning.tune(pictures, table)
    if tuned.is_worth:
        kept.write(folder.cleanup_file, segmenter.model.checksum, tuned.settings, _measured(tuned))
    else:
        files.remove([folder.cleanup_file])
    return tuned


def _folder(path: Path, *, overwrite: bool) -> Run:
    """One network's folder, in which there is room for the file."""
    if ensemble.is_ensemble(path):
        raise RunError(
            where=path,
            expected="the run folder of one network",
            received="a folder of folds",
            remedy="tune a single fold, such as fold-0 in it; several networks together have no settings of their own",
        )
    if path.is_file():
        raise RunError(
            where=path,
            expected="a run folder",
            received="a file",
            remedy=f"give its folder, as in masksmith tune {path.parent}",
        )
    folder = Run(path)
    if folder.cleanup_file.exists() and not overwrite:
        raise InputError(
            where=folder.cleanup_file,
            expected="a run whose cleaning is not chosen yet",
            received="an earlier choice",
            remedy="give --overwrite to choose anew",
        )
    if path.is_dir():  # what is no folder is told when the network is loaded
        files.check_writable(path)
    return folder


def _validation(found: Dataset) -> list[Pair]:
    pairs = [pair for pair in found.pairs if pair.split in {"val", ""}]
    if not pairs:
        raise DataError(
            where=found.root,
            expected="pictures in the validation part",
            received=f"only {', '.join(sorted({pair.split for pair in found.pairs}))}",
            remedy="name a folder of other pictures with masks, as in masksmith tune RUN DATA",
        )
    return pairs


def _measured(tuned: Tuned) -> Mapping[str, Any]:
    """For whoever reads the file."""
    return {
        "how": "chosen on one half of the pictures and judged on the other, both ways; "
        "which of the three steps are taken was decided by these figures",
        "pictures": tuned.pictures,
        "miou": _change(tuned.before.mean["iou"], tuned.after.mean["iou"]),
        "iou": {name: _change(before, after) for name, before, after in iou_by_class(tuned.before, tuned.after)},
    }


def iou_by_class(before: Figures, after: Figures) -> list[tuple[str, float | None, float | None]]:
    """Name, IoU before and IoU after of each class."""
    return list(zip(before.classes, before.per_class["iou"], after.per_class["iou"], strict=True))


def _change(before: float | None, after: float | None) -> dict[str, float | None]:
    return {
        "before": None if before is None else round(before, 4),
        "after": None if after is None else round(after, 4),
    }
