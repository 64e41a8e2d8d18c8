"""Score a run on a part of a data set."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from masksmith import files
from masksmith.data import dataset, doctor
from masksmith.data.batches import PairReader
from masksmith.data.dataset import Dataset, Pair
from masksmith.data.layouts import SPLITS
from masksmith.errors import DataError, InputError, unknown_name
from masksmith.events import Listener
from masksmith.inference import evaluate as scoring
from masksmith.inference import kept
from masksmith.inference.answering import Answering
from masksmith.inference.cleanup import CleanupSettings
from masksmith.inference.exported import SUFFIX
from masksmith.inference.segmenter import load
from masksmith.metrics import Figures, summarize
from masksmith.recipe import DataSettings
from masksmith.report import summary
from masksmith.run import Run

_SPLITS = (*SPLITS, "all")
# How far above an exported file its run is looked for: RUN/exports/NAME/1/model.onnx.
_LEVELS = 4


def evaluate(  # noqa: PLR0913 - six of them are keyword-only options
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    split: str = "test",
    output: str | os.PathLike[str] | None = None,
    settings: DataSettings | None = None,
    device: str = "auto",
    cleanup: str = "auto",
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Figures:
    """Score a run on pictures with masks, at the masks' own resolution.

    Args:
        run: the run folder, a model file, or an exported ONNX file, which has the parts of the run above it.
        data: a data set; None for the one of the training.
        split: "train", "val", "test" or "all". A folder that is not split keeps the parts that its
            pictures had in the training, by their path or else by their name; pictures that were not in it
            belong to every part.
        output: folder for ``evaluation.json`` and pictures; None writes nothing.
        settings: folders by name, and what to do about pictures without a mask.
        device: "auto", "cpu", "cuda" or "mps".
        cleanup: "auto" cleans the masks as ``masksmith tune`` has chosen for the run, if it has; "none" never.
        overwrite: replace an earlier evaluation in ``output``.
        listener: hears of progress and of pictures that the training did not know.

    Raises:
        InputError: no such run, data or part, or masks that its classes do not cover.
    """
    if split not in _SPLITS:
        raise unknown_name("part", split, _SPLITS, where=f"--split {split}")
    listener = listener or Listener()
    segmenter = load(run, device=device)
    settings = settings or DataSettings()
    wanted = _cleanup(Path(run), segmenter, cleanup, split, listener)
    found = find(_home(Path(run)), data, settings, listener)
    pairs = _part(found, split)
    table = segmenter.model.table
    listener.message(f"{len(pairs)} picture{'s' if len(pairs) > 1 else ''} to score")
    doctor.examine(replace(found, pairs=tuple(pairs)), settings, table, seed=None).require()
    if output is not None:
        files.check_claim(Path(output), overwrite=overwrite, ours=summary.EVALUATION_FILES)
        files.make_folder(Path(output))
        files.check_writable(Path(output))
    reader = PairReader(pairs, table, segmenter.model.preprocessing)
    measured = summarize(scoring.confusion(segmenter, reader, listener.predicted, cleanup=wanted), table.names)
    if output is not None:  # only now, so that an interrupted evaluation costs nobody the one before
        files.claim_folder(Path(output), overwrite=overwrite, ours=summary.EVALUATION_FILES)
        summary.write_evaluation(Path(output), split, segmenter, reader, measured, wanted)
    return measured


def find(run: Run, data: str | os.PathLike[str] | None, settings: DataSettings, listener: Listener) -> Dataset:
    """The pairs of the training, or those of ``data`` with the parts that they had in the training.

    Raises:
        InputError: no such run or data, or settings that say how to read data that are not given.
    """
    if data is None and settings.images is None:
        _refuse_idle(settings)
        return run.read_dataset()
    return _as_in_training(dataset.find(None if data is None else Path(data), settings), run, listener)


def _refuse_idle(settings: DataSettings) -> None:
    """The pairs of the training are those that it had: figures of other masks would be asked for in vain."""
    idle = f"--masks {settings.masks}" if settings.masks is not None else "--skip-unmatched"
    if settings.masks is not None or settings.unmatched == "skip":
        raise InputError(
            where=idle,
            expected="the pictures that it is for",
            received="neither DATA nor --images, so that the pairs of the training are taken",
            remedy="name the folder of pictures with --images DIR, or leave it out",
        )


def _home(path: Path) -> Run:
    """The run whose parts are meant: of an exported file the one above it, if there is one."""
    if path.suffix.lower() == SUFFIX:
        for folder in list(path.resolve().parents)[:_LEVELS]:
            if Run(folder).recipe_file.is_file():
                return Run(folder)
    return Run.of(path)


def _cleanup(run: Path, segmenter: Answering, word: str, split: str, listener: Listener) -> CleanupSettings | None:
    """What the run's cleanup.yaml says; None where nothing is cleaned."""
    found, said = kept.settings(Run.of(run).cleanup_file, segmenter, word)
    is_applied = found != CleanupSettings()
    if said:
        listener.message(said)
    if is_applied and split in {"val", "all"}:
        listener.message("it was chosen on the validation part, where the figures are therefore better than elsewhere")
    return found if is_applied else None


def _part(found: Dataset, split: str) -> list[Pair]:
    pairs = [p for p in found.pairs if split == "all" or p.split in (split, "")]
    if not pairs:
        parts = sorted({p.split for p in found.pairs})
        raise DataError(
            where=found.root,
            expected=f'pictures in the part "{split}"',
            received=f"only {', '.join(parts)}",
            remedy=f"choose one with --split {parts[-1]}",
        )
    return pairs


def _as_in_training(found: Dataset, run: Run, listener: Listener) -> Dataset:
    """Give pictures of an unsplit folder the part that they had in the training.

    They are known by their path or, since data sets move, by their name. The latter is told, since other pictures
    may be named alike.
    """
    by_path, by_name = run.parts()
    sure = [p.split or by_path.get(p.image.resolve(), "") for p in found.pairs]
    parts = [part or by_name.get(p.name, "") for part, p in zip(sure, found.pairs, strict=True)]
    named = Counter(part for part, before in zip(parts, sure, strict=True) if part and not before)
    if named:
        counts = ", ".join(f"{named[part]} {part}" for part in SPLITS if named[part])
        listener.message(
            f"{named.total()} of {len(parts)} pictures are known by their names alone and keep the parts of these in "
            f"the training ({counts}); if they are other pictures, rename them, or score all by evaluate --split all"
        )
    unknown = parts.count("")
    if unknown:
        listener.message(f"{unknown} of {len(parts)} pictures are not known from the training and count in any part")
    return replace(found, pairs=tuple(replace(p, split=part) for p, part in zip(found.pairs, parts, strict=True)))
