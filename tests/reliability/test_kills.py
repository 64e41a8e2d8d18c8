"""A few of the kills that ``make reliability`` does by the hundred."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import masksmith
from masksmith import files, modelfile
from masksmith.errors import RunError
from reliability.harness import kills, replacing, signals, trained
from reliability.harness.trained import Bench

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with trained.bench(tmp_path_factory.mktemp("bench")) as made:
        yield made


def test_killed_trainings_end_as_if_nothing_had_been(bench: Bench, tmp_path: Path) -> None:
    outcome = kills.check(4, tmp_path, bench=bench)
    assert outcome.faults == ()
    assert outcome.counts["trainings killed"] == outcome.counts["identical model.safetensors"] == 4
    assert int(outcome.counts["kills"]) >= 4
    assert int(outcome.counts["killed in a state write"]) >= 1
    assert outcome.counts["unreadable runs"] == 0


def test_a_signal_costs_a_training_nothing(bench: Bench, tmp_path: Path) -> None:
    outcome = signals.check(2, tmp_path, bench=bench)
    assert outcome.faults == ()
    assert outcome.counts["signals"] == outcome.counts["identical model.safetensors"] == 2
    assert float(outcome.counts["slowest to leave, s"]) > 0


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    outcome = replacing.check(40, tmp_path)
    assert outcome.faults == ()
    assert outcome.counts["corrupt"] == outcome.counts["in the way"] == 0
    assert int(outcome.counts["unfinished files left"]) > 0


@pytest.mark.parametrize("removed", range(4))
def test_a_folder_that_was_being_emptied_is_still_ours(
    removed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ("recipe.yaml", "classes.csv", "state.*")
    for name in ("recipe.yaml", "classes.csv", "state.safetensors", ".state.safetensors.abcdefgh.part"):
        (tmp_path / name).write_text("x")
    plain, calls = Path.unlink, iter(range(9))

    def killed(path: Path, *, missing_ok: bool = False) -> None:
        if next(calls) == removed:
            raise KeyboardInterrupt
        plain(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            files.claim_folder(tmp_path, overwrite=True, ours=ours)
    assert (tmp_path / "recipe.yaml").exists()
    assert (tmp_path / "state.safetensors").exists() == (removed < 2)
    files.claim_folder(tmp_path, overwrite=True, ours=ours)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [[], [".recipe.yaml.abcdefgh.part"], [".masksmith-probe-abcdefgh"]])
def test_a_run_that_was_killed_before_its_first_file_is_to_be_started_anew(left: list[str], tmp_path: Path) -> None:
    for name in left:
        (tmp_path / name).write_text("")
    with pytest.raises(RunError, match="start it anew with --overwrite"):
        masksmith.resume(tmp_path)
    files.claim_folder(tmp_path, overwrite=True, ours=("recipe.yaml",))
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_makes_the_same_file(tmp_path: Path) -> None:
    tensors, about = {"b": torch.zeros(3), "a": torch.ones(2, 2, dtype=torch.int64)}, {"ä": '"\n'}
    made = set()
    for number in range(12):  # safetensors puts two metadata in either order
        modelfile.write_tensors(tmp_path / f"{number}", tensors, about)
        made.add((tmp_path / f"{number}").read_bytes())
    assert len(made) == 1
    found, said = modelfile.read_tensors(tmp_path / "0")
    assert said == about
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
