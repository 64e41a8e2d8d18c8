"""Give a run an int8 network, if that is as good as the one it is made from.

Rule: what is kept was measured on the validation part, through the same path as an evaluation.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from masksmith import files, modelfile
from masksmith.data import doctor
from masksmith.data.batches import PairReader
from masksmith.data.dataset import Dataset, Pair
from masksmith.errors import DataError, EnvironmentFault, InputError, MasksmithError, RecipeError, RunError
from masksmith.events import Listener
from masksmith.inference import ensemble, runtimes
from masksmith.inference import evaluate as scoring
from masksmith.inference import quantize as making
from masksmith.inference.answering import choose
from masksmith.inference.runtimes import RUNTIMES, Setup, choosing, int8, measuring
from masksmith.inference.runtimes.measuring import Measured
from masksmith.inference.segmenter import Segmenter
from masksmith.metrics import summarize
from masksmith.recipe import DataSettings
from masksmith.report import evaluation
from masksmith.run import Run

LIMIT = 0.5
"""So many points of 100 the mean IoU may fall."""

_BEFORE = "torch"
_MODULES = ("onnx", "onnxruntime", "onnxscript")
_TIMED_PX = 512


@dataclass(frozen=True)
class Row:
    """A runtime: how long a window takes it, and how good it is where that was measured."""

    name: str
    ms: float
    miou: float | None = None
    """Over the validation part, 0 to 1."""
    equal: float | None = None
    """Share of pixels of the same class as by PyTorch."""


def quantize(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    limit: float = LIMIT,
    settings: DataSettings | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> list[Row]:
    """Write the run's int8 network beside its model file.

    Args:
        run: the run folder, or a model file.
        data: its data set; None for the one of the training.
        limit: points of 100 that the mean IoU over the validation part may fall.
        settings: folders by name, and what to do about pictures without a mask.
        overwrite: replace an earlier int8 network.
        listener: hears of progress.

    Returns:
        The float runtimes with their times, and those of the int8 network also with what they score.

    Raises:
        InputError: no such run or data, or a network that becomes worse than that; nothing is written.
        EnvironmentFault: a library is missing, or the network cannot be exported.
    """
    listener = listener or Listener()
    target = _ready(Path(run), limit, overwrite=overwrite)
    segmenter = Segmenter(modelfile.read(Path(run)), device="cpu")
    settings = settings or DataSettings()
    found = evaluation.find(Run.of(Path(run)), data, settings, listener)
    train, val = _training(found), _part(found, "val")
    doctor.examine(replace(found, pairs=(*train, *val)), settings, segmenter.model.table, seed=None).require()
    listener.message(f"quantising by {len(train)} training pictures, then scoring {len(val)} of the validation part")
    content = _quantized(segmenter, _reader(segmenter, train), target)
    rows = _compared(segmenter, content, _reader(segmenter, val), listener)
    _require(rows, limit, target)
    files.write_bytes(target, int8.sealed(content, _about(segmenter, rows, len(val))))
    return rows


def _ready(run: Path, limit: float, *, overwrite: bool) -> Path:
    """Where the int8 network goes, if it can be made and put there."""
    lacking = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if lacking:
        raise EnvironmentFault(
            where="masksmith quantize",
            expected="libraries to export and quantise with",
            received=f"no module {', '.join(lacking)}",
            remedy='pip install "masksmith[export]"',
        )
    if not 0 <= limit < math.inf:
        raise RecipeError(where="--limit", expected="points from 0 up", received=str(limit), remedy="write 0.5")
    if ensemble.is_ensemble(run):
        raise RunError(
            where=run,
            expected="one network",
            received="a folder of folds",
            remedy="give one of them, as fold-0, or make one of all by masksmith distil",
        )
    target = int8.beside(run)
    files.refuse_existing(target, overwrite=overwrite)
    if target.parent.is_dir():
        files.check_writable(target.parent)
    return target


def _training(found: Dataset) -> list[Pair]:
    """As many training pictures as are looked at, drawn once and for all."""
    pairs = _part(found, "train")
    return [pairs[index] for index in np.random.default_rng(0).permutation(len(pairs))[: making.WINDOWS]]


def _part(found: Dataset, split: str) -> list[Pair]:
    pairs = [pair for pair in found.pairs if pair.split in (split, "")]
    if not pairs:
        raise DataError(
            where=found.root,
            expected=f'pictures in the part "{split}", which quantising needs beside others',
            received=f"only {', '.join(sorted({pair.split for pair in found.pairs}))}",
            remedy="name a folder that has them, as in masksmith quantize RUN DATA",
        )
    return pairs


def _reader(segmenter: Segmenter, pairs: Sequence[Pair]) -> PairReader:
    return PairReader(pairs, segmenter.model.table, segmenter.model.preprocessing)


def _quantized(segmenter: Segmenter, reader: PairReader, target: Path) -> bytes:
    try:
        given = making.windows(segmenter, reader)
        return making.quantized(segmenter.network, given, overlapping=segmenter.model.table.overlapping)
    except MasksmithError:
        raise
    except Exception as error:  # whatever exporters and onnxruntime raise
        raise EnvironmentFault(
            where=target,
            expected="a network that can be exported and quantised",
            received=runtimes.fault(error),
            remedy="predict with the float runtimes, which masksmith runtimes lists",
        ) from error


def _compared(segmenter: Segmenter, content: bytes, reader: PairReader, listener: Listener) -> list[Row]:
    """Times of all runtimes that start quickly; for PyTorch and the int8 network also what they score."""
    setup = Setup(segmenter.precision, overlapping=segmenter.model.table.overlapping, quantized=content)
    names = [name for name in runtimes.available(segmenter.device, setup) if not RUNTIMES[name].slow_start]
    window = measuring.made_window(segmenter.network, _TIMED_PX, _TIMED_PX)
    lines = measuring.measure(segmenter.network, setup, window, names)
    scored = [line for line in lines if line.name == _BEFORE or (RUNTIMES[line.name].quantized and line.answer)]
    scores = dict(zip([line.name for line in scored], _scores(segmenter, scored, reader, listener), strict=True))
    for line in lines:
        if line.fault is not None:
            listener.message(f"{line.name} does not run it: {line.fault}")
    return [Row(line.name, line.ms, *scores.get(line.name, ())) for line in lines if line.fault is None]


def _scores(
    segmenter: Segmenter, lines: Sequence[Measured], reader: PairReader, listener: Listener
) -> list[tuple[float | None, float]]:
    """Mean IoU of each of the runtimes, and the share of its pixels that are as those of the first."""
    table = segmenter.model.table
    counts = [scoring.counter(table) for _ in lines]
    equal, pixels = [0] * len(lines), 0
    for index in range(len(reader)):
        picture, truth = reader.read(index)
        masks = []
        for line in lines:
            if line.answer is not None:
                segmenter.take(line.name, line.answer)
            masks.append(choose(segmenter.probabilities(picture), overlapping=table.overlapping))
        for place, mask in enumerate(masks):
            counts[place].add(truth, mask)
            equal[place] += int(np.count_nonzero(mask == masks[0]))
        pixels += truth.size
        listener.predicted(index + 1, len(reader))
    mious = [summarize(count, table.names).mean["iou"] for count in counts]
    return [(miou, same / pixels) for miou, same in zip(mious, equal, strict=True)]


def _require(rows: Sequence[Row], limit: float, target: Path) -> None:
    before = next(row.miou for row in rows if row.name == _BEFORE)
    after = [(row.miou, row.name) for row in rows if RUNTIMES[row.name].quantized and row.miou is not None]
    if before is None:
        raise DataError(
            where="validation part",
            expected="pixels of a class to score by",
            received="ignored ones alone",
            remedy="name a folder with masks, as in masksmith quantize RUN DATA",
        )
    if not after:
        raise EnvironmentFault(
            where=target,
            expected="a runtime that runs the int8 network",
            received="a fault of each",
            remedy='update them with pip install -U "masksmith[export]"',
        )
    worst, name = min(after)
    if 100 * (before - worst) > limit:
        raise InputError(
            where=target,
            expected=f"a mean IoU that falls by {limit:g} points of 100 at most",
            received=f"{100 * worst:.2f} by {name} after {100 * before:.2f}",
            remedy="nothing was written; predict with the float network, or give a higher --limit",
        )


def _about(segmenter: Segmenter, rows: Sequence[Row], pictures: int) -> dict[str, object]:
    """What the file tells of itself."""
    return {
        "model": segmenter.model.checksum,
        "validation_miou": {row.name: row.miou for row in rows if row.miou is not None},
        "validation_pictures": pictures,
        "versions": {name: choosing.version(name) for name in ("masksmith", "torch", *_MODULES)},
    }
