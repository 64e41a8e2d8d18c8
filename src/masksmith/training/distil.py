"""Distillation: a network learns from the probabilities of another, or of an ensemble, besides the masks.

Rule: the teacher answers for the very crop that the student sees, so that position, zoom and
brightness are the same for both; it is never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from masksmith.classes import IGNORE
from masksmith.errors import InputError, RunError
from masksmith.inference.ensemble import Ensemble, fold_folders, is_ensemble
from masksmith.inference.segmenter import Segmenter, load_one
from masksmith.keys import IGNORED_BIT
from masksmith.modelfile import ModelFile
from masksmith.planning import probe
from masksmith.recipe import DataSettings, Recipe
from masksmith.run import Run

# Probabilities are softened by this temperature, so that what a sure teacher thinks of the other
# classes is heard as well; the gradient shrinks by its square, which is made up for (Hinton,
# Vinyals and Dean 2015, "Distilling the knowledge in a neural network").
_TEMPERATURE = 2.0
# Settings of the data that say what masks mean, and not where they lie or how they are split.
_MEANING = ("ignore", "snap", "instances", "border", "overlapping")


class Teacher:
    """Trained networks whose mean probabilities a student is to answer with."""

    def __init__(self, members: Sequence[Segmenter], student: ModelFile) -> None:
        """Take networks that know the student's classes and pixels.

        Raises:
            RunError: other classes, other pixels, or a network that answers for a part of the crop only.
        """
        self.members = tuple(members)
        if not all(member.model.weights for member in self.members):
            raise RunError(
                where="teacher",
                expected="a run, the folder of folds or a .safetensors file",
                received="an exported file, which cannot be asked within a training",
                remedy="name the run that it was exported from",
            )
        Ensemble([_like(student, self.members[0]), *self.members])  # which asks whether they agree
        self.overlapping = student.table.overlapping
        self._shifts: list[tuple[Tensor, Tensor]] = []
        for member in self.members:
            if member.network.padding == "valid":
                raise RunError(
                    where="teacher",
                    expected='a network with padding="same", which answers for the whole crop',
                    received='one with padding="valid"',
                    remedy="choose another run to learn from",
                )
            member.network.requires_grad_(False)
            self._shifts.append(_between(student, member))

    def loss(self, x_BCHW: Tensor, logits: Tensor | list[Tensor], target_BHW: Tensor) -> Tensor:
        """KL(teacher || student), softened: the mean over the pixels that count.

        Args:
            x_BCHW: crops as the student sees them.
            logits: the student's; of a list (deep supervision) the finest counts.
            target_BHW: the masks, of which only the ignored pixels matter.
        """
        finest = logits[0] if isinstance(logits, list) else logits
        size = finest.shape[-2:]
        ours = _log_probabilities(finest.float(), self.overlapping)
        theirs = _middle(self._probabilities(x_BCHW), size)
        target = _middle(target_BHW, size)
        counted_BHW = (target & IGNORED_BIT) == 0 if self.overlapping else target != IGNORE
        # Over the answers to one question; where classes overlap each class is a question of its own.
        each = F.kl_div(ours, theirs, reduction="none").sum(dim=1)
        each_BHW = each.mean(dim=1) if self.overlapping else each
        return _TEMPERATURE**2 * (each_BHW * counted_BHW).sum() / counted_BHW.sum().clamp(min=1)

    @torch.no_grad()
    def _probabilities(self, x_BCHW: Tensor) -> Tensor:
        total: Tensor | None = None
        for member, (gain, shift) in zip(self.members, self._shifts, strict=True):
            seen = (x_BCHW * gain.to(x_BCHW) + shift.to(x_BCHW)).contiguous(memory_format=torch.channels_last)
            with probe.autocast(x_BCHW.device, member.precision):
                logits = member.network(seen)
            one = _log_probabilities(logits.float(), self.overlapping).exp()
            total = one if total is None else total + one
        assert total is not None  # noqa: S101 - an Ensemble has one member or more
        return total / len(self.members)


def load(recipe: Recipe, student: ModelFile, device: torch.device) -> Teacher | None:
    """The teacher that a recipe names, on the student's device; None if it names none.

    Raises:
        RunError: no such run, or one of other classes or pixels.
    """
    if recipe.teacher is None:
        return None
    found = load_one(recipe.teacher, device=device.type, precision=recipe.precision)
    return Teacher(found.members if isinstance(found, Ensemble) else [found], student)


def apart(recipe: Recipe, output: Path) -> Recipe:
    """The recipe with its teacher named for any working folder; a training into ``output`` leaves that alone.

    Raises:
        InputError: the teacher is there, or has ``output`` in it.
    """
    if recipe.teacher is None:
        return recipe
    teacher, home = Path(recipe.teacher).resolve(), output.resolve()
    if teacher.is_relative_to(home) or home.is_relative_to(teacher):
        raise InputError(
            where=output,
            expected="another folder than that of the teacher, which would be replaced",
            received=f"teacher={recipe.teacher}",
            remedy="train into a new folder",
        )
    return recipe.model_copy(update={"teacher": str(Path(recipe.teacher).absolute())})


def recipe_of(teacher: Path) -> Recipe:
    """The recipe of a student: that of (one member of) its teacher, which it learns from.

    The data are those of the student's own: only what masks mean is taken over. It has the default
    length, since the teacher's own may have been that of a part of a budget.

    Raises:
        RunError: no run folder, or no trained one.
    """
    run = Run(fold_folders(teacher, 1)[0] if is_ensemble(teacher) else teacher)
    own = run.read_recipe()
    kept = {f"data.{key}": getattr(own.data, key) for key in _MEANING}
    settings = {"budget": Recipe().budget, "validate_every": None, "teacher": str(teacher.absolute()), **kept}
    return own.model_copy(update={"data": DataSettings()}).with_settings(settings)


def pictures_of(teacher: Path) -> Path:
    """The list of the pictures that the teacher has learnt from, with its parts.

    Raises:
        InputError: there is none.
    """
    table = Run(teacher).split_file
    if not table.is_file():
        raise InputError(
            where=table,
            expected="the list of pictures of the run",
            received="no such file",
            remedy="name the data folder, as in masksmith distil RUN DATA -o NEW",
        )
    return table


def _like(student: ModelFile, teacher: Segmenter) -> Segmenter:
    """A member with the student's classes and pixels, for the comparison; it never answers."""
    return Segmenter(student, network=teacher.network, precision=teacher.precision)


