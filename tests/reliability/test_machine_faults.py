"""A few faults of the disk in each command; ``make reliability`` lets every call fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from masksmith import classes, files
from masksmith.errors import DataError, EnvironmentFault, RunError
from masksmith.run import Run
from reliability.harness import full_disk, machine_faults
from reliability.harness.warm import build


def test_calls_that_fail_are_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if build(tmp_path) is None:
        pytest.skip("no C compiler, or no Linux: calls of the system cannot be made to fail")
    quick = ("predict --overwrite", "split")  # the others take seconds each time
    monkeypatch.setattr(machine_faults, "COMMANDS", {name: machine_faults.COMMANDS[name] for name in quick})
    outcome = machine_faults.check(3, tmp_path / "work")
    assert outcome.faults == ()
    assert outcome.counts["trials"] == 6
    assert outcome.counts["calls that failed"]


def test_a_full_disk_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_disk, "NAMES", ("predict",))
    outcome = full_disk.check(2, tmp_path)
    assert outcome.faults == ()
    assert outcome.counts["folders removed meanwhile"] >= 1  # tiny pictures may be written before it is
    if full_disk.NO_PERMISSION in outcome.counts:
        pytest.skip(full_disk.NO_PERMISSION)
    assert outcome.counts["commands on a full disk"] == 2


def test_tables_of_a_run_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for path in (run.log_file, run.split_file, tmp_path / "classes.csv"):
        path.write_bytes(b"name,image,split\n\xff,a,b\n")
    with pytest.raises(RunError, match=r"log\.csv: expected"):
        run.read_log()
    with pytest.raises(RunError, match=r"split\.csv: expected"):
        run.parts()
    with pytest.raises(
        RunError, match=r"split\.csv: expected the list of pictures of the run, received a damaged one \("
    ):
        run.read_dataset()
    with pytest.raises(DataError, match=r"classes\.csv: expected"):
        classes.read_encoding(tmp_path / "classes.csv")


def test_a_folder_made_in_place_of_a_held_one_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with files.locked(folder):
        files.write_text(folder / "state", "old")
        (folder / "state").unlink()
        folder.rmdir()
        files.write_text(tmp_path / "other" / "state", "new")
        (tmp_path / "other").rename(folder)  # as by another program
        for place in (folder, folder / "inside"):
            with pytest.raises(EnvironmentFault, match="removed or renamed meanwhile"):
                files.write_text(place / "state", "old")
        with pytest.raises(EnvironmentFault, match="removed or renamed meanwhile"):
            files.move(folder / "state", folder / "previous")
    assert [p.name for p in folder.iterdir()] == ["state"]
    assert (folder / "state").read_text() == "new"
    files.write_text(folder / "state", "newer")


def test_a_held_folder_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with files.held(folder):
        files.write_text(folder / "inside" / "a.txt", "a")
        (folder / "inside" / "a.txt").unlink()
        (folder / "inside").rmdir()
        folder.rmdir()
        with pytest.raises(EnvironmentFault, match="removed or renamed meanwhile"):
            files.write_text(folder / "inside" / "a.txt", "a")
    assert not folder.exists()
    fold, gone = tmp_path / "fold", pytest.raises(EnvironmentFault, match="removed or renamed meanwhile")
    with files.held(tmp_path), files.held(fold), gone:
        files.write_text(fold / "a.txt", "a")
    files.write_text(folder / "a.txt", "a")
