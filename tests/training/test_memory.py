"""Memory that runs short: a batch goes through in parts and stays the batch, and what cannot be helped is one sentence.

The shortage is made by networks that fail as PyTorch fails, with its very errors, for more pictures (or pixels) at a
time than there is room for; all else is as in any training.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

import masksmith
from helpers import write_set
from masksmith import losses
from masksmith.data import batches as loading
from masksmith.data.batches import PairReader
from masksmith.errors import DataError, EnvironmentFault, MasksmithError, RecipeError, is_out_of_memory
from masksmith.events import Listener
from masksmith.inference import tiler, tiling
from masksmith.inference.tiling import Tiling
from masksmith.modelfile import read_tensors
from masksmith.models.field import context_px
from masksmith.models.unet import Encoder, UNet
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import loop, memory, optimisation, prepare, session
from masksmith.training.prepare import Job
from masksmith.training.state import Progress

SETTINGS: dict[str, object] = {
    "crop": 32, "batch_size": 4, "model.width": 4, "model.depth": 2, "steps": 4, "device": "cpu", "precision": "fp32",
}  # fmt: skip
# With sgd a weight differs by as much as its gradient does; muon would make the last bits of small ones large.
PLAIN = {**SETTINGS, "model.norm": "none", "optimizer": "sgd"}
NO_ROOM: dict[str, Callable[[], Exception]] = {
    "card": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "processor": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4294967296 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "C++": lambda: RuntimeError("std::bad_alloc"),
    "Python": MemoryError,
}
NEAR = 1e-6


class Notes(Listener):
    """Keeps what was said, and asks for a stop after so many steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.steps, self.stop_after = 0, stop_after

    def message(self, text: str) -> None:
        self.said.append(text)

    def step(self, done: int, total: int) -> None:
        self.steps = done

    def wants_stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after

    @property
    def short(self) -> list[str]:
        return [text for text in self.said if "is short" in text]


def room_for(patch: pytest.MonkeyPatch, pictures: int, kind: str = "card", *, calls_before: int = 0) -> None:
    """Training answers for more pictures than so many fail, once the network has drawn and counted all it does."""
    usual, calls = UNet.forward, [0]

    def forward(self: UNet, x_BCHW: Tensor) -> Tensor | list[Tensor]:
        answer = usual(self, x_BCHW)
        calls[0] += self.training
        if self.training and len(x_BCHW) > pictures and calls[0] > calls_before:
            raise NO_ROOM[kind]()
        return answer

    patch.setattr(UNet, "forward", forward)


def room_for_gradients(patch: pytest.MonkeyPatch, pictures: int) -> None:
    """There is room for the answer, but none is left in the middle of the way back."""
    usual = Encoder.forward

    def fail(_gradient: Tensor) -> NoReturn:
        raise NO_ROOM["card"]()

    def forward(self: Encoder, x_BCHW: Tensor) -> list[Tensor]:
        features = usual(self, x_BCHW)
        if features[-1].requires_grad and len(x_BCHW) > pictures:
            features[-1].register_hook(fail)
        return features

    patch.setattr(Encoder, "forward", forward)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"), values=(0, 1, 2))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A training with room enough."""
    return masksmith.train(data, tmp_path_factory.mktemp("runs") / "whole", settings=PLAIN)


def weights(run: Run) -> dict[str, Tensor]:
    return dict(run.read_model().weights)


def assert_near(ours: dict[str, Tensor], theirs: dict[str, Tensor], most: float = NEAR) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert float((tensor - theirs[name]).abs().max()) <= most, name


def assert_equal_states(ours: Run, theirs: Run) -> None:
    ours_state, theirs_state = (read_tensors(run.state_file)[0] for run in (ours, theirs))
    assert ours_state.keys() == theirs_state.keys()
    for name, tensor in ours_state.items():
        assert torch.equal(tensor, theirs_state[name]), name


def job_of(data: Path, settings: dict[str, object]) -> Job:
    return session.settle(data, Recipe().with_settings(settings), Listener()).job


