"""The state of a training outlives what may happen to it, and the weights are those of a training without any of that."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

import masksmith
from helpers import write_set
from masksmith import files, modelfile
from masksmith.errors import EnvironmentFault, InputError, RunError
from masksmith.events import Listener
from masksmith.run import Run
from masksmith.training import state

SETTINGS: dict[str, object] = {
    "crop": 32, "batch_size": 2, "model.width": 4, "model.depth": 2, "steps": 9, "device": "cpu", "validate_every": 1,
}  # fmt: skip


class Stops(Listener):
    """Wants to stop after so many steps, or in the middle of the first validation."""

    def __init__(self, after: int | None = None) -> None:
        self.after, self.steps, self.asked_since = after, 0, 0

    def step(self, done: int, total: int) -> None:
        self.steps, self.asked_since = done, 0

    def wants_stop(self) -> bool:
        self.asked_since += 1
        # Asked once after each step; more often only while pictures are validated.
        return self.steps >= self.after if self.after is not None else self.asked_since > 1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    made = masksmith.train(data, tmp_path_factory.mktemp("runs") / "whole", settings=SETTINGS)
    return dict(made.read_model().weights)


@pytest.fixture
def stopped(data: Path, tmp_path: Path) -> Run:
    """A run that was stopped after five steps, with the state before that beside it."""
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "run", settings=SETTINGS, listener=Stops(5))
    run = Run(tmp_path / "run")
    assert run.state_file.is_file()
    assert run.previous_state_file.is_file()
    return run


def ends_alike(run: Run, whole: Mapping[str, Tensor]) -> None:
    found = masksmith.resume(run.path).read_model().weights
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in whole.items())
    assert not run.previous_state_file.exists()
    assert not list(run.path.glob(".*"))


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def becomes(path: Path, file: str, *errors: int) -> None:
    """In place of ``path`` stands a file of the system whose reading fails with one of ``errors``."""
    path.unlink()
    path.symlink_to(file)
    if not path.is_file():
        pytest.skip(f"no {file} here")
    with pytest.raises(OSError) as found:  # noqa: PT011 - its number is looked at
        path.read_bytes()
    assert found.value.errno in errors


def test_a_spoilt_state_gives_way_to_the_one_before(stopped: Run, whole: Mapping[str, Tensor]) -> None:
    spoil(stopped.state_file)
    assert state.read(stopped)[1]["progress"]["step"] == 0
    ends_alike(stopped, whole)


def test_a_state_that_the_disk_cannot_read_gives_way_and_does_not_take_the_place_of_the_one_before(
    stopped: Run, whole: Mapping[str, Tensor]
) -> None:
    becomes(stopped.state_file, "/proc/self/mem", errno.EIO)
    assert state.read(stopped)[1]["progress"]["step"] == 0
    assert not stopped.state_file.exists()
    ends_alike(stopped, whole)


def test_a_state_that_is_out_of_reach_stays_the_newest(stopped: Run) -> None:
    becomes(stopped.state_file, "/proc/self/clear_refs", errno.EINVAL, errno.EACCES)
    with pytest.raises(EnvironmentFault, match=r"state\.safetensors: expected a file that can be read"):
        state.read(stopped)
    assert stopped.state_file.is_symlink()


def test_a_state_whose_writing_was_broken_off_gives_way_too(stopped: Run, whole: Mapping[str, Tensor]) -> None:
    files.move(stopped.state_file, stopped.previous_state_file)
    (stopped.path / ".state.safetensors.abc.part").write_bytes(b"half of it")
    assert stopped.has_state
    ends_alike(stopped, whole)


def test_the_state_before_a_spoilt_one_is_not_lost_to_the_next(
    stopped: Run, whole: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(stopped.state_file)

    def full(path: Path, *_: object) -> None:
        raise files.not_writable(path, OSError(28, "No space left on device"))

    with monkeypatch.context() as patch:
        patch.setattr(modelfile, "write_tensors", full)
        with pytest.raises(EnvironmentFault, match="no space left on device"):
            masksmith.resume(stopped.path, listener=Stops(0))
    ends_alike(stopped, whole)


def test_a_run_that_patience_has_ended_stays_where_it_is_and_goes_on_when_asked(data: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "steps": 400, "patience": 1, "lr": 1e-9}  # nothing gets better
    run = masksmith.train(data, tmp_path / "run", settings=settings)
    ended = state.read(run)[1]["progress"]["step"]
    assert ended < 400
    masksmith.resume(run.path)
    assert state.read(run)[1]["progress"]["step"] == ended
    masksmith.resume(run.path, settings={"steps": 401})
    assert state.read(run)[1]["progress"]["step"] > ended


def test_two_spoilt_states_are_told(stopped: Run) -> None:
    spoil(stopped.state_file)
    spoil(stopped.previous_state_file)
    with pytest.raises(RunError, match="contents that differ from their checksum"):
        masksmith.resume(stopped.path)


def test_a_full_disk_costs_nothing_but_the_last_minute(
    data: Path, whole: Mapping[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, count = modelfile.write_tensors, 0

    def full(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> None:
        nonlocal count
        count += path.name == "state.safetensors"
        if count == 2:
            raise files.not_writable(path, OSError(28, "No space left on device"))
        plain(path, tensors, about)

    with monkeypatch.context() as patch:
        patch.setattr(modelfile, "write_tensors", full)
        with pytest.raises(EnvironmentFault, match="no space left on device"):
            masksmith.train(data, tmp_path / "run", settings=SETTINGS, listener=Stops(5))
    ends_alike(Run(tmp_path / "run"), whole)


def test_a_stop_during_a_validation_does_not_wait_for_it(
    data: Path, whole: Mapping[str, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "run", settings=SETTINGS, listener=Stops())
    run = Run(tmp_path / "run")
    assert state.read(run)[1]["progress"]["epoch_due"]
    assert not run.model_file.exists()
    ends_alike(run, whole)


def test_a_run_in_use_is_left_alone(stopped: Run, data: Path) -> None:
    before = {path: path.read_bytes() for path in stopped.path.iterdir()}
    with files.locked(stopped.path):
        with pytest.raises(InputError, match="one that a training is writing to"):
            masksmith.resume(stopped.path)
        with pytest.raises(InputError, match="one that a training is writing to"):
            masksmith.train(data, stopped.path, settings=SETTINGS, overwrite=True)
    assert {path: path.read_bytes() for path in stopped.path.iterdir()} == before
