"""Memory that runs short in a training: the batch goes through the network in parts, and stays the batch that it was.

Rule: a step is done as a whole or done anew. What a failed attempt has left behind (gradients, random numbers,
running means) is put back first, so that the weights are those of a training that knew from its start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from masksmith.classes import IGNORE
from masksmith.data.batches import Batches
from masksmith.errors import EnvironmentFault, is_out_of_memory
from masksmith.events import Listener
from masksmith.inference.tiler import release
from masksmith.keys import IGNORED_BIT
from masksmith.training import prepare
from masksmith.training.prepare import Criterion, Job
from masksmith.training.state import Progress

Batch = tuple[Tensor, Tensor]

# What batch norm says of a single picture's mean, which some encoders weigh their channels by: so small a part cannot be.
_TOO_FEW = "Expected more than 1 value per channel"


class Gradients:
    """The gradients of a step of the optimiser, whatever room there is for it.

    Where a batch does not fit, it is cut into halves, then quarters, and so on down to single pictures; the
    number of parts is kept in the progress. The loss is that of the whole batch all the same, and so is its
    gradient, also for losses that are no means over pictures (Dice, ignored pixels): the parts go
    through the network once for their answers alone, from which the loss and its slope are found, and once more
    for the gradient. That costs another forward pass. What differs: batch norm standardises each part by itself, and
    dropout draws other numbers than it would for the whole batch.
    """

    def __init__(self, job: Job, fabric: Fabric, network: nn.Module, criterion: Criterion) -> None:
        """Take the job, and its network as Fabric has set it up."""
        self._job, self._fabric, self._network, self._criterion = job, fabric, network, criterion
        self._device = next(job.network.parameters()).device
        self._buffers = _Buffers(job.network)

    def add_up(self, batches: Iterator[Batch], progress: Progress, listener: Listener) -> list[float]:
        """Leave the gradients of the next step in the network; the loss of each of its batches.

        Batches of which no pixel counts are left out, with their loss and what the network would have seen of them.

        Raises:
            EnvironmentFault: there is no memory for a single picture.
        """
        accumulate, parts_before = self._job.recipe.accumulate, progress.micro_batches
        numbers = self._numbers()
        self._buffers.keep()
        made: list[float | None] = []
        newest, batch = 0, next(batches)
        while True:
            # Batches before the newest are made again, which gives the same ones: keeping them would take room.
            first = progress.step * accumulate
            same = batch if len(made) == newest else self._job.batches.batch(first + len(made))
            counts = self._counts(same[1])
            loss = self._tried(same, progress.micro_batches) if counts else None
            if loss is None and counts:
                self._begin_anew(numbers)
                made.clear()
                progress.micro_batches = self._more_parts(progress.micro_batches)
                continue
            made.append(loss)
            if len(made) == accumulate:
                break
            if len(made) > newest:
                newest, batch = newest + 1, next(batches)
        if progress.micro_batches != parts_before:
            listener.message(_told(self._device, self._job.recipe.batch_size, progress.micro_batches))
        return [loss for loss in made if loss is not None]

    def _counts(self, target_BHW: Tensor) -> bool:
        """Whether there is anything to learn, asked of the masks before they go to the device."""
        side = self._job.network.output_size(target_BHW.shape[-1])
        begin = (target_BHW.shape[-1] - side) // 2
        answered = target_BHW[:, begin : begin + side, begin : begin + side]
        return any(bool(self._counted(mask_HW).any()) for mask_HW in answered)  # mostly the first of them tells

    def _counted(self, target: Tensor) -> Tensor:
        """True where a pixel is not ignored."""
        return (target & IGNORED_BIT) == 0 if self._job.model.table.overlapping else target != IGNORE

    def leave_out(self, *, unless: bool) -> None:
        """Where a step is not done, the running means do not keep what it has seen either: it may be no numbers."""
        if not unless:
            self._buffers.put_back()

    def _tried(self, batch: Batch, parts: int) -> float | None:
        """The loss of a batch; None where memory was short, once all that the attempt held is let go."""
        try:
            return self._whole(batch) if parts == 1 else self._in_parts(batch, parts)
        except Exception as error:  # of a processor it is a RuntimeError like others
            if not is_out_of_memory(error) and not (parts > 1 and _TOO_FEW in str(error)):
                raise
        return None

    def _whole(self, batch: Batch) -> float:
        x_BCHW, y_BHW = self._fabric.to_device(batch)
        loss = self._job.loss(self._criterion, self._network(x_BCHW), x_BCHW, y_BHW) / self._job.recipe.accumulate
        self._fabric.backward(loss)
        return float(loss.item())

    def _in_parts(self, batch: Batch, parts: int) -> float:
        pictures = batch[0].tensor_split(parts)
        found: list[list[Tensor]] = []
        numbers: list[list[Tensor]] = []
        means = _Buffers(self._job.network)
        means.keep()
        with torch.no_grad():
            for x_BCHW in pictures:
                numbers.append(self._numbers())
                found.append(_levels(self._network(self._fabric.to_device(x_BCHW))))
        means.put_back()
        leaves = [torch.cat(level).requires_grad_() for level in zip(*found, strict=True)]
        del found
        loss = self._loss(leaves, batch, parts) / self._job.recipe.accumulate
        slopes = [slope.tensor_split(parts) for slope in torch.autograd.grad(loss, leaves)]
        for place, x_BCHW in enumerate(pictures):
            self._set_numbers(numbers[place])
            answers = _levels(self._network(self._fabric.to_device(x_BCHW)))
            # The slope of this sum by the answers is that of the loss.
            sums = [(answer * slope[place]).sum() for answer, slope in zip(answers, slopes, strict=True)]
            self._fabric.backward(torch.stack(sums).sum())
        return float(loss.item())

    def _loss(self, levels: list[Tensor], batch: Batch, parts: int) -> Tensor:
        """The loss of the whole batch; the teacher, whose answers take room too, sees a part at a time."""
        target_BHW = self._fabric.to_device(batch[1])
        loss = self._criterion(levels if len(levels) > 1 else levels[0], target_BHW)
        if self._job.teacher is None:
            return loss
        height, width = levels[0].shape[-2:]
        top, left = (target_BHW.shape[-2] - height) // 2, (target_BHW.shape[-1] - width) // 2
        seen = target_BHW[:, top : top + height, left : left + width]
        counted_BHW = self._counted(seen)
        total = counted_BHW.sum().clamp(min=1)
        columns = (batch[0], levels[0], target_BHW, counted_BHW)
        for x_BCHW, logits, y_BHW, counted in zip(*(c.tensor_split(parts) for c in columns), strict=True):
            part = self._job.teacher.loss(self._fabric.to_device(x_BCHW), logits, y_BHW)
            loss = loss + part * counted.sum() / total
        return loss

    def _more_parts(self, parts: int) -> int:
        """Twice as many, a picture each at most."""
        recipe = self._job.recipe
        if parts < recipe.batch_size:
            return min(2 * parts, recipe.batch_size)
        raise EnvironmentFault(
            where=f"memory of {self._device}",
            expected=f"room to train on one crop of {recipe.crop} pixels a side at a time",
            received="none",
            remedy="lower crop, batch_size or model.width, or close other programs; the state that was saved last is kept",
        )

    def _begin_anew(self, numbers: list[Tensor]) -> None:
        """As if nothing of this step had been done."""
        self._job.network.zero_grad()
        self._set_numbers(numbers)
        self._buffers.put_back()
        release()

    def _numbers(self) -> list[Tensor]:
        """The state of the generators of random numbers that a network draws from."""
        ours = [torch.get_rng_state()]
        return ours if self._device.type == "cpu" else [*ours, torch.get_device_module(self._device).get_rng_state()]

    def _set_numbers(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.get_device_module(self._device).set_rng_state(state)


class _Buffers:
    """The running means of a network, kept to be put back."""

    def __init__(self, network: nn.Module) -> None:
        alike: defaultdict[torch.dtype, list[Tensor]] = defaultdict(list)
        for buffer in network.buffers():
            alike[buffer.dtype].append(buffer)
        # Of one dtype they are copied all at once, which on a graphics card takes next to no time.
        self._pairs = [(theirs, [torch.empty_like(one) for one in theirs]) for theirs in alike.values()]

    @torch.no_grad()
    def keep(self) -> None:
        for theirs, ours in self._pairs:
            torch._foreach_copy_(ours, theirs)

    @torch.no_grad()
    def put_back(self) -> None:
        for theirs, ours in self._pairs:
            torch._foreach_copy_(theirs, ours)


def _levels(answer: Tensor | list[Tensor]) -> list[Tensor]:
    return answer if isinstance(answer, list) else [answer]


def _told(device: torch.device, batch_size: int, parts: int) -> str:
    most = -(-batch_size // parts)
    pictures = "1 picture" if most == 1 else f"{most} pictures"
    return (
        f"memory of {device} is short: {pictures} at a time from here on, gradients added up; "
        f"the batch stays {batch_size}"
    )


def settle_length(job: Job, started: float) -> Job:
    """As :func:`prepare.settle_length`; where a batch does not fit, a step is measured by parts of it."""
    numbers, at_once = torch.get_rng_state(), job.recipe.batch_size
    while True:
        try:
            settled = prepare.settle_length(_cut(job, at_once), started)
            break
        except Exception as error:
            if not is_out_of_memory(error) or at_once == 1:
                raise
        at_once = -(-at_once // 2)
        torch.set_rng_state(numbers)
        release()
    if at_once == job.recipe.batch_size:
        return settled
    length = {key: getattr(settled.recipe, key) for key in ("steps", "epochs", "budget", "validate_every")}
    recipe = job.recipe.model_copy(update=length)
    model = replace(job.model, recipe=recipe)
    return replace(job, recipe=recipe, model=model, deadline=settled.deadline, finish_s=settled.finish_s)


def _cut(job: Job, at_once: int) -> Job:
    """The job with smaller batches, and as many more of them in a step."""
    recipe, batches = job.recipe, job.batches
    if at_once == recipe.batch_size:
        return job
    more = -(-recipe.batch_size // at_once) * recipe.accumulate
    smaller = Batches(batches.reader, replace(batches.sampling, batch_size=at_once), batches.augment)
    update = {"batch_size": at_once, "accumulate": more}
    return replace(job, recipe=recipe.model_copy(update=update), batches=smaller)


@contextmanager
def told() -> Iterator[None]:
    """Say in a sentence that memory is short where nothing could be done about it.

    Raises:
        EnvironmentFault: in place of any error that says so.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise EnvironmentFault(
            where="memory",
            expected="room for this training",
            received="none",
            remedy="lower batch_size, crop or model.width, or close other programs; of a run that had begun the state that was saved last is kept",
        ) from error