def _between(student: ModelFile, teacher: Segmenter) -> tuple[Tensor, Tensor]:
    """Gain and shift (1, C, 1, 1) from what the student sees to what the teacher was trained on."""
    ours, theirs = student.preprocessing, teacher.model.preprocessing
    mean, std, other_mean, other_std = (torch.tensor(v) for v in (ours.mean, ours.std, theirs.mean, theirs.std))
    return (std / other_std).view(1, -1, 1, 1), ((mean - other_mean) / other_std).view(1, -1, 1, 1)


def _log_probabilities(logits_BKHW: Tensor, overlapping: bool) -> Tensor:
    """Logarithms of softened probabilities, the answers along axis 1: (B, K, H, W), or (B, 2, K, H, W)."""
    z = logits_BKHW / _TEMPERATURE
    if overlapping:
        return torch.stack([F.logsigmoid(-z), F.logsigmoid(z)], dim=1)
    if z.shape[1] == 1:
        return torch.cat([F.logsigmoid(-z), F.logsigmoid(z)], dim=1)
    return F.log_softmax(z, dim=1)


def _middle(values: Tensor, size: torch.Size) -> Tensor:
    """The middle (…, H, W) of this size, which is what a "valid" student answers for."""
    height, width = size
    top, left = (values.shape[-2] - height) // 2, (values.shape[-1] - width) // 2
    return values[..., top : top + height, left : left + width]
