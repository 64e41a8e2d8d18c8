"""The training state on disk: all that decides the rest of a training.

Rule: a training that is stopped and resumed gives the same weights, to the bit, as one that is not; the state
before the last is kept, so that a file that the disk has spoilt costs a minute and not the training.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from torch import Tensor, nn

from masksmith import files, modelfile
from masksmith.errors import EnvironmentFault, RunError
from masksmith.run import Run
from masksmith.training.averaging import Average

# So much work a kill may cost.
_EVERY_S = 60.0
# Of the time of a training, for writing states of networks so large that a minute is too often.
_MOST_SHARE = 0.02


class Saved(KeyboardInterrupt):
    """The training was stopped, and its state is on the disk."""


@dataclass
class Progress:
    """Where a training is: steps done, the best validation, the log so far."""

    step: int = 0
    best_miou: float = -1.0
    validations_since_best: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    bad_count: int = 0
    """Batches since the last line of the log whose loss was no number."""
    epoch_due: bool = False
    """Whether a line of the log is due, for an epoch or a part of one, but not validated yet."""
    elapsed_s: float = 0.0
    micro_batches: int = 1
    """Parts that a batch goes through the network in, since memory ran short."""
    log: list[list[float | int | None]] = field(default_factory=list)

    def add_losses(self, losses: Sequence[float]) -> None:
        """Take in the losses of batches, those that are numbers."""
        for loss in losses:
            if math.isfinite(loss):
                self.loss_sum += loss
                self.loss_count += 1
            else:
                self.bad_count += 1

    def advance(self, elapsed_s: float) -> None:
        """One more step is done."""
        self.step += 1
        self.elapsed_s = elapsed_s


@dataclass(frozen=True)
class Parts:
    """What changes while a network is trained, besides the progress."""

    network: nn.Module
    average: Average
    optimiser: torch.optim.Optimizer
    precision: Precision
    """Fabric's: the scale of fp16's gradients, nothing for others."""


class Saving:
    """When the state is saved: each minute, or so much more seldom that it takes little of the time."""

    def __init__(self) -> None:
        """The clock begins to run."""
        self._next = time.monotonic() + _EVERY_S

    def is_due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    def save(self, run: Run, parts: Parts, progress: Progress) -> None:
        """As :func:`save`; what it took decides when the next is due."""
        begun = time.monotonic()
        save(run, parts, progress)
        done = time.monotonic()
        self._next = done + max(_EVERY_S, (done - begun) / _MOST_SHARE)


def save(run: Run, parts: Parts, progress: Progress) -> None:
    """Write everything, atomically; random numbers other than torch's follow from the step."""
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng_cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        tensors["rng_mps"] = torch.mps.get_rng_state()
    tensors |= {f"network.{k}": v for k, v in parts.network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in parts.average.network.state_dict().items()}
    for index, entry in parts.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in entry.items() if isinstance(v, Tensor)}
    write(run, tensors, {"progress": vars(progress), "precision": parts.precision.state_dict()})


def write(run: Run, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a state; the last one is kept beside it, and holds while this one is being written."""
    if run.state_file.is_file():
        files.move(run.state_file, run.previous_state_file)
    modelfile.write_tensors(run.state_file, tensors, about)


def read(run: Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The newest state that is whole: tensors, and what is not a tensor.

    Raises:
        RunError: there is none.
        EnvironmentFault: there is one, and out of reach.
    """
    require(run)
    try:
        return modelfile.read_tensors(run.state_file)
    except (RunError, EnvironmentFault) as error:
        if not _is_spoilt(error) or not run.previous_state_file.is_file():
            raise
        found = modelfile.read_tensors(run.previous_state_file)
        files.remove([run.state_file])  # or the next state would be kept beside it in place of this one
        return found


def _is_spoilt(error: RunError | EnvironmentFault) -> bool:
    """Whether a state is lost: it is not whole, or the disk cannot read it; what lacks a permission is not."""
    return isinstance(error, RunError) or (isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EIO)


def forget_patience(run: Run) -> None:
    """Let a training that patience has ended go on: it would end again at once."""
    tensors, about = read(run)
    if about["progress"]["validations_since_best"]:
        write(run, tensors, {**about, "progress": {**about["progress"], "validations_since_best": 0}})


def require(run: Run) -> None:
    """Make sure that there is a state to go on from.

    Raises:
        RunError: there is none.
    """
    if not run.has_state:
        raise RunError(
            where=run.path,
            expected="a training that was interrupted",
            received="a run without state.safetensors, as one that was ended before its first step",
            remedy="start it anew with --overwrite",
        )


def restore(run: Run, parts: Parts) -> Progress:
    """Read everything back in place.

    Raises:
        RunError: no state, a damaged one, or one of another network.
    """
    tensors, about = read(run)
    try:
        parts.network.load_state_dict(_under("network.", tensors))
        parts.average.network.load_state_dict(_under("average.", tensors))
    except RuntimeError as error:
        raise RunError(
            where=run.state_file,
            expected="the state of this network",
            received=str(error).splitlines()[-1].strip(),
            remedy="resume without changing the model",
        ) from error
    # The fused optimisers walk parameter and state side by side in memory, so that a state must
    # have its parameter's memory layout (channels-last), which a file does not keep.
    optimiser = parts.optimiser
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in _under("optimiser.", tensors).items():
        index, _, name = key.partition(".")
        like = parameters[int(index)]
        same = tensor.shape == like.shape
        state.setdefault(int(index), {})[name] = torch.empty_like(like).copy_(tensor) if same else tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    if about.get("precision"):
        parts.precision.load_state_dict(about["precision"])
    torch.set_rng_state(tensors["rng"])
    if "rng_cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng_cuda"])
    if "rng_mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["rng_mps"])
    return Progress(**about["progress"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