def gradients(job: Job, parts: int) -> tuple[float, dict[str, Tensor]]:
    """The loss of the first step, and its gradient by each weight."""
    job = replace(job, network=copy.deepcopy(job.network).train())
    fabric = Fabric(accelerator="cpu", devices=1)
    network, _ = fabric.setup(job.network, optimisation.optimiser(job.network, job.recipe))
    criterion = losses.build(
        job.recipe.loss, overlapping=job.model.table.overlapping, class_weights=job.recipe.class_weights
    )
    adding = memory.Gradients(job, fabric, network, criterion)
    batches = job.batches.stream(0, None, 1)
    made = adding.add_up(batches, Progress(micro_batches=parts), Listener())
    batches.close()
    return sum(made), {k: p.grad for k, p in job.network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "ce"},
        {"loss": "ce+dice", "class_weights": [1, 4, 2]},
        {"loss": "0.5*focal+lovasz", "accumulate": 2},
        {"loss": "bce+tversky", "model.deep_supervision": True},
        {"loss": "jaccard+ce", "model.padding": "valid", "crop": "auto"},
    ],
    ids=str,
)
def test_the_gradient_of_parts_is_that_of_the_batch(data: Path, settings: dict[str, object]) -> None:
    # Crops larger than the pictures: of each another number of pixels counts.
    job = job_of(data, {**PLAIN, "batch_size": 5, "crop": 64, **settings})
    loss, wanted = gradients(job, 1)
    for parts in (2, 4, 5):
        again, found = gradients(job, parts)
        assert again == pytest.approx(loss, abs=NEAR)
        # Sums over 20,000 pixels, in fp32 and in another order.
        assert_near(found, wanted, 5 * NEAR)


def test_a_step_that_is_left_out_leaves_nothing_in_the_running_means(data: Path) -> None:
    job = job_of(data, dict(SETTINGS))
    fabric = Fabric(accelerator="cpu", devices=1)
    network, _ = fabric.setup(job.network.train(), optimisation.optimiser(job.network, job.recipe))
    adding = memory.Gradients(job, fabric, network, losses.build("ce"))
    before = [buffer.clone() for buffer in job.network.buffers()]
    batches = job.batches.stream(0, None, 1)
    adding.add_up(batches, Progress(), Listener())
    batches.close()
    assert before
    assert any(not torch.equal(a, b) for a, b in zip(before, job.network.buffers(), strict=True))
    adding.leave_out(unless=False)
    assert all(torch.equal(a, b) for a, b in zip(before, job.network.buffers(), strict=True))


def test_with_a_teacher_too(data: Path, whole: Run) -> None:
    job = job_of(data, {**PLAIN, "crop": 64, "teacher": str(whole.path), "seed": 1})
    loss, wanted = gradients(job, 1)
    again, found = gradients(job, 3)
    assert again == pytest.approx(loss, abs=NEAR)
    assert_near(found, wanted)


