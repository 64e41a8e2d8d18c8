"""Ensemble: several trained networks that answer as one, with the mean of their probabilities.

Rule: each member standardises the picture by its own training statistics; what they must share is
the class table and the kind of pixels that they take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from masksmith.errors import RunError
from masksmith.inference import segmenter, tiling
from masksmith.inference.answering import Answering
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.tiler import Block, Read
from masksmith.limits import MAX_WINDOW_BYTES
from masksmith.modelfile import ModelFile

MARK = "folds.json"
"""The file that tells a folder of folds from a run; its key "folds" counts them."""


class Ensemble(Answering):
    """What :class:`Segmenter` can do, by several of them; see :func:`masksmith.load`."""

    def __init__(self, members: Sequence[Segmenter]) -> None:
        """Take networks that agree on the classes and on the pixels that they are given.

        Raises:
            RunError: none, or members that do not agree.
        """
        self.members = tuple(members)
        if not self.members:
            raise RunError(where="ensemble", expected="one network or more", received="none", remedy="give one")
        for member in self.members[1:]:
            _require_agreement(self.members[0].model, member.model)

    @property
    def model(self) -> ModelFile:
        """The model file of the first member: its classes, channels and dtype are those of all."""
        return self.members[0].model

    @property
    def device(self) -> torch.device:
        """Where the networks lie."""
        return self.members[0].device

    @property
    def precision(self) -> str:
        """What the first of them computes in."""
        return self.members[0].precision

    @property
    def identity(self) -> str:
        """What its answers depend on besides the picture."""
        return "; ".join(member.identity for member in self.members)

    @property
    def tta(self) -> str:
        """The mirror images that each of them looks at."""
        return self.members[0].tta

    @property
    def shares_threads(self) -> bool:
        """As :attr:`Answering.shares_threads`."""
        return all(member.shares_threads for member in self.members)

    @property
    def tile_px(self) -> int:
        """The side of the largest picture that all of them take whole."""
        return min(member.tile_px for member in self.members)

    def cut(self, tile_px: int | None = None, context_px: int | None = None) -> None:
        """As :meth:`Answering.cut`, for each of them."""
        for member in self.members:
            member.cut(tile_px, context_px)

    def difference(self, pixels_HWC: npt.NDArray[np.generic]) -> float | None:
        """As :meth:`Answering.difference`, the largest of theirs."""
        found = [share for member in self.members if (share := member.difference(pixels_HWC)) is not None]
        return max(found, default=None)

    def use(self, runtime: str = "auto", pixels: float | None = None) -> str:
        """As :meth:`Answering.use`, for each of them; the name of the first one's."""
        names = [member.use(runtime, pixels) for member in self.members]
        return names[0]

    @property
    def runtime(self) -> str:
        """What the first of them computes on."""
        return self.members[0].runtime

    def blocks(self, size: tuple[int, int], read: Read, *, start: int = 0) -> Iterator[Block]:
        """The mean over the members of their probabilities; as :meth:`Answering.blocks`."""
        cuts = tiling.common([m.network for m in self.members], [m.tiling for m in self.members])
        parts = (
            member.blocks(size, read, start=start, cut=cut) for member, cut in zip(self.members, cuts, strict=True)
        )
        for found in zip(*parts, strict=True):  # a block of each, never a whole picture
            total = sum((block.probabilities_KHW for block in found[1:]), found[0].probabilities_KHW)
            yield Block(found[0].y, found[0].x, total / np.float32(len(found)))


def is_ensemble(path: Path) -> bool:
    """Whether the folder holds one run for each fold."""
    return (path / MARK).is_file()


def load(
    runs: Sequence[Path],
    *,
    device: str = "auto",
    precision: str = "auto",
    tta: str = "none",
    most_bytes: int = MAX_WINDOW_BYTES,
) -> Ensemble:
    """The networks of several runs, and all those of each folder of folds; arguments as of :class:`Segmenter`.

    Raises:
        RunError: folds that are not trained yet, damaged, or networks that do not agree.
        EnvironmentFault: no such device.
    """
    paths = [path for run in runs for path in (_trained_folds(run) if is_ensemble(run) else [run])]
    share = max(1, tiling.room(most_bytes) // max(1, len(paths)))  # each holds a window at a time
    one = segmenter.load_member
    return Ensemble([one(path, device=device, precision=precision, tta=tta, most_bytes=share) for path in paths])


def _trained_folds(path: Path) -> list[Path]:
    """The run folder of each fold, all of which must be there."""
    count = read_mark(path)["folds"]
    folds = fold_folders(path, count)
    ready = sum(_is_whole(fold) for fold in folds)
    if ready < count:
        raise RunError(
            where=path,
            expected=f"{count} trained folds",
            received=str(ready),
            remedy=f"finish them with masksmith folds -o {path} --resume",
        )
    return folds


def _is_whole(fold: Path) -> bool:
    """Whether its model is that of a whole training: one that goes on has a state, model files copied elsewhere have none."""
    goes_on = any(fold.glob("state*.safetensors")) and not is_finished(fold)
    return (fold / "model.safetensors").is_file() and not goes_on


def is_finished(fold: Path) -> bool:
    """Whether the fold is trained to its end; a model file it has from its first validation on."""
    return (fold / "NEXT.md").is_file()  # the last thing that a training writes


def fold_folders(path: Path, count: int) -> list[Path]:
    """The run folder of each fold."""
    return [path / f"fold-{number}" for number in range(count)]


def read_mark(path: Path) -> dict[str, Any]:
    """What is known of a folder of folds; "folds" is their number.

    Raises:
        RunError: this is no such folder, or its mark is damaged.
    """
    try:
        about = json.loads((path / MARK).read_text(encoding="utf-8"))
        if isinstance(about, dict) and isinstance(about.get("folds"), int) and about["folds"] >= 1:
            return about
        fault = "one without the number of folds"
    except FileNotFoundError:
        fault = "no such file"
    except (OSError, ValueError, RecursionError) as error:
        fault = f"a damaged one ({str(error).splitlines()[0]})"
    raise RunError(
        where=path / MARK,
        expected="what masksmith folds wrote of its folds",
        received=fault,
        remedy="give the folder that masksmith folds -o wrote",
    )


def _require_agreement(first: ModelFile, other: ModelFile) -> None:
    """One order of classes and one kind of pixels, or a mean would mix what does not belong together."""
    wanted, given = (_classes(model) for model in (first, other))
    if wanted != given:
        raise RunError(
            where="ensemble",
            expected=f"networks of the same classes ({wanted})",
            received=f"one with {given}",
            remedy="put together only runs of one data set",
        )
    ours, theirs = ((p.channels, p.dtype) for p in (first.preprocessing, other.preprocessing))
    if ours != theirs:
        raise RunError(
            where="ensemble",
            expected=f"networks for pictures of {ours[0]} channels of {ours[1]}",
            received=f"one for {theirs[0]} of {theirs[1]}",
            remedy="put together only runs of one data set",
        )


def _classes(model: ModelFile) -> str:
    return ", ".join(model.table.names) + (" as classes that overlap" if model.table.overlapping else "")