@pytest.mark.parametrize("kind", ["card", "processor"])
def test_the_weights_are_those_of_a_training_with_room(
    data: Path, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    room_for(monkeypatch, 2, kind)
    heard = Notes()
    made = masksmith.train(data, tmp_path / "run", settings=PLAIN, listener=heard)
    assert heard.short == [
        "memory of cpu is short: 2 pictures at a time from here on, gradients added up; the batch stays 4"
    ]
    assert_near(weights(made), weights(whole))
    assert made.read_log()[-1]["loss"] == pytest.approx(whole.read_log()[-1]["loss"], abs=2e-6)
    assert read_tensors(made.state_file)[1]["progress"]["micro_batches"] == 2


def test_a_shortage_in_the_middle_of_a_step(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**PLAIN, "accumulate": 2}
    made = masksmith.train(data, tmp_path / "whole", settings=settings)
    room_for(monkeypatch, 1, calls_before=5)  # the second batch of the third step is the first without room
    heard = Notes()
    again = masksmith.train(data, tmp_path / "run", settings=settings, listener=heard)
    assert len(heard.short) == 1
    assert "1 picture at a time" in heard.short[0]
    assert_near(weights(again), weights(made))


def test_a_failed_attempt_leaves_nothing_behind(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout, batch norm and muon: to the bit as if the parts had been known from the start."""
    settings = {**SETTINGS, "model.dropout": 0.3, "accumulate": 2}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Progress", partial(Progress, micro_batches=2))
        known = masksmith.train(data, tmp_path / "known", settings=settings)
    shortages: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
        "forward": partial(room_for, pictures=2),
        "backward": partial(room_for_gradients, pictures=2),
    }
    for name, shortage in shortages.items():
        with monkeypatch.context() as patch:
            shortage(patch)
            assert_equal_states(masksmith.train(data, tmp_path / name, settings=settings), known)


def test_parts_are_drawn_and_counted_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers that the gradient is taken of are those that the loss was found from, with the same dropout."""
    job = job_of(data, {**SETTINGS, "model.dropout": 0.5})
    usual, seen, tracked = UNet.forward, [], []

    def forward(self: UNet, x_BCHW: Tensor) -> Tensor | list[Tensor]:
        answer = usual(self, x_BCHW)
        assert isinstance(answer, Tensor)
        seen.append(answer.detach().clone())
        tracked.append(next(int(b) for name, b in self.named_buffers() if name.endswith("num_batches_tracked")))
        return answer

    monkeypatch.setattr(UNet, "forward", forward)
    gradients(job, 2)
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert tracked == [1, 2, 1, 2]


def test_resumed_it_goes_on_in_parts(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**SETTINGS, "model.dropout": 0.3}
    with monkeypatch.context() as patch:
        room_for(patch, 2)
        never_stopped = masksmith.train(data, tmp_path / "whole", settings=settings)
        with pytest.raises(KeyboardInterrupt):
            masksmith.train(data, tmp_path / "run", settings=settings, listener=Notes(stop_after=2))
    heard = Notes()
    resumed = masksmith.resume(tmp_path / "run", listener=heard)  # with room enough, which changes nothing
    assert not heard.short
    assert_equal_states(resumed, never_stopped)
    assert_near(weights(resumed), weights(never_stopped), 0)


def test_no_room_for_a_picture_is_a_sentence_and_the_state_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**PLAIN, "steps": 3}
    with monkeypatch.context() as patch:
        room_for(patch, 0)
        with pytest.raises(
            EnvironmentFault, match=r"one crop of 32 pixels a side.*lower crop, batch_size or model\.width"
        ):
            masksmith.train(data, tmp_path / "run", settings=settings)
    assert masksmith.resume(tmp_path / "run").read_log()[-1]["step"] == 3


def test_a_part_that_batch_norm_cannot_take_is_no_room(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_for(monkeypatch, 1)
    usual = UNet.forward

    def forward(self: UNet, x_BCHW: Tensor) -> Tensor | list[Tensor]:
        if self.training:  # as some encoders weigh their channels
            torch.nn.functional.batch_norm(x_BCHW.mean(dim=(2, 3)), None, None, training=True)
        return usual(self, x_BCHW)

    monkeypatch.setattr(UNet, "forward", forward)
    with pytest.raises(EnvironmentFault, match="room to train"):
        masksmith.train(data, tmp_path / "run", settings=PLAIN)


def test_a_budget_is_measured_by_parts(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = prepare.step_seconds
    monkeypatch.setattr(prepare, "step_seconds", lambda job: usual(job, 1, 0.0, 2))
    job = job_of(data, {**PLAIN, "steps": None, "budget": "1m"})
    room_for(monkeypatch, 1)
    settled = memory.settle_length(job, time.monotonic())
    assert (settled.recipe.steps or 0) > 1
    assert (settled.recipe.budget, settled.recipe.batch_size, settled.recipe.accumulate) == (None, 4, 1)
    assert settled.deadline is not None
    assert settled.batches is job.batches
    room_for(monkeypatch, 0)
    with pytest.raises(EnvironmentFault, match="room for this training"), memory.told():
        memory.settle_length(job, time.monotonic())


def test_what_is_no_shortage_stays_what_it_is() -> None:
    assert all(is_out_of_memory(make()) for make in NO_ROOM.values())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    told = MasksmithError(where="a", expected="b", received="out of memory", remedy="d")
    assert not is_out_of_memory(told)
    with pytest.raises(RuntimeError, match="shapes"), memory.told():
        raise RuntimeError("shapes")


def answering(network: UNet, most_pixels: int) -> tiler.Answer:
    """Answers with room for windows of so many pixels."""
    usual = tiler.torch_answer(network, "fp32")

    def answer(x_BCHW: Tensor) -> tiler.F32:
        if x_BCHW.shape[2] * x_BCHW.shape[3] > most_pixels:
            raise NO_ROOM["processor"]()
        return usual(x_BCHW)

    return answer


def predicted(network: UNet, pixels: tiler.F32, cut: Tiling, most_pixels: int = 10**9) -> tiler.F32:
    size = (pixels.shape[0], pixels.shape[1])
    return tiler.whole(size, tiler.blocks(network, size, tiler.part_of(pixels), cut, answering(network, most_pixels)))


def tiny(**options: Any) -> UNet:  # noqa: ANN401
    torch.manual_seed(0)
    return UNet(**{"in_channels": 2, "num_classes": 3, "depth": 3, "width": 4} | options).eval()


@pytest.mark.parametrize("cut", [Tiling(10**6, 0), None])
def test_prediction_takes_smaller_windows_and_answers_the_same(cut: Tiling | None) -> None:
    network = tiny()
    context = context_px(network)
    assert context is not None
    cut = cut or Tiling(96, context)
    pixels = np.random.default_rng(0).standard_normal((163, 150, 2), np.float32)
    wanted = predicted(network, pixels, cut)
    assert np.abs(predicted(network, pixels, cut, (2 * context + 40) ** 2) - wanted).max() < NEAR
    with pytest.raises(MemoryError, match="nor for smaller ones"):
        predicted(network, pixels, cut, context**2)


def test_where_windows_fade_they_are_those_of_a_smaller_tile() -> None:
    network = tiny(norm="instance")
    pixels = np.random.default_rng(0).standard_normal((128, 128, 2), np.float32)
    cut = tiling.choose(network, "fp32", 2**30)
    found = predicted(network, pixels, cut, 100**2)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert found.shape == (3, 128, 128)
    with pytest.raises(MemoryError, match="128 x 128"):
        predicted(network, pixels, cut, 4)


def test_windows_of_a_valid_network_cannot_be_cut() -> None:
    network = tiny(padding="valid", depth=2)
    pixels = np.random.default_rng(0).standard_normal((64, 64, 2), np.float32)
    with pytest.raises(MemoryError):
        predicted(network, pixels, tiling.choose(network, "fp32", 2**30), 400)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), EnvironmentFault, "memory for this picture"),
        (np.linalg.LinAlgError("singular\nmatrix"), DataError, "LinAlgError: singular matrix"),
        (RuntimeError("OpenCV: Failed to allocate memory"), EnvironmentFault, "workers=1"),
    ],
    ids=["memory", "any", "opencv"],
)
def test_an_error_in_a_thread_names_the_picture(
    data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[MasksmithError], said: str
) -> None:
    job = job_of(data, PLAIN)

    def broken(*_: object) -> NoReturn:
        raise error

    for place in ("draw_crop", "images.read_channels"):
        with monkeypatch.context() as patch:
            patch.setattr(f"masksmith.data.batches.{place}", broken)
            reader = PairReader(job.batches.reader.pairs, job.model.table, job.model.preprocessing)
            stream = loading.Batches(reader, job.batches.sampling, job.batches.augment).stream(0, None, 2)
            with pytest.raises(kind, match=rf"train_0\d\.png: expected .*{said}") as caught:
                next(stream)
            assert "\n" not in str(caught.value)


def refuse_bright(image: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    raise ValueError(f"{image.shape} is too bright")


def test_an_error_of_ones_own_augmentation_names_the_picture(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = job_of(data, PLAIN).batches.reader
    sampling = loading.Sampling((0, 1, 2), 32, 2, 0)
    own = Recipe().with_settings({"augment.callable": f"{__name__}:refuse_bright"}).augment
    with pytest.raises(RecipeError, match=r"augment\.callable, at .*train_0\d\.png: .*too bright"):
        next(loading.Batches(reader, sampling, own).stream(0, None, 1))


def test_no_thread_to_be_had(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    job = job_of(data, PLAIN)
    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(EnvironmentFault, match="workers: .*can't start new thread"):
        next(job.batches.stream(0, None, 2))
